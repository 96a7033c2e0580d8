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

/* All that was allocated in one size from one chain of callers. */
struct mw_bucket {
	struct mw_bucket *next; /* of the same head; set before the bucket can be seen */
	size_t size;
	unsigned int depth;
	uintptr_t pcs[MW_FRAMES]; /* innermost first, return addresses */
	uint64_t objects, bytes; /* estimated, since the profile began; profile lock */
};

struct mw_profile {
	struct mw_lock lock; /* MW_RANK_LEAF */
	struct mw_bucket *heads[MW_BUCKET_HEADS]; /* profile lock; buckets stay */
	struct mw_fixed buckets;
	bool ready; /* profile lock, once it is set up */
	unsigned long lost; /* samples without memory for a bucket; profile lock */
	mw_atomic_t era; /* how often the rate was set */
	struct {
		uint32_t dice; /* of that CPU, pinned */
	} __attribute__((aligned(MW_CACHE_LINE))) cpu[MW_MAX_CPUS];
};

extern struct mw_profile mw_profile;

/* @objects were allocated, @bytes in all, of which this one, from @site, stands for the rest. Not pinned. */
void mw_profile_note(size_t size, uintptr_t site, uint64_t objects, uint64_t bytes);

/* Each bucket, copied, in no order. Start with *cursor zeroed. Return: false: that was the last. */
struct mw_bucket_cursor {
	unsigned int head;
	struct mw_bucket *at;
};
bool mw_profile_next(struct mw_bucket_cursor *cursor, struct mw_bucket *copy);

void mw_profile_reset(void);

/* pprof.c */
void mw_pprof_write(struct mw_stream *s);

#endif
#endif
