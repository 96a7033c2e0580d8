// SPDX-License-Identifier: MIT
/* The other CPUs: that all are there, and hear each other. */
#include <stdatomic.h>
#include "../mm/base/lock.h"
#include "kernel.h"
#include "harness.h"

static unsigned int numbers[MW_MAX_CPUS];

static void note_number(unsigned int i, void *arg)
{
	(void)arg;
	numbers[i] = arch_cpu_id();
	test_barrier();
}

TEST(every_cpu_came_up)
{
	test_parallel(test_cpus(), note_number, NULL);
	for (unsigned int i = 0; i < test_cpus(); i++)
		CHECK_EQ(numbers[i], i);
	CHECK_EQ(arch_cpus_all(), ((arch_cpus_t)1 << (test_cpus() - 1) << 1) - 1);
	CHECK_EQ(arch_cpus_others(), arch_cpus_all() & ~(arch_cpus_t)1);
}

static void count_call(struct arch_regs *regs, void *arg)
{
	(void)regs;
	atomic_fetch_add((atomic_uint *)arg, 1);
}

TEST(call_round_trip)
{
	atomic_uint calls = 0;
	uint64_t start = test_now();

	if (test_cpus() == 1)
		test_skip("one CPU");
	for (unsigned int i = 0; i < 100; i++)
		arch_ipi_call(arch_cpus_all(), count_call, &calls);
	CHECK_EQ(atomic_load(&calls), 100 * (test_cpus() - 1));
	test_note("%llu ns each", (unsigned long long)(test_now() - start) / 100);
}

#define POSTED 50

static struct order {
	struct arch_call call;
	unsigned int number;
} orders[POSTED];
static unsigned int in_order;

static void check_order(struct arch_regs *regs, void *arg)
{
	struct order *order = arg;

	(void)regs;
	in_order += order->number == in_order;
}

TEST(calls_run_in_order_of_posting)
{
	unsigned int last = test_cpus() - 1;

	if (!last)
		test_skip("one CPU");
	in_order = 0;
	for (unsigned int i = 0; i < POSTED; i++) {
		orders[i].number = i;
		NEED(arch_call_post(last, &orders[i].call, check_order, &orders[i]));
	}
	for (unsigned int i = 0; i < POSTED; i++)
		while (arch_call_pending(&orders[i].call))
			arch_relax();
	CHECK_EQ(in_order, POSTED);
}

static atomic_bool call_may_end;

static void wait_in_call(struct arch_regs *regs, void *arg)
{
	(void)regs, (void)arg;
	while (!atomic_load(&call_may_end))
		arch_relax();
}

TEST(a_call_is_posted_once)
{
	static struct arch_call call;

	if (test_cpus() == 1)
		test_skip("one CPU");
	atomic_store(&call_may_end, false);
	CHECK(arch_call_post(1, &call, wait_in_call, NULL));
	CHECK(!arch_call_post(1, &call, wait_in_call, NULL));
	CHECK(arch_call_pending(&call));
	atomic_store(&call_may_end, true);
	while (arch_call_pending(&call))
		arch_relax();
	CHECK(arch_call_post(1, &call, wait_in_call, NULL));
	while (arch_call_pending(&call))
		arch_relax();
}

/* A worker that gives up must not keep the others at the barrier. */
static void give_up_in_turn(unsigned int i, void *arg)
{
	test_barrier();
	if (i == test_cpus() - 1)
		backend_leave();
	test_barrier();
	atomic_fetch_add((atomic_uint *)arg, 1);
	test_barrier();
}

static void with_a_quitter(void *arg)
{
	test_parallel(test_cpus(), give_up_in_turn, arg);
}

TEST(barrier_goes_on_without_a_quitter)
{
	atomic_uint passed_by = 0;

	if (test_cpus() == 1)
		test_skip("one CPU");
	CHECK(!backend_try(with_a_quitter, &passed_by));
	CHECK_EQ(atomic_load(&passed_by), test_cpus() - 1);
}

static unsigned long shared; /* guarded by the spin lock in test */

static void add_with_lock(unsigned int i, void *arg)
{
	struct mw_lock *lock = arg;

	(void)i;
	for (unsigned int n = 0; n < 2000; n++) {
		unsigned long state = mw_lock(lock);

		shared++;
		mw_unlock(lock, state);
	}
}

TEST(lock_keeps_cpus_apart)
{
	struct mw_lock lock = MW_LOCK_INIT(MW_RANK_LEAF);

	shared = 0;
	test_parallel(test_cpus(), add_with_lock, &lock);
	CHECK_EQ(shared, 2000ul * test_cpus());
}

static void note_times(unsigned int i, void *arg)
{
	_Atomic(uint64_t) *latest = arg;

	(void)i;
	for (unsigned int n = 0; n < 1000; n++) {
		uint64_t before = atomic_load(latest), now = mw_port_now();

		if (now < before) {
			CHECK(now >= before);
			return;
		}
		while (before < now && !atomic_compare_exchange_weak(latest, &before, now))
			;
	}
}

TEST(time_goes_on_alike_on_all_cpus)
{
	_Atomic(uint64_t) latest = 0;

	test_parallel(test_cpus(), note_times, &latest);
	CHECK(atomic_load(&latest) != 0);
}
