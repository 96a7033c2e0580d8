// SPDX-License-Identifier: MIT
/*
 * The leak scan: hand-managed objects that two marks in a row do not reach. If the first one reaches
 * all, there is no second one.
 *
 * Both are marks of ordinary cycles, wide ones (wide.c), in which no hand-managed object is a root.
 * When everything is marked that roots reach, what lives and is not marked is noted, or, the second
 * time, held against what was noted. Then the mark goes on as any other: from the objects that
 * were declared to hold pointers, so that what a leak points to is not collected.
 *
 * Everything is found with the world stopped, into pages taken before; it is printed afterwards.
 */
#include "gc.h"

#if MW_GC

#include "../base/report.h"

#define GROUPS 128 /* places told apart; the last one is for all others */
#define MOST 1024 /* objects named in one report */

struct group {
	const char *cache;
	size_t count, bytes;
	uint64_t oldest;
	unsigned int depth;
	uintptr_t pcs[MW_LEN(((struct mw_trace *)0)->pcs)];
};

/* Objects that are named: a heap with the youngest on top until all are found, then sorted. */
struct named {
	const void *object;
	size_t size;
	uint64_t when; /* UINT64_MAX: not known */
	unsigned int group;
};

struct mw_leak_found {
	struct mw_leak_want want;
	uint64_t now;
	size_t count, bytes, groups, names;
	struct group group[GROUPS];
	struct named named[];
};

/* ---- what is found, world stopped ---- */

static bool same_place(const struct group *group, const char *cache, const struct mw_trace *trace)
{
	unsigned int depth = trace ? trace->depth : 0;

	if (group->cache != cache || group->depth != depth)
		return false;
	for (unsigned int i = 0; i < depth; i++)
		if (group->pcs[i] != trace->pcs[i])
			return false;
	return true;
}

static struct group *group_of(struct mw_leak_found *found, const char *cache,
			      const struct mw_trace *trace)
{
	struct group *group;
	size_t i = 0;

	while (i < found->groups && !same_place(&found->group[i], cache, trace))
		i++;
	if (i == GROUPS)
		return &found->group[GROUPS - 1];
	group = &found->group[i];
	if (i < found->groups)
		return group;
	found->groups++;
	*group = (struct group){ .cache = cache, .oldest = UINT64_MAX };
	if (i == GROUPS - 1)
		group->cache = "other places";
	else if (trace)
		group->depth = trace->depth;
	for (unsigned int k = 0; k < group->depth; k++)
		group->pcs[k] = trace->pcs[k];
	return group;
}

/* The heap is right but for what is at @i, which may be older than those below it. */
static void sink(struct named *heap, size_t n, size_t i)
{
	for (;;) {
		size_t below = 2 * i + 1;
		struct named moved = heap[i];

		if (below + 1 < n && heap[below + 1].when > heap[below].when)
			below++;
		if (below >= n || heap[below].when <= moved.when)
			return;
		heap[i] = heap[below];
		heap[below] = moved;
		i = below;
	}
}

static void name_it(struct mw_leak_found *found, struct named named)
{
	struct named *heap = found->named;
	size_t i = found->names;

	if (i == found->want.most) {
		if (i && heap[0].when > named.when) {
			heap[0] = named;
			sink(heap, i, 0);
		}
		return;
	}
	found->names++;
	for (; i && heap[(i - 1) / 2].when < named.when; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = named;
}

static void note(struct mw_leak_found *found, const struct mw_span *span, size_t index)
{
	const struct mw_trace *trace = mw_span_allocated(span, index);
	const struct mw_cache *cache = mw_span_cache(span);
	uint64_t when = trace && trace->when ? trace->when : UINT64_MAX;
	struct group *group;

	if (when != UINT64_MAX && found->now - when < found->want.min_age_ns)
		return;
	group = group_of(found, cache ? cache->name : "large", trace);
	group->count++;
	group->bytes += span->size;
	if (when < group->oldest)
		group->oldest = when;
	found->count++;
	found->bytes += span->size;
	name_it(found, (struct named){ mw_span_object(span, index), span->size, when,
				       (unsigned int)(group - found->group) });
}

static void look_for_leaks_in(struct mw_wide_span *wide)
{
	const struct mw_span *span = wide->span;

	for (size_t w = 0; w < wide->words; w++) {
		unsigned long missed = mw_span_live_word(span, w) & mw_span_mask(span, w) &
				       ~mw_word(&mw_wide_mark(wide)[w]);

		if (!mw_gc.leak.found) {
			mw_set_word(&wide->bits[w], missed);
			mw_gc.leak.missed |= missed != 0;
			continue;
		}
		for (missed &= mw_word(&wide->bits[w]); missed; missed &= missed - 1)
			note(mw_gc.leak.found, span, w * MW_WORD_BITS + mw_lowest_bit(missed));
	}
}

static void look_for_leaks(void)
{
	struct mw_wide_cursor cursor = { 0 };
	struct mw_wide_span *wide;

	if (!mw_gc.leak.complete)
		return;
	mw_gc.leak.missed = false;
	while ((wide = mw_wide_next(&cursor)))
		if (mw_wide_readable(wide))
			look_for_leaks_in(wide);
}

void mw_leak_look(void)
{
	unsigned int markers = mw_gc.marking.markers;

	mw_mark_again();
	while (mw_tables_show(mw_mark_visit_range, NULL)) {
		mw_mark_run(0, NULL);
		mw_mark_again();
	}
	look_for_leaks();
	mw_wide_take_bits();
	mw_wide_end();
	mw_mark_again();
	mw_roots_each_hand(mw_mark_visit_root, NULL);
	mw_mark_run(0, NULL);
	mw_gc.marking.markers = markers; /* for the figures */
}

/* ---- the report ---- */

static void print_age(uint64_t now, uint64_t when)
{
	uint64_t seconds = now - when;
	unsigned int ms;

	(void)mw_divide(&seconds, 1000);
	(void)mw_divide(&seconds, 1000);
	ms = mw_divide(&seconds, 1000);
	if (when != UINT64_MAX)
		mw_print(", %llu.%03u s old", (unsigned long long)seconds, ms);
	mw_print("\n");
}

static void print_pc(uintptr_t pc)
{
	char name[64];

	if (!mw_port_symbol(pc, name, sizeof(name)))
		mw_format(name, sizeof(name), "%p", (void *)pc);
	mw_print("    allocated from %s\n", name);
}

static void print_group(const struct mw_leak_found *found, unsigned int number)
{
	const struct group *group = &found->group[number];

	mw_print("  %zu object%s, %zu bytes, %s", group->count, group->count == 1 ? "" : "s",
		 group->bytes, group->cache);
	print_age(found->now, group->oldest);
	for (unsigned int i = 0; i < group->depth; i++)
		print_pc(group->pcs[i]);
	for (size_t i = 0; i < found->names; i++) {
		const struct named *named = &found->named[i];

		if (named->group != number)
			continue;
		mw_print("    %p, %zu bytes", named->object, named->size);
		print_age(found->now, named->when);
	}
}

/* The one with the oldest object of those not printed yet; GROUPS: there is none. */
static unsigned int next_group(struct mw_leak_found *found)
{
	unsigned int best = GROUPS;

	for (unsigned int i = 0; i < found->groups; i++)
		if (found->group[i].count &&
		    (best == GROUPS || found->group[i].oldest < found->group[best].oldest))
			best = i;
	return best;
}

static void print_found(struct mw_leak_found *found)
{
	unsigned int group;

	for (size_t n = found->names; n > 1; n--) {
		struct named youngest = found->named[0];

		found->named[0] = found->named[n - 1];
		found->named[n - 1] = youngest;
		sink(found->named, n - 1, 0);
	}
	if (found->count)
		mw_print("marrow: nothing points to %zu object%s of %zu bytes\n", found->count,
			 found->count == 1 ? "" : "s", found->bytes);
	while ((group = next_group(found)) < GROUPS) {
		print_group(found, group);
		found->group[group].count = 0;
	}
	if (found->count > found->names)
		mw_print("  %zu of them were not named\n", found->count - found->names);
}

/*
 * What this frame was to a call before, which made or freed what is looked for, must not count: it and
 * all below it are no roots.
 */
static MW_NOINLINE size_t scan(const struct mw_leak_want *want)
{
	static const struct mw_leak_want plain = { .most = 20 };
	size_t most = mw_min(want ? want->most : plain.most, MOST), count = SIZE_MAX;
	size_t pages = sizeof(struct mw_leak_found) + most * sizeof(struct named);
	struct mw_leak_found *found;

	pages = (pages + MW_PAGE_SIZE - 1) >> MW_PAGE_SHIFT;
	found = mw_pages_alloc(pages, MW_ZERO | MW_ATOMIC);
	if (!found)
		return SIZE_MAX;
	found->want = want ? *want : plain;
	found->want.most = most;
	found->now = mw_port_now();
	if (mw_gc_collect_leaks(found, __builtin_frame_address(0))) {
		print_found(found);
		count = found->count;
	}
	mw_pages_free(found, pages);
	return count;
}

/* With the registers of the callers in its frame, and nothing else. */
size_t mw_leak_scan(const struct mw_leak_want *want)
{
	size_t found;

	__builtin_unwind_init();
	found = scan(want);
	__asm__ volatile("" : "+r"(found)); /* and so not a jump to it */
	return found;
}

/* ---- what is not to be reported ---- */

bool mw_leak_ignore(void *object)
{
	struct mw_ignored *fresh;
	struct mw_held held;

	if (mw_gc_is_object(object))
		return false;
	fresh = mw_record_new(MW_RECORD_IGNORED);
	if (!fresh)
		return false;
	fresh->object = object;
	if (mw_record_attach(object, &fresh->record, false))
		return true;
	mw_record_free(MW_RECORD_IGNORED, fresh);
	/* It was ignored already, or is no object. */
	if (!mw_records_hold(&held, object, false))
		return false;
	mw_records_release(&held);
	return true;
}

#endif
