/* SPDX-License-Identifier: MIT */
/*
 * Special records: what hangs on a few objects and costs nothing to the others.
 *
 * A record belongs to one byte of an object, nearly always its first, and has a kind. What a kind
 * means is a line of mw_record_kinds[] in kinds.c: what happens when the object dies or is freed by
 * hand, what it shows to the mark. The way of a record:
 *
 *	record.c   a span's records: found, added, removed, under the span's lock
 *	death.c    an object with records is not marked, or is freed by hand
 *	queue.c    calls that deaths made due, and who runs them
 *	roots.c    what records and due calls keep alive
 *
 * The rest are the kinds: finalizer.c, cleanup.c, weak.c, table.c (and table_mark.c), tag.c.
 *
 * A span is swept before its records are touched, by a CPU that stays pinned from then on: so that
 * no stop, and no mark, comes between. An unswept span's records are its sweeper's alone.
 */
#ifndef MW_SPECIAL_SPECIAL_H
#define MW_SPECIAL_SPECIAL_H

#include <marrow/gc.h>
#include "../object/object.h"
#include "../object/up.h"

#if MW_GC

/* In the order in which they stand, and end, on one byte. */
enum mw_record_kind {
	MW_RECORD_FINALIZER, /* first: it stops the object's death */
	MW_RECORD_SAMPLE, /* the object is one that the allocation profile chose */
	MW_RECORD_QUIET, /* the same, and its free need not be told: see mw_up_samples_look() */
	MW_RECORD_WEAK,
	MW_RECORD_KEY, /* the object is a key of weak-keyed tables */
	MW_RECORD_CLEANUP,
	MW_RECORD_TAG,
	MW_RECORD_IGNORED, /* by leak scans */
	MW_RECORD_SITE, /* the place that allocated it wants to know when it ends */
	MW_NR_RECORDS,
};

static inline bool mw_record_samples(enum mw_record_kind kind)
{
	return kind == MW_RECORD_SAMPLE || kind == MW_RECORD_QUIET;
}

struct mw_record {
	struct mw_record *next; /* in the bucket of its span, or in a queue */
	union {
		struct {
			uint32_t offset; /* of the byte, from span->base */
			uint32_t kind : 4, own : 28; /* own: the kind's, for what it likes */
		};
		void *object; /* of a finalizer that is due */
	};
};

struct mw_finalizer {
	struct mw_record record;
	void (*fn)(void *object, void *arg);
	void *arg;
};

struct mw_weak {
	struct mw_record record;
	_Atomic(void *) object; /* NULL: gone; changed under the span's records lock only */
	_Atomic(unsigned int) refs;
	_Atomic(unsigned int) state; /* enum mw_weak_state */
};

enum mw_weak_state {
	MW_WEAK_PLAIN,
	MW_WEAK_GRABBED, /* an interrupt got the object while a mark was under way */
};

/* mw_special.grabs: interrupts set SAID; the collector all, CLOSED from the end of a mark to the next one. */
#define MW_GRABS_OPEN 0ul
#define MW_GRABS_SAID 1ul /* a reference is MW_WEAK_GRABBED that the collector has not seen */
#define MW_GRABS_CLOSED 2ul /* too late: marks are final */

struct mw_key {
	struct mw_record record;
};

/* In a pool of its own, so that a handle to one that is gone still leads to one. */
struct mw_cleanup_record {
	struct mw_record record;
	void (*fn)(void *arg);
	void *arg;
	_Atomic(void *) object; /* NULL: not on an object any more */
	mw_atomic_t stamp; /* counts the lives of this record, see cleanup.c */
};

struct mw_tag {
	struct mw_record record;
	uintptr_t tag;
};

struct mw_ignored {
	struct mw_record record;
	void *object;
};

struct mw_sample {
	struct mw_record record; /* own: how many allocations it stands for */
	void *bucket; /* of mm/watch */
};

struct mw_site_record {
	struct mw_record record;
	void *site;
	size_t bytes;
};

/*
 * What a range of possible pointers is shown to, world stopped; @span: the range is one object of
 * it, whose type holds; NULL: words.
 */
typedef void mw_record_visit_fn(void *ctx, const char *name, const void *lo, const void *hi,
				const struct mw_span *span);

/* ---- a span's records: record.c ---- */

#define MW_RECORD_SHORT 2 /* so many are one list, without an index */
#define MW_RECORD_POOLS 10 /* indexes of 4 << pool buckets */
#define MW_RECORD_CROWD 2 /* records for each bucket before there are twice as many */

/*
 * The index of a span's records. Buckets are equal pieces of the span, in order, and each one's list
 * is sorted: so all lists, one after the other, are.
 */
struct mw_records {
	unsigned int count;
	unsigned int most; /* count at which it is to be replaced by a larger one */
	unsigned char shift; /* offset >> shift is the bucket */
	unsigned char pool;
	struct mw_record *last; /* the one that came last; NULL: it went */
	struct mw_record *bucket[];
};

static inline size_t mw_records_buckets(const struct mw_records *records)
{
	return (size_t)4 << records->pool;
}

/* Written under the lock; who reads it without one may see what was. 0: it has none. */
static inline uintptr_t mw_span_records(const struct mw_span *span)
{
	return __atomic_load_n(&span->records, __ATOMIC_ACQUIRE);
}

/* What mw_span_records() has said; NULL: there is no index. */
static inline struct mw_records *mw_records_index(uintptr_t word)
{
	return word & 1 ? (struct mw_records *)(word - 1) : NULL;
}

/* How many lists there are, which in their order have all records. */
static inline size_t mw_record_lists(const struct mw_span *span)
{
	uintptr_t word = mw_span_records(span);

	return word & 1 ? mw_records_buckets(mw_records_index(word)) : word != 0;
}

static inline struct mw_record **mw_record_list(struct mw_span *span, size_t i)
{
	struct mw_records *index = mw_records_index(mw_span_records(span));

	return index ? &index->bucket[i] : &span->record;
}

/* An object whose span is swept, its records locked, and this CPU pinned. */
struct mw_held {
	struct mw_span *span;
	uint32_t offset; /* of the address that was given */
	unsigned long state;
};

/*
 * Return: false: no live object begins there (nor is a tiny one's part there), or it is not the
 * collector's, which @collected wants.
 */
bool mw_records_hold(struct mw_held *held, const void *address, bool collected);
void mw_records_release(struct mw_held *held);
/* The link to the first record of the kind on the held byte; NULL: there is none. */
struct mw_record **mw_record_find(const struct mw_held *held, enum mw_record_kind kind);
/* The link to the first record that is on the held byte or behind it in its list; NULL: there is none. */
struct mw_record **mw_record_first(const struct mw_held *held);
/* Take a record off. @at: the link that leads to it. */
struct mw_record *mw_record_take(struct mw_span *span, struct mw_record **at);
/* Hang a record on an address. Not pinned. Return: false: as of hold, one is there, or no memory. */
bool mw_record_attach(const void *address, struct mw_record *record, bool collected);
/* The index of a span that has no records left; to be freed without the lock. NULL: not so. */
struct mw_records *mw_records_drop(struct mw_span *span);
void mw_records_free_index(struct mw_records *records);

/* ---- the kinds: kinds.c ---- */

enum mw_end {
	MW_END_DEAD, /* the sweep found it unmarked */
	MW_END_HAND, /* it is being freed by hand */
};

struct mw_record_ops {
	const char *name; /* in dumps */
	size_t size;
	bool several; /* on one byte, in the order in which they were added */
	bool before_finalizer; /* ends when a finalizer becomes due, not with the object */
	/*
	 * The object ends; the record is off, the lock held. Return: whether the record is free; if
	 * not, it is in the hands of whoever the kind gave it to.
	 */
	bool (*end)(struct mw_record *record, void *object, enum mw_end how);
	/* Show what it keeps alive. @object: the byte that it is on. May be NULL. */
	void (*roots)(const struct mw_record *record, const struct mw_span *span, void *object,
		      mw_record_visit_fn *visit, void *ctx);
};

extern const struct mw_record_ops mw_record_kinds[MW_NR_RECORDS];

bool mw_finalizer_end(struct mw_record *record, void *object, enum mw_end how);
bool mw_weak_end(struct mw_record *record, void *object, enum mw_end how);
bool mw_cleanup_end(struct mw_record *record, void *object, enum mw_end how);
bool mw_sample_end(struct mw_record *record, void *object, enum mw_end how);
bool mw_record_end(struct mw_record *record, void *object, enum mw_end how);
bool mw_site_record_end(struct mw_record *record, void *object, enum mw_end how);

void mw_record_free(enum mw_record_kind kind, void *record);
/* Report a second free of what this room handed out. Nothing held. */
MW_NOINLINE void mw_special_freed_twice(const void *what, const char *text);

/* ---- deaths: death.c; also mw_up_records_free() of ../object/up.h ---- */

/*
 * The caller is about to sweep the span, alone and pinned; it has records. Objects that finalizers
 * keep are marked. Return: false: those of some MW_SWEEP_STEP objects were looked at, and there are more.
 */
#define MW_SWEEP_STEP 48
bool mw_records_sweep(struct mw_span *span);
bool mw_span_marked(const struct mw_span *span, size_t index);
/* Quiet samples on objects that are not live end, in all spans. Not pinned. */
void mw_samples_look(void);
/* Is the address in an object that the mark has found, or in none that a mark could find? */
bool mw_object_marked(const void *address);

/* ---- check.c ---- */

/* Records and due calls. Nobody else may be inside. */
bool mw_special_check(void);

/* ---- due calls: queue.c ---- */

void mw_queue_finalizer(struct mw_finalizer *finalizer, void *object);
void mw_queue_cleanup(struct mw_cleanup_record *cleanup);
/* Everything is swept: have what is due run. */
void mw_calls_wake(void);
/* For a worker. Return: whether there is more. */
bool mw_calls_run(uint64_t budget_ns);

/* ---- roots: roots.c ---- */

/* World stopped. What records, due calls and tables keep alive. */
void mw_records_each_root(mw_record_visit_fn *visit, void *ctx);

/* ---- weak-keyed tables: table.c ---- */

struct mw_table_entry {
	struct mw_table_entry *next;
	void *key, *value;
	bool shown; /* of the collecting CPU: the value is, in this mark */
};

struct mw_chains {
	struct mw_table_entry **chain;
	unsigned int log2; /* of how many there are */
};

struct mw_weak_table {
	struct mw_lock lock; /* MW_RANK_CENTRAL; guards what follows up to the blank line */
	size_t count;
	size_t grow_at; /* the count at which more chains are asked for */
	struct mw_chains now;
	struct mw_chains old; /* are moved into those, from the first on; chain NULL: there are none */
	size_t moved; /* of the old ones; they are empty */

	unsigned long seed; /* never changes */
	const char *name;
	struct mw_weak_table *next; /* guarded by mw_special.registry */
};

/* Entries a chain, on average, above which a table without memory for more chains is full. */
#define MW_TABLE_CROWD 4u

/* Give back a list of entries that no table has. Nothing held that comes behind MW_RANK_META. */
void mw_table_free_list(struct mw_table_entry *entry);
bool mw_table_check(struct mw_weak_table *table);
/* All chains of a table, old ones first. Return: NULL: there is no @i-th. */
struct mw_table_entry **mw_table_chain(const struct mw_weak_table *table, size_t i);

/*
 * An address as a word of which the upper bits are as good as drawn by lot, whatever the addresses have in common.
 * Products bring what is below to the top, so the upper half is folded onto the lower one before each.
 */
static inline unsigned long mw_hash(uintptr_t address, unsigned long seed)
{
	const unsigned long odd =
		(unsigned long)(MW_WORD_BITS == 64 ? 0x9e3779b97f4a7c15ull : 0x9e3779b9ull);
	const unsigned int half = MW_WORD_BITS / 2;
	unsigned long word = address ^ seed;

	word = (word ^ word >> half) * odd;
	return (word ^ word >> half) * odd;
}

/* ---- a mark: weak.c, table_mark.c; world stopped ---- */

/* Before it begins: interrupts may grab. */
void mw_weaks_open(void);
/* Near its end. Return: references were grabbed since it was asked last; mw_weaks_each_grabbed() shows all. */
bool mw_weaks_look(void);
void mw_weaks_each_grabbed(mw_record_visit_fn *visit, void *ctx);
/* Nothing will be marked any more. Return: false: more were grabbed meanwhile. */
bool mw_weaks_close(void);
/* The sweep has begun: spans are unswept, and tell. */
void mw_weaks_settle(void);
/* Show values whose keys are marked, that were not shown yet. Return: whether there were any. */
bool mw_tables_show(mw_record_visit_fn *visit, void *ctx);
/* Show them all, shown or not. */
void mw_tables_each_root(mw_record_visit_fn *visit, void *ctx);
/* Drop entries whose keys are not marked. */
void mw_tables_settle(void);
/* An object that is a key is being freed by hand. No lock held. */
void mw_tables_forget(const void *key);

/* ---- the room's state ---- */

struct mw_call_queue {
	struct mw_record *first, *last;
	size_t length;
};

struct mw_special {
	struct mw_lock starting; /* MW_RANK_REGISTRY */
	_Atomic(bool) ready;
	struct mw_fixed pool[MW_NR_RECORDS];
	struct mw_fixed index[MW_RECORD_POOLS];
	mw_atomic_t spans; /* with records */

	struct mw_lock lock; /* MW_RANK_LEAF; guards what follows up to the blank line */
	struct mw_call_queue finalizers, cleanups; /* due */
	mw_atomic_t due; /* == the sum of both lengths */

	mw_atomic_t grabs; /* MW_GRABS_* */
	bool grabbed; /* of who is collecting: some were, in this mark */

	struct mw_lock registry; /* MW_RANK_REGISTRY; guards the list and the tables in it */
	struct mw_weak_table *tables;
	struct mw_fixed entries;
	/*
	 * Of all tables' hashes; set when the room is set up, from where it lies and what time it is then. So it
	 * differs from boot to boot where the kernel is put somewhere else each time or the clock is finer than
	 * the boot is exact; where both are the same each time, as in a simulation, so are the hashes.
	 */
	unsigned long seed;
};

extern struct mw_special mw_special;

MW_NOINLINE void mw_special_start(void);

static inline void mw_special_ready(void)
{
	if (mw_unlikely(!atomic_load_explicit(&mw_special.ready, memory_order_acquire)))
		mw_special_start();
}

MW_NOINLINE void *mw_record_new_far(enum mw_record_kind kind);

/* Records of a kind; zeroed when they are new. Not pinned. NULL: no memory. */
static inline void *mw_record_new(enum mw_record_kind kind)
{
	struct mw_record *record = NULL;

	if (mw_likely(atomic_load_explicit(&mw_special.ready, memory_order_acquire)))
		record = mw_fixed_alloc(&mw_special.pool[kind]);
	if (mw_unlikely(!record))
		record = mw_record_new_far(kind);
	if (mw_likely(record)) {
		record->kind = kind;
		record->own = 0;
	}
	return record;
}

#endif
#endif
