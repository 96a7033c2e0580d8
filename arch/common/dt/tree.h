/* SPDX-License-Identifier: MIT */
/* What the device tree tells of the machine, for a loader that gives nothing else. */
#ifndef ARCH_COMMON_DT_TREE_H
#define ARCH_COMMON_DT_TREE_H

#include "fdt.h"

extern struct fdt tree; /* stays where it was found, RESERVED in the map */

/* Memory, what is reserved, the command line, the module. Panics if there is no tree at @phys. */
void tree_read(uint64_t phys);
/* Each CPU that may be used: its node, and its number ("reg"). */
void tree_for_cpus(void (*fn)(const struct fdt_node *node, uint64_t number));

#endif
