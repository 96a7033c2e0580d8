/* SPDX-License-Identifier: MIT */
/*
 * Random allowed calls on four CPUs at once, with all that there is beginning and ending: see crowd.h. Each crowd
 * ends with counts that its models must explain, and with nothing left.
 */
#include "gc_heap.h"

#if MW_GC

#include "crowd_begin.h"
#include "crowd_end.h"

#define MIB ((size_t)1 << 20)
#define REFRESH 64u /* calls, from one look after the handler to the next */
#define HOG_CALLS 512u
#define HANDLER_SHARE 3u /* calls of a handler for each of its thread, */
#define HANDLER_AHEAD 32u /* and these times so many */
#define ACTOR_BYTES ((size_t)1024)

static unsigned long tally[MOST_FORMS][2]; /* calls of threads and handlers, of the last crowd */

/* ---- one CPU ---- */

/* An object that nothing reaches but a weak reference. */
NOINLINE static void refresh_dead(struct actor *a)
{
	void *object = mw_cache_alloc(crowd.us.live, 0);
	struct mw_weak *weak = object ? mw_weak_new(object) : NULL, *old = a->us.weak_dead;
	unsigned long state;

	if (!weak)
		return;
	state = mw_port_pin();
	a->us.weak_dead = weak;
	a->us.dead = ~(uintptr_t)object;
	mw_port_unpin(state);
	mw_weak_free(old);
}

static void actor_begin(struct actor *a, unsigned int cpu, bool is_handler)
{
	unsigned int number = 2 * cpu + is_handler;

	a->cpu = cpu;
	a->is_handler = is_handler;
	a->byte = (unsigned char)(1 + number);
	a->me.shrinker.shrink = a->me.new_shrinker.shrink = give_back;
	a->me.listener.moment = a->me.new_listener.moment = hear;
	a->me.type = *crowd.us.node;
	a->me.type.layout = NULL;
	a->me.type.cache = NULL;
	a->me.type.arrays = NULL;
	a->us = crowd.us;
	make_permanent(&a->me);
	a->finalized = true;
	refresh_dead(a);
	NEED(a->us.weak_dead);
	deal(a);
}

static void strike(void *arg)
{
	struct actor *a = arg;

	/* Where handlers come all the time, the thread must come to its calls, too. */
	if (a->told > HANDLER_SHARE * (crowd.thread[a->cpu].told + HANDLER_AHEAD))
		return;
	if (!atomic_load(&crowd.quiet[a->cpu]) && !atomic_load(&crowd.failed))
		call_next(a);
}

static void hog(struct actor *a, bool on)
{
	size_t pages = 64;

	for (; !on && a->hogs; a->hogs--)
		mw_pages_free(a->hog[a->hogs - 1].at, a->hog[a->hogs - 1].pages);
	while (on && pages && a->hogs < MOST_HOGS) {
		void *at = mw_pages_alloc(pages, MW_ATOMIC);

		if (at) {
			a->hog[a->hogs].at = at;
			a->hog[a->hogs++].pages = pages;
		} else {
			pages /= 4;
		}
	}
}

static void make_calls(unsigned int cpu, unsigned long calls)
{
	struct actor *a = &crowd.thread[cpu];

	for (unsigned long n = 0; n < calls && !atomic_load(&crowd.failed); n++) {
		call_next(a);
		if (n % REFRESH == 0) {
			refresh_dead(a);
			refresh_dead(&crowd.handler[cpu]);
			help_handler(&crowd.handler[cpu]);
		}
		if (crowd.want->hogs && n % HOG_CALLS == HOG_CALLS / CROWD_CPUS * cpu)
			hog(a, !a->hogs);
	}
	hog(a, false);
}

/* All of them outside of Marrow. */
static void look_in_between(unsigned int cpu)
{
	atomic_store(&crowd.quiet[cpu], true);
	test_barrier();
	if (!cpu && !crowd.want->workers && !atomic_load(&crowd.failed)) {
		test_capture();
		if (!mw_heap_check()) {
			CROWD_CHECK(NULL, false, "heap check in between:", test_captured());
			test_capture();
		}
	}
	test_barrier();
	atomic_store(&crowd.quiet[cpu], false);
}

static void live_and_call(unsigned int cpu, void *arg)
{
	unsigned long calls = *(unsigned long *)arg;
	bool struck = false;

	actor_begin(&crowd.thread[cpu], cpu, false);
	actor_begin(&crowd.handler[cpu], cpu, true);
	test_barrier();
	if (!cpu)
		measure(&crowd.base_objects, &crowd.base_pages);
	test_barrier();
	if (crowd.want->interrupts)
		struck = test_interrupts_on(strike, &crowd.handler[cpu]);
	for (unsigned int part = 0; part < 2; part++) {
		make_calls(cpu, calls / 2);
		look_in_between(cpu);
	}
	if (struck)
		CHECK(test_interrupts_off() > 0);
	test_barrier();
	if (!atomic_load(&crowd.failed))
		end_cpu(cpu);
	scribble();
}

static void end_shared(struct things *us)
{
	while (atomic_load(&crowd.pins) && mw_unpin(us->to_pin))
		atomic_fetch_sub(&crowd.pins, 1);
	CHECK_EQ(atomic_load(&crowd.pins), 0);
	if (mw_finalizer_clear(us->collected))
		atomic_fetch_add(&crowd.clears, 1);
	if (mw_finalizer_clear(us->finalized))
		atomic_fetch_add(&crowd.clears, 1);
	mw_weak_free(us->weak);
	mw_weak_table_free(us->table);
	mw_mempool_destroy(us->pool);
	for (unsigned int i = 0; i < ROOT_WORDS; i++)
		us->roots[i] = NULL;
}

static void end_caches(void)
{
	struct mw_cache *caches[] = { crowd.us.cache, crowd.us.idle, crowd.us.live, crowd.us.fresh };

	for (unsigned int i = 0; i < sizeof(caches) / sizeof(caches[0]); i++)
		CHECK(mw_cache_destroy(caches[i]));
}

static void end_crowd(void)
{
	struct mw_stats stats;

	end_shared(&crowd.us);
	test_own_roots(true);
	for (unsigned int i = 0; i < 3; i++) {
		CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
		(void)mw_finalizers_run(SIZE_MAX);
	}
	CHECK(mw_gc_check() && mw_heap_check());
	end_caches();
	for (unsigned int i = 0; i < MW_NR_RECORDS; i++)
		CHECK_EQ(atomic_load(&mw_special.pool[i].in_use), 0);
	CHECK_EQ(crowd.sets, crowd.clears + crowd.finalized);
	CHECK_EQ(crowd.added, crowd.cancelled + crowd.cleaned);
	mw_cpu_stop();
	mw_stats(&stats);
	CHECK_EQ(stats.live_objects, 0);
	CHECK_EQ(stats.page.raw, pages_of_aids());
	test_own_roots(false);
	CHECK(mw_heap_check());
}

/* ---- the whole ---- */

static void begin_crowd(const struct crowd_want *want)
{
	static struct things *all[2 * CROWD_CPUS + 1];
	char *words;

	__builtin_memset((void *)&crowd, 0, sizeof(crowd));
	crowd_size.object = 32 + 8 * test_below(40);
	crowd_size.cache = 64 + 16 * test_below(30);
	crowd_size.wide = 1024 + 8 * test_below(400);
	crowd_size.large = 33000 + 8 * test_below(8000);
	test_heap(want->heap);
	words = test_memory((2 * CROWD_CPUS + 1) * ACTOR_BYTES);
	crowd.us.region = test_memory(SPARE_BYTES);
	crowd.us.inside = crowd.us.region + 3 * MW_PAGE_SIZE;
	crowd.us.inside_phys = REGION_PHYS + 3 * MW_PAGE_SIZE;
	crowd.cpus = (unsigned int)mw_min(test_cpus(), CROWD_CPUS);
	for (unsigned int i = 0; i < 2 * CROWD_CPUS; i++)
		all[i] = i % 2 ? &crowd.handler[i / 2].me : &crowd.thread[i / 2].me;
	all[2 * CROWD_CPUS] = &crowd.us;
	for (unsigned int i = 0; i < 2 * CROWD_CPUS + 1; i++, words += ACTOR_BYTES) {
		all[i]->roots = (void **)words;
		all[i]->old_root = (void **)(words + ACTOR_BYTES / 2);
		all[i]->new_root = (void **)(words + ACTOR_BYTES / 4 * 3);
	}
	for (unsigned int cpu = 0; cpu < crowd.cpus; cpu++) {
		crowd.thread[cpu].spare[0] = test_memory(SPARE_BYTES);
		crowd.thread[cpu].spare[1] = test_memory(SPARE_BYTES);
	}
	mw_on_misuse(crowd_misused);
	crowd.want = want;
	choose_forms(want);
	make_shared(&crowd.us);
	NEED(mw_region_add(crowd.us.region, REGION_PHYS, SPARE_BYTES));
}

static void tally_up(void)
{
	unsigned long total = 0, kinds = 0, handlers = 0;

	for (unsigned int i = 0; i < nr_forms; i++) {
		tally[i][0] = tally[i][1] = 0;
		for (unsigned int cpu = 0; cpu < crowd.cpus; cpu++) {
			tally[i][0] += crowd.thread[cpu].calls[i];
			tally[i][1] += crowd.handler[cpu].calls[i];
		}
		total += tally[i][0] + tally[i][1];
		handlers += tally[i][1];
		kinds += tally[i][0] + tally[i][1] != 0;
	}
	test_note(
		"crowd %s: %lu calls of %lu kinds, %lu from handlers, %lu cycles heard, %lu shrunk",
		crowd.want->name, total, kinds, handlers, crowd.heard / MW_NR_GC_MOMENTS,
		crowd.shrunk);
}

static void run_crowd(const struct crowd_want *want)
{
	unsigned long calls = test_rounds(want->calls);

	begin_crowd(want);
	test_heap_may_leak(); /* it is counted here, with what the aids have */
	harness_last_words = crowd_tell;
	test_capture();
	if (want->workers)
		(void)test_workers(true);
	test_parallel(crowd.cpus, live_and_call, &calls);
	if (want->workers)
		(void)test_workers(false);
	if (!atomic_load(&crowd.failed))
		end_crowd();
	(void)test_captured();
	harness_last_words = NULL;
	tally_up();
	mw_on_misuse(harness_misused);
	crowd.want = NULL;
}

TEST(calls_beside_calls)
{
	static const struct crowd_want want = { .name = "calls", .heap = 32 * MIB, .calls = 4000 };

	run_crowd(&want);
}

TEST(calls_among_interrupts)
{
	static const struct crowd_want want = {
		.name = "interrupts", .heap = 32 * MIB, .interrupts = true, .calls = 4000
	};

	run_crowd(&want);
}

TEST(calls_while_memory_is_out)
{
	static const struct crowd_want want = { .name = "no-memory",
						.heap = 10 * MIB,
						.interrupts = true,
						.hogs = true,
						.fails = true,
						.calls = 3000 };

	run_crowd(&want);
}

TEST(calls_among_workers)
{
	static const struct crowd_want want = {
		.name = "workers", .heap = 24 * MIB, .interrupts = true, .workers = true, .calls = 3000
	};

	run_crowd(&want);
}

/* Everything at once, and each call that may be beside others really is. */
TEST(each_call_among_aids)
{
	static const struct crowd_want want = { .name = "aids",
						.heap = 32 * MIB,
						.interrupts = true,
						.switches = true,
						.hogs = true,
						.fails = true,
						.calls = 3000 };
	unsigned int missing = 0;

	run_crowd(&want);
	for (unsigned int i = 0; i < nr_forms && !atomic_load(&crowd.failed); i++) {
		if (!crowd.chosen[i])
			continue;
		if (!tally[i][0] || (for_handlers(&forms[i]) && !tally[i][1])) {
			test_note("%s.%s: %lu calls, %lu of handlers", forms[i].call, forms[i].tag,
				  tally[i][0], tally[i][1]);
			missing++;
		}
	}
	if (test_rounds(100) == 100)
		CHECK_EQ(missing, 0);
}

#endif
