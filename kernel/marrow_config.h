/* SPDX-License-Identifier: MIT */
/* Marrow's knobs in the demo kernel. */
#ifndef KERNEL_MARROW_CONFIG_H
#define KERNEL_MARROW_CONFIG_H

#define MW_PORT_LEVEL 3
#ifndef MW_MAX_CPUS
#define MW_MAX_CPUS 16
#endif

/* The direct map. */
#include "layout.h"
#define MW_ADDR_BASE ARCH_DIRECT_MAP
#define MW_ADDR_BITS ARCH_DIRECT_MAP_BITS

#define MW_PORT_INLINE_H "port_inline.h"

#endif
