// SPDX-License-Identifier: MIT
/*
 * What records keep alive. World stopped: nobody holds a lock; but interrupts free objects, and so take
 * records off, so a bucket's are walked with their lock.
 */
#include "special.h"

#if MW_GC

/* Return: false: there is no such bucket. */
static bool bucket_roots(struct mw_span *span, size_t i, mw_record_visit_fn *visit, void *ctx)
{
	unsigned long state = mw_lock(&span->records_lock);
	bool is = i < mw_record_lists(span);

	for (const struct mw_record *r = is ? *mw_record_list(span, i) : NULL; r; r = r->next) {
		const struct mw_record_ops *ops = &mw_record_kinds[r->kind];

		if (ops->roots)
			ops->roots(r, span, span->base + r->offset, visit, ctx);
	}
	mw_unlock(&span->records_lock, state);
	return is;
}

static void queue_roots(mw_record_visit_fn *visit, void *ctx)
{
	for (struct mw_record *r = mw_special.finalizers.first; r; r = r->next) {
		struct mw_finalizer *due = (struct mw_finalizer *)r;

		visit(ctx, "due finalizer", &r->object, &r->object + 1, NULL);
		visit(ctx, "due finalizer", &due->arg, &due->arg + 1, NULL);
	}
	for (struct mw_record *r = mw_special.cleanups.first; r; r = r->next) {
		struct mw_cleanup_record *due = (struct mw_cleanup_record *)r;

		visit(ctx, "due cleanup", &due->arg, &due->arg + 1, NULL);
	}
}

void mw_records_each_root(mw_record_visit_fn *visit, void *ctx)
{
	struct mw_span_cursor cursor = { 0 };
	size_t left = mw_word(&mw_special.spans);
	struct mw_span *span;

	while (left && (span = mw_span_next(&cursor))) {
		if (!__atomic_load_n(&span->records, __ATOMIC_RELAXED))
			continue;
		for (size_t i = 0; bucket_roots(span, i, visit, ctx); i++)
			;
		left--;
	}
	queue_roots(visit, ctx);
	if (mw_special.tables)
		visit(ctx, "tables", &mw_special.tables, &mw_special.tables + 1, NULL);
	mw_weaks_each_grabbed(visit, ctx);
	mw_tables_each_root(visit, ctx);
}

#endif
