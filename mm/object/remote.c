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
 * the remote bit; by the owner and then another one, that finds the free bit. Only if both happen
 * within the few instructions between the look and the change is a remote bit left on a free object:
 * that is found at the next gather, which says so without knowing the culprit.
 */
#include "inside.h"

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

/* A remote bit on a free object: the second of two frees that were too close together to tell. */
static MW_NOINLINE void mw_gathered_twice(struct mw_span *span, size_t w, unsigned long twice)
{
	atomic_fetch_add_explicit(&mw_object.late_doubles, 1, memory_order_relaxed);
	atomic_store_explicit(&mw_object.late_double,
			      (uintptr_t)mw_span_object(span, w * MW_WORD_BITS + mw_lowest_bit(twice)),
			      memory_order_relaxed);
}

size_t mw_span_gather(struct mw_span *span)
{
	size_t count = 0;

	/* What is held back is not to be had yet. */
	if (mw_unlikely(span->flags & MW_SPAN_SAFE))
		return 0;
	for (size_t w = 0; w < span->words; w++) {
		unsigned long freed = atomic_load_explicit(&span->remote[w], memory_order_seq_cst);
		unsigned long word = mw_word(&span->free[w]);

		if (!freed)
			continue;
		if (mw_unlikely(freed & word))
			mw_gathered_twice(span, w, freed & word);
		mw_set_word(&span->free[w], word | freed);
		atomic_fetch_and_explicit(&span->remote[w], ~freed, memory_order_acq_rel);
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
