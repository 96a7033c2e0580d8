/* SPDX-License-Identifier: MIT */
/*
 * The heap dump, in the order in which it is written:
 *
 *	dump.c		the way of a dump; parameters, objects and where their pointers are
 *	dump_roots.c	types; stacks, data, other roots
 *	dump_records.c	finalizers; which object is a sample of what
 *	dump_stat.c	statistics, the profile
 *	dump_more.c	what the format has no place for, behind its end
 *
 * World stopped, everything swept; nothing is allocated, and all is sent as it is found.
 */
#ifndef MW_WATCH_DUMP_H
#define MW_WATCH_DUMP_H

#include "stream.h"
#include "watch.h"

#if MW_WATCH

/* The kinds of records of the "go1.4 heap dump" that a kernel has. */
enum mw_dump_kind {
	MW_DUMP_EOF,
	MW_DUMP_OBJECT,
	MW_DUMP_OTHER_ROOT,
	MW_DUMP_TYPE,
	MW_DUMP_THREAD,
	MW_DUMP_FRAME,
	MW_DUMP_PARAMS,
	MW_DUMP_FINALIZER,
	MW_DUMP_CPU = 9,
	MW_DUMP_STATS,
	MW_DUMP_DUE,
	MW_DUMP_DATA,
	MW_DUMP_BSS,
	MW_DUMP_BUCKET = 16,
	MW_DUMP_SAMPLE,
};

/* What the other root of an object that is managed by hand says. */
#define MW_DUMP_HAND "hand-managed"

/* What its lists of fields are made of. */
enum mw_dump_field {
	MW_DUMP_LAST,
	MW_DUMP_POINTER,
};

struct mw_dump {
	struct mw_stream s;
	const void *data, *bss; /* the two ranges that are segments */
	unsigned int threads; /* so far */
};

/* What reads other people's memory, word by word. */
#define MW_DUMP_RAW __attribute__((no_sanitize("address"), no_sanitize("thread")))

static inline uint64_t mw_dump_number(const void *address)
{
	return (uintptr_t)address;
}

/* What a word has to point into so that it counts. */
enum mw_dump_aim {
	MW_AIM_HAND, /* a live object that is managed by hand */
	MW_AIM_ANY, /* a live object */
};

/* dump.c */
bool mw_dump_hits(uintptr_t word, enum mw_dump_aim aim);
/* The list of fields of a range whose words may be pointers. */
void mw_dump_words(struct mw_dump *d, const void *lo, size_t bytes, enum mw_dump_aim aim);
/* The same for one object of @span. */
void mw_dump_fields(struct mw_dump *d, const struct mw_span *span, char *object);

/* dump_stat.c */
void mw_dump_stats(struct mw_dump *d);
void mw_dump_buckets(struct mw_dump *d);

/* dump_more.c */
void mw_dump_more(struct mw_dump *d);
#define MW_DUMP_MORE "marrow 1"

enum mw_dump_more_kind {
	MW_MORE_END, /* with the Adler-32 of everything before it */
	MW_MORE_TYPE,
	MW_MORE_SPAN,
	MW_MORE_RECORD,
};

/*
 * dump_roots.c and dump_records.c with a collector, plain.c without one. Types, roots and
 * records are written in the order of these functions; the last two go behind the end.
 */
bool mw_dump_hold(void); /* stop the world, everything swept. Return: false: it runs on. */
void mw_dump_release(void);
void mw_dump_types(struct mw_dump *d);
void mw_dump_typed(struct mw_dump *d, const struct mw_span *span, char *object);
void mw_dump_roots(struct mw_dump *d);
void mw_dump_finalizers(struct mw_dump *d);
void mw_dump_pauses(struct mw_dump *d);
void mw_dump_samples(struct mw_dump *d);
void mw_dump_more_types(struct mw_dump *d);
void mw_dump_more_records(struct mw_dump *d);

#endif
#endif
