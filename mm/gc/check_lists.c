// SPDX-License-Identifier: MIT
/*
 * The collector's structures between two cycles, against what gc.h says of them. Nobody else is inside.
 * (check.c checks marks, by marking twice.)
 */
#include "gc.h"

#if MW_GC

/* No span waits to be scanned. */
static bool check_queues(void)
{
	const struct mw_marking *marking = &mw_gc.marking;

	for (unsigned int i = 0; i < MW_MAX_MARKERS; i++) {
		const struct mw_marker *marker = &marking->marker[i];

		MW_CHECK(marker, !marker->own.length);
	}
	MW_CHECK(marking, !marking->shared.length);
	MW_CHECK(marking, !mw_word(&marking->shared_length));
	MW_CHECK(marking, !mw_word(&marking->busy));
	return true;
}

/* A span is swept or not, and none is not once the cycle's sweep has ended. */
static bool check_generation(const struct mw_span *span, unsigned int now, bool all_swept)
{
	unsigned int generation =
		atomic_load_explicit(&((struct mw_span *)span)->generation, memory_order_acquire);

	if (!(mw_span_flags(span) & MW_SPAN_COLLECTED)) {
		MW_CHECK(span, !generation);
		return true;
	}
	MW_CHECK(span, generation == now || generation == now - MW_GENERATION_STEP);
	MW_CHECK(span, generation == now || !all_swept);
	/* A mark begins with none. */
	for (size_t w = 0; generation == now && w < span->words; w++)
		MW_CHECK(span, !mw_word(&span->mark[w]));
	return true;
}

static bool check_generations(void)
{
	unsigned int now = atomic_load_explicit(&mw_gc.sweeping.generation, memory_order_acquire);
	bool all_swept = mw_word(&mw_gc.swept_cycle) == mw_word(&mw_gc.cycles);
	struct mw_span_cursor cursor = { 0 };
	struct mw_span *span;

	while ((span = mw_span_next(&cursor)))
		if (!check_generation(span, now, all_swept))
			return false;
	return true;
}

/* While a mark is under way all of it is in use. */
bool mw_gc_check_lists(void)
{
	if (!atomic_load_explicit(&mw_gc.ready, memory_order_acquire) || mw_up_marking())
		return true;
	return check_queues() && check_generations() && mw_roots_check();
}

#endif
