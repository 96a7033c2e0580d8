/* SPDX-License-Identifier: MIT */
/* Marrow's knobs for build/libmarrow.so: named by MW_CONFIG_H. */
#ifndef HOSTTEST_PRELOAD_CONFIG_H
#define HOSTTEST_PRELOAD_CONFIG_H

#define MW_PORT_LEVEL 3
#ifndef MW_GC
#define MW_GC 0
#endif
#define MW_WATCH 0
/*
 * Threads that have a cache of their own at once; more than that share one, see preload_slot.c. Each
 * costs a KiB that every process touches.
 */
#define MW_MAX_CPUS 256
#define MW_PORT_INLINE_H "preload_port.h"

/*
 * The heap lies where Linux puts mappings anyway, at the top of user space, so that the root of the page
 * map is 2 MiB and not 16: a limit on address space counts it, touched or not.
 */
#if defined(__x86_64__)
#define MW_ADDR_BASE 0x700000000000
#define MW_ADDR_BITS 44
#endif

#endif
