/* SPDX-License-Identifier: MIT */
/*
 * The port functions of the fast paths, for Linux: a thread is a CPU.
 *
 * To pin is to count up a thread-local word. A signal that finds it above zero, be it a test's
 * interrupt or a request to stop, leaves a bit in `pending` and goes; the last unpin sees the bit and
 * does what the signal would have done. This costs no system call, and it works where signals come
 * late (sanitizers), because whoever asks for a stop sets the bit himself before he sends the signal.
 */
#ifndef HOSTTEST_PORT_INLINE_HOSTED_H
#define HOSTTEST_PORT_INLINE_HOSTED_H

#include <stdatomic.h>
#include <stdbool.h>

#define MW_PORT_INLINE_GIVEN
#define MW_PORT_PINNED_GIVEN
#define MW_PORT_YIELD_GIVEN

#define PORT_PENDING_INTERRUPT 1u
#define PORT_PENDING_STOP 2u

struct port_cpu {
	volatile unsigned long depth; /* of pins; written by its thread alone */
	atomic_uint pending; /* PORT_PENDING_* */
	int slot; /* -1: none yet */
	unsigned int relaxed; /* turns of spin loops */
};

extern __thread struct port_cpu port_cpu __attribute__((tls_model("initial-exec")));

int port_take_slot(void);
void port_do_pending(void);
void port_yield(void);
void mw_port_yield(void);

static inline unsigned long mw_port_pin(void)
{
	unsigned long state = port_cpu.depth;

	port_cpu.depth = state + 1;
	atomic_signal_fence(memory_order_seq_cst);
	return state;
}

static inline bool mw_port_pinned(void)
{
	return port_cpu.depth;
}

/*
 * The bit is looked at after the count is down: a signal before that finds the count up and leaves a
 * bit that is seen here, a signal after it acts itself.
 */
static inline void mw_port_unpin(unsigned long state)
{
	atomic_signal_fence(memory_order_seq_cst);
	port_cpu.depth = state;
	atomic_signal_fence(memory_order_seq_cst);
	if (__builtin_expect(!state && atomic_load_explicit(&port_cpu.pending, memory_order_relaxed),
			     0))
		port_do_pending();
}

static inline unsigned int mw_port_cpu(void)
{
	int slot = port_cpu.slot;

	return (unsigned int)(__builtin_expect(slot < 0, 0) ? port_take_slot() : slot);
}

/* More threads than processors spin here: give the holder a chance now and then. */
static inline void mw_port_relax(void)
{
	__builtin_ia32_pause();
	if (!(++port_cpu.relaxed & 63))
		port_yield();
}

#endif
