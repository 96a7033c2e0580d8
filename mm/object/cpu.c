// SPDX-License-Identifier: MIT
/* All state of the room; how it, and each CPU's part of it, comes to be and goes. */
#include "../base/fail.h"
#include "inside.h"

/* Caches of size classes that are made between two looks at interrupts. */
#define MW_START_STEP 8

struct mw_object mw_object = { .lock = MW_LOCK_INIT(MW_RANK_REGISTRY) };

static mw_atomic_t mw_no_word;

struct mw_slot mw_slot_none = { .word = &mw_no_word, .remote = &mw_no_word };
struct mw_cpu mw_cpu_none = {
	.fine = { [0 ... MW_FINE_STEPS - 1] = &mw_slot_none },
	.slot = { [0 ... MW_MAX_CACHES] = &mw_slot_none },
	.stock = { .pages = SIZE_MAX / 2 },
};
struct mw_cpu *_Atomic mw_cpus[MW_MAX_CPUS] = { [0 ... MW_MAX_CPUS - 1] = &mw_cpu_none };
struct mw_freer mw_freers[MW_MAX_CPUS];
_Alignas(16) char mw_zero_object[16];

void mw_cache_init(struct mw_cache *cache, unsigned int id, size_t size)
{
	mw_lock_pinned(&cache->lock);
	cache->allocs = cache->frees = cache->remote_frees = 0;
	mw_unlock_pinned(&cache->lock);
	cache->size = cache->stride = cache->asked = size;
	mw_class_lengths(size, cache->lengths);
	mw_cache_enter_locked(cache, id);
}

static void mw_builtin_init(enum mw_policy policy, unsigned int class)
{
	static const char *const prefix[] = { "alloc", "aligned", "pointers", "collected", "noscan" };
	static const unsigned char flags[] = { 0, 0, MW_SPAN_POINTERS,
					       MW_SPAN_COLLECTED | MW_SPAN_POINTERS,
					       MW_SPAN_COLLECTED };
	unsigned int id = policy * MW_MAX_CLASSES + class;
	struct mw_cache *cache = &mw_object.builtin[id];

	bool tiny = mw_is_noscan(policy) && class == MW_TINY_CLASS;

	mw_cache_first(cache);
	mw_cache_init(cache, id, tiny ? MW_TINY_BLOCK : mw_object.classes.sizes[class]);
	cache->builtin = true;
	cache->policy = (unsigned char)policy;
	cache->span_flags = flags[policy] | (tiny ? MW_SPAN_TINY : 0);
	mw_format(cache->own_name, sizeof(cache->own_name), "%s-%zu",
		  tiny ? "tiny" : prefix[policy], cache->size);
	if (!(cache->span_flags & MW_SPAN_COLLECTED))
		atomic_init(&cache->debug, mw_debug_flags_for(cache));
}

static void mw_object_begin(void)
{
	mw_class_fill(&mw_object.classes);
	mw_caches_begin();
	mw_fixed_init(&mw_object.slots, mw_round_up(sizeof(struct mw_slot), MW_CACHE_LINE),
		      MW_USE_CACHES, NULL);
	mw_fixed_init(&mw_object.caches, mw_round_up(sizeof(struct mw_cache), MW_CACHE_LINE),
		      MW_USE_CACHES, NULL);
	for (unsigned int i = 0; i < MW_LEN(mw_object.bitmaps); i++)
		mw_fixed_init(&mw_object.bitmaps[i], sizeof(unsigned long) * 8 << i, MW_USE_SPANS,
			      NULL);
}

/* A few of the size classes' caches. Return: whether there are all. */
static bool mw_object_start_locked(void)
{
	unsigned int classes = mw_object.classes.count, left = MW_START_STEP;

	if (!classes) {
		mw_object_begin();
		return false;
	}
	for (; left && mw_object.started < MW_NR_POLICIES * (classes - 1); left--) {
		mw_builtin_init(mw_object.started / (classes - 1),
				1 + mw_object.started % (classes - 1));
		mw_object.started++;
	}
	return left;
}

/* With a look at interrupts between two steps. Whoever comes meanwhile does the next one. */
MW_NOINLINE void mw_object_start(void)
{
	bool ready;

	do {
		unsigned long state = mw_lock(&mw_object.lock);

		ready = atomic_load_explicit(&mw_object.ready, memory_order_relaxed) ||
			mw_object_start_locked();
		if (ready)
			atomic_store_explicit(&mw_object.ready, true, memory_order_release);
		mw_unlock(&mw_object.lock, state);
	} while (!ready);
}

static void mw_cpu_init(struct mw_cpu *cpu, unsigned int number)
{
	/* As that has none either: this is done pinned, and a copy is shorter than loops. */
	__builtin_memcpy(cpu->fine, mw_cpu_none.fine, sizeof(cpu->fine));
	__builtin_memcpy(cpu->slot, mw_cpu_none.slot, sizeof(cpu->slot));
	mw_list_init(&cpu->owned);
	cpu->number = number;
}

/* Let the fast paths see the CPU, or nobody. Registry lock held, which orders this with the reasons for it. */
static void mw_cpu_show(struct mw_cpu *cpu)
{
	bool hide = atomic_load_explicit(&mw_object.failing, memory_order_relaxed) ||
		    atomic_load_explicit(&mw_object.slowly, memory_order_relaxed) ||
		    (mw_profiling() && mw_word(&cpu->era) != mw_profile_now());

	atomic_store_explicit(&mw_cpus[cpu->number], hide ? &mw_cpu_none : cpu, memory_order_release);
}

/*
 * A slot may have more than it noted, and what is freed into its word comes on top: a loop can go
 * on in it for ever, unseen. So when an era of the profile begins, all slots are closed first.
 * Pinned.
 */
static void mw_cpu_close(struct mw_cpu *cpu)
{
	unsigned long era = mw_profile_now();

	for (unsigned int id = 0; mw_profiling() && id < MW_MAX_CACHES; id++) {
		if (cpu->slot[id] != &mw_slot_none)
			mw_slot_close(cpu->slot[id]);
	}
	if (mw_profiling())
		cpu->tiny.block = NULL;
	mw_set_word(&cpu->era, era);
}

MW_NOINLINE void mw_cpu_follow(struct mw_cpu *cpu)
{
	mw_cpu_close(cpu);
	mw_lock_pinned(&mw_object.lock);
	mw_cpu_show(cpu);
	mw_unlock_pinned(&mw_object.lock);
}

/* Pinned; no lock held. */
static MW_NOINLINE struct mw_cpu *mw_cpu_begin(unsigned int number)
{
	struct mw_cpu *cpu = atomic_load_explicit(&mw_object.cpu[number], memory_order_acquire);

	mw_object_ready();
	if (!cpu) {
		cpu = mw_persist(sizeof(*cpu), MW_CACHE_LINE, MW_USE_CACHES);
		if (!cpu)
			return NULL;
		mw_cpu_init(cpu, number);
		atomic_store_explicit(&mw_object.cpu[number], cpu, memory_order_release);
	}
	mw_cpu_close(cpu);
	mw_lock_pinned(&mw_object.lock);
	cpu->running = true;
	atomic_store_explicit(&cpu->pending, NULL, memory_order_release);
	mw_cpu_show(cpu);
	mw_unlock_pinned(&mw_object.lock);
	return cpu;
}

struct mw_cpu *mw_cpu_here(void)
{
	unsigned int number = mw_port_cpu();
	struct mw_cpu *cpu;

	MW_DASSERT(mw_port_pinned());
	MW_ASSERT(number < MW_MAX_CPUS);
	cpu = atomic_load_explicit(&mw_object.cpu[number], memory_order_relaxed);
	if (mw_likely(cpu && cpu->running))
		return cpu;
	return mw_cpu_begin(number);
}

/* Sizes that lead to the class of by-hand objects with number @class. */
static void mw_cpu_set_fine(struct mw_cpu *cpu, unsigned int class, struct mw_slot *slot)
{
	const struct mw_class_tables *tables = &mw_object.classes;
	size_t i = tables->sizes[class - 1] / 8 + 1;

	for (; i < MW_FINE_STEPS && tables->fine[i] == class; i++)
		cpu->fine[i] = slot;
}

struct mw_slot *mw_slot_make(struct mw_cpu *cpu, struct mw_cache *cache)
{
	struct mw_slot *slot;

	if (mw_unlikely(cache->id == MW_NO_CACHE_ID))
		return NULL;
	slot = mw_fixed_alloc(&mw_object.slots);
	if (!slot)
		return NULL;
	*slot = (struct mw_slot){ .stride = cache->stride, .cache = cache };
	mw_slot_forget_current(slot);
	mw_list_init(&slot->avail);
	mw_list_init(&slot->full);
	__atomic_store_n(&cpu->slot[cache->id], slot, __ATOMIC_RELAXED);
	if (cache->builtin && cache->policy == MW_POLICY_HAND && cache->size <= MW_FINE_MAX)
		mw_cpu_set_fine(cpu, cache->id, slot);
	return slot;
}

bool mw_cpu_start(void)
{
	unsigned long state;
	bool ok;

	mw_object_ready(); /* not pinned: it takes long, the first time */
	state = mw_port_pin();
	ok = mw_cpu_here() != NULL;
	mw_port_unpin(state);
	return ok;
}

/*
 * A reason to hide the CPUs from the fast paths comes or goes; NULL: one that is written elsewhere.
 */
static void mw_object_hide(_Atomic(bool) *why, bool on)
{
	unsigned long state;

	mw_object_ready();
	state = mw_lock(&mw_object.lock);
	if (why)
		atomic_store_explicit(why, on, memory_order_relaxed);
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
		struct mw_cpu *cpu = atomic_load_explicit(&mw_object.cpu[i], memory_order_acquire);

		if (cpu && cpu->running)
			mw_cpu_show(cpu);
	}
	mw_unlock(&mw_object.lock, state);
}

/* Called by mm/base when failing on purpose begins and ends. */
void mw_up_fail_set(bool on)
{
	mw_object_hide(&mw_object.failing, on);
}

void mw_object_slowly(bool on)
{
	mw_object_hide(&mw_object.slowly, on);
}

void mw_object_sample(void)
{
	mw_object_hide(NULL, false);
}

void mw_object_reset(void)
{
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++)
		atomic_store_explicit(&mw_cpus[i], &mw_cpu_none, memory_order_relaxed);
	__builtin_memset((void *)mw_freers, 0, sizeof(mw_freers));
	__builtin_memset(&mw_object, 0, sizeof(mw_object));
	mw_lock_init(&mw_object.lock, MW_RANK_REGISTRY);
	mw_caches_begin();
}
