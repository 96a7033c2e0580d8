// SPDX-License-Identifier: MIT
/*
 * Stacks of threads that sleep are armed: what others write there is seen, and they run when their
 * stacks were taken.
 */
#include "snapshot_test.h"
#include "thread.h"

#define STACKS 8
#define LATE STACKS

static WAIT_QUEUE(sleepers);
static bool may_go;
static _Atomic(bool) may_end; /* who came late */
static _Atomic(unsigned int) sleeping, ended;
static volatile uint64_t *_Atomic locals[STACKS + 1];

static __attribute__((noinline)) unsigned long recurse(unsigned long n)
{
	volatile unsigned long frame[16];

	for (unsigned long i = 0; i < 16; i++)
		frame[i] = n + i;
	if (n)
		frame[0] = recurse(n - 1) + 1;
	return frame[0];
}

/* Sleeps with something on its stack, and then uses much of that. */
static void sleep_and_run(void *arg)
{
	size_t i = (size_t)arg;
	volatile uint64_t local = i + 100;
	unsigned long state = sched_lock();

	locals[i] = &local;
	sleeping++;
	while (!may_go)
		(void)sched_wait(&sleepers, UINT64_MAX);
	sched_unlock(state);
	CHECK_EQ(local, i + (i == LATE ? 100 : 200));
	for (unsigned int n = 0; n < 20; n++) {
		CHECK_EQ(recurse(40), 40);
		thread_yield();
	}
	ended++;
	/* Asleep: who yields again and again has the scheduler's lock nearly always. */
	while (i == LATE && !may_end)
		thread_sleep(1000000);
}

static void tick(void *arg)
{
	(void)arg;
}

static void wake_all(void)
{
	unsigned long state = sched_lock();

	may_go = true;
	sched_wake_all(&sleepers);
	sched_unlock(state);
}

static void make_sleepers(struct thread **threads)
{
	bool all = false;

	may_go = false;
	may_end = false;
	sleeping = 0;
	ended = 0;
	for (size_t i = 0; i < STACKS; i++)
		NEED((threads[i] = thread_create("sleeper", sleep_and_run, (void *)i)) != NULL);
	while (!all) {
		unsigned long state = sched_lock();

		all = sleeping == STACKS;
		sched_unlock(state);
		thread_yield();
	}
}

/*
 * Return: pages of the log that are taken then: a copy of each live page, whenever it is written
 * to.
 */
static size_t write_and_take(struct thread **threads)
{
	size_t live = 0;

	for (size_t i = 0; i < STACKS; i += 2)
		*locals[i] += 100;
	CHECK_EQ(arch_copies_state().taken, STACKS / 2);
	for (size_t i = 0; i < STACKS; i++) {
		live += ((uintptr_t)threads[i]->stack_end - (threads[i]->sp & -PAGE)) / PAGE;
		arch_stack_take(threads[i]->stack, (void *)threads[i]->sp, threads[i]->stack_end);
	}
	CHECK_EQ(arch_copies_state().taken, live);
	for (size_t i = 1; i < STACKS; i += 2)
		*locals[i] += 100;
	return live;
}

static void check_copies(void)
{
	for (size_t i = 0; i < STACKS; i++) {
		uintptr_t at = (uintptr_t)locals[i];
		const char *copy = arch_chunk_copy(s.chunk, (void *)at);

		NEED(copy != NULL);
		CHECK_EQ(*(const uint64_t *)(copy + at % PAGE), i + 100);
	}
}

/*
 * Others write into them; each is taken before it runs, and then runs with no fault. Who begins
 * meanwhile has a stack that is mapped in both tables, and whose end is in both as well.
 */
TEST(stacks_of_who_sleeps)
{
	struct thread *threads[STACKS], *late;
	size_t taken;
	void *ended_stack;

	test_heap(32 << 20);
	make_sleepers(threads);
	reserve((void *)((uintptr_t)threads[0]->stack & ~(ARCH_CHUNK_SIZE - 1)));
	arch_copies_begin(s.log, LOG);
	arm_pages(NULL);
	taken = write_and_take(threads);
	NEED(test_interrupts_on(tick, NULL));
	late = thread_create("late", sleep_and_run, (void *)LATE);
	NEED(late != NULL);
	wake_all();
	while (ended < STACKS + 1)
		thread_yield();
	test_interrupts_off();
	CHECK_EQ(arch_copies_state().taken, taken);
	check_copies();
	ended_stack = threads[0]->stack;
	for (size_t i = 0; i < STACKS; i++)
		thread_join(threads[i]);
	CHECK(!arch_is_mapped(ended_stack));
	disarm();
	CHECK(!arch_is_mapped(ended_stack));
	may_end = true;
	thread_join(late);
	give_chunk();
}
