/* SPDX-License-Identifier: MIT */
/*
 * Walks over all spans while a descriptor is on its way: taken by mw_span_alloc(), and not filled yet, it has the
 * bitmaps, flags and cache of the span that it was before. Whoever is stopped there leaves it so.
 */
#include "gc_heap.h"

#if MW_GC

#include "../mm/object/inside.h"

struct node {
	struct node *next;
};

/* What the descriptor's bitmaps were: somebody else's by now, here the test's. */
static struct {
	struct mw_span *span;
	struct mw_fixed *pool;
	mw_atomic_t *bits;
	size_t words; /* of all its bitmaps */
} was;

static struct mw_span *make_and_drop(mw_flags_t flags)
{
	struct mw_cache_want want = { .name = "was", .size = 16, .flags = flags };
	struct mw_cache *cache = mw_cache_create(&want);
	struct mw_span *span;
	void *object;

	NEED(cache);
	object = mw_cache_alloc(cache, MW_NORMAL);
	NEED(object);
	span = mw_span_of(object);
	was.bits = span->free;
	was.words = (size_t)(span->remote - span->free) + span->words;
	NEED(was.bits != span->bits);
	mw_cache_free(cache, object);
	(void)mw_cache_shrink(cache);
	NEED(mw_cache_destroy(cache));
	return span;
}

/* The next owner of the bitmaps. They say what a walk may take for marks, or for live objects. */
static void take_bitmaps(unsigned long word)
{
	for (size_t i = 0; i < MW_LEN(mw_object.bitmaps); i++) {
		void *bits = mw_fixed_alloc(&mw_object.bitmaps[i]);

		if (bits == (void *)was.bits)
			was.pool = &mw_object.bitmaps[i];
		else if (bits)
			mw_fixed_free(&mw_object.bitmaps[i], bits);
	}
	NEED(was.pool);
	for (size_t w = 0; w < was.words; w++)
		mw_set_word(&was.bits[w], word);
}

static size_t changed(unsigned long word)
{
	size_t n = 0;

	for (size_t w = 0; w < was.words; w++)
		n += mw_word(&was.bits[w]) != word;
	return n;
}

static void begin_on_its_way(mw_flags_t flags, unsigned long word)
{
	struct mw_span *span;

	setup(16 << 20);
	root[0] = mw_alloc(sizeof(struct node), MW_COLLECTED | MW_ZERO);
	NEED(root[0]);
	was.pool = NULL;
	span = make_and_drop(flags);
	take_bitmaps(word);
	was.span = mw_span_alloc(1, 0, MW_NORMAL);
	NEED(was.span == span && span->in_use && span->free == was.bits);
}

static void end_on_its_way(void)
{
	mw_span_free(was.span);
	mw_fixed_free(was.pool, (void *)was.bits);
}

/* The second mark writes the remote words of collected spans, and their scanned bits. */
TEST(a_check_lets_a_span_on_its_way_alone)
{
	begin_on_its_way(MW_COLLECTED, ~0ul);
	CHECK(mw_gc_check());
	CHECK_EQ(changed(~0ul), 0);
	end_on_its_way();
}

/* Its marks are thrown away, after the first one that is made. */
TEST(a_look_for_stuck_cleanups_lets_a_span_on_its_way_alone)
{
	begin_on_its_way(MW_COLLECTED, ~0ul);
	CHECK_EQ(mw_cleanups_stuck(), 0);
	CHECK_EQ(changed(~0ul), 0);
	end_on_its_way();
}

static void count_in_it(void *ctx, enum mw_root_kind kind, const char *name, const void *lo,
			const void *hi, const struct mw_layout *layout)
{
	uintptr_t base = mw_round_down((uintptr_t)was.span->base, MW_PAGE_SIZE);

	(void)kind, (void)name, (void)hi, (void)layout;
	*(size_t *)ctx += (uintptr_t)lo - base < MW_PAGE_SIZE;
}

TEST(no_root_is_in_a_span_on_its_way)
{
	size_t roots = 0;

	begin_on_its_way(MW_POINTERS, 0);
	mw_roots_each_hand(count_in_it, &roots);
	CHECK_EQ(roots, 0);
	end_on_its_way();
}

/* The one walk that all others use. */
TEST(a_walk_over_spans_gives_those_that_may_be_read)
{
	struct mw_span_cursor cursor = { 0 }, raw = { 0 };
	size_t readable = 0, seen = 0;
	struct mw_span *span;

	begin_on_its_way(MW_COLLECTED, ~0ul);
	while ((span = mw_span_next(&cursor))) {
		CHECK(span != was.span && mw_span_of(span->base) == span);
		readable++;
	}
	while ((span = mw_span_next_raw(&raw)))
		seen += span == was.span;
	CHECK(readable > 0);
	CHECK_EQ(seen, 1);
	end_on_its_way();
}

/* ---- the collector's own frames ---- */

struct frames {
	const void *caller, *own; /* a place in the frame of who collects, and in one below */
	unsigned int caller_seen, own_seen;
};

static struct frames frames;

static void see_range(void *ctx, enum mw_root_kind kind, const char *name, const void *lo,
		      const void *hi, const struct mw_layout *layout)
{
	struct frames *f = ctx;

	(void)name, (void)layout;
	if (kind != MW_ROOT_STACK)
		return;
	f->caller_seen += f->caller >= lo && f->caller < hi;
	f->own_seen += f->own >= lo && f->own < hi;
}

static void see_stopped(struct mw_gc_listener *self, enum mw_gc_moment moment,
			const struct mw_gc_cycle *cycle)
{
	(void)cycle;
	if (moment != MW_GC_STOPPED)
		return;
	frames.own = &self;
	mw_roots_each(see_range, &frames);
}

/* What they hold is no root; what the caller's does is. */
TEST(frames_of_a_collection_are_no_roots)
{
	struct mw_gc_listener listener = { .moment = see_stopped };

	setup(8 << 20);
	frames = (struct frames){ .caller = &listener };
	mw_gc_listen(&listener);
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	mw_gc_unlisten(&listener);
	CHECK(frames.caller_seen > 0);
	CHECK_EQ(frames.own_seen, 0);
	CHECK(frames.own != NULL);
}

#endif
