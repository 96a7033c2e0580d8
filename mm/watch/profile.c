// SPDX-License-Identifier: MIT
/* What the profile knows: a table of buckets, one for each size and chain of callers. It only grows. */
#include "profile.h"

#if MW_WATCH

struct mw_profile mw_profile = { .lock = MW_LOCK_INIT(MW_RANK_LEAF) };

static bool same(const struct mw_bucket *a, const struct mw_bucket *b)
{
	if (a->size != b->size || a->depth != b->depth)
		return false;
	for (unsigned int i = 0; i < a->depth; i++)
		if (a->pcs[i] != b->pcs[i])
			return false;
	return true;
}

static struct mw_bucket **head_of(const struct mw_bucket *bucket)
{
	uint32_t hash = (uint32_t)bucket->size;

	for (unsigned int i = 0; i < bucket->depth; i++)
		hash = (hash ^ (uint32_t)bucket->pcs[i]) * 0x01000193u;
	return &mw_profile.heads[(hash ^ hash >> 16) % MW_BUCKET_HEADS];
}

/* From the caller of Marrow outwards. */
static void find_callers(struct mw_bucket *bucket, uintptr_t site)
{
	uintptr_t pcs[MW_FRAMES + 8];
	size_t n = mw_port_backtrace(pcs, MW_LEN(pcs)), first = 0;

	while (first < n && pcs[first] != site)
		first++;
	bucket->depth = 0;
	if (first == n)
		bucket->pcs[bucket->depth++] = site;
	for (; first < n && bucket->depth < MW_FRAMES; first++)
		bucket->pcs[bucket->depth++] = pcs[first];
}

/* Add to the bucket that is like @sample. Return: false: there is none; then @fresh, if any, becomes it. */
static bool add(const struct mw_bucket *sample, struct mw_bucket *fresh)
{
	unsigned long state = mw_lock(&mw_profile.lock);
	struct mw_bucket **head = head_of(sample), *at = *head;

	while (at && !same(at, sample))
		at = at->next;
	if (at) {
		at->objects += sample->objects;
		at->bytes += sample->bytes;
	} else if (fresh) {
		*fresh = *sample;
		fresh->next = *head;
		*head = fresh;
	}
	mw_unlock(&mw_profile.lock, state);
	return at != NULL;
}

static void get_ready(void)
{
	unsigned long state = mw_lock(&mw_profile.lock);

	if (!mw_profile.ready)
		mw_fixed_init(&mw_profile.buckets, sizeof(struct mw_bucket), MW_USE_WATCH, NULL);
	mw_profile.ready = true;
	mw_unlock(&mw_profile.lock, state);
}

void mw_profile_note(size_t size, uintptr_t site, uint64_t objects, uint64_t bytes)
{
	struct mw_bucket sample = { .size = size, .objects = objects, .bytes = bytes }, *fresh;

	find_callers(&sample, site);
	if (add(&sample, NULL))
		return;
	get_ready();
	fresh = mw_fixed_alloc(&mw_profile.buckets);
	if (fresh) {
		if (add(&sample, fresh))
			mw_fixed_free(&mw_profile.buckets, fresh);
	} else {
		unsigned long state = mw_lock(&mw_profile.lock);

		mw_profile.lost++;
		mw_unlock(&mw_profile.lock, state);
	}
}

bool mw_profile_next(struct mw_bucket_cursor *cursor, struct mw_bucket *copy)
{
	unsigned long state = mw_lock(&mw_profile.lock);

	if (cursor->at)
		cursor->at = cursor->at->next;
	while (!cursor->at && cursor->head < MW_BUCKET_HEADS)
		cursor->at = mw_profile.heads[cursor->head++];
	if (cursor->at)
		*copy = *cursor->at;
	mw_unlock(&mw_profile.lock, state);
	return cursor->at != NULL;
}

void mw_profile_reset(void)
{
	mw_set_word(&mw_profile_every, 0);
	__builtin_memset((void *)&mw_profile, 0, sizeof(mw_profile));
	mw_lock_init(&mw_profile.lock, MW_RANK_LEAF);
}

#endif
