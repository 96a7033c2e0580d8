// SPDX-License-Identifier: MIT
/* What machines do to kernels: NMIs at any time, floods of interrupts, exceptions in handlers. */
#include "internal.h"
#include "landing.h"
#include "test.h"
#include "thread.h"

static _Atomic(bool) done;
static _Atomic(unsigned long) rounds;

static void allocate(unsigned int sizes)
{
	void *kept[8] = { NULL };

	while (!done) {
		unsigned int i = (unsigned int)test_below(8);

		mw_free(kept[i]);
		kept[i] = mw_alloc(1 + test_below(sizes), MW_ZERO);
		CHECK(kept[i] != NULL);
		/* Where virtual CPUs take turns, that is when another one's begins. */
		if (!(rounds++ & 15))
			arch_relax();
	}
	for (unsigned int i = 0; i < 8; i++)
		mw_free(kept[i]);
}

/* All CPUs but the first one allocate until that one is done. Return: this is the first, and they do. */
static bool others_allocate(unsigned int i)
{
	if (i) {
		allocate(3000);
		return false;
	}
	while (!rounds)
		arch_relax();
	return true;
}

static void begin(void)
{
	test_heap(32 << 20);
	done = false;
	rounds = 0;
	if (test_cpus() < 2)
		test_skip("one CPU");
}

/* ---- NMIs ---- */

static struct arch_regs captured[ARCH_MAX_CPUS];
static unsigned long pinned; /* CPUs that an NMI found with interrupts off */

#define LONG_NS UINT64_C(5000000000)

static void capture_often(unsigned int i, void *arg)
{
	uint64_t start = arch_now();

	(void)arg;
	if (!others_allocate(i))
		return;
	for (int n = 0; n < 300 && arch_now() - start < LONG_NS; n++) {
		arch_cpus_t answered = arch_capture(captured);

		CHECK_EQ(answered, arch_cpus_all());
		for (unsigned int cpu = 1; cpu < arch_cpu_count(); cpu++)
			pinned += !arch_had_interrupts(&captured[cpu]);
	}
	done = true;
}

TEST(nmis_at_any_time)
{
	begin();
	pinned = 0;
	test_parallel(test_cpus(), capture_often, NULL);
	test_note("%lu allocations; %lu NMIs found a CPU with interrupts off", rounds, pinned);
	/* Where virtual CPUs take turns, they are never pinned when another one's turn comes. */
	CHECK(rounds > 0);
	CHECK(mw_heap_check());
}

/* ---- floods ---- */

/* The timer, when nothing is due. */
static void come_early(void)
{
	unsigned long state = arch_irq_save();

	machine_timer_arm(1);
	arch_irq_restore(state);
}

static void flood(unsigned int i, void *arg)
{
	(void)arg;
	if (!others_allocate(i))
		return;
	for (int n = 0; n < 3000; n++) {
		for (unsigned int cpu = 0; cpu < arch_cpu_count(); cpu++)
			machine_send(arch_cpu_by_number[cpu], MESSAGE_STRAY);
		machine_send(this_cpu(), MESSAGE_CALL);
		machine_send(this_cpu(), MESSAGE_RESCHEDULE);
		come_early();
	}
	done = true;
}

TEST(interrupts_that_nobody_asked_for)
{
	begin();
	test_parallel(test_cpus(), flood, NULL);
	test_note("%lu allocations meanwhile", rounds);
	CHECK(rounds > 0);
	CHECK(mw_heap_check());
}

static void free_in_handler(void *arg)
{
	void *_Atomic *slot = arg;
	void *object = mw_alloc(64, MW_ATOMIC);

	mw_free(atomic_exchange(slot, object));
}

static void *_Atomic slots[MW_MAX_CPUS];

static void flood_by_timer(unsigned int i, void *arg)
{
	(void)arg;
	NEED(test_interrupts_on(free_in_handler, (void *)&slots[i]));
	if (i)
		allocate(3000);
	else
		arch_delay(100000000);
	done = true;
	test_interrupts_off();
	mw_free(atomic_exchange(&slots[i], NULL));
}

TEST(handlers_allocate_among_allocations)
{
	begin();
	test_parallel(test_cpus(), flood_by_timer, NULL);
	CHECK(mw_heap_check());
}

/* ---- exceptions in handlers ---- */

static _Atomic(unsigned long) survived;

static void read_nowhere(void *arg)
{
	(void)*(volatile char *)arg;
}

static void fault_in_handler(struct arch_regs *regs, void *arg)
{
	struct fault fault = landing_try(read_nowhere, (void *)0x4321);

	(void)regs, (void)arg;
	CHECK(fault.came && fault.address == 0x4321);
	CHECK(arch_in_interrupt() && !arch_irq_enabled());
	survived++;
}

TEST(handlers_catch_their_exceptions)
{
	uint64_t until = test_now() + 20000000000;

	survived = 0;
	for (unsigned long n = 1; n <= 100; n++) {
		arch_timer_oneshot(ARCH_TIMER_STORM, 1000, fault_in_handler, NULL);
		while (survived < n && test_now() < until)
			arch_relax();
	}
	CHECK_EQ(survived, 100);
	CHECK(!arch_in_interrupt());
}
