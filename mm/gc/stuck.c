// SPDX-License-Identifier: MIT
/*
 * Finalizers and cleanups that can never run: what they keep alive reaches their own object.
 *
 * Found at the beginning of a cycle, world stopped, by marks that are thrown away. The first one, from
 * all roots but records, leaves the objects that only records keep. From the record of each of them,
 * alone, one more mark is made: if it comes to the object, the object stays for ever. That is a mark
 * for each candidate, so there are at most MW_STUCK_MOST in a cycle; it is an aid for debugging.
 *
 * What is found is noted without its address as such: this is data, which ports show as roots.
 */
#include "gc.h"

#if MW_GC

#include "../base/report.h"

static void forget_marks(void)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	while ((span = mw_span_next(&cursor)))
		if (span->mark)
			mw_sweep_clear(span);
}

/* A candidate, until the marks that it was found with are gone. */
struct candidate {
	const struct mw_record *record;
	const struct mw_span *span;
};

static void note_stuck(struct mw_stuck *stuck, const struct mw_record *record, uintptr_t object)
{
	struct mw_stuck_one *one = &stuck->one[stuck->count++];

	one->kind = record->kind;
	one->hidden = ~object;
	if (record->kind == MW_RECORD_FINALIZER)
		one->fn = (uintptr_t)((const struct mw_finalizer *)record)->fn;
	else
		one->fn = (uintptr_t)((const struct mw_cleanup_record *)record)->fn;
}

/*
 * Of one span, with the marks of the first mark. Interrupts free objects, and take their records: so a list is
 * walked with the lock. Return: how many there are now.
 */
static size_t candidates_of(struct mw_span *span, struct candidate *list, size_t n)
{
	bool more = true;

	for (size_t i = 0; more; i++) {
		unsigned long state = mw_lock(&span->records_lock);
		const struct mw_record *r;

		more = i < mw_record_lists(span);
		for (r = more ? *mw_record_list(span, i) : NULL; r && n < MW_STUCK_MOST; r = r->next) {
			size_t index = mw_span_index(span, span->base + r->offset);

			if (mw_record_kinds[r->kind].roots && !mw_span_marked(span, index))
				list[n++] = (struct candidate){ r, span };
		}
		mw_unlock(&span->records_lock, state);
	}
	return n;
}

static size_t find_candidates(struct candidate *list)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;
	size_t n = 0;

	mw_mark_begin(1);
	mw_gc.stuck.looking = true;
	mw_roots_each(mw_mark_visit_root, NULL);
	mw_gc.stuck.looking = false;
	mw_mark_run(0, NULL);
	while ((span = mw_span_next(&cursor)))
		if (span->mark && span->records)
			n = candidates_of(span, list, n);
	forget_marks();
	return n;
}

void mw_stuck_find(void)
{
	struct candidate list[MW_STUCK_MOST];
	size_t n = find_candidates(list);

	mw_gc.stuck.count = 0;
	for (size_t i = 0; i < n; i++) {
		const struct mw_record *record = list[i].record;
		char *object = list[i].span->base + record->offset;

		mw_mark_begin(1);
		mw_record_kinds[record->kind].roots(record, list[i].span, object,
						    mw_mark_visit_range, NULL);
		mw_mark_run(0, NULL);
		if (mw_object_marked(object))
			note_stuck(&mw_gc.stuck, record, (uintptr_t)object);
		forget_marks();
	}
}

void mw_stuck_print(const struct mw_stuck *stuck)
{
	char name[64];

	for (size_t i = 0; i < stuck->count; i++) {
		const struct mw_stuck_one *one = &stuck->one[i];

		if (!mw_port_symbol(one->fn, name, sizeof(name)))
			mw_format(name, sizeof(name), "%p", (void *)one->fn);
		mw_print("marrow: %s %s of object %p never runs: it keeps its own object\n",
			 mw_record_kinds[one->kind].name, name, (void *)~one->hidden);
	}
}

#endif
