// SPDX-License-Identifier: MIT
/*
 * Which allocations are sampled: one in about @rate bytes, without a word of the fast paths.
 *
 * A slot allocates from a snapshot of free bits and comes to the slow way when the snapshot and the
 * word behind it are used up. So the sampler, where the next sample is due inside a word, shortens
 * the snapshot and hides the word (slot->mask = 0): the fast path then runs out at just that
 * allocation. Gaps are random, uniform from 1 to twice the mean, so patterns of callers do not beat
 * with them. A sample stands for all allocations of its slot since the last one: slot->allocs
 * counts those exactly, so the sum over all sites is exact up to the last sample of each slot.
 *
 * Bias: an object that is freed into the word that its CPU is allocating from can be handed out again
 * without the slow way. While nothing else makes the CPU move on, a sample comes late, and the caller
 * that meets it gets the whole gap. A word ends the loop as soon as it has been met near its due, or
 * when its objects stay. A sum for one site is right; how two such loops in the same size share it may not be.
 */
#include "profile.h"
#include "../object/fast.h"
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

static unsigned long gap_of(size_t size)
{
	size_t mean = mw_word(&mw_profile_every) / mw_max(size, 1);

	return mean <= 1 ? 1 : 1 + below(2 * mean - 1);
}

/* A slot that has not been seen since the rate was set begins with the allocation that is under way. */
static void begin_era(struct mw_slot *slot, unsigned long before)
{
	unsigned long era = mw_word(&mw_profile_era);

	if (slot->era == era)
		return;
	slot->era = era;
	slot->sampled = before;
	slot->due = before + gap_of(slot->cache->size);
}

static void hold_at_due(struct mw_slot *slot)
{
	unsigned long bits = slot->ready, some = 0, left = slot->due - slot->allocs;

	if (left > MW_WORD_BITS)
		return;

	if (!bits)
		bits = mw_word(slot->word) & slot->mask & ~mw_word(slot->remote);
	/* One that is due next is, even if the next object is one that is yet to be freed. */
	if (slot->held || (left > 1 && left > mw_count_bits(bits)))
		return;
	for (; left > 1; left--) {
		some |= bits & -bits;
		bits &= bits - 1;
	}
	slot->ready = some;
	slot->ahead = slot->mask = 0;
	slot->held = true;
}

void mw_up_profile_word(struct mw_slot *slot)
{
	begin_era(slot, slot->allocs);
	/* The object that the word was looked for comes by the slow way whatever is held. */
	if ((long)(slot->due - slot->allocs) > 1)
		hold_at_due(slot);
}

void mw_up_profile(struct mw_cache *cache, void *object, uintptr_t site)
{
	unsigned long state = mw_port_pin(), objects = 0;
	struct mw_cpu *cpu = mw_cpu_here();
	struct mw_slot *slot = cpu ? cpu->slot[cache->id] : &mw_slot_none;

	if (slot != &mw_slot_none && slot->allocs && !mw_slot_far(slot, MW_WORD_BITS)) {
		begin_era(slot, slot->allocs - 1);
		if ((long)(slot->allocs - slot->due) >= 0) {
			objects = slot->allocs - slot->sampled;
			slot->sampled = slot->allocs;
			slot->due = slot->allocs + gap_of(cache->size);
		}
		if (slot->span)
			hold_at_due(slot);
	}
	mw_port_unpin(state);
	if (objects)
		mw_profile_note(cache->size, object, site, objects);
}

/* How many points of the line of bytes, a random gap around @rate apart, the object covers. Pinned. */
static unsigned long points_met(struct mw_profile_cpu *cpu, size_t size, size_t rate)
{
	unsigned long era = mw_word(&mw_profile_era), points = 0;
	long left = (long)mw_word(&cpu->left);

	if (mw_word(&cpu->era) != era) {
		mw_set_word(&cpu->era, era);
		left = (long)(1 + below(2 * rate - 1)) - (long)size;
	}
	for (; left <= 0; points++)
		left += (long)(1 + below(2 * rate - 1));
	mw_set_word(&cpu->left, (unsigned long)left);
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

static MW_NOINLINE void sample_large(size_t size, size_t rate, void *object, uintptr_t site)
{
	unsigned long state = mw_port_pin(), objects = 1;

	if (size < rate)
		objects = objects_of(points_met(&mw_profile.cpu[mw_port_cpu()], size, rate), size,
				     rate);
	mw_port_unpin(state);
	/* A span that was kept may be longer than was asked for. */
	if (objects)
		mw_profile_note(mw_max(mw_usable_size(object), MW_PAGE_SIZE), object, site, objects);
}

/* Bytes are counted down; one that meets a point stands for as many as make up the rate. */
void mw_up_profile_large(size_t size, void *object, uintptr_t site)
{
	size_t rate = mw_word(&mw_profile_every);
	struct mw_profile_cpu *cpu = &mw_profile.cpu[mw_port_cpu()];
	unsigned long left = mw_word(&cpu->left) - size;

	mw_set_word(&cpu->left, left);
	if (mw_likely((long)left > 0 && size < rate && mw_word(&cpu->era) == mw_word(&mw_profile_era)))
		return;
	if (rate)
		sample_large(mw_max(size, 1), rate, object, site);
}

bool mw_profile_rate(size_t bytes)
{
	atomic_fetch_add_explicit(&mw_profile_era, 1, memory_order_relaxed);
	mw_set_word(&mw_profile_every, mw_min(bytes, UINT32_MAX / 4));
	if (atomic_load_explicit(&mw_object.sampling, memory_order_relaxed) != (bytes == 1))
		mw_object_sample_all(bytes == 1);
	return true;
}

#endif
