// SPDX-License-Identifier: MIT
/*
 * Which allocations are sampled: one in about @rate bytes, without a word of the fast paths.
 *
 * A slot's allocations are cut into blocks of as many as make up the rate, and in each block one is
 * drawn, each with the same chance. It stands for the block. So every allocation has the same
 * chance to be the sample, whoever else allocates and whatever is freed when: each site's sum is
 * right on average, the sum of all is exact but for the last block of each slot, and patterns of
 * callers do not beat with it.
 *
 * The allocation that is drawn has to take the slow way. A slot allocates from a snapshot of one
 * word's free bits, @ready. While there is a profile the word behind it is hidden (slot->mask = 0),
 * so no more is handed out than the snapshot has, and that ends before the one that is due: no
 * allocation passes it by the fast path, and whoever is due finds that out pinned, when it takes
 * the object.
 *
 * Objects that come out of no slot lie on a line of bytes, which is cut and drawn from in the same
 * way.
 */
#include "profile.h"
#include "../object/up.h"

#if MW_WATCH

/* From 0 to @n - 1. Pinned. */
static unsigned long below(unsigned long n)
{
	uint32_t *dice = &mw_profile.cpu[mw_port_cpu()].dice, high;

	if (!*dice)
		*dice = 0x9e3779b9u * (mw_port_cpu() + 1);
	*dice ^= *dice << 13;
	*dice ^= *dice >> 17;
	*dice ^= *dice << 5;
	high = *dice;
	/* 32 bits of chance are enough: no mean gap is longer than 2^32. */
	return (unsigned long)((uint64_t)high * (uint32_t)mw_min(n, UINT32_MAX) >> 32);
}

/*
 * The next block of allocations of @size bytes begins behind @before. 0: they have no samples here.
 */
static void next_block(struct mw_draw *draw, unsigned long before, size_t size)
{
	unsigned long block = size ? mw_max(mw_word(&mw_profile_every) / size, 1) : SIZE_MAX / 2;
	unsigned long at = size ? 1 + below(block) : block;

	draw->stands = block;
	draw->due = before + at;
	draw->rest = block - at;
}

/*
 * Who has not been seen since the rate was set. @before: what of the count is not of the new era.
 */
static void begin_era(struct mw_draw *draw, unsigned long before, size_t size)
{
	unsigned long era = mw_profile_now();

	if (draw->era == era)
		return;
	draw->era = era;
	next_block(draw, before, size);
}

/* An allocation made the count @now. Return: how many it stands for; 0: it is no sample. */
static unsigned long count_one(struct mw_draw *draw, unsigned long now, size_t size)
{
	unsigned long stands = 0;

	begin_era(draw, now - 1, size);
	if ((long)(now - draw->due) >= 0) {
		stands = draw->stands;
		next_block(draw, draw->due + draw->rest, size);
	}
	return stands;
}

/* Blocks of tiny parts have their samples by the parts. */
static size_t size_of(const struct mw_slot *slot)
{
	return slot->cache->span_flags & MW_SPAN_TINY ? 0 : slot->cache->size;
}

/*
 * The object that the word is loaded for takes the slow way itself, so it may be the one that is
 * due.
 */
void mw_up_profile_word(struct mw_slot *slot)
{
	unsigned long bits = slot->ready, some = 0, left;

	begin_era(&slot->draw, slot->allocs, size_of(slot));
	left = mw_max(slot->draw.due - slot->allocs, 2) - 1;
	if (left >= MW_WORD_BITS)
		return;
	for (; left && bits; left--) {
		some |= bits & -bits;
		bits &= bits - 1;
	}
	slot->ready = some;
}

unsigned long mw_up_profile_due(struct mw_slot *slot)
{
	unsigned long stands = count_one(&slot->draw, slot->allocs, size_of(slot));

	/* What is noted may be more than what comes before the next one. */
	mw_slot_close(slot);
	return stands;
}

unsigned long mw_up_profile_tiny(struct mw_tiny *tiny)
{
	return count_one(&tiny->draw, tiny->packed + tiny->opened, MW_TINY_BLOCK);
}

/*
 * How many of the points that were drawn the object covers, one in each @rate bytes of the line.
 * Pinned.
 */
static unsigned long points_met(struct mw_profile_cpu *cpu, size_t size, size_t rate)
{
	unsigned long era = mw_profile_now(), points = 0;

	if (cpu->era != era) {
		cpu->era = era;
		cpu->left = 1 + below(rate);
		cpu->rest = rate - cpu->left;
	}
	for (; size >= cpu->left; points++) {
		unsigned long at = 1 + below(rate);

		size -= cpu->left;
		cpu->left = cpu->rest + at;
		cpu->rest = rate - at;
	}
	cpu->left -= size;
	return points;
}

/* @points times @rate bytes, in objects; the rest by chance. Pinned. */
static unsigned long objects_of(unsigned long points, size_t size, size_t rate)
{
	unsigned long objects = points * (rate / size);
	size_t rest = 0;

	for (; points; points--) {
		rest += rate % size;
		objects += rest >= size;
		rest -= rest >= size ? size : 0;
	}
	return objects + (below(size) < rest);
}

/* One of the rate's size or more is always a sample, and has no part in the line. Unpins. */
static MW_NOINLINE void sample_bytes(size_t size, void *object, uintptr_t site, unsigned long state)
{
	struct mw_profile_cpu *cpu = &mw_profile.cpu[mw_port_cpu()];
	size_t rate = mw_word(&mw_profile_every);
	unsigned long objects = 1;

	size = mw_max(size, 1);
	if (size < rate)
		objects = objects_of(points_met(cpu, size, rate), size, rate);
	mw_port_unpin(state);
	/* A span that was kept may be longer than was asked for. */
	if (rate && objects)
		mw_up_profile(mw_max(mw_usable_size(object), 1), object, site, objects);
}

void mw_up_profile_bytes(size_t size, void *object, uintptr_t site)
{
	unsigned long state = mw_port_pin();
	struct mw_profile_cpu *cpu = &mw_profile.cpu[mw_port_cpu()];

	if (mw_unlikely(size >= cpu->left || size >= mw_word(&mw_profile_every) ||
			cpu->era != mw_profile_now())) {
		sample_bytes(size, object, site, state);
		return;
	}
	cpu->left -= size;
	mw_port_unpin(state);
}

bool mw_profile_rate(size_t bytes)
{
	/* See mm/base/profile.h. */
	atomic_fetch_add_explicit(&mw_profile_era, 1, memory_order_seq_cst);
	atomic_store_explicit(&mw_profile_every, mw_min(bytes, UINT32_MAX / 4), memory_order_seq_cst);
	atomic_fetch_add_explicit(&mw_profile_era, 1, memory_order_seq_cst);
	mw_object_sample();
	return true;
}

#endif
