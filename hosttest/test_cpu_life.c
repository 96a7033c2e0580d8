// SPDX-License-Identifier: MIT
/*
 * CPUs that begin and stop, and that are stopped, while something else happens there: an interrupt that allocates, a
 * switch that hides them from the fast paths.
 */
#include "test.h"
#include "../mm/base/fail.h"
#include "../mm/object/inside.h"

#define HEAP ((size_t)32 << 20)
#define MOST_CPUS 8u
#define MOST 20000u /* instructions: more than there are */

/* ---- a CPU stops, and interrupts come ---- */

static struct {
	void *last;
	size_t size;
} irq;

/* A span of another cache each time. */
static void take_another(void *arg)
{
	void *object = mw_alloc(16 + irq.size % 1024, MW_ATOMIC);

	(void)arg;
	irq.size += 16;
	mw_free(irq.last);
	irq.last = object;
}

TEST(interrupts_while_a_cpu_stops)
{
	unsigned long left = 0, state;
	struct mw_cpu *cpu;

	NEED(test_heap(HEAP));
	NEED(mw_cpu_start());
	state = mw_port_pin();
	cpu = mw_cpu_here();
	mw_port_unpin(state);
	if (!test_interrupts_on(take_another, NULL))
		test_skip("no interrupts here");
	for (unsigned long n = test_rounds(100000); n && !left; n--) {
		mw_free(mw_alloc(64, 0));
		mw_cpu_stop();
		state = mw_port_pin();
		left = cpu->running ? 0 : cpu->owned_count + cpu->stock.pages;
		mw_port_unpin(state);
	}
	CHECK(test_interrupts_off() > 0);
	CHECK_EQ(left, 0);
	if (!left)
		mw_free(irq.last);
	irq.last = NULL;
	CHECK(left || mw_object_check());
}

/* ---- a CPU begins or stops, and is to be hidden from now on, or not any more ---- */

static void begin(void *arg)
{
	(void)arg;
	NEED(mw_cpu_start());
}

static void stop(void *arg)
{
	(void)arg;
	mw_cpu_stop();
}

static void hide(void *arg)
{
	(void)arg;
	mw_up_fail_set(true);
}

static void show(void *arg)
{
	(void)arg;
	mw_up_fail_set(false);
}

static struct mw_cpu *seen(void)
{
	unsigned long state = mw_port_pin();
	struct mw_cpu *cpu = mw_cpu_fast();

	mw_port_unpin(state);
	return cpu;
}

/* @before, then @cpu and @change at once. Return: how often the fast paths then see what they should not. */
static unsigned long seen_wrongly(void (*before)(void *arg), void (*cpu)(void *arg),
				  void (*change)(void *arg), bool visible)
{
	unsigned long at = 0, wrong = 0;
	bool more;

	do {
		mw_up_fail_set(change == show);
		before(NULL);
		more = test_step(cpu, change, NULL, at++);
		wrong += (seen() != &mw_cpu_none) != visible;
	} while (more && at < MOST);
	mw_up_fail_set(false);
	CHECK(at > 20 && at < MOST);
	return wrong;
}

TEST_WITH(hidden_at_each_step_of_a_beginning, TEST_HOSTED)
{
	NEED(test_heap(HEAP));
	CHECK_EQ(seen_wrongly(stop, begin, hide, false), 0);
	CHECK_EQ(seen_wrongly(stop, begin, show, true), 0);
}

TEST_WITH(begins_at_each_step_of_hiding, TEST_HOSTED)
{
	unsigned long at = 0, wrong = 0;
	bool more;

	NEED(test_heap(HEAP));
	do {
		(void)test_step(stop, stop, NULL, 0);
		more = test_step(hide, begin, NULL, at++);
		for (unsigned int i = 0; i < MW_MAX_CPUS; i++)
			wrong += atomic_load(&mw_cpus[i]) != &mw_cpu_none;
		mw_up_fail_set(false);
	} while (more && at < MOST);
	CHECK_EQ(wrong, 0);
	CHECK(at > 20 && at < MOST);
}

TEST_WITH(shown_at_each_step_of_a_stop, TEST_HOSTED)
{
	NEED(test_heap(HEAP));
	CHECK_EQ(seen_wrongly(begin, stop, show, false), 0);
	CHECK_EQ(seen_wrongly(begin, stop, hide, false), 0);
}

/* Whose fast paths the other CPU has just been shown to. */
TEST_WITH(stops_at_each_step_of_showing, TEST_HOSTED)
{
	unsigned long at = 0, wrong = 0;
	bool more;

	NEED(test_heap(HEAP));
	do {
		mw_up_fail_set(true);
		(void)test_step(begin, begin, NULL, 0);
		more = test_step(show, stop, NULL, at++);
		for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
			struct mw_cpu *cpu = atomic_load(&mw_object.cpu[i]);

			wrong += cpu && !cpu->running && atomic_load(&mw_cpus[i]) == cpu;
		}
	} while (more && at < MOST);
	CHECK_EQ(wrong, 0);
	CHECK(at > 20 && at < MOST);
}

/* ---- the world is stopped for a cache, and interrupts come on the CPUs that are stopped ---- */

#define HELD 64u
#define MANY 600u

static struct striker {
	void *held[HELD];
	unsigned int next;
	unsigned long wrong;
} strikers[MOST_CPUS];

static struct mw_cache *shared, *passing;
static const struct mw_cache_want passes = { .name = "passing", .size = 512 };

/* A few objects of the cache, of size classes and of a large size, each with its own address in it. */
static void strike(void *arg)
{
	struct striker *mine = arg;

	for (unsigned int i = 0; i < 8; i++) {
		void **object = mine->held[mine->next % HELD];

		mine->wrong += object && *object != (void *)object;
		mw_free(object);
		object = i < 5 ? mw_cache_alloc(shared, MW_ATOMIC)
			       : mw_alloc(i == 5 ? 40000 : 48 * i, MW_ATOMIC);
		if (object)
			*object = (void *)object;
		mine->held[mine->next++ % HELD] = object;
	}
}

/* Many spans without objects, so that giving them back takes longer than from one interrupt to the next. */
static void leave_empty(struct mw_cache *cache)
{
	void *objects[MANY];

	if (mw_cache_alloc_bulk(cache, 0, MANY, objects))
		mw_cache_free_bulk(cache, MANY, objects);
}

static void shrink_and_destroy(void)
{
	(void)mw_cache_shrink(shared);
	NEED(mw_cache_destroy(passing));
	passing = mw_cache_create(&passes);
	NEED(passing);
}

static void shrink_or_be_struck(unsigned int i, void *arg)
{
	bool on;

	(void)arg;
	on = test_interrupts_on(strike, &strikers[i]);
	for (unsigned long n = test_rounds(300); n; n--) {
		leave_empty(shared);
		leave_empty(passing);
		test_barrier();
		if (!i)
			shrink_and_destroy();
		test_barrier();
	}
	if (on)
		CHECK(test_interrupts_off() > 0);
	for (unsigned int k = 0; k < HELD; k++) {
		mw_free(strikers[i].held[k]);
		strikers[i].held[k] = NULL;
	}
}

TEST(interrupts_while_a_cache_shrinks)
{
	unsigned int cpus = mw_min(test_cpus(), MOST_CPUS);
	unsigned long wrong = 0;

	NEED(test_heap(HEAP));
	__builtin_memset(strikers, 0, sizeof(strikers));
	shared = mw_cache_create(&(const struct mw_cache_want){ .name = "shared", .size = 512 });
	passing = mw_cache_create(&passes);
	NEED(shared && passing);
	test_parallel(cpus, shrink_or_be_struck, NULL);
	for (unsigned int i = 0; i < cpus; i++)
		wrong += strikers[i].wrong;
	CHECK_EQ(wrong, 0);
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_object_check());
	CHECK(mw_cache_destroy(shared) && mw_cache_destroy(passing));
	shared = passing = NULL;
}

/* ---- a CPU whose first allocation is an interrupt's while it is stopped, when it has had its turn ---- */

static struct {
	mw_atomic_t begun, struck, others;
} late;

static void allocate_late(void *arg)
{
	(void)arg;
	if (!mw_word(&late.begun) || mw_word(&late.struck))
		return;
	mw_free(mw_alloc(64, MW_ATOMIC));
	mw_set_word(&late.struck, 1);
}

/* Until the other one has been struck, or some seconds at most. */
static void do_part(struct mw_cpu *cpu, void *arg)
{
	uint64_t end = mw_port_now() + UINT64_C(5000000000);
	unsigned long state = mw_port_pin();

	if (cpu->number != mw_port_cpu())
		atomic_fetch_add(&late.others, 1);
	mw_port_unpin(state);
	mw_set_word(&late.begun, 1);
	while (*(bool *)arg && !mw_word(&late.struck) && mw_port_now() < end)
		mw_port_relax();
}

static void stop_or_be_late(unsigned int i, void *arg)
{
	bool *on = arg;

	if (i)
		*on = test_interrupts_on(allocate_late, NULL);
	else
		mw_free(mw_alloc(64, 0));
	test_barrier();
	if (!i)
		CHECK(mw_cpus_stopped(do_part, on));
	test_barrier();
	if (i && *on)
		(void)test_interrupts_off();
}

TEST(an_interrupt_begins_a_stopped_cpu)
{
	bool on = false;

	if (test_cpus() < 2)
		test_skip("one CPU");
	NEED(test_heap(HEAP));
	__builtin_memset(&late, 0, sizeof(late));
	test_parallel(2, stop_or_be_late, &on);
	CHECK(mw_word(&late.struck) || !on);
	CHECK_EQ(mw_word(&late.others), 0);
	CHECK(mw_object_check());
}
