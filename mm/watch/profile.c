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

/* The bucket that is like @sample. NULL: there is none; then @fresh, if any, becomes it. */
static struct mw_bucket *find(const struct mw_bucket *sample, struct mw_bucket *fresh)
{
	unsigned long state = mw_lock(&mw_profile.lock);
	struct mw_bucket **head = head_of(sample), *at = *head;

	while (at && !same(at, sample))
		at = at->next;
	if (!at && fresh) {
		*fresh = *sample;
		fresh->next = *head;
		*head = fresh;
	}
	mw_unlock(&mw_profile.lock, state);
	return at;
}

static void get_ready(void)
{
	unsigned long state = mw_lock(&mw_profile.lock);

	if (!mw_profile.ready)
		mw_fixed_init(&mw_profile.buckets, sizeof(struct mw_bucket), MW_USE_WATCH, NULL);
	mw_profile.ready = true;
	mw_unlock(&mw_profile.lock, state);
}

/* NULL: no memory. */
MW_NOINLINE static struct mw_bucket *bucket_of(size_t size, uintptr_t site)
{
	struct mw_bucket sample = { .size = size }, *fresh, *found;

	find_callers(&sample, site);
	found = find(&sample, NULL);
	if (found)
		return found;
	get_ready();
	fresh = mw_fixed_alloc(&mw_profile.buckets);
	if (!fresh)
		return NULL;
	found = find(&sample, fresh);
	if (found)
		mw_fixed_free(&mw_profile.buckets, fresh);
	return found ? found : fresh;
}

static void advance(struct mw_stage *to, struct mw_stage *from)
{
	to->made += from->made;
	to->ended += from->ended;
	*from = (struct mw_stage){ 0 };
}

/* Bring the stages to where the collector is. Each cycle ends the last one's sweep first. */
static void settle(struct mw_bucket *b)
{
	bool swept;
	unsigned long cycle = mw_profile_cycle(&swept);

	if (b->cycle != cycle) {
		advance(&b->known, &b->marked);
		advance(&b->marked, &b->fresh);
		if (cycle - b->cycle > 1)
			advance(&b->known, &b->marked);
		b->cycle = cycle;
	}
	if (swept)
		advance(&b->known, &b->marked);
}

static bool is_collected(const void *object)
{
	const struct mw_span *span = mw_span_of(object);

	return span && span->flags & MW_SPAN_COLLECTED;
}

void mw_profile_note(size_t size, void *object, uintptr_t site, uint64_t objects)
{
	struct mw_bucket *bucket = bucket_of(size, site);
	bool attached = bucket && mw_sample_attach(bucket, object, objects);
	unsigned long state = mw_lock(&mw_profile.lock);

	if (bucket) {
		settle(bucket);
		bucket->objects += objects;
		if (attached && is_collected(object))
			bucket->fresh.made += objects;
		else if (attached)
			bucket->known.made += objects;
	} else {
		mw_profile.lost++;
	}
	mw_unlock(&mw_profile.lock, state);
}

/*
 * What the sweep frees was made before its mark. Who frees a collected object by hand does so since the
 * last mark, and what was known then stays so until the next one.
 */
void mw_up_sample_end(void *of, unsigned long objects, const void *object, bool swept)
{
	struct mw_bucket *bucket = of;
	struct mw_stage *stage = swept ? &bucket->marked : &bucket->fresh;

	mw_lock_pinned(&mw_profile.lock);
	settle(bucket);
	if (!is_collected(object))
		stage = &bucket->known;
	stage->ended += objects;
	mw_unlock_pinned(&mw_profile.lock);
}

void mw_profile_mapping(const struct mw_profile_mapping *mapping)
{
	unsigned long state = mw_lock(&mw_profile.lock);

	mw_profile.mapping = *mapping;
	mw_unlock(&mw_profile.lock, state);
}

bool mw_profile_next(struct mw_bucket_cursor *cursor, struct mw_bucket *copy)
{
	unsigned long state = mw_lock(&mw_profile.lock);

	if (cursor->at)
		cursor->at = cursor->at->next;
	while (!cursor->at && cursor->head < MW_BUCKET_HEADS)
		cursor->at = mw_profile.heads[cursor->head++];
	if (cursor->at) {
		settle(cursor->at);
		*copy = *cursor->at;
	}
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
