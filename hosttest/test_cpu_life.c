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
