/* SPDX-License-Identifier: MIT */
/*
 * The port functions of the fast paths, for a preloaded malloc: a thread is a CPU.
 *
 * There is nothing to pin. malloc() may not be called from signal handlers, a thread's slot is its
 * own until it ends, and what a kernel would do with a stopped world is not done here.
 */
#ifndef HOSTTEST_PRELOAD_PORT_H
#define HOSTTEST_PRELOAD_PORT_H

#include <stdint.h>

#define MW_PORT_INLINE_GIVEN

/*
 * What this thread is to Marrow. Slot 0: none yet, or no more, or all were taken, see preload_slot.c;
 * then @cpu is one that has nothing. Initial-exec, because the general model may allocate on first use.
 */
struct preload_self {
	struct mw_cpu *cpu;
	unsigned int slot;
	/* preload_heap_tend(): slow paths taken, and when it was last done */
	unsigned int ticks;
	uint64_t tended;
};
extern __thread struct preload_self preload_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

void preload_yield(void);

static inline unsigned long mw_port_pin(void)
{
	return 0;
}

static inline void mw_port_unpin(unsigned long state)
{
	(void)state;
}

static inline unsigned int mw_port_cpu(void)
{
	return preload_self.slot;
}

static inline void mw_port_relax(void)
{
	preload_yield();
}

#endif
