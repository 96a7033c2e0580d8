// SPDX-License-Identifier: MIT
/*
 * Typed caches: the same structure as a size class, with a name, spans and counts of its own. Making
 * one, allocating, giving back, ending it; bulk.c has the calls for many objects at once.
 */
#include "inside.h"

#define MW_CACHE_LARGEST ((size_t)128 << 20)

static const char *mw_cache_want_fault(const struct mw_cache_want *want)
{
	if (!want->name || !want->size)
		return "a cache needs a name and a size";
	if (want->size > MW_CACHE_LARGEST)
		return "objects of a cache are too large";
	if (want->type && !mw_up_type_fits(want->type, want->size))
		return "objects of a cache are smaller than their type";
	if (want->align && (!mw_is_pow2(want->align) || want->align > MW_PAGE_SIZE))
		return "the alignment of a cache is no power of two up to a page";
	if (want->construct && (want->flags & (MW_COLLECTED | MW_NOSCAN)))
		return "collected objects cannot have a constructor";
	if (want->flags & ~(MW_POLICY_FLAGS | MW_ZONE_FLAGS))
		return "a cache has flags that belong to an allocation";
	return NULL;
}

static bool mw_cache_want_ok(const struct mw_cache_want *want, uintptr_t site)
{
	struct mw_report report = {
		.what = MW_BAD_REQUEST,
		.text = mw_cache_want_fault(want),
		.given = want->size,
		.given_cache = want->name,
		.here.pcs[0] = site,
	};

	if (report.text)
		mw_misuse(&report);
	return !report.text;
}

static void mw_cache_fill(struct mw_cache *cache, const struct mw_cache_want *want)
{
	size_t align = want->align ? want->align : want->size < 16 ? 8 : 16;
	enum mw_policy policy = mw_policy_of(want->flags);
	size_t stride = mw_round_up(want->size, align);

	cache->policy = (unsigned char)policy;
	cache->span_flags = mw_object.builtin[policy * MW_MAX_CLASSES + 1].span_flags;
	cache->flags = want->flags & MW_ZONE_FLAGS;
	mw_format(cache->own_name, sizeof(cache->own_name), "%s", want->name);
	cache->type = want->type;
	cache->construct = want->construct;
	cache->asked = want->size;
	cache->size = cache->stride = stride;
	if (!(cache->span_flags & MW_SPAN_COLLECTED))
		atomic_store_explicit(&cache->debug, mw_debug_flags_for(cache), memory_order_relaxed);
	if (stride <= MW_SMALL_MAX)
		return;
	for (unsigned int i = 0; i < MW_SPAN_LENGTHS; i++)
		cache->lengths[i] =
			(unsigned short)(mw_round_up(stride, MW_PAGE_SIZE) >> MW_PAGE_SHIFT);
}

static struct mw_cache *mw_cache_dig(bool any)
{
	unsigned long state = mw_lock(&mw_object.lock);
	struct mw_cache *cache = mw_cache_dig_locked(any);

	mw_unlock(&mw_object.lock, state);
	return cache;
}

/* Of a cache that is long dead; a new one; of any dead one. Nobody else has it. NULL: out of memory. */
static struct mw_cache *mw_cache_record(void)
{
	struct mw_cache *cache = mw_cache_dig(false);

	while (!cache) {
		cache = mw_fixed_alloc(&mw_object.caches);
		/* A link of its allocator's may have been where the lock is. */
		if (cache)
			mw_cache_first(cache);
		else
			cache = mw_cache_dig(true);
		if (!cache && !mw_meta_refill())
			break;
	}
	return cache;
}

struct mw_cache *mw_cache_make(const struct mw_cache_want *want, bool keeps, uintptr_t site)
{
	struct mw_cache *cache;
	unsigned long state;
	unsigned int id;

	if (!mw_cache_want_ok(want, site))
		return NULL;
	mw_object_ready();
	cache = mw_cache_record();
	if (!cache)
		return NULL;
	state = mw_lock(&mw_object.lock);
	id = mw_cache_free_id_locked();
	if (id < MW_MAX_CACHES) {
		mw_cache_init(cache, id, mw_min(want->size, MW_SMALL_MAX));
		mw_cache_fill(cache, want);
		cache->keeps = keeps;
	} else {
		mw_cache_bury_locked(cache);
		cache = NULL;
	}
	mw_unlock(&mw_object.lock, state);
	return cache;
}

struct mw_cache *mw_cache_create(const struct mw_cache_want *want)
{
	return mw_cache_make(want, true, MW_SITE);
}

static MW_NOINLINE bool mw_cache_refuses(const struct mw_cache *cache, mw_flags_t flags,
					 uintptr_t site)
{
	struct mw_report report = {
		.what = MW_BAD_REQUEST,
		.text = "a constructed object cannot be asked for zeroed",
		.given_cache = cache->name,
		.here.pcs[0] = site,
	};

	if (!(flags & MW_ZERO) || !cache->construct)
		return false;
	mw_misuse(&report);
	return true;
}

__attribute__((noinline)) void *mw_cache_alloc_site(struct mw_cache *cache, mw_flags_t flags,
						    uintptr_t site)
{
	if (mw_cache_refuses(cache, flags, site))
		return NULL;
	return mw_cache_alloc_from(cache, flags, site);
}

static __attribute__((noinline)) void *mw_cache_alloc_word(struct mw_cache *cache, mw_flags_t flags,
							   uintptr_t site, struct mw_slot *slot,
							   unsigned long state)
{
	void *object = mw_slot_more(slot);

	mw_port_unpin(state);
	return mw_likely(object) ? object : mw_cache_alloc_rest(cache, flags, site);
}

/* As mw_alloc_more(). In a function of its own, so that who has aids saves no registers. */
static __attribute__((noinline)) void *mw_cache_alloc_more(struct mw_cache *cache, mw_flags_t flags,
							   uintptr_t site, struct mw_slot *slot,
							   unsigned long state)
{
	if (mw_word(&cache->debug))
		return mw_debug_alloc_short(cache, flags, state, site);
	return mw_cache_alloc_word(cache, flags, site, slot, state);
}

void *mw_cache_alloc(struct mw_cache *cache, mw_flags_t flags)
{
	struct mw_slot *slot;
	unsigned long state;
	void *object;

	if (mw_unlikely((flags & MW_ZERO) || cache->policy == MW_POLICY_COLLECTED))
		return mw_cache_alloc_site(cache, flags, MW_SITE);
	state = mw_port_pin();
	slot = mw_cpu_fast()->slot[cache->id];
	object = mw_slot_take(slot);
	if (mw_unlikely(!object))
		return mw_cache_alloc_more(cache, flags, MW_SITE, slot, state);
	mw_port_unpin(state);
	return object;
}

/* ---- every CPU's slot of a cache ---- */

struct mw_each_slot {
	struct mw_cache *cache;
	/*
	 * A step, pinned on the CPU, or for one that is stopped and does nothing itself. @left is SIZE_MAX at the
	 * first. Return: there is more to do.
	 */
	bool (*step)(struct mw_each_slot *each, struct mw_cpu *cpu, struct mw_slot *slot,
		     size_t *left);
	mw_atomic_t pages; /* given back; any CPU adds */
};

/* One step on @cpu, if it has a slot of the cache. Pinned. */
static bool mw_each_slot_step(struct mw_each_slot *each, struct mw_cpu *cpu, size_t *left)
{
	struct mw_slot *slot = cpu ? cpu->slot[each->cache->id] : &mw_slot_none;

	return slot != &mw_slot_none && each->step(each, cpu, slot, left);
}

static void mw_each_slot_stopped(struct mw_cpu *cpu, void *arg)
{
	size_t left = SIZE_MAX;
	bool more = true;

	while (more) {
		unsigned long state = mw_port_pin();

		more = mw_each_slot_step(arg, cpu, &left);
		mw_port_unpin(state);
	}
}

static bool mw_cache_is_elsewhere(const struct mw_cache *cache)
{
	unsigned int here = mw_port_cpu();

	for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
		struct mw_cpu *cpu = atomic_load_explicit(&mw_object.cpu[i], memory_order_acquire);

		if (cpu && i != here &&
		    __atomic_load_n(&cpu->slot[cache->id], __ATOMIC_RELAXED) != &mw_slot_none)
			return true;
	}
	return false;
}

/*
 * For every CPU's slot of the cache. As long as no other CPU has one, or none can be stopped, this CPU's is all; if
 * the caller moves to another CPU meanwhile, that is found out. Return: false: a CPU was left out.
 */
static bool mw_cache_each_slot(struct mw_each_slot *each)
{
	size_t left = SIZE_MAX;
	bool elsewhere, more;

	do {
		unsigned long state = mw_port_pin();

		elsewhere = MW_MAX_CPUS > 1 && mw_cache_is_elsewhere(each->cache);
		more = !(elsewhere && MW_CAN_STOP) &&
		       mw_each_slot_step(each, mw_object.cpu[mw_port_cpu()], &left);
		mw_port_unpin(state);
	} while (more);
	return !elsewhere || (MW_CAN_STOP && mw_cpus_stopped(mw_each_slot_stopped, each));
}

/* An empty span; a typed cache's becomes the cache's for now, as giving it back takes as long as it is. */
static size_t mw_slot_leave(struct mw_cpu *cpu, struct mw_slot *slot, struct mw_span *span)
{
	if (!slot->cache->keeps)
		return mw_slot_release(cpu, slot, span);
	mw_slot_disown(cpu, slot, span);
	return 0;
}

/* Its spans are looked at in turn, and what others freed into them is gathered before. */
static bool mw_slot_shrink(struct mw_each_slot *each, struct mw_cpu *cpu, struct mw_slot *slot,
			   size_t *left)
{
	size_t pages = 0;

	if (*left == SIZE_MAX) {
		if (mw_cpu_gather(cpu, MW_DRAIN_STEP))
			return true;
		*left = slot->spans;
		if (slot->span && mw_slot_reapable(slot->span, true))
			pages += mw_slot_leave(cpu, slot, slot->span);
	}
	for (unsigned int n = 0; n < MW_DRAIN_STEP && *left && !mw_list_empty(&slot->avail); n++) {
		struct mw_span *span = mw_container(slot->avail.next, struct mw_span, link);

		--*left;
		if (mw_slot_reapable(span, false)) {
			pages += mw_slot_leave(cpu, slot, span);
			continue;
		}
		mw_list_remove(&span->link);
		mw_list_push_back(&slot->avail, &span->link);
	}
	atomic_fetch_add_explicit(&each->pages, pages, memory_order_relaxed);
	return *left && !mw_list_empty(&slot->avail);
}

size_t mw_cache_shrink(struct mw_cache *cache)
{
	struct mw_each_slot each = { .cache = cache, .step = mw_slot_shrink };

	if (mw_cache_refuses_dead(cache, MW_SITE))
		return 0;
	(void)mw_cache_each_slot(&each);
	return mw_word(&each.pages) + mw_central_shrink(cache, SIZE_MAX) + mw_debug_shrink(cache);
}

/* What the slot counted is the cache's from now on. */
static void mw_slot_drop(struct mw_cpu *cpu, struct mw_slot *slot)
{
	struct mw_cache *cache = slot->cache;

	mw_lock_pinned(&cache->lock);
	cache->allocs += slot->allocs;
	cache->remote_frees += slot->remote_frees;
	mw_unlock_pinned(&cache->lock);
	__atomic_store_n(&cpu->slot[cache->id], &mw_slot_none, __ATOMIC_RELAXED);
	mw_fixed_free(&mw_object.slots, slot);
}

/* All spans to the cache; then the slot goes. */
static bool mw_slot_end(struct mw_each_slot *each, struct mw_cpu *cpu, struct mw_slot *slot,
			size_t *left)
{
	(void)each, (void)left;
	if (mw_slot_flush(cpu, slot, MW_DRAIN_STEP))
		return true;
	mw_slot_drop(cpu, slot);
	return false;
}

static void *mw_span_first_live(const struct mw_span *span)
{
	for (size_t w = 0; w < span->words; w++) {
		unsigned long live = mw_span_live_word(span, w);

		if (live)
			return mw_span_object(span, w * MW_WORD_BITS + mw_lowest_bit(live));
	}
	return NULL;
}

/* The first live object of the cache, and how many there are. */
static void mw_cache_count_live(struct mw_cache *cache, struct mw_report *report)
{
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	while ((span = mw_span_next(&cursor))) {
		if (span->cache != cache)
			continue;
		report->given += mw_span_live_count(span);
		if (report->object)
			continue;
		report->object = mw_span_first_live(span);
		report->span = (const void *)mw_round_down((uintptr_t)span->base, MW_PAGE_SIZE);
		report->span_pages = span->pages;
	}
}

static bool mw_cache_is_empty(struct mw_cache *cache, uintptr_t site)
{
	struct mw_report report = {
		.what = MW_CACHE_LIVE,
		.size = cache->size,
		.cache = cache->name,
		.here.pcs[0] = site,
	};

	if (!cache->spans)
		return true;
	mw_cache_count_live(cache, &report);
	report.address = report.object;
	if (report.given)
		mw_misuse(&report);
	else
		mw_print("marrow: cache %s stays: something points to objects of it that were "
			 "freed\n",
			 cache->name);
	return false;
}

/* Return: false, after a report: it is dead, another call is at it, or it is a size class's. */
static bool mw_cache_begin_end(struct mw_cache *cache, uintptr_t site)
{
	struct mw_report report = {
		.what = MW_BAD_REQUEST,
		.text = "the cache is being destroyed by another call",
		.here.pcs[0] = site,
	};
	unsigned long state;
	bool begun;

	if (mw_cache_refuses_dead(cache, site))
		return false;
	report.given_cache = cache->name;
	state = mw_lock(&mw_object.lock);
	begun = cache->live && !cache->ending && !cache->builtin;
	cache->ending |= begun;
	mw_unlock(&mw_object.lock, state);
	if (cache->builtin)
		report.text = "the cache of a size class cannot be destroyed";
	if (!begun)
		mw_misuse(&report);
	return begun;
}

static bool mw_cache_empty(struct mw_cache *cache, uintptr_t site)
{
	struct mw_each_slot each = { .cache = cache, .step = mw_slot_end };

	if (cache->span_flags & MW_SPAN_SAFE)
		mw_up_safe_drain();
	if (!mw_cache_each_slot(&each)) {
		mw_print("marrow: cache %s stays: other CPUs have a part of it, and did not stop\n",
			 cache->name);
		return false;
	}
	(void)mw_central_shrink(cache, SIZE_MAX);
	(void)mw_debug_shrink(cache);
	return mw_cache_is_empty(cache, site);
}

bool mw_cache_destroy(struct mw_cache *cache)
{
	unsigned long state;
	bool empty;

	if (!mw_cache_begin_end(cache, MW_SITE))
		return false;
	empty = mw_cache_empty(cache, MW_SITE);
	state = mw_lock(&mw_object.lock);
	cache->ending = false;
	if (empty)
		mw_cache_bury_locked(cache);
	mw_unlock(&mw_object.lock, state);
	return empty;
}
