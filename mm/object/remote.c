// SPDX-License-Identifier: MIT
/*
 * Frees into spans that another CPU owns.
 *
 * The freer sets the object's bit in the span's remote words: one atomic. The first one since the
 * owner looked also sets MW_OWNER_PENDING and pushes the span on the owner's list; so a span is in at
 * most one such list, and only who set the flag may push. The owner takes the whole list at once,
 * clears the flag of each span, then moves its remote bits to the free words.
 *
 * No free is lost: the freer sets the bit before it reads the flag, the owner clears the flag before
 * it reads the bits (all four sequentially consistent), so either the freer finds the flag clear and
 * pushes, or the owner finds the bit. A span that changed hands meanwhile is sent on with its flag
 * set. The list of a CPU that stopped is closed: pushing fails, and by then its spans are the cache's.
 *
 * Flag and link belong to the descriptor, not to one life of the span: nothing but the above writes
 * them, so a span may go back to the page heap and become another one while it is in a list.
 *
 * Two frees of one object: by two other CPUs, both set the remote bit, and one finds it set; by
 * another one and then the owner, the flag keeps the owner off its fast path, and the slow one finds
 * the remote bit; by the owner and then another one, that finds the free bit, at which it looks after it
 * has set its own, and takes that back. If the owner's comes later than that look, but before the
 * flag, a remote bit is left on a free object: it is not handed out (mw_slot_some()), and the
 * next gather says so, without knowing the culprit.
 *
 * The freer of an object that is live keeps its span where it is until the bit is set. The second freer
 * of one does not: the span may go back and become another one between any two of its steps. So it
 * says which span it is at, and nobody gives that one back meanwhile: see mw_freer_begin().
 */
#include "elsewhere.h"

static bool mw_pending_push(struct mw_cpu *cpu, struct mw_span *span)
{
	struct mw_span *head = atomic_load_explicit(&cpu->pending, memory_order_relaxed);

	do {
		if (head == MW_PENDING_CLOSED)
			return false;
		span->pending_next = head;
	} while (!atomic_compare_exchange_weak_explicit(&cpu->pending, &head, span,
							memory_order_release, memory_order_relaxed));
	return true;
}

/* Return: whether it was not set before. */
static bool mw_set_pending(struct mw_span *span)
{
	return !(atomic_fetch_or_explicit(&span->owner, MW_OWNER_PENDING, memory_order_seq_cst) &
		 MW_OWNER_PENDING);
}

/* The caller set the flag, or took the span off a list. */
static void mw_pending_route(struct mw_span *span)
{
	for (;;) {
		unsigned int owner = mw_owner(span) & ~MW_OWNER_FULL;

		if (owner < MW_MAX_CPUS) {
			struct mw_cpu *cpu =
				atomic_load_explicit(&mw_object.cpu[owner], memory_order_acquire);

			if (mw_pending_push(cpu, span))
				return;
		} else if (owner == MW_OWNER_NONE) {
			if (mw_central_gather(span))
				return;
		} else {
			/* Nobody gathers there. Unless it was taken again: a free may rely on the flag. */
			mw_span_clear_pending(span);
			if (mw_owner(span) == owner || !mw_set_pending(span))
				return;
		}
		mw_port_relax();
	}
}

void mw_remote_notify(struct mw_span *span)
{
	if (mw_set_pending(span))
		mw_pending_route(span);
}

MW_NOINLINE void mw_freer_first(struct mw_span *span, unsigned int here)
{
	/*
	 * Acquire: who relies on another one's count comes behind it in the order of
	 * mw_freers_wait(), too.
	 */
	unsigned int count = atomic_load_explicit(&mw_object.freer_count, memory_order_acquire);

	while (count <= here &&
	       !atomic_compare_exchange_weak_explicit(&mw_object.freer_count, &count, here + 1,
						      memory_order_seq_cst, memory_order_acquire))
		;
	(void)atomic_exchange_explicit(&mw_freers[here].span, span, memory_order_seq_cst);
}

/* A remote bit on a free object: the second of two frees that were too close together to tell. */
static MW_NOINLINE void mw_gathered_twice(struct mw_span *span, size_t w, unsigned long twice)
{
	atomic_fetch_add_explicit(&mw_object.late_doubles, 1, memory_order_relaxed);
	atomic_store_explicit(&mw_object.late_double,
			      (uintptr_t)mw_span_object(span, w * MW_WORD_BITS + mw_lowest_bit(twice)),
			      memory_order_relaxed);
}

/* Take the remote bit back. If it was gathered meanwhile, whoever did that has said so. */
static enum mw_freed mw_remote_undo(struct mw_span *span, size_t index)
{
	mw_atomic_t *word = &span->remote[index / MW_WORD_BITS];
	unsigned long had = atomic_fetch_and_explicit(word, ~mw_bit(index), memory_order_acq_rel);

	return had & mw_bit(index) ? MW_FREED_TWICE : MW_FREED;
}

/* The object's remote bit is set, then its free bit is looked at. */
static enum mw_freed mw_remote_set(struct mw_span *span, size_t index)
{
	if (!mw_remote_bit(span, index))
		return MW_FREED_TWICE;
	if (mw_word(&span->free[index / MW_WORD_BITS]) & mw_bit(index))
		return mw_remote_undo(span, index);
	return MW_FREED;
}

/* Pinned, by @state; not any more afterwards. */
MW_NOINLINE void mw_remote_tell(struct mw_span *span, unsigned long state)
{
	mw_remote_notify(span);
	mw_port_unpin(state);
}

enum mw_freed mw_remote_free(struct mw_span *span, const void *object)
{
	unsigned int here = mw_port_cpu();
	unsigned int owner = mw_freer_begin(span, here) & ~MW_OWNER_FULL;
	enum mw_freed what = MW_FREED_MOVED;
	size_t index;

	if (owner < MW_MAX_CPUS && owner != here && mw_span_has(span, object, &index)) {
		mw_shadow_dead(object, span->size, MW_SHADOW_FREE);
		what = mw_remote_set(span, index);
	}
	mw_freer_end(here);
	if (what == MW_FREED && !mw_span_pending(span))
		mw_remote_notify(span);
	return what;
}

MW_NOINLINE void mw_free_first(void *object, struct mw_span *span, struct mw_cache *cache,
			       unsigned long state, uintptr_t site)
{
	mw_freer_first(span, mw_port_cpu());
	mw_freer_end(mw_port_cpu());
	mw_free_otherwise(object, span, cache, state, site);
}

/* The owner has freed the object as well, just now. */
MW_NOINLINE void mw_free_undo(void *object, struct mw_span *span, struct mw_cache *cache,
			      unsigned long state, uintptr_t site)
{
	size_t index = mw_span_index(span, object);
	bool twice = mw_remote_undo(span, index) == MW_FREED_TWICE;

	mw_freer_end(mw_port_cpu());
	if (twice)
		mw_free_otherwise(object, span, cache, state, site);
	else
		mw_remote_tell(span, state);
}

__attribute__((noinline)) void mw_free_elsewhere(void *object, struct mw_span *span,
						 struct mw_cache *cache, unsigned long state,
						 unsigned int owner, uintptr_t site)
{
	mw_free_outside(object, span, cache, state, mw_port_cpu(), owner, site);
}

void mw_freers_wait(const struct mw_span *span)
{
	unsigned int count = atomic_load_explicit(&mw_object.freer_count, memory_order_seq_cst);

	for (unsigned int i = 0; i < count; i++) {
		while (atomic_load_explicit(&mw_freers[i].span, memory_order_seq_cst) == span)
			mw_port_relax();
	}
}

void mw_freers_gone(struct mw_span *span)
{
	mw_freers_wait(span);
	for (size_t w = 0; w < span->words; w++) {
		unsigned long twice = mw_word(&span->remote[w]);

		if (mw_unlikely(twice))
			mw_gathered_twice(span, w, twice);
	}
}

size_t mw_span_gather(struct mw_span *span)
{
	size_t count = 0;

	/* What is held back is not to be had yet. */
	if (mw_unlikely(span->flags & MW_SPAN_SAFE))
		return 0;
	for (size_t w = 0; w < span->words; w++) {
		unsigned long freed = atomic_load_explicit(&span->remote[w], memory_order_seq_cst);
		unsigned long word;

		if (!freed)
			continue;
		/* First, so that it is decided who says so, if one of them is being taken back. */
		freed = atomic_exchange_explicit(&span->remote[w], 0, memory_order_acq_rel);
		word = mw_word(&span->free[w]);
		if (mw_unlikely(freed & word))
			mw_gathered_twice(span, w, freed & word);
		mw_set_word(&span->free[w], word | freed);
		count += mw_count_bits(freed);
	}
	return count;
}

static struct mw_span *mw_cpu_next_pending(struct mw_cpu *cpu)
{
	struct mw_span *span = cpu->gather;

	if (!span) {
		span = atomic_load_explicit(&cpu->pending, memory_order_relaxed);
		if (!span || span == MW_PENDING_CLOSED)
			return NULL;
		span = atomic_exchange_explicit(&cpu->pending, NULL, memory_order_acquire);
	}
	if (span)
		cpu->gather = span->pending_next;
	return span;
}

bool mw_cpu_gather(struct mw_cpu *cpu, unsigned int most)
{
	bool any = false;

	while (most--) {
		struct mw_span *span = mw_cpu_next_pending(cpu);
		unsigned int owner;

		if (!span)
			break;
		any = true;
		owner = mw_owner(span);
		if ((owner & ~MW_OWNER_FULL) != cpu->number) {
			mw_pending_route(span);
			continue;
		}
		mw_span_clear_pending(span);
		cpu->slot[span->cache->id]->remote_frees += mw_span_gather(span);
		if (owner & MW_OWNER_FULL)
			mw_slot_unfull(cpu, span);
	}
	return any;
}
