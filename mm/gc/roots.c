/* SPDX-License-Identifier: MIT */
/*
 * Roots: one walk over everything that is reached without being pointed to.
 *
 * The lists are guarded by the registry lock while the world runs; the walk is made with the world
 * stopped, when nobody holds it.
 */
#include "gc.h"
#include "../base/state.h"
#include "../page/page.h"
#include "../page/stock.h"

#if MW_GC

static size_t pin_bucket(const void *object)
{
	return mw_hash((uintptr_t)object, 0) / (~0ul / MW_LEN(mw_gc.pins) + 1);
}

/* A fixed-size record, made before the lock is taken: its allocator may need pages. */
static void *record_new(struct mw_fixed *records)
{
	mw_gc_ready();
	return mw_fixed_alloc(records);
}

static bool refuse_range(const void *lo, const char *text)
{
	struct mw_report report = { .what = MW_BAD_REQUEST, .address = lo, .text = text };

	mw_misuse(&report);
	return false;
}

bool mw_gc_root_add(const char *name, const void *lo, const void *hi, struct mw_type *layout)
{
	const struct mw_layout *made = NULL;
	struct mw_root *root;
	unsigned long state;

	if ((uintptr_t)lo % sizeof(void *) || (uintptr_t)hi % sizeof(void *) || hi < lo)
		return refuse_range(lo, "a root range is not whole words");
	if (layout && !(made = mw_layout_of(layout)))
		return false;
	if (made && !mw_layout_fits(made, (size_t)((const char *)hi - (const char *)lo)))
		return refuse_range(lo, "a root range is not whole objects of its type");
	root = record_new(&mw_gc.root_records);
	if (!root)
		return false;
	*root = (struct mw_root){ .name = name, .lo = lo, .hi = hi, .layout = made };
	state = mw_lock(&mw_gc.registry);
	root->next = mw_gc.roots;
	mw_gc.roots = root;
	mw_unlock(&mw_gc.registry, state);
	return true;
}

bool mw_gc_root_remove(const void *lo)
{
	unsigned long state = mw_lock(&mw_gc.registry);
	struct mw_root **at = &mw_gc.roots, *root;

	while (*at && (*at)->lo != lo)
		at = &(*at)->next;
	root = *at;
	if (root)
		*at = root->next;
	mw_unlock(&mw_gc.registry, state);
	if (root)
		mw_fixed_free(&mw_gc.root_records, root);
	return root != NULL;
}

static struct mw_pin **pin_find(const void *object)
{
	struct mw_pin **at = &mw_gc.pins[pin_bucket(object)];

	while (*at && (*at)->object != object)
		at = &(*at)->next;
	return at;
}

bool mw_pin(void *object, const char *owner)
{
	struct mw_pin *fresh, **at;
	unsigned long state;

	if (!mw_gc_is_object(object))
		return false;
	fresh = record_new(&mw_gc.pin_records);
	if (!fresh)
		return false;
	*fresh = (struct mw_pin){ .object = object, .owner = owner, .count = 1 };
	state = mw_lock(&mw_gc.registry);
	at = pin_find(object);
	if (*at) {
		(*at)->count++;
	} else {
		*at = fresh;
		fresh = NULL;
	}
	mw_unlock(&mw_gc.registry, state);
	if (fresh)
		mw_fixed_free(&mw_gc.pin_records, fresh);
	return true;
}

bool mw_unpin(void *object)
{
	unsigned long state = mw_lock(&mw_gc.registry);
	struct mw_pin **at = pin_find(object), *pin = *at;
	bool last = pin && !--pin->count;

	if (last)
		*at = pin->next;
	mw_unlock(&mw_gc.registry, state);
	if (last)
		mw_fixed_free(&mw_gc.pin_records, pin);
	return pin != NULL;
}

struct port_walk {
	mw_each_root_fn *visit;
	void *ctx;
};

/*
 * Marrow's own variables, which a port that shows all of data and bss shows too. They hold no
 * references to objects, but addresses that look like some: the first byte of a region, or the end of a page of
 * records, behind which an object may begin.
 */
static const struct {
	const void *at;
	size_t size;
} own[] = {
	{ &mw_base, sizeof(mw_base) },
	{ mw_map_root, sizeof(mw_map_root) },
	{ &mw_map_flat, sizeof(mw_map_flat) },
	{ &mw_page, sizeof(mw_page) },
	{ mw_page_stocks, sizeof(mw_page_stocks) },
	{ &mw_object, sizeof(mw_object) },
	{ &mw_gc, sizeof(mw_gc) },
};

/* The first of them that has a part in [@lo, @hi); MW_LEN(own): there is none. */
static size_t next_own(const void *lo, const void *hi)
{
	size_t best = MW_LEN(own);

	for (size_t i = 0; i < MW_LEN(own); i++) {
		if ((uintptr_t)own[i].at + own[i].size <= (uintptr_t)lo ||
		    (uintptr_t)own[i].at >= (uintptr_t)hi)
			continue;
		if (best == MW_LEN(own) || (uintptr_t)own[i].at < (uintptr_t)own[best].at)
			best = i;
	}
	return best;
}

static void port_range(void *ctx, enum mw_root_kind kind, const char *name, const void *lo,
		       const void *hi)
{
	struct port_walk *walk = ctx;
	size_t i;

	if (kind == MW_ROOT_STACK && mw_gc.floor > (const char *)lo && mw_gc.floor < (const char *)hi)
		lo = mw_gc.floor;
	while ((i = next_own(lo, hi)) < MW_LEN(own)) {
		if ((uintptr_t)lo < (uintptr_t)own[i].at)
			walk->visit(walk->ctx, kind, name, lo, own[i].at, NULL);
		lo = (const char *)own[i].at + own[i].size;
	}
	if ((uintptr_t)lo < (uintptr_t)hi)
		walk->visit(walk->ctx, kind, name, lo, hi, NULL);
}

/* Those that were declared to hold pointers: all that are live. */
void mw_roots_each_hand(mw_each_root_fn *visit, void *ctx)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	while ((span = mw_span_next(&cursor))) {
		if ((span->flags & MW_SPAN_COLLECTED) || !(span->flags & MW_SPAN_POINTERS))
			continue;
		for (size_t w = 0; w < span->words; w++) {
			unsigned long live = mw_span_live_word(span, w) & mw_span_mask(span, w);

			for (; live; live &= live - 1) {
				char *object =
					mw_span_object(span, w * MW_WORD_BITS + mw_lowest_bit(live));

				visit(ctx, MW_ROOT_OTHER, "object", object, object + span->size,
				      mw_span_layout(span));
			}
		}
	}
}

/* Conservatively: an interrupt may still be filling them in. */
void mw_roots_each_born(mw_each_root_fn *visit, void *ctx)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	if (!mw_word(&mw_gc.marking.births))
		return;
	while ((span = mw_span_next(&cursor))) {
		if (!mw_span_newborn(span))
			continue;
		for (size_t i = 0; span->scanned && i < span->count; i++) {
			char *object = mw_span_object(span, i);

			if (mw_span_live(span, i))
				visit(ctx, MW_ROOT_OTHER, "born during the mark", object,
				      object + span->size, NULL);
		}
	}
}

static void record_range(void *ctx, const char *name, const void *lo, const void *hi,
			 const struct mw_span *span)
{
	struct port_walk *walk = ctx;

	walk->visit(walk->ctx, MW_ROOT_OTHER, name, lo, hi, span ? mw_span_layout(span) : NULL);
}

/* Whatever calls left behind below this frame would be found in the gaps of those that follow. */
static MW_NOINLINE void clear_stack(void)
{
	uintptr_t frames[112];

	for (volatile uintptr_t *at = frames; at < frames + MW_LEN(frames); at++)
		*at = 0;
}

static MW_NOINLINE void each_root(mw_each_root_fn *visit, void *ctx)
{
	struct port_walk walk = { visit, ctx };

	if (!mw_gc.stuck.looking)
		mw_records_each_root(record_range, &walk);
	for (struct mw_root *root = mw_gc.roots; root; root = root->next)
		visit(ctx, MW_ROOT_DATA, root->name, root->lo, root->hi, root->layout);
	for (size_t i = 0; i < MW_LEN(mw_gc.pins); i++)
		for (struct mw_pin *pin = mw_gc.pins[i]; pin; pin = pin->next)
			visit(ctx, MW_ROOT_OTHER, pin->owner, &pin->object, &pin->object + 1, NULL);
	if (mw_word(&mw_gc.wide.mode) == MW_WIDE_NOT)
		mw_roots_each_hand(visit, ctx);
	mw_port_scan_roots(port_range, &walk);
}

void mw_roots_each(mw_each_root_fn *visit, void *ctx)
{
	clear_stack();
	each_root(visit, ctx);
}

bool mw_roots_check(void)
{
	size_t roots = 0, pins = 0;

	for (const struct mw_root *root = mw_gc.roots; root; root = root->next) {
		MW_CHECK(root, roots++ < mw_word(&mw_gc.root_records.in_use));
		MW_CHECK(root, root->lo <= root->hi);
		MW_CHECK(root, !(((uintptr_t)root->lo | (uintptr_t)root->hi) % sizeof(void *)));
	}
	for (size_t i = 0; i < MW_LEN(mw_gc.pins); i++) {
		for (const struct mw_pin *pin = mw_gc.pins[i]; pin; pin = pin->next) {
			MW_CHECK(pin, pin_bucket(pin->object) == i);
			MW_CHECK(pin, pins++ < mw_word(&mw_gc.pin_records.in_use));
			MW_CHECK(pin, pin->count);
			MW_CHECK(pin, mw_gc_is_object(pin->object));
		}
	}
	return true;
}

#endif
