// SPDX-License-Identifier: MIT
/* The kinds of records, a line each, and the state of the room. */
#include "special.h"

#if MW_GC

#include "../base/report.h"
#include "../page/up.h"

struct mw_special mw_special = { .starting = MW_LOCK_INIT(MW_RANK_REGISTRY),
				 .registry = MW_LOCK_INIT(MW_RANK_REGISTRY) };

static void show_word(void *const *word, const char *name, mw_record_visit_fn *visit, void *ctx)
{
	if (*word)
		visit(ctx, name, word, word + 1, NULL);
}

/*
 * All that the object points to, but not the object: it has to be possible to find it unreached. A
 * part of a tiny block points to nothing.
 */
static void finalizer_roots(const struct mw_record *record, const struct mw_span *span,
			    void *object, mw_record_visit_fn *visit, void *ctx)
{
	const struct mw_finalizer *finalizer = (const struct mw_finalizer *)record;

	show_word(&finalizer->arg, "finalizer", visit, ctx);
	if (span->scanned)
		visit(ctx, "finalizer", object, (char *)object + span->size, span);
}

static void cleanup_roots(const struct mw_record *record, const struct mw_span *span, void *object,
			  mw_record_visit_fn *visit, void *ctx)
{
	(void)span, (void)object;
	show_word(&((const struct mw_cleanup_record *)record)->arg, "cleanup", visit, ctx);
}

/* It is as if something pointed to the object, and so to all that it points to. */
static void ignored_roots(const struct mw_record *record, const struct mw_span *span, void *object,
			  mw_record_visit_fn *visit, void *ctx)
{
	(void)span, (void)object;
	show_word(&((const struct mw_ignored *)record)->object, "ignored by leak scans", visit, ctx);
}

bool mw_record_end(struct mw_record *record, void *object, enum mw_end how)
{
	(void)record, (void)object, (void)how;
	return true;
}

bool mw_sample_end(struct mw_record *record, void *object, enum mw_end how)
{
	const struct mw_sample *sample = (const struct mw_sample *)record;

	mw_up_sample_end(sample->bucket, record->own, object, how == MW_END_DEAD);
	return true;
}

const struct mw_record_ops mw_record_kinds[MW_NR_RECORDS] = {
	[MW_RECORD_FINALIZER] = {
		.name = "finalizer",
		.size = sizeof(struct mw_finalizer),
		.before_finalizer = true,
		.end = mw_finalizer_end,
		.roots = finalizer_roots,
	},
	[MW_RECORD_SAMPLE] = {
		.name = "sample",
		.size = sizeof(struct mw_sample),
		.end = mw_sample_end,
	},
	[MW_RECORD_QUIET] = {
		.name = "sample",
		.size = sizeof(struct mw_sample),
		.end = mw_sample_end,
	},
	[MW_RECORD_WEAK] = {
		.name = "weak",
		.size = sizeof(struct mw_weak),
		.several = true,
		.before_finalizer = true,
		.end = mw_weak_end,
	},
	[MW_RECORD_KEY] = {
		.name = "key",
		.size = sizeof(struct mw_key),
		.end = mw_record_end,
	},
	[MW_RECORD_CLEANUP] = {
		.name = "cleanup",
		.size = sizeof(struct mw_cleanup_record),
		.several = true,
		.end = mw_cleanup_end,
		.roots = cleanup_roots,
	},
	[MW_RECORD_TAG] = {
		.name = "tag",
		.size = sizeof(struct mw_tag),
		.end = mw_record_end,
	},
	[MW_RECORD_IGNORED] = {
		.name = "ignored",
		.size = sizeof(struct mw_ignored),
		.end = mw_record_end,
		.roots = ignored_roots,
	},
	[MW_RECORD_SITE] = {
		.name = "site",
		.size = sizeof(struct mw_site_record),
		.end = mw_site_record_end,
	},
};

MW_NOINLINE void *mw_record_new_far(enum mw_record_kind kind)
{
	struct mw_record *record;

	mw_special_ready();
	do
		record = mw_fixed_alloc(&mw_special.pool[kind]);
	while (!record && mw_meta_refill());
	return record;
}

void mw_record_free(enum mw_record_kind kind, void *record)
{
	mw_fixed_free(&mw_special.pool[kind], record);
}

MW_NOINLINE void mw_special_freed_twice(const void *what, const char *text)
{
	struct mw_report report = { .what = MW_DOUBLE_FREE, .address = what, .text = text };

	mw_misuse(&report);
}

void mw_special_start(void)
{
	unsigned long state = mw_lock(&mw_special.starting);

	if (!atomic_load_explicit(&mw_special.ready, memory_order_relaxed)) {
		for (unsigned int i = 0; i < MW_NR_RECORDS; i++)
			mw_fixed_init(&mw_special.pool[i], mw_record_kinds[i].size, MW_USE_RECORDS,
				      NULL);
		for (unsigned int i = 0; i < MW_RECORD_POOLS; i++)
			mw_fixed_init(&mw_special.index[i],
				      sizeof(struct mw_records) +
					      ((size_t)4 << i) * sizeof(struct mw_record *),
				      MW_USE_RECORDS, NULL);
		mw_fixed_init(&mw_special.entries, sizeof(struct mw_table_entry), MW_USE_RECORDS,
			      NULL);
		mw_special.seed = mw_hash((uintptr_t)&mw_special, (unsigned long)mw_port_now());
		mw_lock_init(&mw_special.lock, MW_RANK_LEAF);
		atomic_store_explicit(&mw_special.ready, true, memory_order_release);
	}
	mw_unlock(&mw_special.starting, state);
}

void mw_special_reset(void);
void mw_special_reset(void)
{
	__builtin_memset((void *)&mw_special, 0, sizeof(mw_special));
	mw_lock_init(&mw_special.starting, MW_RANK_REGISTRY);
	mw_lock_init(&mw_special.registry, MW_RANK_REGISTRY);
}

#endif
