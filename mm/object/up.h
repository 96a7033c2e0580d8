/* SPDX-License-Identifier: MIT */
/* Calls up, to the collector and to special records. Built without a collector they are nothing. */
#ifndef MW_OBJECT_UP_H
#define MW_OBJECT_UP_H

#include "../base/profile.h"
#include "object.h"

#define MW_SAFE_FOLD ((size_t)32 << 10)

#if MW_GC
/* A span of a collected cache, or a large collected object, is about to be seen by everybody. */
void mw_up_span_born(struct mw_span *span);
/*
 * A span that is about to be allocated from, or freed into: have it swept. Pinned; no lock of
 * objects held. The free bits may change, the lists that the span is in do not.
 */
void mw_up_span_sweep(struct mw_span *span);
/* Is there still something that a sweep would do to it? Any lock may be held. */
bool mw_up_span_unswept(const struct mw_span *span);
/* A span is on its way to the page heap: no sweeper may take it for one of the collector's. */
void mw_up_span_gone(struct mw_span *span);
/* Is a mark under way? Then only spans that are born now may be allocated from. */
bool mw_up_marking(void);
/* A collected cache is about to take pages. Not pinned, may wait. */
void mw_up_grow(void);
/* An allocation for the collector is about to be made, the long way. Not pinned, may wait. */
void mw_up_count(void);
/* So many bytes of collected caches were set aside for allocation on this CPU. Pinned. */
void mw_up_allocated(size_t bytes);
/* Get @pages back by a collection. Not pinned, may wait. Return: whether it is worth another try. */
bool mw_up_collect(size_t pages);
/* So many bytes were freed and held back; each CPU says so when it has MW_SAFE_FOLD together. Pinned. */
void mw_up_safe_held(size_t bytes);
/* Let go of what is held back and no pointer is found to. Not pinned, may wait. */
void mw_up_safe_drain(void);
/* Is a mark under way that looks into hand-managed objects? */
bool mw_up_looking(void);
/*
 * Their span is about to go back to the page heap: it is in no list, and nobody's. Return: it has to
 * stay while such a mark is under way; mw_object_end_span() is called when that is over.
 */
bool mw_up_span_left(struct mw_span *span);
/* An object of a span with records is being freed by hand. Return: why it must not be. */
enum mw_misuse mw_up_records_free(void *object);
/* Have mw_site_end() called when the object ends. Not pinned. Return: false: it cannot be followed. */
bool mw_up_site_attach(void *site, void *object, size_t bytes);
/*
 * A span's quiet samples on objects of word @w, SIZE_MAX: of all: those on objects that are not live have
 * ended. Pinned. Return: the bits of the others, which are not to be handed out before somebody asks again.
 */
unsigned long mw_up_samples_look(struct mw_span *span, size_t w);
/* Does an object of so many bytes hold one of the type? */
bool mw_up_type_fits(const struct mw_type *type, size_t size);
#else
static inline bool mw_up_type_fits(const struct mw_type *type, size_t size)
{
	(void)type, (void)size;
	return true;
}

static inline void mw_up_span_born(struct mw_span *span)
{
	(void)span;
}

static inline void mw_up_span_sweep(struct mw_span *span)
{
	(void)span;
}

static inline bool mw_up_span_unswept(const struct mw_span *span)
{
	(void)span;
	return false;
}

static inline void mw_up_span_gone(struct mw_span *span)
{
	(void)span;
}

static inline bool mw_up_marking(void)
{
	return false;
}

static inline void mw_up_grow(void)
{
}

static inline void mw_up_count(void)
{
}

static inline void mw_up_allocated(size_t bytes)
{
	(void)bytes;
}

static inline bool mw_up_collect(size_t pages)
{
	(void)pages;
	return false;
}

static inline void mw_up_safe_held(size_t bytes)
{
	(void)bytes;
}

static inline void mw_up_safe_drain(void)
{
}

static inline bool mw_up_looking(void)
{
	return false;
}

static inline bool mw_up_span_left(struct mw_span *span)
{
	(void)span;
	return false;
}

static inline enum mw_misuse mw_up_records_free(void *object)
{
	(void)object;
	return MW_MISUSE_NONE;
}

static inline bool mw_up_site_attach(void *site, void *object, size_t bytes)
{
	(void)site, (void)object, (void)bytes;
	return false;
}

static inline unsigned long mw_up_samples_look(struct mw_span *span, size_t w)
{
	(void)span, (void)w;
	return 0;
}
#endif

/* Nothing is handed out but by the slow way. Pinned. */
static inline void mw_slot_close(struct mw_slot *slot)
{
	slot->behind |= slot->mask;
	slot->ready = slot->ahead = slot->mask = 0;
}

#if MW_WATCH
/*
 * An object came out of the slot by the slow way, and the next sample is not behind it, as far as
 * the slot knows. Pinned, as when the object was taken. Return: how many objects it stands for; 0:
 * it is no sample.
 */
unsigned long mw_up_profile_due(struct mw_slot *slot);
/* A block of tiny parts was opened, and this is its first one. Pinned. Return: as above. */
unsigned long mw_up_profile_tiny(struct mw_tiny *tiny);
/* An object of @size bytes, allocated from where @site tells, stands for @objects. Not pinned. */
void mw_up_profile(size_t size, void *object, uintptr_t site, unsigned long objects);
/*
 * Asked only while mw_profiling(): an object that came out of no slot, of which @size bytes were
 * asked for, is it one to be sampled? Not pinned.
 */
void mw_up_profile_bytes(size_t size, void *object, uintptr_t site);
/* A sampled object ends, which stood for @objects; or the sweep ends it. Its span's records are locked. */
void mw_up_sample_end(void *bucket, unsigned long objects, const void *object, bool swept);
/* Is there no profile, or the slot's next sample more than @objects away? Pinned. */
static inline bool mw_slot_far(const struct mw_slot *slot, long objects)
{
	return !mw_profiling() || (slot->draw.era == mw_profile_now() &&
				   (long)(slot->draw.due - slot->allocs) > objects);
}

/* What is ready may be more than what comes before the next sample: leave so many. Pinned. */
void mw_up_profile_word(struct mw_slot *slot);
#else
static inline unsigned long mw_up_profile_due(struct mw_slot *slot)
{
	(void)slot;
	return 0;
}

static inline unsigned long mw_up_profile_tiny(struct mw_tiny *tiny)
{
	(void)tiny;
	return 0;
}

static inline void mw_up_profile(size_t size, void *object, uintptr_t site, unsigned long objects)
{
	(void)size, (void)object, (void)site, (void)objects;
}

static inline void mw_up_profile_bytes(size_t size, void *object, uintptr_t site)
{
	(void)size, (void)object, (void)site;
}

static inline void mw_up_sample_end(void *bucket, unsigned long objects, const void *object,
				    bool swept)
{
	(void)bucket, (void)objects, (void)object, (void)swept;
}

static inline bool mw_slot_far(const struct mw_slot *slot, long objects)
{
	(void)slot, (void)objects;
	return true;
}

static inline void mw_up_profile_word(struct mw_slot *slot)
{
	(void)slot;
}
#endif

#endif
