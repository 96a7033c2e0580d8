// SPDX-License-Identifier: MIT
/* What the collector does during a storm: its stops, noted one by one. */
#include <marrow/gc.h>
#include <marrow/port.h>
#include "scratch.h"
#include "storm.h"

#if MW_GC

#define STOPS 2048u

static struct {
	struct mw_gc_listener listener;
	struct mw_gc_policy policy; /* as it was before */
	struct storm_result sums; /* of it: cycles, stop_total, stop_longest, stop_others */
	unsigned int n; /* ever; the last ones are in @ns */
	uint64_t ns[STOPS];
} seen ARCH_PLAIN;

/* On the collecting CPU, one at a time. */
static void on_moment(struct mw_gc_listener *self, enum mw_gc_moment moment,
		      const struct mw_gc_cycle *cycle)
{
	uint64_t ns = cycle->stop_ns + cycle->roots_ns + cycle->mark_ns + cycle->start_ns;

	(void)self;
	if (moment != MW_GC_STARTED)
		return;
	seen.ns[seen.n++ % STOPS] = ns;
	seen.sums.cycles++;
	seen.sums.stop_total += ns;
	if (!worker_runs_here())
		seen.sums.stop_others += ns;
	if (ns > seen.sums.stop_longest)
		seen.sums.stop_longest = ns;
}

void storm_gc_begin(void)
{
	memset(&seen, 0, sizeof(seen));
	mw_gc_policy_get(&seen.policy);
	seen.listener.moment = on_moment;
	mw_gc_listen(&seen.listener);
}

void storm_gc_end(void)
{
	mw_gc_unlisten(&seen.listener);
	(void)mw_gc_policy_set(&seen.policy);
}

/* From the largest gap down to 1, so that few of them have a long way (Shell's). */
static void sort(uint64_t *ns, unsigned int n)
{
	for (unsigned int gap = n / 2; gap; gap /= 2)
		for (unsigned int i = gap; i < n; i++) {
			uint64_t value = ns[i];
			unsigned int at = i;

			for (; at >= gap && ns[at - gap] > value; at -= gap)
				ns[at] = ns[at - gap];
			ns[at] = value;
		}
}

unsigned int storm_gc_stops(uint64_t *ns, unsigned int most)
{
	unsigned int n = seen.n;

	if (most > STOPS)
		most = STOPS;
	if (most > n)
		most = n;
	for (unsigned int i = 0; i < most; i++)
		ns[i] = seen.ns[(n - most + i) % STOPS];
	sort(ns, most);
	return most;
}

void storm_gc_read(struct storm_result *result)
{
	static ARCH_PLAIN uint64_t ns[STOPS];
	unsigned int n = storm_gc_stops(ns, STOPS);

	result->cycles = seen.sums.cycles;
	result->stop_total = seen.sums.stop_total;
	result->stop_others = seen.sums.stop_others;
	result->stop_longest = seen.sums.stop_longest;
	result->stops = n;
	if (n) {
		result->stop_median = ns[n / 2];
		result->stop_p99 = ns[n - 1 - n / 100];
	}
}

void storm_gc_settle(void)
{
	(void)mw_gc_collect(MW_COLLECT_SWEPT);
	(void)mw_finalizers_run(SIZE_MAX);
	(void)mw_gc_collect(MW_COLLECT_SWEPT);
}

/*
 * ---- who holds what is left ----
 *
 * A word that lay there before may lead to what came to its address later. Marrow's own variables, which no
 * mark looks at, are looked at here.
 */

#define HOLDERS 24u

static struct holder {
	const char *name;
	const void *lo, *at;
	uintptr_t word;
} holder[HOLDERS] ARCH_PLAIN;

__attribute__((no_sanitize_address)) static void
note_holders(void *ctx, enum mw_root_kind kind, const char *name, const void *lo, const void *hi)
{
	unsigned int *n = ctx;

	(void)kind;
	for (const uintptr_t *at = lo; at < (const uintptr_t *)hi && *n < HOLDERS; at++)
		if (mw_gc_is_object((const void *)*at))
			holder[(*n)++] = (struct holder){ name, lo, at, *at };
}

void storm_gc_holders(void)
{
	unsigned int n = 0;

	if (mw_port_stop_world() >= 0)
		return;
	mw_port_scan_roots(note_holders, &n);
	mw_port_start_world();
	for (unsigned int i = 0; i < n; i++)
		mw_print("  held by %s: %p at %p, %zu bytes behind its beginning\n", holder[i].name,
			 (void *)holder[i].word, holder[i].at,
			 (size_t)((const char *)holder[i].at - (const char *)holder[i].lo));
}

/* ---- leaks ---- */

static size_t reported; /* leaks, by the last scan that had new ones */

void storm_gc_forget(void)
{
	reported = 0;
}

static size_t scan(bool aloud)
{
	const struct mw_leak_want want = { .most = 20 };
	size_t leaks;

	port_mute(!aloud);
	leaks = scratch_leak_scan(&want);
	port_mute(false);
	return leaks;
}

/* What two scans in a row do not reach leaks. */
size_t storm_gc_leaks(void)
{
	size_t leaks = 0;

	for (int i = 0; i < 2; i++)
		leaks = scan(false);
	if (leaks == SIZE_MAX)
		return SIZE_MAX;
	if (leaks > reported)
		(void)scan(true);
	reported = leaks;
	return leaks;
}

#else

void storm_gc_begin(void)
{
}

void storm_gc_end(void)
{
}

unsigned int storm_gc_stops(uint64_t *ns, unsigned int most)
{
	(void)ns, (void)most;
	return 0;
}

void storm_gc_read(struct storm_result *result)
{
	(void)result;
}

void storm_gc_settle(void)
{
}

void storm_gc_holders(void)
{
}

size_t storm_gc_leaks(void)
{
	return 0;
}

void storm_gc_forget(void)
{
}

#endif
