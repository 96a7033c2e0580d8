// SPDX-License-Identifier: MIT
/* Threads: all get turns, waits end, nothing is left behind, the collector would see them. */
#include <stdatomic.h>
#include <marrow/port.h>
#include "landing.h"
#include "test.h"
#include "text.h"
#include "thread.h"

#define MOST 24
#define PATIENCE_NS 20000000000ul

static struct thread *threads[MOST];
static atomic_uint counter;
static atomic_bool done;

static void begin(void)
{
	test_heap(16 << 20);
	stop_set_limit(PATIENCE_NS);
	atomic_store(&counter, 0);
	atomic_store(&done, false);
}

static void start(unsigned int n, void (*fn)(void *arg))
{
	for (unsigned int i = 0; i < n; i++) {
		threads[i] = thread_create("test", fn, (void *)(uintptr_t)i);
		NEED(threads[i] != NULL);
	}
}

static void join(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		thread_join(threads[i]);
}

static void count(void *arg)
{
	(void)arg;
	atomic_fetch_add(&counter, 1);
}

TEST(run_and_end)
{
	begin();
	for (int round = 0; round < 5; round++) {
		start(MOST, count);
		join(MOST);
	}
	CHECK_EQ(atomic_load(&counter), 5 * MOST);
}

static size_t pages_in_use(void)
{
	struct mw_page_stats stats;

	mw_page_stats(&stats);
	return stats.raw;
}

/* In batches of @n, so that stacks and slots are used again. Return: pages that are gone afterwards. */
static size_t pages_lost(unsigned int threads_in_all, unsigned int n)
{
	size_t before, pool;

	start(n, count);
	join(n);
	before = pages_in_use();
	pool = arch_page_pool();
	for (unsigned int done_so_far = 0; done_so_far < threads_in_all; done_so_far += n) {
		start(n, count);
		join(n);
	}
	CHECK_EQ(arch_page_pool(), pool);
	return pages_in_use() - before;
}

TEST(an_end_gives_all_back)
{
	begin();
	CHECK_EQ(pages_lost(500, 10), 0);
}

TEST_WITH(ten_thousand_ends_give_all_back, TEST_LONG)
{
	begin();
	CHECK_EQ(pages_lost(10000, MOST), 0);
}

static atomic_ulong turns[MOST];

/* Never gives its CPU away by itself. */
static void spin(void *arg)
{
	atomic_ulong *mine = &turns[(uintptr_t)arg];

	while (!atomic_load(&done))
		atomic_fetch_add(mine, 1);
}

static bool all_had_turns(unsigned int n, unsigned long least)
{
	for (unsigned int i = 0; i < n; i++)
		if (atomic_load(&turns[i]) < least)
			return false;
	return true;
}

TEST(all_get_turns)
{
	unsigned int n = 3 * test_cpus() < MOST ? 3 * test_cpus() : MOST;
	uint64_t until;

	begin();
	for (unsigned int i = 0; i < n; i++)
		atomic_store(&turns[i], 0);
	start(n, spin);
	until = test_now() + PATIENCE_NS;
	for (unsigned long least = 1; least <= 3 && test_now() < until;) {
		if (all_had_turns(n, least * 1000))
			least++;
		else
			thread_sleep(1000000);
	}
	CHECK(all_had_turns(n, 3000));
	atomic_store(&done, true);
	join(n);
}

static atomic_uint cpus_seen;

static void note_cpu(void *arg)
{
	uint64_t until = test_now() + PATIENCE_NS;

	(void)arg;
	while (!atomic_load(&done) && test_now() < until) {
		unsigned long state = arch_irq_save();

		atomic_fetch_or(&cpus_seen, 1u << arch_cpu_id());
		arch_irq_restore(state);
		if (atomic_load(&cpus_seen) == (1u << test_cpus()) - 1)
			atomic_store(&done, true);
		arch_relax();
	}
}

TEST(idle_cpus_take_work)
{
	begin();
	atomic_store(&cpus_seen, 0);
	start(2 * test_cpus() < MOST ? 2 * test_cpus() : MOST, note_cpu);
	join(2 * test_cpus() < MOST ? 2 * test_cpus() : MOST);
	CHECK_EQ(atomic_load(&cpus_seen), (1u << test_cpus()) - 1);
}

static void sleep_and_count(void *arg)
{
	uint64_t ns = (4 - (uintptr_t)arg) * 10000000ul, start = test_now();

	thread_sleep(ns);
	CHECK(test_now() - start >= ns);
	atomic_fetch_add(&counter, 1);
}

TEST(sleepers_sleep_long_enough)
{
	begin();
	start(4, sleep_and_count);
	join(4);
	CHECK_EQ(atomic_load(&counter), 4);
}

static MUTEX(mutex);
static unsigned long guarded;

static void add_guarded(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++) {
		unsigned long before;

		mutex_lock(&mutex);
		before = guarded;
		if (i % 16 == 0)
			thread_yield();
		guarded = before + 1;
		mutex_unlock(&mutex);
	}
}

TEST(mutex_keeps_others_out)
{
	begin();
	guarded = 0;
	start(8, add_guarded);
	join(8);
	CHECK_EQ(guarded, 8 * 300);
}

static WAIT_QUEUE(ping);
static unsigned int ball; /* guarded by the scheduler's lock */

static void play(void *arg)
{
	unsigned long state = sched_lock();

	for (unsigned int i = 0; i < 500; i++) {
		while (ball % 2 != (uintptr_t)arg)
			(void)sched_wait(&ping, UINT64_MAX);
		ball++;
		sched_wake_all(&ping);
	}
	sched_unlock(state);
}

TEST(no_wakeup_is_lost)
{
	begin();
	ball = 0;
	start(2, play);
	join(2);
	CHECK_EQ(ball, 1000);
}

static WAIT_QUEUE(nobody_wakes);

static void wait_in_vain(void *arg)
{
	unsigned long state = sched_lock();

	(void)arg;
	CHECK(!sched_wait(&nobody_wakes, test_now() + 3000000));
	sched_unlock(state);
}

TEST(waits_end_in_time)
{
	begin();
	wait_in_vain(NULL);
	start(3, wait_in_vain);
	join(3);
}

static void overflow_stack(void *arg)
{
	struct fault fault = landing_try(poke_overflow, NULL);
	uintptr_t stack = (uintptr_t)thread_current()->stack;

	(void)arg;
	CHECK(fault.came && fault.address < stack && fault.address >= stack - MW_PAGE_SIZE);
	thread_yield();
	CHECK(landing_try(poke_overflow, NULL).came);
}

TEST(stack_overflow_meets_the_guard)
{
	begin();
	start(4, overflow_stack);
	join(4);
}

static void stop_often(void *arg)
{
	(void)arg;
	for (unsigned long i = test_rounds(20); i; i--) {
		unsigned int before;
		int stuck = mw_port_stop_world();

		CHECK_EQ(stuck, -1);
		if (stuck >= 0)
			return;
		before = atomic_fetch_add(&counter, 1);
		arch_delay(100000);
		CHECK_EQ(atomic_load(&counter), before + 1);
		mw_port_start_world();
		if (i % 4 == 0)
			thread_sleep(100000);
	}
}

TEST(threads_stop_the_world)
{
	begin();
	start(6, stop_often);
	join(6);
	CHECK_EQ(atomic_load(&counter), 6 * test_rounds(20));
}

#define WORD_OF_WAITER 0x5afe0004c0de0000ul

struct search {
	uintptr_t word;
	unsigned int found;
};

static void hold_word(void *arg)
{
	volatile uintptr_t word = WORD_OF_WAITER + (uintptr_t)arg;

	atomic_fetch_add(&counter, 1);
	while (!atomic_load(&done))
		thread_sleep(1000000);
	CHECK_EQ(word, WORD_OF_WAITER + (uintptr_t)arg);
}

static TEST_UNCHECKED void search_stack(void *ctx, enum mw_root_kind kind, const char *name,
					const void *lo, const void *hi)
{
	struct search *search = ctx;

	(void)name;
	if (kind != MW_ROOT_STACK)
		return;
	for (const volatile uintptr_t *p = lo; p < (const uintptr_t *)hi; p++)
		search->found += *p == search->word;
}

TEST(stacks_of_waiting_threads_are_roots)
{
	static struct search search[4];

	begin();
	start(4, hold_word);
	while (atomic_load(&counter) < 4)
		thread_yield();
	CHECK_EQ(mw_port_stop_world(), -1);
	for (unsigned int i = 0; i < 4; i++) {
		search[i] = (struct search){ .word = WORD_OF_WAITER + i };
		mw_port_scan_roots(search_stack, &search[i]);
	}
	mw_port_start_world();
	for (unsigned int i = 0; i < 4; i++)
		CHECK(search[i].found);
	atomic_store(&done, true);
	join(4);
}

static void count_idle(void *ctx, enum mw_root_kind kind, const char *name, const void *lo,
		       const void *hi)
{
	(void)lo, (void)hi;
	*(unsigned int *)ctx += kind == MW_ROOT_STACK && text_equal(name, "idle");
}

/* In the frames that a CPU idles in there is left of those that it worked for: dead threads, if nothing else. */
TEST(who_idles_has_no_roots)
{
	unsigned int asleep = 0, out = 0;

	begin();
	CHECK_EQ(mw_port_stop_world(), -1);
	mw_port_scan_roots(count_idle, &asleep);
	mw_port_start_world();
	CHECK_EQ(asleep, 0);
	start(4, hold_word);
	while (atomic_load(&counter) < 4)
		thread_yield();
	CHECK_EQ(mw_port_stop_world(), -1);
	mw_port_scan_roots(count_idle, &out);
	mw_port_start_world();
	CHECK_EQ(out, 0);
	atomic_store(&done, true);
	join(4);
}

static void churn(void *arg)
{
	void *kept[16] = { NULL };

	for (int i = 0; i < 400; i++) {
		void **slot = &kept[(unsigned int)(i * 7 + (int)(uintptr_t)arg) % 16];

		mw_free(*slot);
		*slot = mw_alloc((size_t)(i * 37) % 3000 + 1, MW_ZERO);
		CHECK(*slot != NULL);
	}
	for (int i = 0; i < 16; i++)
		mw_free(kept[i]);
}

TEST(threads_allocate)
{
	begin();
	for (int round = 0; round < 3; round++) {
		start(12, churn);
		join(12);
	}
	CHECK(mw_misuse_count(MW_DOUBLE_FREE) == 0);
}
