// SPDX-License-Identifier: MIT
/* What tests have of the machine, the same on Linux and in the demo kernel: chance, CPUs, interrupts, time. */
#include <stdatomic.h>
#include "harness.h"

static unsigned int percent_of_rounds;
static bool may_count, must_count; /* instructions */

/* ---- random numbers ---- */

static struct {
	_Alignas(64) uint64_t state;
} dice[64];

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t test_random(void)
{
	uint64_t *state = &dice[backend_worker() % 64].state;

	return mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}

/* Modulo by shift and subtract: no 64-bit division on 32-bit machines without a library. */
uint64_t test_below(uint64_t n)
{
	uint64_t random = test_random(), part = n;

	if (n <= UINT32_MAX)
		return ((random >> 32) * n) >> 32;
	while (part <= random >> 1)
		part <<= 1;
	for (; part >= n; part >>= 1) {
		if (random >= part)
			random -= part;
	}
	return random;
}

unsigned long test_rounds(unsigned long n)
{
	unsigned long part = percent_of_rounds ? n * percent_of_rounds / 100 : n;

	return part ? part : 1;
}

/* Every test starts from the seed and its own name, so it replays alone as in the whole run. */
static void dice_start(const char *name)
{
	uint64_t seed = test_seed;

	for (const char *c = name; *c; c++)
		seed = mix(seed ^ (unsigned char)*c);
	for (unsigned int i = 0; i < 64; i++)
		dice[i].state = mix(seed + i);
}

/* ---- CPUs ---- */

/* Guarded by busy, but for round: @arrived of @n wait for it to change. */
static struct {
	atomic_flag busy;
	unsigned int n, arrived;
	atomic_uint round;
} barrier;

unsigned int test_cpus(void)
{
	return backend_cpus();
}

void test_parallel(unsigned int n, void (*fn)(unsigned int i, void *arg), void *arg)
{
	NEED(n >= 1 && n <= backend_cpus());
	barrier.n = n;
	barrier.arrived = 0;
	backend_parallel(n, fn, arg);
	barrier.n = 1;
}

/* One more waits, or one less is waited for. Return: the round that it is. */
static unsigned int barrier_step(bool leave)
{
	unsigned long state = mw_port_pin();
	unsigned int round;

	while (atomic_flag_test_and_set_explicit(&barrier.busy, memory_order_acquire))
		mw_port_relax();
	round = atomic_load_explicit(&barrier.round, memory_order_relaxed);
	if (leave)
		barrier.n--;
	else
		barrier.arrived++;
	if (barrier.arrived >= barrier.n) {
		barrier.arrived = 0;
		atomic_store_explicit(&barrier.round, round + 1, memory_order_release);
	}
	atomic_flag_clear_explicit(&barrier.busy, memory_order_release);
	mw_port_unpin(state);
	return round;
}

void test_barrier(void)
{
	unsigned int round = barrier_step(false);

	while (atomic_load_explicit(&barrier.round, memory_order_acquire) == round)
		mw_port_relax();
}

void harness_worker_left(void)
{
	(void)barrier_step(true);
}

void harness_begin(const struct harness_want *want, const struct test_case *test, const char *name)
{
	percent_of_rounds = want->percent;
	may_count = test->flags & TEST_COUNTED;
	must_count = want->only & TEST_COUNTED;
	dice_start(name);
	barrier.n = 1;
}

/* ---- what only the backend knows ---- */

/* Not in the kernel. */
__attribute__((weak)) bool backend_steps(void);
__attribute__((weak)) bool backend_step(enum test_way way, void (*a)(void *arg),
					void (*b)(void *arg), void *arg, unsigned long at);
__attribute__((weak)) void backend_elsewhere(void (*fn)(void *arg), void *arg);

bool test_step_way(enum test_way way, void (*a)(void *arg), void (*b)(void *arg), void *arg,
		   unsigned long at)
{
	if (!backend_steps || !backend_steps())
		test_skip("no single steps here");
	return backend_step(way, a, b, arg, at);
}

bool test_step(void (*a)(void *arg), void (*b)(void *arg), void *arg, unsigned long at)
{
	return test_step_way(TEST_CPU, a, b, arg, at);
}

void test_elsewhere(void (*fn)(void *arg), void *arg)
{
	if (!backend_steps || !backend_steps())
		test_skip("no single steps here");
	backend_elsewhere(fn, arg);
}

bool test_interrupts_on(void (*fn)(void *arg), void *arg)
{
	return backend_interrupts_on(fn, arg);
}

unsigned long test_interrupts_off(void)
{
	return backend_interrupts_off();
}

bool test_workers(bool on)
{
	return backend_workers(on);
}

void test_own_roots(bool on)
{
	backend_own_roots(on);
}

uint64_t test_now(void)
{
	return backend_now();
}

uint64_t test_instructions(void)
{
	uint64_t count = backend_instructions();

	if (!may_count)
		(void)test_check(false, __FILE__, __LINE__, "the test is TEST_COUNTED");
	if (must_count && !count)
		(void)test_check(false, __FILE__, __LINE__, "instructions are counted");
	return count;
}
