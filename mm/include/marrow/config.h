/* SPDX-License-Identifier: MIT */
/*
 * Every knob of Marrow, its range and its default.
 *
 * A kernel sets knobs with -DMW_X=n, or in one header of its own that it names
 * with -DMW_CONFIG_H='"my_marrow_config.h"'. The range of each is checked here.
 * There are no others: what is not a knob is decided, or is settable while running.
 */
#ifndef MARROW_CONFIG_H
#define MARROW_CONFIG_H

/* Of these sources; docs/CHANGELOG.md says what each version changed. */
#define MW_VERSION_MAJOR 0
#define MW_VERSION_MINOR 2
#define MW_VERSION_PATCH 0
#define MW_VERSION (MW_VERSION_MAJOR * 10000 + MW_VERSION_MINOR * 100 + MW_VERSION_PATCH)

#ifdef MW_CONFIG_H
#include MW_CONFIG_H
#endif

/* 1. log2 of the page size: 12 to 16. */
#ifndef MW_PAGE_SHIFT
#define MW_PAGE_SHIFT 12
#endif

/* 2. How many CPUs (hosted: thread slots) the heap can tell apart: 1 to 4096. */
#ifndef MW_MAX_CPUS
#define MW_MAX_CPUS 16
#endif

/* 3. What the port provides, see port.h: 0 to 3. */
#ifndef MW_PORT_LEVEL
#define MW_PORT_LEVEL 0
#endif

/* 4. The collector, and all that needs a mark: 0 or 1. Needs MW_PORT_LEVEL 2. */
#ifndef MW_GC
#define MW_GC (MW_PORT_LEVEL >= 2)
#endif

/* 5. Profile, event trace, heap dump: 0 or 1. */
#ifndef MW_WATCH
#define MW_WATCH 1
#endif

/* 6. Assertions: 0 the always-on ones, 1 also the debug ones and lock ranks, 2 also heap walks. */
#ifndef MW_DEBUG
#define MW_DEBUG 0
#endif

/* 7. Totals for each place in the source that allocates: 0 or 1. */
#ifndef MW_SITES
#define MW_SITES 0
#endif

/*
 * 8. and 9. Heap addresses lie in [MW_ADDR_BASE, MW_ADDR_BASE + 2^MW_ADDR_BITS): the direct map
 * of a kernel, or user space. BITS from 26 to 48; 8 bytes of bss for each 64 MiB of the window.
 */
#ifndef MW_ADDR_BASE
#define MW_ADDR_BASE 0
#endif
#ifndef MW_ADDR_BITS
#if __SIZEOF_POINTER__ == 4
#define MW_ADDR_BITS 32
#else
#define MW_ADDR_BITS 47
#endif
#endif

/*
 * 10. A header with static inline bodies of mw_port_pin, mw_port_unpin, mw_port_cpu and
 * mw_port_relax, which stand on every fast path; it also defines MW_PORT_INLINE_GIVEN.
 * Not set: all four are link-time functions. With mw_port_pinned() too it defines MW_PORT_PINNED_GIVEN.
 */
#ifdef MW_PORT_INLINE_H
#include MW_PORT_INLINE_H
#endif

/*
 * 11. Count bits without __builtin_ctzl() and __builtin_clzl(): 0 or 1. For machines where those are
 * calls into the compiler's library, such as RISC-V without Zbb built with gcc. With 1, nothing is in
 * the machine's own words either: see mm/base/word.h.
 */
#ifndef MW_SOFT_BITS
#define MW_SOFT_BITS 0
#endif

/*
 * 12. A header that is told which memory of the heap may be touched, for a kernel that is built with
 * address checking: see mm/base/shadow.h. Not set: nobody is told.
 */
#ifdef MW_SHADOW_H
#include MW_SHADOW_H
#endif

#if MW_PAGE_SHIFT < 12 || MW_PAGE_SHIFT > 16
#error "MW_PAGE_SHIFT: 12 to 16"
#endif
#if MW_MAX_CPUS < 1 || MW_MAX_CPUS > 4096
#error "MW_MAX_CPUS: 1 to 4096"
#endif
#if MW_PORT_LEVEL < 0 || MW_PORT_LEVEL > 3
#error "MW_PORT_LEVEL: 0 to 3"
#endif
#if MW_GC && MW_PORT_LEVEL < 2
#error "MW_GC needs MW_PORT_LEVEL 2 or more"
#endif
#if MW_MAX_CPUS > 1 && MW_PORT_LEVEL < 1
#undef MW_MAX_CPUS
#define MW_MAX_CPUS 1
#endif
#if MW_DEBUG < 0 || MW_DEBUG > 2
#error "MW_DEBUG: 0 to 2"
#endif
#if MW_ADDR_BITS < 26 || MW_ADDR_BITS > 48
#error "MW_ADDR_BITS: 26 to 48"
#endif

/*
 * Of members that only Marrow touches, atomic ones: C++ has other words for them, and the same
 * size.
 */
#ifdef __cplusplus
#define MW_ATOMIC_MEMBER
#else
#define MW_ATOMIC_MEMBER _Atomic
#endif

#endif
