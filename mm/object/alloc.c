// SPDX-License-Identifier: MIT
/* The ways in: mw_alloc() and its kin. See object.h for the way down. */
#include <marrow/fast.h>
#include "../base/fail.h"
#include "ahead.h"
#include "inside.h"

/*
 * What the slot says after an allocation: its spans, and how many objects this one is a sample of.
 */
struct mw_after {
	size_t have;
	unsigned long stands;
};

/* Still pinned, so that no interrupt's object is taken for the one that is due. */
static inline struct mw_after mw_slot_after(struct mw_slot *slot, const void *object)
{
	bool due = object && !mw_slot_far(slot, 0);

	return (struct mw_after){ slot->spans, mw_unlikely(due) ? mw_up_profile_due(slot) : 0 };
}

/* A new span for @cache into the hands of this CPU, and an object of it. Not pinned. */
static void *mw_cache_grow(struct mw_cache *cache, mw_flags_t flags, struct mw_after *after)
{
	unsigned int length = (unsigned int)mw_min(after->have, MW_SPAN_LENGTHS - 1);
	struct mw_span *span;
	struct mw_cpu *cpu;
	struct mw_slot *slot;
	unsigned long state;
	void *object = NULL;

	while (!(span = mw_span_make(cache, cache->lengths[length], flags))) {
		if (!length--)
			return NULL;
	}
	/* It may be long, and is nobody's and free until it is adopted. */
	mw_span_publish(span);
	state = mw_port_pin();
	cpu = mw_cpu_here();
	slot = cpu ? mw_slot_of(cpu, cache) : NULL;
	(void)mw_span_follow(span); /* it is new */
	/* A cycle may have come and gone since the span was made. */
	if (span->flags & MW_SPAN_COLLECTED)
		mw_up_span_sweep(span);
	if (slot) {
		mw_slot_adopt(cpu, slot, span);
		object = mw_slot_refill(cpu, slot);
		*after = mw_slot_after(slot, object);
	} else {
		mw_central_give(span);
	}
	mw_port_unpin(state);
	return object;
}

/* Say what a gather found, now that nothing is held. */
static MW_NOINLINE void mw_say_late_double(void)
{
	uintptr_t at = atomic_exchange_explicit(&mw_object.late_double, 0, memory_order_relaxed);
	struct mw_report report = {
		.what = MW_DOUBLE_FREE,
		.text = "two CPUs freed the object at the same moment",
		.address = (void *)at,
		.object = (void *)at,
	};

	if (at)
		mw_misuse(&report);
}

static void *mw_cache_alloc_owned(struct mw_cache *cache, struct mw_after *after)
{
	unsigned long state = mw_port_pin();
	struct mw_cpu *cpu = mw_cpu_here();
	struct mw_slot *slot = cpu ? mw_slot_of(cpu, cache) : NULL;
	void *object = NULL;

	if (cpu && mw_unlikely(mw_word(&cpu->era) != mw_profile_now()))
		mw_cpu_follow(cpu);
	if (slot) {
		object = mw_slot_take(slot);
		if (!object)
			object = mw_slot_refill(cpu, slot);
		*after = mw_slot_after(slot, object);
	}
	mw_port_unpin(state);
	return object;
}

/* Before such a cache takes pages: collect if it is due, sweep, and look again. */
static void *mw_cache_sweep_first(struct mw_cache *cache, struct mw_after *after)
{
	mw_up_grow();
	return mw_cache_alloc_owned(cache, after);
}

static MW_NOINLINE void *mw_cache_alloc_slow(struct mw_cache *cache, mw_flags_t flags,
					     unsigned long *stands)
{
	bool waits = !(flags & MW_ATOMIC) && (cache->span_flags & (MW_SPAN_COLLECTED | MW_SPAN_SAFE));
	unsigned int step = 0;

	if (waits)
		mw_up_count();
	for (;;) {
		struct mw_after after = { 0 };
		void *object = mw_cache_alloc_owned(cache, &after);

		if (!object && waits && !step)
			object = mw_cache_sweep_first(cache, &after);
		if (!object)
			object = mw_cache_grow(cache, flags, &after);
		*stands = after.stands;
		if (mw_unlikely(atomic_load_explicit(&mw_object.late_double, memory_order_relaxed)))
			mw_say_late_double();
		if (object || (!mw_meta_refill() &&
			       !mw_page_reclaim(cache->lengths[0], 0, flags | cache->flags, &step)))
			return object;
	}
}

MW_NOINLINE void *mw_cache_alloc_rest(struct mw_cache *cache, mw_flags_t flags, uintptr_t site)
{
	unsigned long stands;
	void *object;

	if (mw_unlikely(!cache->live) && mw_cache_refuses_dead(cache, site))
		return NULL;
	if (mw_should_fail(cache->asked, MW_FAIL_OBJECT, site))
		return NULL;
	if (mw_unlikely(mw_word(&cache->debug))) {
		object = mw_debug_alloc(cache, flags, NULL, site);
		if (mw_profiling() && object)
			mw_up_profile_bytes(cache->size, object, site);
		return object;
	}
	object = mw_cache_alloc_slow(cache, flags, &stands);
	if (mw_unlikely(stands))
		mw_up_profile(cache->size, object, site, stands);
	if (object && ((flags & MW_ZERO) || cache->policy == MW_POLICY_COLLECTED))
		mw_zero(object, cache->size);
	return object;
}

inline void *mw_cache_alloc_from(struct mw_cache *cache, mw_flags_t flags, uintptr_t site)
{
	unsigned long state = mw_port_pin();
	struct mw_slot *slot = mw_cpu_fast()->slot[cache->id];
	void *object = mw_slot_take(slot);

	if (mw_unlikely(!object)) {
		if (mw_unlikely(mw_word(&cache->debug)))
			return mw_debug_alloc_short(cache, flags, state, site);
		object = mw_slot_more(slot);
	}
	mw_port_unpin(state);
	if (mw_unlikely(!object))
		return mw_cache_alloc_rest(cache, flags, site);
	if ((flags & MW_ZERO) || cache->policy == MW_POLICY_COLLECTED)
		mw_zero(object, cache->size);
	return object;
}

/* The least class whose size is a multiple of @align; a power of two is one. 0: none is small. */
size_t mw_aligned_size(size_t size, size_t align)
{
	size = mw_max(mw_round_up(size, align), align);
	while (size <= MW_SMALL_MAX) {
		size_t got = mw_object.classes.sizes[mw_class_of(&mw_object.classes, size)];

		if (!(got & (align - 1)))
			return got;
		size = mw_round_up(got, align);
	}
	return 0;
}

static inline bool mw_is_large(size_t size, size_t align, mw_flags_t flags)
{
	return size > MW_SMALL_MAX || align > MW_PAGE_SIZE || (flags & MW_ZONE_FLAGS);
}

MW_NOINLINE static void *mw_alloc_large(size_t size, size_t align, mw_flags_t flags, uintptr_t site)
{
	void *object;

	if (mw_should_fail(size, MW_FAIL_OBJECT, site))
		return NULL;
	object = mw_large_alloc(size, align, flags);
	if (mw_profiling() && object)
		mw_up_profile_bytes(size, object, site);
	return mw_asked(object, size);
}

void *mw_alloc_at(size_t size, size_t align, mw_flags_t flags, uintptr_t site)
{
	enum mw_policy policy = mw_policy_of(flags);
	size_t asked = size;
	void *object;

	mw_object_ready();
	if (mw_unlikely(!size && align <= sizeof(mw_zero_object)))
		return mw_should_fail(0, MW_FAIL_OBJECT, site) ? NULL : mw_zero_object;
	if (mw_unlikely(align > 8) && !mw_is_large(size, align, flags)) {
		size = mw_aligned_size(size, align);
		if (!size)
			return mw_alloc_large(asked, align, flags, site);
		if (policy == MW_POLICY_HAND)
			policy = MW_POLICY_ALIGNED;
	}
	if (mw_unlikely(mw_is_large(size, align, flags)))
		return mw_alloc_large(size, align, flags, site);
	/* Classes and tiny objects alike are as aligned as their size says. */
	size = mw_round_up(size, mw_max(align, (size_t)1));
	if (mw_is_noscan(policy) && size < MW_TINY_BLOCK)
		return mw_tiny_alloc(size, flags, site);
	object = mw_cache_alloc_from(mw_class_cache(policy, size), flags, site);
	return mw_asked(object, asked);
}

/* Flags that make the way of a small object another one. */
#define MW_SPECIAL_FLAGS (MW_POLICY_FLAGS | MW_ZONE_FLAGS)

/*
 * The slot's word has nothing left: the short way, or all of it. In a function of its own, so that the usual
 * way saves no registers, with its arguments first, so that it moves none. Pinned, by @state; not any more when
 * it returns.
 */
static __attribute__((noinline)) void *mw_alloc_more(size_t size, mw_flags_t flags, uintptr_t site,
						     struct mw_slot *slot, unsigned long state)
{
	void *object = mw_slot_more(slot);

	mw_port_unpin(state);
	if (mw_unlikely(slot == &mw_slot_none))
		return mw_alloc_at(size, 0, flags, site);
	if (mw_unlikely(!object))
		object = mw_cache_alloc_rest(slot->cache, flags, site);
	else if (flags & MW_ZERO)
		mw_zero(object, slot->stride);
	return mw_asked(object, size);
}

static __attribute__((noinline)) void *mw_alloc_zeroed(size_t size, mw_flags_t flags, uintptr_t site)
{
	unsigned long state = mw_port_pin();
	struct mw_slot *slot = mw_cpu_fast()->fine[(size + 7) / 8];
	void *object = mw_slot_take(slot);

	if (mw_unlikely(!object))
		return mw_alloc_more(size, flags, site, slot, state);
	mw_port_unpin(state);
	mw_zero(object, slot->stride);
	return mw_asked(object, size);
}

/* In a function of its own, so that the usual way saves no registers. */
static __attribute__((noinline)) void *mw_alloc_more_collected(struct mw_slot *slot,
							       unsigned long state, size_t size,
							       mw_flags_t flags, uintptr_t site)
{
	void *object = mw_slot_more_ahead(slot, state);

	return mw_likely(object) ? mw_asked(object, size) : mw_alloc_at(size, 0, flags, site);
}

/*
 * Collected objects of small sizes, zeroed as they always are. Before the tables are filled every size
 * is of class 0, which has no slot.
 */
static __attribute__((noinline)) void *mw_alloc_collected(size_t size, mw_flags_t flags,
							  uintptr_t site)
{
	unsigned int id = MW_POLICY_COLLECTED % MW_NR_POLICIES * MW_MAX_CLASSES +
			  mw_object.classes.fine[(size + 7) / 8];
	unsigned long state = mw_port_pin();
	struct mw_slot *slot = mw_cpu_fast()->slot[id];
	void *object = mw_slot_take_ahead(slot);

	if (mw_unlikely(!object))
		return mw_alloc_more_collected(slot, state, size, flags, site);
	mw_port_unpin(state);
	return object;
}

/* Sizes above MW_FINE_MAX without flags. The numbers of classes are the numbers of their caches. */
static __attribute__((noinline)) void *mw_alloc_coarse(size_t size, mw_flags_t flags, uintptr_t site)
{
	struct mw_slot *slot;
	unsigned int class;
	unsigned long state;
	void *object;

	if (mw_unlikely(size > MW_SMALL_MAX))
		return mw_asked(mw_large_plain(size, flags, site), size);
	if (mw_unlikely(!atomic_load_explicit(&mw_object.ready, memory_order_acquire)))
		return mw_alloc_at(size, 0, flags, site);
	class = mw_object.classes.coarse[(size - MW_FINE_MAX + 127) / 128];
	state = mw_port_pin();
	slot = mw_cpu_fast()->slot[class];
	object = mw_slot_take(slot);
	if (mw_unlikely(!object))
		return mw_alloc_more(size, flags, site, slot, state);
	mw_port_unpin(state);
	return mw_asked(object, size);
}

void *mw_alloc(size_t size, mw_flags_t flags)
{
	struct mw_slot *slot;
	unsigned long state;
	void *object;

	if (mw_unlikely(flags & (MW_ZERO | MW_SPECIAL_FLAGS))) {
		if (mw_unlikely(size > MW_FINE_MAX))
			return mw_alloc_at(size, 0, flags, MW_SITE);
		if (mw_likely(!(flags & MW_SPECIAL_FLAGS)))
			return mw_alloc_zeroed(size, flags, MW_SITE);
		if (MW_GC && (flags & MW_SPECIAL_FLAGS) == MW_COLLECTED)
			return mw_alloc_collected(size, flags, MW_SITE);
		return mw_alloc_at(size, 0, flags, MW_SITE);
	}
	if (mw_unlikely(size > MW_FINE_MAX))
		return mw_alloc_coarse(size, flags, MW_SITE);
	state = mw_port_pin();
	slot = mw_cpu_fast()->fine[(size + 7) / 8];
	object = mw_slot_take(slot);
	if (mw_unlikely(!object))
		return mw_alloc_more(size, flags, MW_SITE, slot, state);
	mw_port_unpin(state);
	return mw_asked(object, size);
}

void *mw_alloc_fine(size_t step, mw_flags_t flags)
{
	unsigned long state = mw_port_pin();
	struct mw_slot *slot = mw_cpu_fast()->fine[step];
	void *object = mw_slot_take(slot);

	if (mw_unlikely(!object))
		return mw_alloc_more(step * 8, flags, MW_SITE, slot, state);
	mw_port_unpin(state);
	return object;
}

void *mw_alloc_aligned(size_t size, size_t align, mw_flags_t flags)
{
	if (!mw_is_pow2(align) || align > (size_t)1 << 30)
		return NULL;
	return mw_alloc_at(size, align, flags, MW_SITE);
}

void *mw_alloc_array(size_t count, size_t size, mw_flags_t flags)
{
	size_t bytes;

	if (mw_mul_overflows(count, size, &bytes))
		return NULL;
	return mw_alloc_at(bytes, 0, flags, MW_SITE);
}

size_t mw_size_roundup(size_t size)
{
	if (!size)
		return 0;
	if (size > SIZE_MAX - MW_PAGE_SIZE)
		return size;
	if (size > MW_SMALL_MAX)
		return mw_round_up(size, MW_PAGE_SIZE);
	mw_object_ready();
	return mw_object.classes.sizes[mw_class_of(&mw_object.classes, size)];
}
