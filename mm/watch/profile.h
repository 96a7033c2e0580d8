/* SPDX-License-Identifier: MIT */
/* The allocation profile: sample.c chooses, profile.c keeps, profile_write.c and pprof.c write. */
#ifndef MW_WATCH_PROFILE_H
#define MW_WATCH_PROFILE_H

#include "../base/profile.h"
#include "stream.h"
#include "watch.h"

#if MW_WATCH

#define MW_FRAMES 16
#define MW_BUCKET_HEADS 512u

/*
 * What lives is known when a mark has looked and its sweep has ended: until then, what was allocated
 * since the mark before would look like a leak. So the counts of collected objects go through stages:
 * made or freed by hand since the last mark (@fresh); before it, with what its sweep frees (@marked);
 * and when everything is swept, @known. Objects that are managed by hand are known at once.
 */
struct mw_stage {
	uint64_t made, ended; /* objects, estimated */
};

/* All that was allocated in one size from one chain of callers. */
struct mw_bucket {
	struct mw_bucket *next; /* of the same head; set before the bucket can be seen */
	size_t size;
	unsigned int depth;
	uintptr_t pcs[MW_FRAMES]; /* innermost first, return addresses */
	/* Under the profile's lock: */
	uint64_t objects; /* estimated, since the profile began */
	struct mw_stage known, marked, fresh; /* of those with a record */
	unsigned long cycle; /* of the mark that parts the last two */
};

static inline uint64_t mw_bucket_live(const struct mw_bucket *b)
{
	return b->known.made - mw_min(b->known.made, b->known.ended);
}

struct mw_profile {
	struct mw_lock lock; /* MW_RANK_LEAF */
	struct mw_bucket *heads[MW_BUCKET_HEADS]; /* profile lock; buckets stay */
	struct mw_fixed buckets;
	bool ready; /* profile lock, once it is set up */
	unsigned long lost; /* samples without memory for a bucket; profile lock */
	struct mw_profile_mapping mapping; /* profile lock */
	_Atomic(bool) still; /* the world is stopped, and records are being walked */
	struct mw_profile_cpu {
		/* Of that CPU, pinned. */
		uint32_t dice;
		/* The line of bytes: how many to the next point, the last one of them on it; how many of its piece
		 * of the line come behind it; the profile's era that they are of. */
		unsigned long left, rest, era;
	} __attribute__((aligned(MW_CACHE_LINE))) cpu[MW_MAX_CPUS];
};

extern struct mw_profile mw_profile;

/*
 * live.c with a collector, plain.c without one. Hang a record on the object, so that its end is heard
 * of. Return: false: it cannot be, and the object is counted as made only.
 */
bool mw_sample_attach(struct mw_bucket *bucket, void *object, uint64_t objects);
/* Have samples whose objects were freed in silence end. Not pinned. */
void mw_profile_look(void);
/* Marks ever; @swept: is everything swept that the last one found? */
unsigned long mw_profile_cycle(bool *swept);

/* Each bucket, copied, in no order. Start with *cursor zeroed. Return: false: that was the last. */
bool mw_profile_next(struct mw_profile_cursor *cursor, struct mw_bucket *copy);

void mw_profile_reset(void);

/* pprof.c */
void mw_pprof_write(struct mw_stream *s);

#endif
#endif
