/* SPDX-License-Identifier: MIT */
/* Marrow's knobs for Linux: named by MW_CONFIG_H. Each may be overridden with -D. */
#ifndef HOSTTEST_MARROW_CONFIG_H
#define HOSTTEST_MARROW_CONFIG_H

#ifndef MW_PORT_LEVEL
#define MW_PORT_LEVEL 3
#endif
#ifndef MW_MAX_CPUS
#define MW_MAX_CPUS 256
#endif
#define MW_PORT_INLINE_H "port_inline_hosted.h"

#endif
