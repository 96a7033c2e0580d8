/* SPDX-License-Identifier: MIT */
/*
 * Marrow: the collector, and what hangs on a mark: finalizers, cleanups, weak references, leak scan.
 *
 * Objects allocated with MW_COLLECTED or MW_NOSCAN, or through a type, need no free: what no root
 * reaches is swept. Nothing moves; any address inside an object keeps it. All of this is absent with
 * MW_GC=0. The four words of each contract are those of <marrow/mm.h>; unless another one is
 * stated, a call here is early: no, interrupt: no, waits: yes.
 *
 * Interrupt handlers may run while the world is stopped, on all CPUs where mw_port_run_stopped() runs functions.
 * Such a handler may
 *
 * - call what says interrupt: yes;
 * - read references to collected objects, in roots and in objects, and use what they lead to until it returns;
 * - take references away, the last one too, and free objects;
 * - store a reference to an object that it has allocated itself, or that mw_weak_get() has given it, anywhere;
 * - store any other reference into collected objects that it has allocated itself.
 *
 * It must not store any other reference in any other place while the world is stopped: what it moves from one root to
 * another, or from one object to another, may be found in neither, and be freed. That has to wait until the world runs.
 */
#ifndef MARROW_GC_H
#define MARROW_GC_H

#include <marrow/mm.h>
#include <marrow/port.h>

#ifdef __cplusplus
extern "C" {
#endif

#if MW_GC

/* ---- types: where an object's pointers are ---- */

enum mw_field_kind {
	MW_FIELD_POINTER, /* @count pointers, one after the other */
	MW_FIELD_CONSERVATIVE, /* @count words, each of which may be one */
	MW_FIELD_STRUCT, /* @count structures of @type */
	MW_FIELD_TAGGED, /* @count pairs of words: the second is a pointer if first & mask == match */
	/* The rest of the object is structures of @type, or pointers if NULL. One, and not inside another field. */
	MW_FIELD_FLEX,
};

/** struct mw_field - one field of a type; made with the macros below, from field names */
struct mw_field {
	const char *name; /* for dumps and reports */
	enum mw_field_kind kind;
	size_t offset;
	size_t count;
	const struct mw_type *type;
	uintptr_t mask, match;
};

/* 0, or an error of the compiler with @message. */
#ifdef __cplusplus
#define MW_MUST(cond, message) (0 * sizeof(char[(cond) ? 1 : -1]))
#else
#define MW_MUST(cond, message)                                                                     \
	(0 * sizeof(struct {                                                                       \
		 _Static_assert(cond, message);                                                    \
		 int x;                                                                            \
	 }))
#endif
#define MW_SIZEOF(type_, field_) sizeof(((type_ *)0)->field_)

#define MW_PTR(type_, field_)                                                                      \
	{                                                                                          \
#field_, MW_FIELD_POINTER,                                                         \
			offsetof(type_, field_) +                                                  \
				MW_MUST(MW_SIZEOF(type_, field_) == sizeof(void *) &&              \
						offsetof(type_, field_) % sizeof(void *) == 0,     \
					"a pointer is one aligned word"),                          \
			1, NULL, 0, 0                                                              \
	}
#define MW_PTRS(type_, field_)                                                                     \
	{                                                                                          \
#field_, MW_FIELD_POINTER,                                                         \
			offsetof(type_, field_) +                                                  \
				MW_MUST(MW_SIZEOF(type_, field_[0]) == sizeof(void *) &&           \
						offsetof(type_, field_) % sizeof(void *) == 0,     \
					"an array of aligned words"),                              \
			MW_SIZEOF(type_, field_) / sizeof(void *), NULL, 0, 0                      \
	}
#define MW_WORDS(type_, field_)                                                                    \
	{                                                                                          \
#field_, MW_FIELD_CONSERVATIVE,                                                    \
			offsetof(type_, field_) +                                                  \
				MW_MUST(offsetof(type_, field_) % sizeof(void *) == 0,             \
					"words are aligned"),                                      \
			MW_SIZEOF(type_, field_) / sizeof(void *), NULL, 0, 0                      \
	}
/* A structure inside, or an array of them; @field_type_ is a struct mw_type. */
#define MW_STRUCT(type_, field_, field_type_)                                                      \
	{                                                                                          \
#field_, MW_FIELD_STRUCT, offsetof(type_, field_), 1, &(field_type_), 0, 0         \
	}
#define MW_STRUCTS(type_, field_, field_type_)                                                       \
	{                                                                                            \
#field_, MW_FIELD_STRUCT, offsetof(type_, field_),                                   \
			MW_SIZEOF(type_, field_) / MW_SIZEOF(type_, field_[0]), &(field_type_), 0, 0 \
	}
/* @tag_ is a word, the word after it a pointer if (tag_ & mask_) == match_. */
#define MW_TAGGED(type_, tag_, mask_, match_)                                                      \
	{                                                                                          \
#tag_, MW_FIELD_TAGGED,                                                            \
			offsetof(type_, tag_) + MW_MUST(MW_SIZEOF(type_, tag_) == sizeof(void *),  \
							"a tag is one word"),                      \
			1, NULL, (mask_), (match_)                                                 \
	}
#define MW_FLEX(type_, field_, field_type_)                                                        \
	{                                                                                          \
#field_, MW_FIELD_FLEX, offsetof(type_, field_), 0, &(field_type_), 0, 0           \
	}
#define MW_FLEX_PTRS(type_, field_)                                                                \
	{                                                                                          \
#field_, MW_FIELD_FLEX, offsetof(type_, field_), 0, NULL, 0, 0                     \
	}

/** struct mw_type - the layout of one kind of object; made with MW_TYPE, lives for ever */
struct mw_type {
	const char *name;
	size_t size; /* without a flexible array */
	const struct mw_field *fields;
	size_t field_count;
	/* Marrow's: what is made at first use. */
	const void *MW_ATOMIC_MEMBER layout;
	struct mw_cache *MW_ATOMIC_MEMBER cache; /* spans of this type alone */
	struct mw_type_array *MW_ATOMIC_MEMBER arrays; /* and of arrays of it, a cache for each size class */
	struct mw_type *next;
};

/**
 * MW_TYPE - define a type from a list of its pointer fields
 *
 *	static struct mw_type inode_type = MW_TYPE(struct inode,
 *		MW_PTR(struct inode, parent), MW_PTRS(struct inode, blocks));
 */
#ifdef __cplusplus
#define MW_TYPE(ctype_, ...)                                                                        \
	[]() {                                                                                      \
		static const struct mw_field fields[] = { __VA_ARGS__ };                            \
		return mw_type{ #ctype_, sizeof(ctype_), fields,  sizeof(fields) / sizeof(*fields), \
				nullptr, nullptr,	 nullptr, nullptr };                        \
	}()
#define MW_TYPE_PLAIN(ctype_)                                                                      \
	{                                                                                          \
#ctype_, sizeof(ctype_), nullptr, 0, nullptr, nullptr, nullptr, nullptr            \
	}
#else
#define MW_TYPE(ctype_, ...)                                                                        \
	{                                                                                           \
		.name = #ctype_, .size = sizeof(ctype_),                                            \
		.fields = (const struct mw_field[]){ __VA_ARGS__ },                                 \
		.field_count =                                                                      \
			sizeof((const struct mw_field[]){ __VA_ARGS__ }) / sizeof(struct mw_field), \
	}
/** MW_TYPE_PLAIN - a type that holds no pointers */
#define MW_TYPE_PLAIN(ctype_)                                                                      \
	{                                                                                          \
		.name = #ctype_, .size = sizeof(ctype_),                                           \
	}
#endif

/**
 * mw_type_ready - compile a type now
 *
 * The first allocation of the type does it otherwise. Return: false if the fields contradict each
 * other or the size (reported), or memory is out.
 */
bool mw_type_ready(struct mw_type *type);

/* ---- allocation ---- */

/**
 * mw_new - one object of a type, zeroed
 *
 * Contract of mw_alloc(): interrupt: yes, with MW_ATOMIC.
 */
void *mw_new(struct mw_type *type, mw_flags_t flags);
/** mw_new_array - @count of them in one object, zeroed. NULL also: the type has a flexible array (reported). */
void *mw_new_array(struct mw_type *type, size_t count, mw_flags_t flags);
/** mw_new_flex - one with @bytes behind it for its flexible array, zeroed */
void *mw_new_flex(struct mw_type *type, size_t bytes, mw_flags_t flags);

/** mw_gc_is_object - does @word point into a live collected object? interrupt: yes. waits: no. */
bool mw_gc_is_object(const void *word);

/* ---- roots and pins ---- */

/**
 * mw_gc_root_add - a range that may hold pointers
 * @layout: NULL: every word may be one; else one type, repeated over the range, or once if it ends in a flexible array
 *
 * early: yes. Return: false: no memory; or the range is not whole words, or not whole objects of the type (reported).
 */
bool mw_gc_root_add(const char *name, const void *lo, const void *hi, struct mw_type *layout);
bool mw_gc_root_remove(const void *lo);

/**
 * mw_pin - keep an object where it is, whoever points to it: a device does
 * @owner: kept, not copied; shown in dumps
 *
 * Nests. Return: false: not a collected object, or no memory.
 */
bool mw_pin(void *object, const char *owner);
bool mw_unpin(void *object);

/* ---- cycles ---- */

/** enum mw_collect - how much of a cycle has happened on return */
enum mw_collect {
	MW_COLLECT_MARKED, /* all garbage is known, and is swept as it is needed */
	MW_COLLECT_SWEPT, /* and it has all been swept: counts are exact */
};

/**
 * mw_gc_collect - a collection now
 *
 * Return: false if a CPU could not be stopped (reported); nothing has changed then.
 */
bool mw_gc_collect(enum mw_collect how);

#define MW_GC_OFF (-1)

/** struct mw_gc_policy - when the collector runs by itself */
struct mw_gc_policy {
	int percent; /* growth over what lived after the last cycle; MW_GC_OFF */
	size_t least; /* no cycle below so many bytes */
	size_t limit; /* of bytes taken by collected objects; 0: none */
	unsigned int cpu_permille; /* of the time, at most, for cycles that allocations wait for */
	unsigned int markers; /* at most so many CPUs mark; 0: all that stop */
};

void mw_gc_policy_get(struct mw_gc_policy *policy);
/** mw_gc_policy_set - settable at any time. early: yes. Return: false: a value out of range. */
bool mw_gc_policy_set(const struct mw_gc_policy *policy);

/** enum mw_gc_moment - what an event listener hears of, in order */
enum mw_gc_moment {
	/*
	 * A cycle begins, and the world still runs: the place to empty the kernel's own pools of
	 * collected objects.
	 */
	MW_GC_STOPPING,
	MW_GC_STOPPED,
	MW_GC_ROOTS_DONE,
	MW_GC_MARKED,
	MW_GC_STARTED, /* the world runs again */
	MW_GC_SWEPT,
	MW_NR_GC_MOMENTS,
};

/** struct mw_gc_cycle - figures of a cycle; those of later moments are 0 before */
struct mw_gc_cycle {
	unsigned long number;
	unsigned int markers;
	uint64_t started; /* mw_port_now() */
	uint64_t stop_ns, roots_ns, mark_ns, start_ns, sweep_ns;
	/* Bytes of collected objects. @heap_before is at least @heap_marked. */
	size_t heap_before, heap_marked, goal;
	size_t objects_marked;
	size_t words_scanned;
	size_t spans, spans_swept_background, spans_swept_on_demand;
	unsigned long steals, yields;
	unsigned long handovers; /* spans that a marker gave to hungry ones */
};

struct mw_gc_listener {
	/* Called on the collecting CPU; between STOPPED and MARKED it must not wait or allocate. */
	void (*moment)(struct mw_gc_listener *self, enum mw_gc_moment moment,
		       const struct mw_gc_cycle *cycle);
	struct mw_gc_listener *next; /* Marrow's */
};

/** mw_gc_listen - one that listens already is reported (bad-request), and goes on */
void mw_gc_listen(struct mw_gc_listener *listener);
/** mw_gc_unlisten - not from its own call: it waits for the end of a cycle. One that does not listen: nothing happens. */
void mw_gc_unlisten(struct mw_gc_listener *listener);

/** mw_gc_trace - a line for each cycle, and for each mw_scavenge(), through mw_port_write(). early: yes. waits: no. */
void mw_gc_trace(bool on);

/**
 * mw_worker_run - the body of a worker, see mw_port_wake()
 * @budget_ns: return after about so long; UINT64_MAX: when there is nothing left to do
 *
 * It waits for no other thread: where somebody else is collecting there is more to do, after a turn of theirs.
 *
 * Return: true if there is more to do.
 */
bool mw_worker_run(enum mw_worker worker, uint64_t budget_ns);

/* ---- verification ---- */

/**
 * mw_gc_check - mark a second time and see bit by bit whether the first mark missed an object
 *
 * The second mark takes memory for bits of its own.
 *
 * Return: true if it missed none; false: it did, or there was no memory, both of which are printed; or a CPU did not
 * stop, which is reported.
 */
bool mw_gc_check(void);

/*
 * Report typed pointers to what is not an object: a free or foreign place in a span, behind an
 * object, a page that is free or was never handed out, and a number below MW_PAGE_SIZE that is not
 * 0. The last three are not reported of what is kept by a finalizer alone. Each cycle marks twice.
 */
#define MW_GC_DEBUG_POINTERS 0x01u
#define MW_GC_DEBUG_POISON 0x02u /* overwrite swept objects */
#define MW_GC_DEBUG_CHECK 0x04u /* mw_gc_check() in each cycle */

/** mw_gc_debug - verification aids; @every: collect at every so many-th allocation, 0: not */
void mw_gc_debug(unsigned int aids, unsigned long every);

/* ---- finalizers and cleanups ---- */

/**
 * mw_finalizer_set - call @fn(object, arg) when nothing reaches the object any more
 *
 * The object lives for that call, and on if the call stores it somewhere. Objects that it points to
 * are finalized in a later cycle. @arg is kept alive. An inner byte is allowed for tiny objects only.
 *
 * Return: false: one is set already, the object is not collected or has size 0, or memory is out.
 */
bool mw_finalizer_set(void *object, void (*fn)(void *object, void *arg), void *arg);
/** mw_finalizer_clear - Return: true if there was one */
bool mw_finalizer_clear(void *object);
/** mw_finalizer_get - Return: true if there is one; then @fn and @arg, which may be NULL, get what it was set with */
bool mw_finalizer_get(void *object, void (**fn)(void *object, void *arg), void **arg);

struct mw_cleanup;

/**
 * mw_cleanup_add - call @fn(arg) after the object is gone
 *
 * Several on one object run in the order they were added. @arg is kept alive; if the object can be
 * reached from it, the cleanup never runs, and mw_cleanups_stuck() names it.
 * Return: a handle for mw_cleanup_cancel(), NULL: as for mw_finalizer_set().
 */
struct mw_cleanup *mw_cleanup_add(void *object, void (*fn)(void *arg), void *arg);
/** mw_cleanup_cancel - Return: true if it will never run; false if it has run or is about to, and for NULL */
bool mw_cleanup_cancel(struct mw_cleanup *cleanup);
/** mw_cleanups_stuck - report finalizers and cleanups that can never run. Return: how many. */
size_t mw_cleanups_stuck(void);

/** mw_finalizers_run - run up to @budget queued calls on this thread. Return: how many ran. */
size_t mw_finalizers_run(size_t budget);

/* ---- weak references, tables, tags ---- */

struct mw_weak;

/** mw_weak_new - a reference that does not keep its object. NULL: not collected, or no memory. */
struct mw_weak *mw_weak_new(void *object);
/**
 * mw_weak_get - the object, or NULL once it is gone
 *
 * NULL is final, and comes before any finalizer of the object runs. It is what NULL and a reference that was freed
 * give, too. interrupt: yes. waits: no.
 */
void *mw_weak_get(struct mw_weak *weak);
/** mw_weak_free - a second free is reported (double-free) and changes nothing. NULL: nothing happens. */
void mw_weak_free(struct mw_weak *weak);

struct mw_weak_table;

/** mw_weak_table_new - from objects (weak) to values that live as long as their key does */
struct mw_weak_table *mw_weak_table_new(const char *name);
bool mw_weak_table_put(struct mw_weak_table *table, void *key, void *value);
void *mw_weak_table_get(struct mw_weak_table *table, const void *key);
bool mw_weak_table_remove(struct mw_weak_table *table, const void *key);
/** mw_weak_table_free - a second free is reported (double-free) and changes nothing. NULL: nothing happens. */
void mw_weak_table_free(struct mw_weak_table *table);

/** mw_tag_set - a word of the embedder's own on any object. Return: false: no object, no memory. */
bool mw_tag_set(void *object, uintptr_t tag);
/** mw_tag_get - Return: the tag, 0 if none. interrupt: yes. waits: no. */
uintptr_t mw_tag_get(const void *object);

/* ---- leak scan, safe free: marks over objects freed by hand ---- */

/** struct mw_leak_want - what counts as a leak */
struct mw_leak_want {
	uint64_t min_age_ns; /* younger ones are not reported; needs tracking, 0 otherwise */
	size_t most; /* objects reported by name, up to 1024; the rest is counted */
};

/**
 * mw_leak_scan - find hand-managed objects that nothing reaches
 *
 * Makes two marks in a row, the world running in between; reported is what neither reaches. Roots are
 * those of the collector; all hand-managed objects are looked into, by their type's layout if
 * they have one, and an address anywhere in an object reaches it. The report goes to mw_port_write(), oldest
 * first, in groups of one place of allocation where MW_DEBUG_TRACK knows it, else of one cache.
 * interrupt: no. waits: yes. Return: objects reported; SIZE_MAX: no memory for it, or a CPU would not stop.
 */
size_t mw_leak_scan(const struct mw_leak_want *want);
/**
 * mw_leak_ignore - not a leak, whoever points to it, nor is what it points to
 *
 * Until it is freed. Return: false: no hand-managed object begins there, or no memory.
 */
bool mw_leak_ignore(void *object);

/** struct mw_safe_policy - hold freed memory until a mark has found no pointer to it */
struct mw_safe_policy {
	bool on;
	bool wipe; /* overwrite it, but for constructed objects: a dangling read finds 0x6b */
	/*
	 * Bytes held before a mark is due, 0: 1 MiB; or the percentage of all that the last mark looked at, 0:
	 * 12, if that is more. Up to four times as much while marks have had a twentieth of the
	 * time. The last ones that were set hold for all caches.
	 */
	size_t hold;
	unsigned int percent;
};

/**
 * mw_safe_free - for one cache, or with NULL for all and those made later
 *
 * A pointer counts in roots and in live objects, as for the leak scan. Not for collected objects, nor
 * where debug aids are on, which have their own ways. To end it lets go of all that is held. A destroyed cache is
 * reported.
 * interrupt: no. waits: yes. Return: false: a collected cache, or a CPU could not be stopped.
 */
bool mw_safe_free(struct mw_cache *cache, const struct mw_safe_policy *policy);

/** struct mw_safe_stats - what is held back, and what came of it */
struct mw_safe_stats {
	size_t held_objects, held_bytes; /* now */
	size_t kept_bytes; /* of these, what the last mark found pointers to */
	size_t due; /* bytes freed since the last mark that make the next one due */
	size_t most; /* the same, if marks have had their share of the time */
	unsigned long released; /* objects, ever */
	unsigned long marks;
};

/** mw_safe_stats - takes time for each span there is */
void mw_safe_stats(struct mw_safe_stats *stats);

#endif /* MW_GC */

#ifdef __cplusplus
}
#endif

#endif
