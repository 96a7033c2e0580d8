// SPDX-License-Identifier: MIT
/*
 * Seams (SEAMS=1): a moment before each access to memory of mm/ and kernel/ where the turn may go to
 * another CPU, interrupts on or off.
 *
 * gcc's -fsanitize=thread puts a call before each plain access and makes one of each atomic one. The
 * calls count down; at 0 they relax, which under -icount ends this virtual CPU's turn, and
 * draw the next count. Now and then a CPU sits out many turns, as a host's or hypervisor's CPU may:
 * that holds a window open while others run through it. The seed gives the counts and their mean, so
 * one seed is one interleaving.
 *
 * This file is not instrumented itself. Only one host thread runs, so the order that an atomic asks
 * for is kept whatever it is.
 */
#include "kernel.h"
#include "harness.h"

#define MOST_TURNS_OUT 64

static struct seam {
	_Alignas(64) uint64_t random;
	uint32_t left;
} seam[MW_MAX_CPUS];

static bool on;
static uint32_t most; /* accesses between two turns */
static unsigned long turns_given;
static uint64_t order; /* a sum over who gave the turn where */

static uint64_t next_random(struct seam *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random >> 11;
}

static __attribute__((noinline)) void give_turn(struct seam *s, uintptr_t where)
{
	uint64_t random = next_random(s);
	unsigned int turns = random % 32 ? 1 : 1 + (random >> 5) % MOST_TURNS_OUT;

	/* First: an interrupt in between counts as well. */
	s->left = 1 + (random >> 16) % most;
	turns_given += turns;
	order = (order ^ where ^ (uint64_t)(s - seam) << 56) * 0x100000001b3ul;
	while (turns--)
		arch_relax();
}

static inline __attribute__((always_inline)) void at_seam(void)
{
	struct seam *s = &seam[mw_port_cpu()];

	if (on && !--s->left)
		give_turn(s, (uintptr_t)__builtin_return_address(0));
}

/* Short means cost turns, long ones miss narrow windows: each seed has its own, 8 to 2048. */
void seams_start(uint64_t seed, uint64_t what)
{
	uint64_t mixed = (seed + 1) * 0x9e3779b97f4a7c15ul;

	most = 8u << (mixed >> 40) % 9;
	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++) {
		seam[cpu].random = (mixed ^ what * 0xbf58476d1ce4e5b9ul) + cpu * 0xd1342543de82ef95ul;
		seam[cpu].random |= 1;
		seam[cpu].left = 1 + next_random(&seam[cpu]) % most;
	}
	on = true;
}

void seams_stop(void)
{
	on = false;
}

/* Equal orders, equal interleavings; and the clock counts instructions. */
void seams_report(void)
{
	mw_print("# seed %llu: %lu turns, up to %u accesses apart, order %016llx; done at %llu\n",
		 (unsigned long long)options.seed, turns_given, most, (unsigned long long)order,
		 (unsigned long long)arch_cycles());
}

/* ---- what gcc calls ---- */

#define ACCESS(name)                                                                               \
	void __tsan_##name(void *at);                                                              \
	void __tsan_##name(void *at)                                                               \
	{                                                                                          \
		(void)at;                                                                          \
		at_seam();                                                                         \
	}
#define ACCESSES(size)                                                                             \
	ACCESS(read##size)                                                                         \
	ACCESS(write##size)                                                                        \
	ACCESS(unaligned_read##size)                                                               \
	ACCESS(unaligned_write##size)

ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

#define RANGE(name)                                                                                \
	void __tsan_##name(void *at, unsigned long size);                                          \
	void __tsan_##name(void *at, unsigned long size)                                           \
	{                                                                                          \
		(void)at, (void)size;                                                              \
		at_seam();                                                                         \
	}

RANGE(read_range)
RANGE(write_range)

void __tsan_init(void);
void __tsan_init(void)
{
}

#define EXCHANGES(bits, type, op)                                                                  \
	type __tsan_atomic##bits##_##op(volatile type *at, type value, int order);                 \
	type __tsan_atomic##bits##_##op(volatile type *at, type value, int order)                  \
	{                                                                                          \
		(void)order;                                                                       \
		at_seam();                                                                         \
		return __atomic_##op(at, value, __ATOMIC_SEQ_CST);                                 \
	}

#define COMPARES(bits, type, strength, weak)                                                       \
	int __tsan_atomic##bits##_compare_exchange_##strength(volatile type *at, type *expected,   \
							      type wanted, int order, int failed); \
	int __tsan_atomic##bits##_compare_exchange_##strength(volatile type *at, type *expected,   \
							      type wanted, int order, int failed)  \
	{                                                                                          \
		(void)order, (void)failed;                                                         \
		at_seam();                                                                         \
		return __atomic_compare_exchange_n(at, expected, wanted, weak, __ATOMIC_SEQ_CST,   \
						   __ATOMIC_SEQ_CST);                              \
	}

#define ATOMICS(bits, type)                                                                        \
	type __tsan_atomic##bits##_load(const volatile type *at, int order);                       \
	type __tsan_atomic##bits##_load(const volatile type *at, int order)                        \
	{                                                                                          \
		(void)order;                                                                       \
		at_seam();                                                                         \
		return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                      \
	}                                                                                          \
	void __tsan_atomic##bits##_store(volatile type *at, type value, int order);                \
	void __tsan_atomic##bits##_store(volatile type *at, type value, int order)                 \
	{                                                                                          \
		(void)order;                                                                       \
		at_seam();                                                                         \
		__atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                     \
	}                                                                                          \
	EXCHANGES(bits, type, fetch_add)                                                           \
	EXCHANGES(bits, type, fetch_sub)                                                           \
	EXCHANGES(bits, type, fetch_and)                                                           \
	EXCHANGES(bits, type, fetch_or)                                                            \
	EXCHANGES(bits, type, fetch_xor)                                                           \
	COMPARES(bits, type, strong, false)                                                        \
	COMPARES(bits, type, weak, true)                                                           \
	type __tsan_atomic##bits##_exchange(volatile type *at, type value, int order);             \
	type __tsan_atomic##bits##_exchange(volatile type *at, type value, int order)              \
	{                                                                                          \
		(void)order;                                                                       \
		at_seam();                                                                         \
		return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                           \
	}

ATOMICS(8, unsigned char)
ATOMICS(16, unsigned short)
ATOMICS(32, unsigned int)
ATOMICS(64, unsigned long)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
	(void)order;
	at_seam();
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order)
{
	(void)order;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}
