// SPDX-License-Identifier: MIT
/* How a storm is run: what was in use before, threads, a line that tells how it goes, what is left. */
#include <stdatomic.h>
#include "../mm/page/up.h"
#include "fs/fs.h"
#include "keys.h"
#include "live.h"
#include "storm.h"
#include "text.h"
#include "thread.h"

#define LOOK_NS 250000000ul /* between two looks */
#define CHAOS_LEAST 12u /* things that happen in a storm with chaos */
#define SETTLE_TRIES 100u
#define SETTLE_NS 20000000ul

const struct storm *const storms[] = {
	&storm_fs,    &storm_counted,	 &storm_pipes,	 &storm_bus,	&storm_threads,
	&storm_queue, &storm_interrupts, &storm_regions, &storm_memory, NULL,
};

static struct {
	const struct storm *storm;
	uint64_t start;
	atomic_bool over;
	_Atomic(const char *) wrong;
	struct {
		_Alignas(64) uint64_t random;
		_Atomic(unsigned long) steps;
	} of[STORM_THREADS];
} run;

const struct storm *storm_find(const char *name)
{
	for (size_t i = 0; storms[i]; i++)
		if (text_equal(storms[i]->name, name))
			return storms[i];
	return NULL;
}

/* ---- for the work ---- */

bool storm_is_over(void)
{
	return atomic_load_explicit(&run.over, memory_order_relaxed);
}

void storm_wrong(const char *what)
{
	const char *none = NULL;

	if (atomic_compare_exchange_strong(&run.wrong, &none, what))
		mw_print("\nstorm %s: %s\n", run.storm->name, what);
	atomic_store(&run.over, true);
}

void storm_step(unsigned int i)
{
	atomic_fetch_add_explicit(&run.of[i].steps, 1, memory_order_relaxed);
}

uint64_t storm_random(unsigned int i)
{
	uint64_t x = run.of[i].random += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t storm_below(unsigned int i, uint64_t n)
{
	return (storm_random(i) >> 32) * n >> 32;
}

static unsigned long steps(void)
{
	unsigned long sum = 0;

	for (unsigned int i = 0; i < STORM_THREADS; i++)
		sum += atomic_load_explicit(&run.of[i].steps, memory_order_relaxed);
	return sum;
}

/* ---- before and after ---- */

/* All that is done before a request fails: the heap gives back what it keeps for the next one. */
void storm_drain(void)
{
	unsigned int step = 0;

	while (mw_page_reclaim(1, 0, MW_NORMAL | MW_NO_SHRINK, &step))
		;
}

static struct storm_use use_now(void)
{
	struct mw_stats stats;

	storm_drain();
	mw_stats(&stats);
	return (struct storm_use){ stats.page.raw + stats.page.objects, stats.live_objects,
				   stats.live_bytes, channels_taken() };
}

bool storm_same_use(const struct storm_use *a, const struct storm_use *b)
{
	return a->pages == b->pages && a->objects == b->objects && a->bytes == b->bytes &&
	       a->channels == b->channels;
}

struct storm_use storm_settle(const struct storm_use *wanted)
{
	struct storm_use use = { 0 };

	for (unsigned int i = 0; i < SETTLE_TRIES; i++) {
		if (i)
			thread_sleep(SETTLE_NS);
		storm_gc_settle();
		use = use_now();
		if (!wanted || storm_same_use(&use, wanted))
			break;
	}
	return use;
}

/* ---- meanwhile ---- */

static const char bars[] = " .:-=+*#%@";

void storm_columns(const uint64_t *ns, unsigned int n, char *text)
{
	unsigned int count[STORM_COLUMNS] = { 0 };

	for (unsigned int i = 0; i < n; i++) {
		uint64_t limit = 1000;
		unsigned int at = 0;

		/* Up to 1 us, 3 us, 10 us and so on. */
		for (; at + 1 < STORM_COLUMNS && ns[i] > limit; at++)
			limit = at % 2 ? limit / 3 * 10 : limit * 3;
		count[at]++;
	}
	for (unsigned int i = 0; i < STORM_COLUMNS; i++)
		text[i] = bars[count[i] ? 1 + count[i] * (sizeof(bars) - 3) / n : 0];
	text[STORM_COLUMNS] = '\0';
}

static void progress(const struct mw_stats *stats, unsigned long allocs, uint64_t ns)
{
	struct storm_result now = { 0 };
	char bar[STORM_COLUMNS + 1], text[LIVE_SIZE];
	static uint64_t ns_of[512];

	storm_gc_read(&now);
	storm_columns(ns_of, storm_gc_stops(ns_of, LEN(ns_of)), bar);
	mw_format(text, sizeof(text),
		  "%3llu s %5llu k allocs/s %6zu KiB %4lu cycles  stops 1us |%s| 0.1s",
		  (unsigned long long)(arch_now() - run.start) / 1000000000,
		  (unsigned long long)((stats->allocs - allocs) * 1000000ull / (ns + 1)),
		  stats->live_bytes >> 10, now.cycles, bar);
	live_show(text, text_length(text));
}

/* Where the machine is slow little happens in the time that was wanted. */
static bool wants_more(const struct storm_want *want, uint64_t now)
{
	return want->chaos && storm_chaos_things() < CHAOS_LEAST && now < run.start + 10 * want->ns;
}

static void watch(const struct storm_want *want, struct storm_result *result)
{
	struct mw_stats stats;
	uint64_t looked = arch_now(), until = run.start + want->ns, now;
	unsigned long allocs;

	mw_stats(&stats);
	allocs = stats.allocs;
	while (!storm_is_over() && !keys_stop() &&
	       ((now = arch_now()) < until || wants_more(want, now))) {
		uint64_t left = until > now ? until - now : LOOK_NS / 10;

		thread_sleep(left < LOOK_NS ? left : LOOK_NS);
		mw_stats(&stats);
		if (stats.live_bytes > result->heap_most)
			result->heap_most = stats.live_bytes;
		if (want->progress)
			progress(&stats, allocs, arch_now() - looked);
		looked = arch_now();
		allocs = stats.allocs;
	}
	if (want->progress)
		live_end();
}

static void work(void *arg)
{
	run.storm->work((unsigned int)(uintptr_t)arg);
}

static uint64_t time_of_workers(void)
{
	struct worker_counts counts;
	uint64_t ns = 0;

	for (unsigned int i = 0; i < MW_NR_WORKERS; i++) {
		worker_counts(i, &counts);
		ns += counts.ns;
	}
	return ns;
}

/* Threads from the first to the last; a thread that cannot be had is done without. */
static void begin_threads(struct thread **thread, unsigned int n)
{
	unsigned int made = 0;

	for (unsigned int i = 0; i < n; i++) {
		thread[i] = thread_create(run.storm->name, work, (void *)(uintptr_t)i);
		made += thread[i] != NULL;
	}
	if (!made)
		storm_wrong("there is no memory for a thread");
	else if (made < n)
		mw_print("There is memory for %u of %u threads.\n", made, n);
}

static void threads(const struct storm_want *want, struct storm_result *result)
{
	unsigned int n = run.storm->threads ? run.storm->threads : 2 * arch_cpu_count();
	struct thread *thread[STORM_THREADS + 1] = { NULL };
	uint64_t workers = time_of_workers(), seed = want->seed;

	n = n < STORM_THREADS ? n : STORM_THREADS;
	run.start = arch_now();
	begin_threads(thread, n);
	if (want->chaos)
		thread[n] = thread_create("chaos", storm_chaos, &seed);
	watch(want, result);
	atomic_store(&run.over, true);
	if (run.storm->over)
		run.storm->over();
	for (unsigned int i = 0; i <= n; i++)
		if (thread[i])
			thread_join(thread[i]);
	result->ns = arch_now() - run.start;
	result->failed = storm_chaos_end();
	storm_gc_read(result);
	/* All CPUs stand still in a stop. If a worker collects its own time has the stop in it. */
	workers = time_of_workers() - workers;
	result->collector_ns =
		result->stop_total * (arch_cpu_count() - 1) + result->stop_others + workers;
}

/* ---- the whole ---- */

static void begin(const struct storm *storm, uint64_t seed)
{
	memset(&run, 0, sizeof(run));
	run.storm = storm;
	for (unsigned int i = 0; i < STORM_THREADS; i++)
		run.of[i].random = seed * STORM_THREADS + i;
}

/* What is made once and stays, caches and threads' records, is not what the storm left. */
static bool warm_up(const struct storm *storm)
{
	const struct storm_want little = { .ns = 0 };

	if (!storm->begin(&little))
		return false;
	storm->end();
	return true;
}

static unsigned long allocs_ever(void)
{
	struct mw_stats stats;

	mw_stats(&stats);
	return stats.allocs;
}

/* In a frame of its own: what lies in it afterwards is not looked at as roots. */
static __attribute__((noinline)) void blow(const struct storm_want *want, struct storm_result *result)
{
	unsigned long allocs;

	if (!run.storm->begin(want)) {
		run.wrong = "there is no memory to begin with";
		return;
	}
	allocs = allocs_ever();
	storm_gc_begin();
	threads(want, result);
	result->steps = steps();
	result->allocs = allocs_ever() - allocs;
	storm_gc_end();
	run.storm->end();
}

static __attribute__((noinline)) void scribble(void)
{
	volatile char stack[4096];

	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = 0;
}

bool storm_run(const struct storm *storm, const struct storm_want *want, struct storm_result *result)
{
	size_t leaked;
	bool whole;

	*result = (struct storm_result){ 0 };
	begin(storm, want->seed);
	if (!warm_up(storm)) {
		result->wrong = "there is no memory for it";
		return false;
	}
	scribble();
	result->before = storm_settle(NULL);
	leaked = storm_gc_leaks();
	blow(want, result);
	scribble();
	result->after = storm_settle(&result->before);
	result->leaks = storm_gc_leaks();
	whole = leaked != SIZE_MAX && result->leaks != SIZE_MAX;
	result->leaks -= result->leaks < leaked ? result->leaks : leaked;
	result->wrong = run.wrong;
	if (!result->wrong && !whole)
		result->wrong = "there is no memory to look for leaks";
	if (!result->wrong && !result->steps && want->ns && !keys_stop())
		result->wrong = "nothing was done: there is no memory for it";
	if (!result->wrong && !storm_same_use(&result->before, &result->after))
		result->wrong = "more is in use than before";
	if (!result->wrong && result->leaks)
		result->wrong = "something leaked";
	if (!result->wrong && !memory_check())
		result->wrong = "the heap is not as it should be";
	return !result->wrong;
}

static void print_use(const char *when, const struct storm_use *use)
{
	mw_print("  %s: %zu pages, %zu objects, %zu bytes, %u channels\n", when, use->pages,
		 use->objects, use->bytes, use->channels);
}

void storm_print(const struct storm *storm, const struct storm_result *r)
{
	uint64_t ms = r->ns / 1000000 + 1, permille = r->collector_ns / arch_cpu_count() / ms / 1000;

	mw_print("storm %s: %s\n", storm->name, r->wrong ? r->wrong : "all is well");
	mw_print("  %lu steps in %llu ms, %llu a second; %lu allocations\n", r->steps,
		 (unsigned long long)ms, (unsigned long long)(r->steps * 1000 / ms), r->allocs);
	if (r->failed)
		mw_print("  %lu of them failed on purpose\n", r->failed);
	if (r->stops)
		mw_print("  %lu cycles, %llu.%llu %% of the CPUs; heap up to %zu KiB\n"
			 "  stops: median %llu us, p99 %llu us, longest %llu us\n",
			 r->cycles, (unsigned long long)permille / 10,
			 (unsigned long long)permille % 10, r->heap_most >> 10,
			 (unsigned long long)r->stop_median / 1000,
			 (unsigned long long)r->stop_p99 / 1000,
			 (unsigned long long)r->stop_longest / 1000);
	if (r->leaks)
		mw_print("  %lu objects leaked\n", r->leaks);
	print_use("before", &r->before);
	print_use("after ", &r->after);
	if (r->after.objects > r->before.objects)
		storm_gc_holders();
}
