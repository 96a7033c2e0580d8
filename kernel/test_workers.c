// SPDX-License-Identifier: MIT
/* The collector's threads: they come when they are called, from anywhere, and they go. */
#include <stdatomic.h>
#include <marrow/gc.h>
#include "test.h"
#include "thread.h"

#define PATIENCE_NS 20000000000ul

static atomic_uint counter;
static atomic_bool done;

static void count_thread(const struct thread *thread, void *arg)
{
	(void)thread;
	++*(unsigned int *)arg;
}

static unsigned int threads_now(void)
{
	unsigned long state = sched_lock();
	unsigned int n = 0;

	thread_for_each(count_thread, &n);
	sched_unlock(state);
	return n;
}

static void begin(void)
{
	test_heap(32 << 20);
	stop_set_limit(PATIENCE_NS);
	atomic_store(&counter, 0);
	atomic_store(&done, false);
	NEED(test_workers(true));
}

TEST(they_come_and_go)
{
	begin();
	CHECK_EQ(threads_now(), test_cpus() + MW_NR_WORKERS);
	NEED(test_workers(true));
	CHECK_EQ(threads_now(), test_cpus() + MW_NR_WORKERS);
	test_workers(false);
	CHECK_EQ(threads_now(), test_cpus());
}

static unsigned long runs(enum mw_worker worker)
{
	struct worker_counts counts;

	worker_counts(worker, &counts);
	return counts.runs;
}

static void wake_from_interrupt(void *arg)
{
	(void)arg;
	mw_port_wake((enum mw_worker)(atomic_fetch_add(&counter, 1) % MW_NR_WORKERS));
}

/* As from inside Marrow: pinned, with a lock that an interrupt of this CPU would want. */
static void wake_pinned(void)
{
	unsigned long state = mw_port_pin();

	for (unsigned int worker = 0; worker < MW_NR_WORKERS; worker++)
		mw_port_wake((enum mw_worker)worker);
	mw_port_unpin(state);
}

static void wake_everywhere(unsigned int i, void *arg)
{
	unsigned long state;

	(void)i, (void)arg;
	NEED(test_interrupts_on(wake_from_interrupt, NULL));
	for (int n = 0; n < 300; n++) {
		wake_pinned();
		state = sched_lock();
		mw_port_wake(MW_WORKER_SWEEP);
		sched_unlock(state);
		thread_yield();
	}
	test_interrupts_off();
}

static void wait_for_run(enum mw_worker worker, unsigned long before)
{
	uint64_t until = test_now() + PATIENCE_NS;

	while (runs(worker) == before && test_now() < until)
		thread_sleep(1000000);
	CHECK(runs(worker) > before);
}

/* A call that was lost leaves its worker wanted and asleep: no later one would wake it either. */
TEST(woken_from_anywhere)
{
	unsigned long before[MW_NR_WORKERS];

	begin();
	for (unsigned int i = 0; i < MW_NR_WORKERS; i++)
		before[i] = runs((enum mw_worker)i);
	test_parallel(test_cpus(), wake_everywhere, NULL);
	for (unsigned int i = 0; i < MW_NR_WORKERS; i++) {
		wait_for_run((enum mw_worker)i, before[i]);
		before[i] = runs((enum mw_worker)i);
		mw_port_wake((enum mw_worker)i);
		wait_for_run((enum mw_worker)i, before[i]);
	}
}

/* One call, one run, although nobody else interrupts. */
TEST(no_call_is_lost)
{
	begin();
	for (int n = 0; n < 200; n++) {
		unsigned long before = runs(MW_WORKER_FINALIZE);
		uint64_t until = test_now() + PATIENCE_NS;

		mw_port_wake(MW_WORKER_FINALIZE);
		while (runs(MW_WORKER_FINALIZE) == before && test_now() < until)
			arch_relax();
		CHECK(runs(MW_WORKER_FINALIZE) > before);
	}
}

#if MW_GC

static struct listener {
	struct mw_gc_listener base;
	atomic_uint started, swept;
} listener;

static void note_moment(struct mw_gc_listener *self, enum mw_gc_moment moment,
			const struct mw_gc_cycle *cycle)
{
	(void)self, (void)cycle;
	if (moment == MW_GC_STARTED)
		atomic_fetch_add(&listener.started, 1);
	if (moment == MW_GC_SWEPT)
		atomic_fetch_add(&listener.swept, 1);
}

static void listen(void)
{
	listener = (struct listener){ .base.moment = note_moment };
	mw_gc_listen(&listener.base);
}

/* Garbage, until it is said that it is enough. */
static void make_garbage(void *arg)
{
	(void)arg;
	while (!atomic_load(&done)) {
		void **object = mw_alloc(100 + test_below(100), MW_COLLECTED | MW_ZERO);

		CHECK(object != NULL);
		if (!object)
			return;
		object[0] = object;
	}
}

TEST(cycles_begin_by_themselves)
{
	struct mw_gc_policy policy;
	struct thread *threads[3];
	uint64_t until = test_now() + PATIENCE_NS;
	unsigned long before = runs(MW_WORKER_COLLECT);

	begin();
	mw_gc_policy_get(&policy);
	policy.least = 1 << 20;
	CHECK(mw_gc_policy_set(&policy));
	listen();
	for (unsigned int i = 0; i < LEN(threads); i++) {
		threads[i] = thread_create("garbage", make_garbage, NULL);
		NEED(threads[i] != NULL);
	}
	/* Where the worker is late to get a CPU, a thread that allocates collects instead. */
	while ((atomic_load(&listener.started) < 3 || runs(MW_WORKER_COLLECT) - before < 2) &&
	       test_now() < until)
		thread_sleep(1000000);
	atomic_store(&done, true);
	for (unsigned int i = 0; i < LEN(threads); i++)
		thread_join(threads[i]);
	CHECK(atomic_load(&listener.started) >= 3);
	CHECK(runs(MW_WORKER_COLLECT) - before >= 2);
	mw_gc_unlisten(&listener.base);
}

TEST(sweeps_end_by_themselves)
{
	uint64_t until = test_now() + PATIENCE_NS;

	begin();
	listen();
	for (int i = 0; i < 20000; i++)
		CHECK(mw_alloc(64, MW_COLLECTED) != NULL);
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	while (!atomic_load(&listener.swept) && test_now() < until)
		thread_sleep(1000000);
	CHECK_EQ(atomic_load(&listener.swept), 1);
	mw_gc_unlisten(&listener.base);
}

static unsigned long turns(enum mw_worker worker)
{
	struct worker_counts counts;

	worker_counts(worker, &counts);
	return counts.turns;
}

#define DAWDLE_NS 100000000ul

static uint64_t dawdled_ns;

/* What is left of the cycle belongs to the thread that began it, which does nothing for a while. */
static void dawdle(struct mw_gc_listener *self, enum mw_gc_moment moment,
		   const struct mw_gc_cycle *cycle)
{
	unsigned long before = turns(MW_WORKER_SWEEP);
	uint64_t begin = test_now();

	(void)self, (void)cycle;
	if (moment != MW_GC_STARTED)
		return;
	mw_port_wake(MW_WORKER_SWEEP);
	/* On a busy host it may take long until the worker has had a CPU. */
	while (test_now() - begin < DAWDLE_NS ||
	       (turns(MW_WORKER_SWEEP) < before + 2 && test_now() - begin < PATIENCE_NS))
		arch_relax();
	atomic_store(&counter, (unsigned int)(turns(MW_WORKER_SWEEP) - before));
	dawdled_ns = test_now() - begin;
}

/* A worker that can do nothing yet sleeps a while: yields would go round as fast as CPUs can switch. */
TEST(who_must_wait_sleeps)
{
	begin();
	listener = (struct listener){ .base.moment = dawdle };
	mw_gc_listen(&listener.base);
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	mw_gc_unlisten(&listener.base);
	CHECK(atomic_load(&counter) >= 2);
	/* At most two in a millisecond, of which it sleeps one after each. */
	CHECK(atomic_load(&counter) <= dawdled_ns / 500000);
}

static void finalize(void *object, void *arg)
{
	(void)object, (void)arg;
	CHECK(!arch_in_interrupt() && arch_irq_enabled());
	CHECK(!thread_current()->boot);
	atomic_fetch_add(&counter, 1);
}

static __attribute__((noinline)) void make_finalized(void)
{
	for (int i = 0; i < 100; i++) {
		void *object = mw_alloc(64, MW_COLLECTED);

		NEED(object && mw_finalizer_set(object, finalize, NULL));
	}
}

TEST(finalizers_run_by_themselves)
{
	uint64_t until = test_now() + PATIENCE_NS;

	begin();
	make_finalized();
	CHECK(mw_gc_collect(MW_COLLECT_MARKED));
	/* What is left of the last addresses on some stack keeps an object or two. */
	while (atomic_load(&counter) < 90 && test_now() < until)
		thread_sleep(1000000);
	CHECK(atomic_load(&counter) >= 90);
}

/* ---- interrupts on all CPUs that allocate and free while cycles run ---- */

static void *kept[MW_MAX_CPUS][8];

static void interrupt_allocates(void *arg)
{
	void **mine = kept[arch_cpu_id()];
	unsigned int i = (unsigned int)(arch_cycles() >> 8) % 8;

	(void)arg;
	mw_free(mine[i]);
	mine[i] = mw_alloc(16 << i, MW_ATOMIC);
	(void)mw_alloc(32, MW_ATOMIC | MW_COLLECTED);
}

static void storm(unsigned int i, void *arg)
{
	unsigned long most = test_rounds(3000);

	(void)arg;
	NEED(test_interrupts_on(interrupt_allocates, NULL));
	for (unsigned long n = 0; n < most; n++) {
		void *object = mw_alloc(1 + test_below(2000), MW_NORMAL);

		CHECK(object != NULL);
		(void)mw_alloc(100, MW_COLLECTED);
		if (n % (most / 3) == most / 6 + i)
			CHECK(mw_gc_collect(n % 2 ? MW_COLLECT_SWEPT : MW_COLLECT_MARKED));
		mw_free(object);
	}
	test_interrupts_off();
}

TEST(interrupts_allocate_through_cycles)
{
	begin();
	test_parallel(test_cpus(), storm, NULL);
	for (unsigned int i = 0; i < MW_MAX_CPUS * 8; i++)
		mw_free(kept[i / 8][i % 8]);
	CHECK(mw_heap_check());
	CHECK_EQ(mw_misuse_count(MW_DOUBLE_FREE), 0);
}

#endif
