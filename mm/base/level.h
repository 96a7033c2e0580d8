/* SPDX-License-Identifier: MIT */
/* The port as mm/ sees it: what MW_PORT_LEVEL leaves out answers here, so that no caller asks. */
#ifndef MW_BASE_LEVEL_H
#define MW_BASE_LEVEL_H

#include <marrow/port.h>

/* A port that cannot tell lets every assertion hold. */
#ifndef MW_PORT_PINNED_GIVEN
static inline bool mw_port_pinned(void)
{
	return true;
}
#endif

#if MW_PORT_LEVEL < 1
static inline unsigned int mw_port_cpu(void)
{
	return 0;
}

static inline void mw_port_relax(void)
{
}
#endif

#ifndef MW_PORT_YIELD_GIVEN
static inline void mw_port_yield(void)
{
	mw_port_relax();
}
#endif

#if MW_PORT_LEVEL < 2
static inline int mw_port_stop_world(void)
{
	return -1;
}

static inline void mw_port_start_world(void)
{
}

static inline void mw_port_run_stopped(void (*fn)(unsigned int worker, void *arg), void *arg)
{
	(void)fn, (void)arg;
}

static inline uint64_t mw_port_now(void)
{
	return 0;
}
#endif

#if MW_PORT_LEVEL < 3
static inline size_t mw_port_backtrace(uintptr_t *pcs, size_t max)
{
	(void)pcs, (void)max;
	return 0;
}

static inline bool mw_port_symbol(uintptr_t pc, char *text, size_t size)
{
	(void)pc, (void)text, (void)size;
	return false;
}

static inline bool mw_port_protect(void *page, size_t len, bool fault)
{
	(void)page, (void)len, (void)fault;
	return false;
}

static inline bool mw_port_release(void *page, size_t len)
{
	(void)page, (void)len;
	return false;
}

static inline bool mw_port_reclaim(void *page, size_t len)
{
	(void)page, (void)len;
	return true;
}

static inline bool mw_port_dirty_start(void *page, size_t len)
{
	(void)page, (void)len;
	return false;
}

static inline void *mw_port_dirty_next(void *from, void *end)
{
	(void)from, (void)end;
	return NULL;
}
#endif

/*
 * Other CPUs' caches may be touched only while they are stopped. Below level 2 with more than one
 * CPU that cannot be had.
 */
#define MW_CAN_STOP (MW_PORT_LEVEL >= 2 || MW_MAX_CPUS == 1)

#endif
