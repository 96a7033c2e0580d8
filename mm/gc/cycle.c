/* SPDX-License-Identifier: MIT */
/*
 * A collection, from beginning to end: mw_gc_collect() at the end of this file.
 *
 * One CPU collects at a time. Interrupts go on, on all CPUs, while the world is stopped: a handler may
 * allocate, and what it allocates is born in the next generation. What it may do with references is in
 * <marrow/gc.h>, why that is so in special.c.
 */
#include "gc.h"

#if MW_GC

#include "../base/grace.h"
#include "../base/hold.h"
#include "../base/report.h"
#include "../page/stock.h"

struct mw_gc mw_gc = { .registry = MW_LOCK_INIT(MW_RANK_REGISTRY) };

void mw_gc_start(void)
{
	unsigned long state = mw_lock(&mw_gc.registry);
	bool mine = !atomic_load_explicit(&mw_gc.ready, memory_order_relaxed);

	if (mine) {
		mw_fixed_init(&mw_gc.root_records, sizeof(struct mw_root), MW_USE_COLLECTOR, NULL);
		mw_fixed_init(&mw_gc.pin_records, sizeof(struct mw_pin), MW_USE_COLLECTOR, NULL);
		mw_fixed_init(&mw_gc.array_records, sizeof(struct mw_type_array), MW_USE_COLLECTOR,
			      NULL);
		mw_lock_init(&mw_gc.sweeping.lock, MW_RANK_LEAF);
		atomic_store_explicit(&mw_gc.sweeping.generation, 1 + MW_GENERATION_STEP,
				      memory_order_relaxed);
		mw_gc.sweeping.done_walking = true;
		atomic_store_explicit(&mw_gc.ready, true, memory_order_release);
	}
	mw_unlock(&mw_gc.registry, state);
	if (mine)
		mw_pace_init();
}

void mw_gc_reset(void)
{
	mw_layout_reset();
	__builtin_memset((void *)&mw_gc, 0, sizeof(mw_gc));
	mw_lock_init(&mw_gc.registry, MW_RANK_REGISTRY);
}

/* ---- one at a time ---- */

/*
 * What lies below this frame is the collector's own from now on, and no root: what a mark finds on its way
 * must not keep anything. BEGIN_ALONE() has the registers of the callers put above it.
 */
static __attribute__((noinline)) bool begin_alone(bool wait)
{
	mw_gc_ready();
	while (atomic_exchange_explicit(&mw_gc.collecting, 1, memory_order_acquire)) {
		if (!wait)
			return false;
		mw_port_yield();
	}
	mw_gc.floor = __builtin_frame_address(0);
	return true;
}

#define BEGIN_ALONE() (__builtin_unwind_init(), (void)begin_alone(true))
/*
 * For workers, which have other threads to make room for: who is at it may be one that waits for this CPU.
 * Return: false: somebody is.
 */
#define TRY_ALONE() (__builtin_unwind_init(), begin_alone(false))

static void end_alone(void)
{
	atomic_store_explicit(&mw_gc.collecting, 0, memory_order_release);
}

bool mw_half_done(void)
{
	return mw_word(&mw_gc.collecting) || mw_word(&mw_page.scavenging) ||
	       mw_word(&mw_page.changing) || mw_word(&mw_page.asking);
}

/* ---- who listens ---- */

static struct mw_gc_listener *first_listener(void)
{
	return atomic_load_explicit(&mw_gc.listeners, memory_order_acquire);
}

bool mw_gc_listen_once(struct mw_gc_listener *listener)
{
	struct mw_gc_listener *known;
	unsigned long state;

	mw_gc_ready();
	state = mw_lock(&mw_gc.registry);
	for (known = first_listener(); known && known != listener;)
		known = known->next;
	if (!known) {
		listener->next = first_listener();
		atomic_store_explicit(&mw_gc.listeners, listener, memory_order_release);
	}
	mw_unlock(&mw_gc.registry, state);
	return !known;
}

void mw_gc_listen(struct mw_gc_listener *listener)
{
	struct mw_report report = {
		.what = MW_BAD_REQUEST,
		.address = listener,
		.text = "the listener is there already",
	};

	if (!mw_gc_listen_once(listener))
		mw_misuse(&report);
}

void mw_gc_unlisten(struct mw_gc_listener *listener)
{
	struct mw_gc_listener *before;
	unsigned long state;

	BEGIN_ALONE();
	state = mw_lock(&mw_gc.registry);
	before = first_listener();
	if (listener && before == listener)
		atomic_store_explicit(&mw_gc.listeners, listener->next, memory_order_relaxed);
	while (before && before->next != listener)
		before = before->next;
	if (listener && before)
		before->next = listener->next;
	mw_unlock(&mw_gc.registry, state);
	end_alone();
}

void mw_gc_announce(enum mw_gc_moment moment)
{
	for (struct mw_gc_listener *l = first_listener(); l; l = l->next)
		l->moment(l, moment, &mw_gc.cycle);
}

/* ---- the steps ---- */

/* Everything of the last cycle is swept; what lived, and what it cost, is known. */
static void last_sweep_ended(void)
{
	struct mw_gc_cycle *c = &mw_gc.cycle;

	mw_set_word(&mw_gc.swept_cycle, c->number);
	c->sweep_ns =
		mw_port_now() - c->started - c->stop_ns - c->roots_ns - c->mark_ns - c->start_ns;
	c->spans_swept_background = mw_word(&mw_gc.sweeping.swept_background);
	c->spans_swept_on_demand = mw_word(&mw_gc.sweeping.swept_demand);
	c->spans = c->spans_swept_background + c->spans_swept_on_demand;
	mw_gc_announce(MW_GC_SWEPT);
	mw_calls_wake();
	if (mw_word(&mw_gc.trace))
		mw_gc_print_line(c);
}

static bool is_last_sweep_over(void)
{
	return mw_word(&mw_gc.swept_cycle) == mw_word(&mw_gc.cycles);
}

static void finish_last_sweep(void)
{
	if (is_last_sweep_over())
		return;
	mw_sweep_finish();
	last_sweep_ended();
}

bool mw_gc_all_swept(void)
{
	if (is_last_sweep_over())
		return true;
	if (!TRY_ALONE())
		return false;
	finish_last_sweep();
	end_alone();
	return true;
}

static uint64_t lap(uint64_t *since)
{
	uint64_t now = mw_port_now(), ns = now - *since;

	*since = now;
	return ns;
}

static bool stop_world(void)
{
	struct mw_report report = { .what = MW_STUCK_CPU };
	int culprit = mw_stop_world();
	char text[80];

	if (culprit < 0)
		return true;
	mw_format(text, sizeof(text), "CPU %d did not answer the request to stop", culprit);
	report.text = text;
	report.given = (size_t)culprit;
	mw_misuse(&report);
	return false;
}

static bool stop(uint64_t *clock)
{
	mw_gc_announce(MW_GC_STOPPING);
	*clock = mw_gc.cycle.started = mw_port_now();
	if (!stop_world())
		return false;
	mw_gc.cycle.stop_ns = lap(clock);
	mw_gc_announce(MW_GC_STOPPED);
	return true;
}

bool mw_gc_hold(void)
{
	BEGIN_ALONE();
	finish_last_sweep();
	if (stop_world())
		return true;
	end_alone();
	return false;
}

void mw_gc_release(void)
{
	mw_start_world();
	end_alone();
}

static void nothing(unsigned int worker, void *arg)
{
	(void)worker, (void)arg;
}

void mw_handlers_wait(void)
{
	mw_port_run_stopped(nothing, NULL);
}

/* Every CPU gives up its collected spans. Return: how many CPUs can mark. */
static unsigned int flush(void)
{
	unsigned int most = mw_gc.pace.policy.markers, n = mw_object_flush();

	if (!most || most > MW_MAX_MARKERS)
		most = MW_MAX_MARKERS;
	return mw_min(n, most);
}

static void mark_roots(void)
{
	unsigned int markers;

	mw_weaks_open();
	mw_sweep_hold();
	markers = flush();
	if (mw_gc.stuck.wanted)
		mw_stuck_find();
	mw_mark_begin(markers);
	if (mw_word(&mw_gc.wide.mode) != MW_WIDE_NOT)
		mw_gc.leak.complete = mw_wide_begin();
	mw_gc.cycle.heap_before = mw_pace_live();
	mw_roots_each(mw_mark_visit_root, NULL);
}

static void run_markers(void)
{
	if (mw_gc.marking.markers == 1)
		mw_mark_run(0, NULL);
	else
		mw_port_run_stopped(mw_mark_run, NULL);
}

static void sum_markers(unsigned long wide)
{
	struct mw_gc_cycle *c = &mw_gc.cycle;

	c->markers = mw_gc.marking.markers;
	for (unsigned int i = 0; i < MW_MAX_MARKERS; i++) {
		const struct mw_marker *marker = &mw_gc.marking.marker[i];

		c->objects_marked += marker->objects;
		c->heap_marked += marker->bytes;
		c->words_scanned += marker->words;
		c->steals += marker->steals;
		c->handovers += marker->handovers;
		c->yields += marker->yields;
	}
	if (wide != MW_WIDE_NOT)
		mw_wide_recount(c);
	/*
	 * The mark also counts objects of bytes that a CPU has set aside and not added to the
	 * heap's count yet.
	 */
	c->heap_before = mw_max(c->heap_before, c->heap_marked);
	mw_pace_marked(c->heap_marked);
	c->goal = mw_word(&mw_gc.pace.goal);
}

static void note_pause(uint64_t end, uint64_t ns)
{
	unsigned long state = mw_lock(&mw_gc.registry);

	mw_gc.pause_total += ns;
	if (ns > mw_gc.pause_max)
		mw_gc.pause_max = ns;
	mw_gc.pauses[mw_gc.paused++ % MW_PAUSES] = (struct mw_pause){ .end = end, .ns = ns };
	mw_unlock(&mw_gc.registry, state);
}

static void restart(uint64_t *clock, bool safe)
{
	struct mw_gc_cycle *c = &mw_gc.cycle;
	uint64_t ns;

	mw_start_world();
	c->start_ns = lap(clock);
	ns = c->stop_ns + c->roots_ns + c->mark_ns + c->start_ns;
	note_pause(*clock, ns);
	if (safe)
		mw_safe_rest(*clock, ns);
	mw_gc_announce(MW_GC_STARTED);
	mw_port_wake(MW_WORKER_SWEEP);
}

/*
 * The way of a collection, for who is alone. @safe: what is held back is wanted too, due or not.
 * Return: false: a CPU did not stop.
 */
static bool collect(enum mw_collect how, bool safe)
{
	unsigned long wide;
	uint64_t clock;
	bool check;

	finish_last_sweep();
	mw_safe_choose(safe);
	wide = mw_word(&mw_gc.wide.mode);
	check = wide == MW_WIDE_NOT && mw_check_wanted() && mw_check_begin();
	mw_object_flush_full();
	mw_stock_drain_stacks();
	mw_gc.cycle = (struct mw_gc_cycle){ .number = mw_word(&mw_gc.cycles) + 1 };
	if (!stop(&clock)) {
		mw_gc.cycle.number = 0;
		mw_set_word(&mw_gc.wide.mode, MW_WIDE_NOT);
		if (check)
			mw_check_end();
		return false;
	}
	mark_roots();
	mw_gc.cycle.roots_ns = lap(&clock);
	mw_gc_announce(MW_GC_ROOTS_DONE);
	run_markers();
	if (wide == MW_WIDE_LEAK)
		mw_leak_look();
	mw_mark_specials();
	if (wide == MW_WIDE_SAFE)
		mw_safe_look();
	sum_markers(wide);
	if (check)
		mw_check_marks();
	mw_sweep_begin();
	mw_weaks_settle();
	mw_set_word(&mw_gc.cycles, mw_gc.cycle.number);
	mw_gc.cycle.mark_ns = lap(&clock);
	mw_gc_announce(MW_GC_MARKED);
	restart(&clock, wide == MW_WIDE_SAFE);
	if (check)
		mw_check_end();
	if (how == MW_COLLECT_SWEPT)
		finish_last_sweep();
	return true;
}

static bool collect_alone(enum mw_collect how, bool check)
{
	bool done;

	BEGIN_ALONE();
	mw_gc.check_wanted = check;
	done = collect(how, !check) && (!check || mw_gc.check_ok);
	mw_gc.check_wanted = false;
	end_alone();
	return done;
}

bool mw_gc_collect(enum mw_collect how)
{
	return collect_alone(how, false);
}

bool mw_gc_check(void)
{
	return collect_alone(MW_COLLECT_MARKED, true);
}

/* Before the worker came to be alone, a cycle that an allocation waited for may have done it. */
bool mw_gc_collect_due(void)
{
	if (!TRY_ALONE())
		return false;
	mw_set_word(&mw_gc.pace.due, 0);
	if (mw_pace_due())
		(void)collect(MW_COLLECT_MARKED, false);
	end_alone();
	return true;
}

size_t mw_cleanups_stuck(void)
{
	size_t count;

	BEGIN_ALONE();
	mw_gc.stuck.wanted = true;
	mw_gc.stuck.count = 0;
	(void)collect(MW_COLLECT_SWEPT, false);
	mw_gc.stuck.wanted = false;
	count = mw_gc.stuck.count;
	mw_stuck_print(&mw_gc.stuck);
	end_alone();
	return count;
}

/* One mark for leaks. @found: of the last one that this one is compared with, and what then is found. */
static bool collect_leaks_once(struct mw_leak_found *found)
{
	mw_gc.leak.found = found;
	mw_set_word(&mw_gc.wide.mode, MW_WIDE_LEAK);
	return collect(MW_COLLECT_SWEPT, false);
}

bool mw_gc_collect_leaks(struct mw_leak_found *found, const void *floor)
{
	bool stops = true, complete = false;

	BEGIN_ALONE();
	mw_gc.floor = floor;
	/* New spans may need more room than there was before the stop: then once more, with more. */
	for (unsigned int tries = 0; stops && !complete && tries < 3; tries++) {
		if (!mw_wide_room(false))
			break;
		mw_gc.wide.scarce = false;
		mw_wide_forget();
		stops = collect_leaks_once(NULL);
		complete = stops && mw_gc.leak.complete;
		if (!complete || !mw_gc.leak.missed)
			continue;
		stops = collect_leaks_once(found);
		complete = stops && mw_gc.leak.complete;
	}
	if (!mw_gc.safe.on)
		mw_wide_drop();
	end_alone();
	return complete;
}

bool mw_gc_collect_forced(enum mw_collect how, bool last_resort)
{
	uint64_t asked = mw_port_now();
	bool done = true;

	BEGIN_ALONE();
	if (mw_gc.cycle.number && mw_gc.cycle.started > asked) {
		if (how == MW_COLLECT_SWEPT)
			finish_last_sweep();
	} else if (how == MW_COLLECT_MARKED && !mw_pace_overdue()) {
		/* One that was under way has done it. */
	} else if (mw_pace_may_force(last_resort)) {
		uint64_t start = mw_port_now();

		done = collect(how, last_resort);
		mw_pace_forced(mw_port_now() - start, &mw_gc.cycle);
	} else {
		done = false;
	}
	end_alone();
	return done;
}

#endif
