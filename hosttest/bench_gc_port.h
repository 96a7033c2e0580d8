/* SPDX-License-Identifier: MIT */
/*
 * The inline port of the collector's benchmark: that of port_inline_hosted.h, but to unpin looks for
 * nothing, as a kernel that pins by its interrupt flag needs not either. A request to stop that comes
 * to a pinned thread is repeated by whoever stops; threads have their slots before they allocate.
 */
#ifndef HOSTTEST_BENCH_GC_PORT_H
#define HOSTTEST_BENCH_GC_PORT_H

#define mw_port_pin checked_port_pin
#define mw_port_unpin checked_port_unpin
#define mw_port_cpu checked_port_cpu
#include "port_inline_hosted.h"
#undef mw_port_pin
#undef mw_port_unpin
#undef mw_port_cpu

static inline unsigned long mw_port_pin(void)
{
	return checked_port_pin();
}

static inline void mw_port_unpin(unsigned long state)
{
	atomic_signal_fence(memory_order_seq_cst);
	port_cpu.depth = state;
	atomic_signal_fence(memory_order_seq_cst);
}

static inline unsigned int mw_port_cpu(void)
{
	return (unsigned int)port_cpu.slot;
}

#endif
