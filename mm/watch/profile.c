// SPDX-License-Identifier: MIT
/* What the profile knows: a table of buckets, one for each size and chain of callers. It only grows. */
#include "profile.h"

#if MW_WATCH

struct mw_profile mw_profile = { .lock = MW_LOCK_INIT(MW_RANK_LEAF) };

/* Who allocates what: a bucket's key, from the caller of Marrow outwards. */
struct callers {
	size_t size;
	const uintptr_t *at;
	unsigned int depth;
};

static bool same(const struct mw_bucket *b, const struct callers *callers)
{
	if (b->size != callers->size || b->depth != callers->depth)
		return false;
	for (unsigned int i = 0; i < b->depth; i++)
		if (b->pcs[i] != callers->at[i])
			return false;
	return true;
}

static struct mw_bucket **head_of(const struct callers *callers)
{
	uint32_t hash = (uint32_t)callers->size;

	for (unsigned int i = 0; i < callers->depth; i++)
		hash = (hash ^ (uint32_t)callers->at[i]) * 0x01000193u;
	return &mw_profile.heads[(hash ^ hash >> 16) % MW_BUCKET_HEADS];
}

/* Leave out Marrow's own of the @n frames at @pcs. If @site is none of them, it is all there is. */
static struct callers callers_of(size_t size, const uintptr_t *pcs, size_t n, const uintptr_t *site)
{
	size_t first = 0;

	while (first < n && pcs[first] != *site)
		first++;
	if (first == n)
		return (struct callers){ size, site, 1 };
	return (struct callers){ size, pcs + first, (unsigned int)mw_min(n - first, MW_FRAMES) };
}

static void get_ready(void)
{
	unsigned long state = mw_lock(&mw_profile.lock);

	if (!mw_profile.ready)
		mw_fixed_init(&mw_profile.buckets, sizeof(struct mw_bucket), MW_USE_WATCH, NULL);
	mw_profile.ready = true;
	mw_unlock(&mw_profile.lock, state);
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

static struct mw_bucket *add_bucket(struct mw_bucket **head, const struct callers *callers,
				    struct mw_bucket *fresh)
{
	*fresh = (struct mw_bucket){ .size = callers->size, .depth = callers->depth };
	for (unsigned int i = 0; i < callers->depth; i++)
		fresh->pcs[i] = callers->at[i];
	fresh->next = *head;
	*head = fresh;
	return fresh;
}

/*
 * Count the objects as made, in the bucket of who made them. If there is none, *fresh becomes it, unless
 * that is NULL. Return: the bucket; NULL: nothing was done.
 */
static struct mw_bucket *count_made(const struct callers *callers, struct mw_bucket **fresh,
				    bool collected, uint64_t objects)
{
	unsigned long state = mw_lock(&mw_profile.lock);
	struct mw_bucket **head = head_of(callers), *at = *head;

	while (at && !same(at, callers))
		at = at->next;
	if (!at && *fresh) {
		at = add_bucket(head, callers, *fresh);
		*fresh = NULL;
	}
	if (at) {
		settle(at);
		at->objects += objects;
		*(collected ? &at->fresh.made : &at->known.made) += objects;
	}
	mw_unlock(&mw_profile.lock, state);
	return at;
}

static MW_NOINLINE struct mw_bucket *count_first(const struct callers *callers, bool collected,
						 uint64_t objects)
{
	struct mw_bucket *fresh, *bucket;

	get_ready();
	fresh = mw_fixed_alloc(&mw_profile.buckets);
	bucket = count_made(callers, &fresh, collected, objects);
	if (fresh)
		mw_fixed_free(&mw_profile.buckets, fresh);
	return bucket;
}

/* The objects that @bucket counted cannot be followed; or, if it is NULL, there was none to count them. */
static MW_NOINLINE void forget_made(struct mw_bucket *bucket, uint64_t objects)
{
	unsigned long state = mw_lock(&mw_profile.lock);

	/* In the last stage: whichever the others have got to, what ends is not before what was made. */
	if (bucket)
		bucket->known.ended += objects;
	else
		mw_profile.lost++;
	mw_unlock(&mw_profile.lock, state);
}

MW_NOINLINE static struct mw_bucket *count_sample(size_t size, uintptr_t site, bool collected,
						  uint64_t objects)
{
	uintptr_t pcs[MW_FRAMES + 8];
	size_t n = mw_port_backtrace(pcs, MW_LEN(pcs));
	struct callers callers = callers_of(size, pcs, n, &site);
	struct mw_bucket *none = NULL, *bucket = count_made(&callers, &none, collected, objects);

	return mw_likely(bucket) ? bucket : count_first(&callers, collected, objects);
}

void mw_up_profile(size_t size, void *object, uintptr_t site, unsigned long objects)
{
	struct mw_bucket *bucket = count_sample(size, site, is_collected(object), objects);

	if (mw_unlikely(!bucket || !mw_sample_attach(bucket, object, objects)))
		forget_made(bucket, objects);
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

bool mw_profile_next(struct mw_profile_cursor *cursor, struct mw_bucket *copy)
{
	unsigned long state;

	if (!cursor->at && !cursor->head)
		mw_profile_look();
	state = mw_lock(&mw_profile.lock);
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

_Static_assert(MW_LEN(((struct mw_profile_site *)0)->pcs) == MW_FRAMES, "room for all frames");

bool mw_profile_site_next(struct mw_profile_cursor *cursor, struct mw_profile_site *site)
{
	struct mw_bucket bucket;

	if (!mw_profile_next(cursor, &bucket))
		return false;
	*site = (struct mw_profile_site){
		.size = bucket.size,
		.allocs = bucket.objects,
		.live = mw_bucket_live(&bucket),
		.depth = bucket.depth,
	};
	for (unsigned int i = 0; i < bucket.depth; i++)
		site->pcs[i] = bucket.pcs[i];
	return true;
}

void mw_profile_reset(void)
{
	mw_set_word(&mw_profile_every, 0);
	mw_set_word(&mw_profile_era, 0);
	__builtin_memset((void *)&mw_profile, 0, sizeof(mw_profile));
	mw_lock_init(&mw_profile.lock, MW_RANK_LEAF);
}

#endif
