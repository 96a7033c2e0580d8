/* SPDX-License-Identifier: MIT */
/*
 * The collector: mark and sweep, not moving, the mark on all CPUs with the world stopped, the sweep
 * lazy and in the background.
 *
 * The way of a collection is mw_gc_collect() in cycle.c, a call a step:
 *
 *	finish the last sweep   sweep.c   no span is unswept when marks are made
 *	stop                    the port
 *	flush                   mm/object no CPU owns a span: free words tell what is allocated
 *	next generation         sweep.c   every collected span is now unswept
 *	mark                    roots.c shows ranges, mark.c turns words into marks and marks into scans
 *	start                   the port
 *	sweep                   sweep.c   whoever needs a span first, and a worker behind them all
 *
 * A mark may be a wide one, which looks at hand-managed objects too: wide.c gives them bits, leak.c
 * and safe.c want them.
 *
 * layout.c knows where the pointers of a type are; pace.c when the next cycle is due; alloc.c what is
 * allocated for the collector; check.c marks again and compares.
 *
 * Nothing here allocates between stop and start, and nothing recurses.
 */
#ifndef MW_GC_GC_H
#define MW_GC_GC_H

#include <marrow/gc.h>
#include <marrow/watch.h>
#include "../object/object.h"
#include "../object/up.h"
#include "../special/special.h"
#include "layout.h"

#if MW_GC

#define MW_MAX_MARKERS 32
#define MW_MAX_RANGES                                                                              \
	1024 /* root ranges dealt out to markers; more are marked where they are found */

/* ---- marking: mark.c ---- */

/* A queue of spans, first in first out, linked through span->gc_next. */
struct mw_span_queue {
	struct mw_span *first, *last;
	size_t length;
};

struct mw_marker {
	struct mw_span_queue own; /* of this marker alone */
	size_t objects, bytes; /* marked */
	size_t words; /* looked at */
	unsigned long steals, yields, handovers;
} __attribute__((aligned(MW_CACHE_LINE)));

/* A range of possible pointers, dealt out in pieces. */
struct mw_range {
	const uintptr_t *lo, *hi;
	const struct mw_layout *layout; /* NULL: every word may be one */
};

struct mw_marking {
	struct mw_marker marker[MW_MAX_MARKERS];
	unsigned int markers; /* most that run; 1: no locked instructions */
	struct mw_lock lock; /* MW_RANK_LEAF: guards shared */
	struct mw_span_queue shared;
	mw_atomic_t shared_length; /* == shared.length; read without the lock */
	/*
	 * Markers that have work or may take some. A marker counts itself in before it takes a span
	 * or a range and out when it has none, so: 0 means that no span is queued and no range left.
	 * One that comes late finds nothing, and leaves.
	 */
	mw_atomic_t busy;
	mw_atomic_t hungry; /* waiting for others to share */
	mw_atomic_t births; /* spans born during this mark */
	uintptr_t lo,
		bytes; /* of all regions, with what lies between them: most words point elsewhere */
	/* mw_map_flat as it was when the world stopped; what of it goes stays readable until the world runs. */
	uintptr_t flat, flat_bytes;
	mw_span_word *flat_spans;
	struct mw_range range[MW_MAX_RANGES];
	size_t ranges;
	mw_atomic_t next_range;
};

/* Run by every marker at once, between stop and start. */
void mw_mark_run(unsigned int worker, void *arg);
/* Forget the last mark; @markers will run. */
void mw_mark_begin(unsigned int markers);
/* Once more, for what is added now, alone. Marks and counts stay. */
void mw_mark_again(void);
/* A range of roots, before the markers run. */
void mw_mark_add_range(const void *lo, const void *hi, const struct mw_layout *layout);
/* The same, as walks over roots (mw_each_root_fn) and over records (mw_record_visit_fn) want it. */
void mw_mark_visit_root(void *ctx, enum mw_root_kind kind, const char *name, const void *lo,
			const void *hi, const struct mw_layout *layout);
void mw_mark_visit_range(void *ctx, const char *name, const void *lo, const void *hi,
			 const struct mw_span *span);
/* A span in which there is something marked that is not scanned, before the markers run. */
void mw_mark_queue(struct mw_span *span);

/* ---- roots: roots.c ---- */

struct mw_root {
	const char *name;
	const void *lo, *hi;
	const struct mw_layout *layout;
	struct mw_root *next;
};

struct mw_pin {
	void *object;
	const char *owner;
	unsigned long count;
	struct mw_pin *next;
};

/*
 * Every root there is: registered ranges, pins, hand-managed objects that hold pointers, and what
 * the port shows. The mark, the heap dump and the check all use this walk. World stopped.
 */
typedef void mw_each_root_fn(void *ctx, enum mw_root_kind kind, const char *name, const void *lo,
			     const void *hi, const struct mw_layout *layout);
void mw_roots_each(mw_each_root_fn *visit, void *ctx);
/* Registered ranges and pins against what they should be. Nobody else is inside. */
bool mw_roots_check(void);
/* Of these, the hand-managed objects. In a wide mark they are objects as others, and no roots. */
void mw_roots_each_hand(mw_each_root_fn *visit, void *ctx);
/* After a mark, those that interrupts allocated during it: they live, so they are as roots. */
void mw_roots_each_born(mw_each_root_fn *visit, void *ctx);

/* ---- sweeping: sweep.c ---- */

#define MW_GENERATION_STEP 4u
#define MW_GENERATION_MARKING 2u

struct mw_sweeping {
	/*
	 * 4 * cycles + 1, and MW_GENERATION_MARKING while the world is stopped for a mark: one word, so
	 * that whoever makes a span learns both at once. A span's generation is
	 *	0:      no span of the collector's
	 *	4 less: it has not been swept since the mark
	 *	3 less: somebody is sweeping it
	 *	equal:  swept, or born since
	 *	4 more: born during the mark that is under way
	 */
	_Atomic(unsigned int) generation;
	mw_atomic_t swept_background, swept_demand; /* spans in this cycle */
	struct mw_lock lock; /* MW_RANK_LEAF: guards what follows */
	struct mw_span_cursor cursor; /* of the walk over all spans */
	bool done_walking;
};

/* What is born from now on is born marked. World stopped. */
void mw_sweep_hold(void);
/* The mark is over: every span that was there before it is unswept. */
void mw_sweep_begin(void);
/* Was it born during the mark that is under way? */
bool mw_span_newborn(const struct mw_span *span);
/* One step of the background's; false: there is nothing left. */
bool mw_sweep_step(void);
/* An allocation that is about to take pages sweeps so many spans first. */
void mw_sweep_help(size_t spans);
/* Until no span is unswept. Not pinned. */
void mw_sweep_finish(void);
void mw_sweep_clear(struct mw_span *span);

/* ---- pacing: pace.c ---- */

struct mw_pace {
	struct mw_gc_policy policy;
	mw_atomic_t marked; /* bytes that lived at the last mark */
	mw_atomic_t since; /* bytes set aside for allocation since */
	mw_atomic_t goal; /* a cycle is due when both together reach it: */
	mw_atomic_t room; /* == goal - marked */
	mw_atomic_t due; /* it did */
	mw_atomic_t pages; /* of collected spans: a cycle brings no more */
	mw_atomic_t allocations, every; /* collect at each every-th; 0: not */
	/* Of forced cycles, see pace.c; of who is collecting. */
	int64_t credit; /* may be spent; thousandths of ns: a 64-bit division is a call on small machines */
	uint64_t earned_at; /* when the credit last grew */
	unsigned int useless; /* cycles in a row that freed next to nothing, as far as they are counted */
	/* Set aside by each CPU and not added to since yet; that CPU's, pinned. */
	struct {
		mw_atomic_t bytes;
	} __attribute__((aligned(MW_CACHE_LINE))) cpu[MW_MAX_CPUS];
};

void mw_pace_init(void);
/* At the end of a mark that found @bytes living. */
void mw_pace_marked(size_t bytes);
size_t mw_pace_live(void);
/* The same with what CPUs have not added yet. */
size_t mw_pace_about(void);
/* Is a cycle due, of the heap or of safe free; so much that an allocation should wait for it? */
bool mw_pace_due(void);
bool mw_pace_overdue(void);
/*
 * Cycles that allocations wait for are refused once they have had their share of the time. If it is
 * the @last_resort, only if little was allocated since the last one, or that one was no use.
 */
bool mw_pace_may_force(bool last_resort);
/* One took @ns. */
void mw_pace_forced(uint64_t ns, const struct mw_gc_cycle *cycle);

/* ---- allocating: alloc.c ---- */

/* Arrays of one type, or objects with a flexible array, of one size class. */
struct mw_type_array {
	struct mw_cache *cache;
	size_t size;
	struct mw_type_array *next;
};

/* ---- wide marks: wide.c ---- */

enum mw_wide_mode {
	MW_WIDE_NOT,
	MW_WIDE_LEAK, /* hand-managed objects are marked if they are reached */
	MW_WIDE_SAFE, /* all that live are marked from the beginning; what is held back may be reached */
};

/* Bitmaps of one span for the length of a mark; of leak scans the first one is for two marks. */
#define MW_WIDE_BITMAPS 3

struct mw_wide_span {
	struct mw_span *span; /* NULL: it went */
	/* Which of the span's lives it is. */
	char *base;
	const struct mw_cache *cache;
	size_t stride;
	unsigned int count;
	bool fresh; /* the last mark did not have it */
	size_t words;
	/* missed by the last mark, or held back when this one began; then marked; then scanned */
	mw_atomic_t bits[];
};

static inline mw_atomic_t *mw_wide_mark(struct mw_wide_span *wide)
{
	return wide->bits + wide->words;
}

static inline mw_atomic_t *mw_wide_scanned(struct mw_wide_span *wide)
{
	return wide->bits + 2 * wide->words;
}

struct mw_wide_chunk {
	struct mw_wide_chunk *next;
	size_t pages, used; /* used: bytes, with this */
};

struct mw_wide_cursor {
	struct mw_wide_chunk *chunk;
	size_t at;
};

struct mw_wide {
	mw_atomic_t mode; /* of the cycle that is about to begin, or its mark; asked by interrupts */
	struct mw_wide_chunk *chunks, *last; /* last: with room for the next record */
	size_t room; /* bytes of all chunks */
	bool scarce; /* it will not do for all: only spans in which something is held back have records */
	_Atomic(uintptr_t) left; /* spans that interrupts emptied, by the first half of their links */
};

/*
 * Before the stop: take scratch for all spans there are, hand-managed or @collected ones.
 * Return: false: no memory for all of it.
 */
bool mw_wide_room(bool collected);
/* Give it all back. */
void mw_wide_drop(void);
/* No record is one of the last mark's any more. */
void mw_wide_forget(void);
/* World stopped and flushed, marking begun. Return: whether there was room for each span. */
bool mw_wide_begin(void);
/* A new record, but for what it says of the span. NULL: no room. */
struct mw_wide_span *mw_wide_record(struct mw_span *span);
struct mw_wide_span *mw_wide_next(struct mw_wide_cursor *cursor);
/* Is the span still the one that the record was made for? */
bool mw_wide_readable(const struct mw_wide_span *wide);
/* The mark is over: spans have no bits any more, the records keep them. */
void mw_wide_take_bits(void);
/* What interrupts left is given back. */
void mw_wide_end(void);
/* A cycle's figures are of collected objects alone. */
void mw_wide_recount(struct mw_gc_cycle *cycle);

/* ---- leaks: leak.c ---- */

struct mw_leak_found;

struct mw_leak {
	struct mw_leak_found *found; /* NULL: the first of two marks */
	bool complete; /* every span had its bits */
	bool missed; /* something was, by the first mark: then there is a second one */
};

/* After the mark of a cycle of mode MW_WIDE_LEAK. The mark goes on as any other cycle's. */
void mw_leak_look(void);
/*
 * cycle.c: one cycle, two if something is missed. @floor: of the caller's stack, below is no root.
 * Return: false: not done, no memory or a CPU did not stop.
 */
bool mw_gc_collect_leaks(struct mw_leak_found *found, const void *floor);

/* ---- safe free: safe.c ---- */

struct mw_safe {
	_Atomic(bool) on; /* for some cache; set by who holds the world, asked by all */
	mw_atomic_t hold, percent; /* of the policy */
	mw_atomic_t fresh; /* bytes held back since the last mark */
	mw_atomic_t looked; /* bytes that that mark looked at */
	mw_atomic_t rested; /* when marks have had no more than their share of the time; in ticks() */
	mw_atomic_t told; /* the worker was, since then */
	/* Of who is collecting. */
	size_t kept; /* bytes that the last mark found pointers to */
	unsigned long released, marks; /* objects, ever */
};

/* Is a mark due; is as much as one @part more held; would one give memory back? */
bool mw_safe_due(void);
bool mw_safe_overdue(unsigned int part);
bool mw_safe_worth(void);
/* Let the cycle that is about to begin do it, if it is due, or @asked for. */
void mw_safe_choose(bool asked);
/* After the mark of a cycle of mode MW_WIDE_SAFE. */
void mw_safe_look(void);
/* The world runs again, since @now; it stood for @ns. */
void mw_safe_rest(uint64_t now, uint64_t ns);

/* ---- the room's state ---- */

#define MW_STUCK_MOST 32

/* What mw_cleanups_stuck() has found; of who is collecting. */
struct mw_stuck {
	bool wanted; /* by the next cycle */
	bool looking; /* records are no roots */
	size_t count;
	struct mw_stuck_one {
		unsigned int kind; /* enum mw_record_kind */
		uintptr_t hidden; /* the object, complemented */
		uintptr_t fn;
	} one[MW_STUCK_MOST];
};

#define MW_BAD_MOST 4 /* reports of bad pointers in one check */

/* The second mark, see check.c; of who is collecting. Addresses are complemented, 0: none. */
struct mw_second {
	struct mw_span_queue queue;
	struct mw_span *holder; /* being looked at; NULL: a root */
	char *object; /* and which of its objects, or where the root begins */
	bool locked; /* a lock may be held while words of the root are shown */
	const char *root; /* the last one that was looked at */
	uintptr_t target; /* an object whose holder is looked for */
	uintptr_t from; /* the holder; 0: from_root */
	const char *from_root;
	unsigned int bad_count;
	struct mw_bad_pointer {
		uintptr_t holder, value, word; /* holder 0: root; word: where the value is */
		const struct mw_type *type; /* of the holder */
		const char *root;
		size_t offset;
	} bad[MW_BAD_MOST];
};

struct mw_gc {
	struct mw_wide wide;
	struct mw_leak leak;
	struct mw_safe safe;
	struct mw_stuck stuck;
	struct mw_second second;
	struct mw_marking marking;
	struct mw_sweeping sweeping;
	struct mw_pace pace;
	mw_atomic_t collecting; /* a CPU is in mw_gc_collect() */
	const char *floor; /* of that CPU's stack: below is the collector's */
	struct mw_gc_cycle cycle; /* under way, or the last one; of who is collecting */
	mw_atomic_t swept_cycle; /* number of the last cycle that was swept to its end */
	struct mw_lock registry; /* MW_RANK_REGISTRY: guards the lists that follow */
	struct mw_gc_listener *_Atomic listeners; /* written under registry, its head also while a cycle walks it */
	struct mw_root *roots;
	struct mw_pin *pins[256]; /* by hash of the object */
	struct mw_fixed root_records, pin_records, array_records;
	mw_atomic_t trace;
	_Atomic(unsigned int) debug; /* MW_GC_DEBUG_* */
	mw_atomic_t cycles;
	uint64_t pause_total, pause_max; /* registry lock */
	struct mw_pause pauses[MW_PAUSES]; /* the n-th at n % MW_PAUSES; registry lock */
	size_t paused; /* how often; registry lock */
	bool check_wanted,
		check_ok; /* a second mark, and what came of the last one; of who is collecting */
	_Atomic(bool) ready;
};

extern struct mw_gc mw_gc;

/* Set up what the first use needs. */
void mw_gc_start(void);

static inline void mw_gc_ready(void)
{
	if (mw_unlikely(!atomic_load_explicit(&mw_gc.ready, memory_order_acquire)))
		mw_gc_start();
}

static inline unsigned int mw_span_flags(const struct mw_span *span)
{
	return atomic_load_explicit(&((struct mw_span *)span)->flags, memory_order_acquire);
}

static inline const struct mw_layout *mw_span_layout(const struct mw_span *span)
{
	struct mw_type *type = (struct mw_type *)span->type;

	return type ? atomic_load_explicit(&type->layout, memory_order_acquire) : NULL;
}

/* stuck.c; world stopped, before the mark. */
void mw_stuck_find(void);
void mw_stuck_print(const struct mw_stuck *stuck);
/* special.c; world stopped, after the mark: what weak-keyed tables and interrupts keep. Then marks are final. */
void mw_mark_specials(void);
/* cycle.c; world stopped: until every interrupt handler that runs on a stopped CPU has ended. */
void mw_handlers_wait(void);
/*
 * check.c. Does somebody want a second mark? Before the stop: take scratch for one; false: no memory. World stopped,
 * after the first one: make it, and note in check_ok whether it agrees. The world runs: give the scratch back.
 */
bool mw_check_wanted(void);
bool mw_check_begin(void);
void mw_check_marks(void);
void mw_check_end(void);
/* check_lists.c; nobody else is inside: what holds between two cycles. */
bool mw_gc_check_lists(void);
/* cycle.c */
/* One that an allocation waits for, unless one began meanwhile. Return: false: refused, or failed. */
bool mw_gc_collect_forced(enum mw_collect how, bool last_resort);
/* One that the worker makes, if it is still due. Return: false: somebody else is collecting, ask again. */
bool mw_gc_collect_due(void);
/* mw_gc_listen() for who may be in the list already. Return: false: it was. */
bool mw_gc_listen_once(struct mw_gc_listener *listener);
void mw_gc_announce(enum mw_gc_moment moment);
/* line.c: what is known of a cycle when all of it is swept. */
void mw_gc_print_line(const struct mw_gc_cycle *cycle);
/*
 * Stop the world with everything swept, and no cycle before mw_gc_release(). Not pinned.
 * Return: false: a CPU did not stop, which is reported; the world runs.
 */
bool mw_gc_hold(void);
void mw_gc_release(void);
/* mw_pauses(), and how long they were. */
size_t mw_gc_pauses(struct mw_pause *last, size_t most, uint64_t *total, uint64_t *longest);
/*
 * The walk over all spans has ended: note what the cycle came to, if nobody did. Not pinned.
 * Return: false: somebody is collecting, ask again.
 */
bool mw_gc_all_swept(void);

#endif
#endif
