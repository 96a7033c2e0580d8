// SPDX-License-Identifier: MIT
/* The world stands still: stop.c and roots.c. */
#include <stdatomic.h>
#include <marrow/port.h>
#include "harness.h"
#include "kernel.h"
#include "test.h"

static uint64_t limit; /* for the deaf: on a busy host the others need a while, too */

static atomic_bool done;
static struct {
	_Alignas(64) atomic_ulong turns;
} busy[MW_MAX_CPUS];

static unsigned long all_turns(void)
{
	unsigned long sum = 0;

	for (unsigned int i = 1; i < test_cpus(); i++)
		sum += atomic_load(&busy[i].turns);
	return sum;
}

static void be_busy(unsigned int i)
{
	while (!atomic_load(&done)) {
		atomic_fetch_add(&busy[i].turns, 1);
		arch_relax();
	}
}

static void wait_for_turns(void)
{
	unsigned long before = all_turns();

	while (all_turns() == before)
		arch_relax();
}

static atomic_bool is_pinned, was_pinned;

/* On a busy host a CPU may wait long for its turn: only the test of the deaf one has a short limit. */
static void prepare(unsigned int least_cpus)
{
	if (test_cpus() < least_cpus)
		test_skip("one CPU");
	stop_set_limit(10000000000);
	atomic_store(&done, false);
	atomic_store(&is_pinned, false);
	atomic_store(&was_pinned, false);
}

/* Return: false after a failure, and everybody comes to an end. */
static bool stop_world(void)
{
	int stuck = mw_port_stop_world();

	CHECK_EQ(stuck, -1);
	if (stuck >= 0)
		atomic_store(&done, true);
	return stuck < 0;
}

static void stop_the_busy(unsigned int i, void *arg)
{
	(void)arg;
	if (i) {
		be_busy(i);
		return;
	}
	wait_for_turns();
	for (int n = 0; n < 10; n++) {
		unsigned long before;

		if (!stop_world())
			return;
		before = all_turns();
		arch_delay(100000);
		CHECK_EQ(all_turns(), before);
		mw_port_start_world();
		wait_for_turns();
	}
	atomic_store(&done, true);
}

TEST(nobody_moves)
{
	prepare(2);
	test_parallel(test_cpus(), stop_the_busy, NULL);
}

TEST(alone)
{
	prepare(1);
	NEED(stop_world());
	CHECK(stop_active());
	mw_port_start_world();
	CHECK(!stop_active());
}

static void count_worker(unsigned int worker, void *arg)
{
	unsigned int *cpus = arg;

	cpus[worker] = arch_cpu_id() + 1;
	if (worker)
		CHECK(arch_in_interrupt());
}

static void run_on_stopped(unsigned int i, void *arg)
{
	unsigned int stopper = *(unsigned int *)arg;
	unsigned int cpus[MW_MAX_CPUS] = { 0 };
	arch_cpus_t seen = 0;

	if (i == stopper) {
		if (!stop_world())
			return;
		mw_port_run_stopped(count_worker, cpus);
		CHECK_EQ(cpus[0], i + 1);
		mw_port_run_stopped(count_worker, cpus);
		mw_port_start_world();
		for (unsigned int n = 0; n < arch_cpu_count(); n++)
			if (cpus[n])
				seen |= (arch_cpus_t)1 << (cpus[n] - 1);
		CHECK(seen == arch_cpus_all());
		atomic_store(&done, true);
	} else {
		be_busy(i);
	}
}

TEST(work_is_run_once_by_each)
{
	for (unsigned int stopper = 0; stopper < test_cpus(); stopper++) {
		prepare(1);
		test_parallel(test_cpus(), run_on_stopped, &stopper);
	}
}

static unsigned long plain; /* written only by the one that stopped the world */

static void stop_in_turn(unsigned int i, void *arg)
{
	(void)i, (void)arg;
	for (int n = 0; n < 25; n++) {
		unsigned long before;

		if (!stop_world())
			return;
		before = plain;
		for (unsigned int spin = test_below(50); spin; spin--)
			arch_relax();
		plain = before + 1;
		mw_port_start_world();
	}
}

TEST(all_ask_at_once)
{
	prepare(1);
	plain = 0;
	test_parallel(test_cpus(), stop_in_turn, NULL);
	CHECK_EQ(plain, 25 * test_cpus());
}

static void stop_the_pinned(unsigned int i, void *arg)
{
	uint64_t ns = *(uint64_t *)arg;

	if (i == test_cpus() - 1) {
		unsigned long state = mw_port_pin();

		atomic_store(&is_pinned, true);
		atomic_store(&was_pinned, true);
		arch_delay(ns);
		atomic_store(&is_pinned, false);
		mw_port_unpin(state);
		be_busy(i);
	} else if (!i) {
		/* It may be over before this CPU looks. */
		while (!atomic_load(&was_pinned))
			arch_relax();
		if (!stop_world())
			return;
		CHECK(!atomic_load(&is_pinned));
		mw_port_start_world();
		atomic_store(&done, true);
	}
}

TEST(the_pinned_answer_when_they_unpin)
{
	uint64_t ns = 5000000;

	prepare(2);
	test_parallel(test_cpus(), stop_the_pinned, &ns);
}

static void stop_the_deaf(unsigned int i, void *arg)
{
	unsigned int deaf = *(unsigned int *)arg;
	uint64_t start;

	if (i == deaf) {
		unsigned long state = mw_port_pin();

		atomic_store(&is_pinned, true);
		while (!atomic_load(&done))
			arch_relax();
		mw_port_unpin(state);
	} else if (!i) {
		while (!atomic_load(&is_pinned))
			arch_relax();
		start = test_now();
		CHECK_EQ(mw_port_stop_world(), deaf);
		CHECK(test_now() - start >= limit);
		CHECK(!stop_active());
		atomic_store(&done, true);
	}
}

TEST(a_deaf_cpu_is_named)
{
	unsigned int deaf = test_cpus() - 1;

	prepare(2);
	limit = options.seeded ? 3000000 : 300000000;
	stop_set_limit(limit);
	test_parallel(test_cpus(), stop_the_deaf, &deaf);
	prepare(2);
	NEED(stop_world());
	mw_port_start_world();
}

static atomic_bool standing; /* all have answered */

static atomic_ulong came_standing; /* on CPUs that had answered */

static void look_who_stands(void *arg)
{
	unsigned int cpu = *(unsigned int *)arg;

	if (cpu && atomic_load(&standing))
		atomic_fetch_add(&came_standing, 1);
}

/* For a moment; the last time, on a busy host, until an interrupt has come. */
static void stand(bool last)
{
	uint64_t until = arch_now() + FIRST_INTERRUPT_NS;

	atomic_store(&standing, true);
	arch_delay(50000);
	while (last && !atomic_load(&came_standing) && arch_now() < until)
		arch_relax();
	atomic_store(&standing, false);
}

static void stop_among_interrupts(unsigned int i, void *arg)
{
	(void)arg;
	NEED(test_interrupts_on(look_who_stands, &i));
	if (i) {
		be_busy(i);
	} else {
		for (int n = 0; n < 20 && stop_world(); n++) {
			stand(n == 19);
			mw_port_start_world();
			arch_delay(50000);
		}
		atomic_store(&done, true);
	}
	test_note("CPU %u: %lu interrupts", i, test_interrupts_off());
}

/* Else nothing would show that handlers of stopped CPUs may allocate. */
TEST(interrupts_of_tests_come_while_stopped)
{
	prepare(2);
	atomic_store(&came_standing, 0);
	test_parallel(test_cpus(), stop_among_interrupts, NULL);
	CHECK(atomic_load(&came_standing) > 0);
}

/* ---- roots ---- */

#define IN_REGISTER 0x5afe0000c0de0000ul
#define ON_STACK 0x5afe0001c0de0000ul

struct search {
	unsigned int registers, stacks, data; /* where the word was found */
	uintptr_t word;
	bool bad; /* a range that should not be */
};

static TEST_UNCHECKED void search_range(void *ctx, enum mw_root_kind kind, const char *name,
					const void *lo, const void *hi)
{
	struct search *search = ctx;

	search->bad |= (uintptr_t)lo % sizeof(void *) || (uintptr_t)hi % sizeof(void *) ||
		       lo > hi || !name;
	for (const volatile uintptr_t *p = lo; p < (const uintptr_t *)hi; p++) {
		if (*p != search->word)
			continue;
		search->registers += kind == MW_ROOT_REGISTERS;
		search->stacks += kind == MW_ROOT_STACK;
		search->data += kind == MW_ROOT_DATA;
	}
}

static struct search search_for(uintptr_t half)
{
	/* The word itself must be found nowhere on this stack: it is put together in the search. */
	static struct search search;

	search = (struct search){ .word = ~half };
	if (stop_world()) {
		mw_port_scan_roots(search_range, &search);
		mw_port_start_world();
	}
	CHECK(!search.bad);
	return search;
}

static void hold_words(unsigned int i)
{
	volatile uintptr_t on_stack = ON_STACK;

	__asm__ volatile("" : : "m"(on_stack));
	arch_hold(IN_REGISTER, (const volatile bool *)&done);
	__asm__ volatile("" : : "m"(on_stack));
	(void)i;
}

static void look_for_words(unsigned int i, void *arg)
{
	uint64_t until = test_now() + 10000000000;
	struct search search;

	(void)arg;
	if (i) {
		hold_words(i);
		return;
	}
	do {
		arch_delay(200000);
		search = search_for(~IN_REGISTER);
	} while (search.registers < test_cpus() - 1 && test_now() < until);
	CHECK(search.registers >= test_cpus() - 1);
	search = search_for(~ON_STACK);
	CHECK(search.stacks >= test_cpus() - 1);
	CHECK_EQ(search.registers, 0);
	atomic_store(&done, true);
}

TEST(registers_and_stacks_are_roots)
{
	prepare(2);
	test_parallel(test_cpus(), look_for_words, NULL);
}

static uintptr_t in_bss;
static uintptr_t in_data = 1;

TEST(data_and_bss_are_roots)
{
	prepare(1);
	in_bss = 0x5afe0002c0de0000ul;
	CHECK(search_for(~0x5afe0002c0de0000ul).data >= 1);
	in_bss = 0;
	in_data = 0x5afe0003c0de0000ul;
	CHECK(search_for(~0x5afe0003c0de0000ul).data >= 1);
	in_data = 1;
}

static void check_no_stack(void *ctx, enum mw_root_kind kind, const char *name, const void *lo,
			   const void *hi)
{
	void *stack_lo, *stack_hi;

	(void)name;
	if (kind != MW_ROOT_DATA)
		return;
	*(size_t *)ctx += (size_t)((const char *)hi - (const char *)lo);
	for (unsigned int cpu = 0; cpu < arch_cpu_count(); cpu++)
		for (unsigned int which = 0; arch_cpu_stack(cpu, which, &stack_lo, &stack_hi); which++)
			CHECK(stack_hi <= lo || stack_lo >= hi);
}

TEST(stacks_are_not_data)
{
	size_t bytes = 0;

	prepare(1);
	NEED(stop_world());
	mw_port_scan_roots(check_no_stack, &bytes);
	mw_port_start_world();
	test_note("%zu bytes of data and bss", bytes);
	CHECK(bytes != 0);
}
