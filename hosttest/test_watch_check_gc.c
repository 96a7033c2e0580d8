// SPDX-License-Identifier: MIT
/* mw_heap_check() against broken special records and a broken collector: as in test_watch_check.c. */
#include "planted.h"
#include "special.h"
#include <marrow/watch.h>

#if MW_WATCH && MW_GC

static struct mw_record *first_of(struct mw_span *span)
{
	for (size_t i = 0; i < mw_record_lists(span); i++)
		if (*mw_record_list(span, i))
			return *mw_record_list(span, i);
	NEED(false);
	return NULL;
}

TEST(names_what_is_wrong_with_records)
{
	void *object[6], *untagged;
	struct mw_records *records;
	struct mw_record *record;
	struct mw_span *span;

	test_heap(8 << 20);
	for (unsigned int i = 0; i < 6; i++) {
		object[i] = mw_alloc(96, MW_NORMAL);
		NEED(object[i] && mw_tag_set(object[i], i + 1));
	}
	untagged = mw_alloc(96, MW_NORMAL);
	span = mw_span_of(object[0]);
	NEED(mw_span_of(object[5]) == span && mw_span_of(untagged) == span);
	mw_free(untagged);
	records = mw_records_index(mw_span_records(span));
	record = first_of(span);
	NEED(records && record->next && record->next->next);
	PLANT(records->count, records->count + 1, "index->count == span->told + span->quiet");
	PLANT(span->told, span->told + 1, "found.told == span->told");
	PLANT(span->told, span->told - 1, "found->told + found->quiet < span->told + span->quiet");
	PLANT(span->quiet, 1, "found.quiet == span->quiet");
	PLANT(record->offset, record->offset + 8, "mw_span_object(span, index) == object");
	PLANT(record->offset, record->next->offset, "is_sorted(last, r)");
	PLANT(record->next->offset, record->offset, "is_sorted(last, r)");
	PLANT(record->offset, record->offset + (1u << records->shift), "index->shift == i");
	PLANT(record->next->next->offset, (char *)untagged - span->base, "mw_span_live(span, index)");
	PLANT(span->sampled, 1, "sampled != MW_SAMPLED_NONE");
	PLANT(span->owner, span->owner & ~MW_OWNER_NO_FREE, "MW_OWNER_NO_FREE");
	PLANT(span->records, 0, "!span->told && !span->quiet");
	PLANT(mw_special.spans, mw_special.spans + 1, "mw_word(&special->spans)");
	PLANT(mw_special.due, 1, "mw_word(&special->due)");
	for (unsigned int i = 0; i < 6; i++)
		mw_free(object[i]);
	CHECK(mw_heap_check());
}

#define SAMPLES 40 /* more than a word of 32 bits has */

TEST(names_a_quiet_sample_whose_place_may_be_used)
{
	void *object[SAMPLES + 1];
	unsigned long *bits, state;
	struct mw_slot *slot;
	struct mw_span *span;

	test_heap(8 << 20);
	CHECK(mw_profile_rate(2));
	for (unsigned int i = 0; i < SAMPLES; i++)
		NEED((object[i] = mw_alloc(96, MW_NORMAL)));
	CHECK(mw_profile_rate(0));
	NEED((object[SAMPLES] = mw_alloc(96, MW_NORMAL)));
	state = mw_port_pin();
	slot = mw_cpu_here()->slot[mw_span_of(object[0])->cache->id];
	mw_port_unpin(state);
	span = slot->span;
	NEED(span && span->quiet);
	/* When it loads a word the slot has its mask back; until then it has what that would be. */
	bits = slot->behind ? &slot->behind : &slot->mask;
	PLANT(*bits, mw_span_mask(span, (size_t)(slot->word - span->free)),
	      "is_left_out(span, index)");
	PLANT(span->sampled, 0, "sampled != MW_SAMPLED_NONE");
	for (unsigned int i = 0; i <= SAMPLES; i++)
		mw_free(object[i]);
}

static void call(void *arg)
{
	++*(unsigned int *)arg;
}

NOINLINE static void make_due(unsigned int *ran)
{
	for (unsigned int i = 0; i < 2; i++)
		NEED(mw_cleanup_add(mw_alloc(64, MW_COLLECTED), call, ran));
}

BARE_TEST(names_what_is_wrong_with_due_calls)
{
	static unsigned int ran;

	setup(8 << 20);
	ran = 0;
	make_due(&ran);
	collect();
	NEED(mw_special.cleanups.length == 2);
	PLANT(mw_special.cleanups.first, mw_special.cleanups.last, "length == queue->length");
	PLANT(mw_special.cleanups.last, mw_special.cleanups.first, "queue->last == last");
	PLANT(mw_special.cleanups.length, 1, "special->due");
	CHECK_EQ(mw_finalizers_run(10), 2);
	CHECK_EQ(ran, 2);
	CHECK(mw_gc_root_remove(root));
}

BARE_TEST(names_what_is_wrong_with_the_collector)
{
	unsigned int now;
	struct mw_span *span, *hand;
	void *by_hand;

	setup(8 << 20);
	test_heap_may_leak();
	root[0] = mw_alloc(64, MW_COLLECTED);
	by_hand = mw_alloc(64, MW_NORMAL);
	NEED(root[0] && by_hand);
	span = mw_span_of(root[0]);
	hand = mw_span_of(by_hand);
	collect();
	now = mw_gc.sweeping.generation;
	PLANT(mw_gc.marking.marker[0].own.length, 1, "!marker->own.length");
	PLANT(mw_gc.marking.marker[MW_MAX_MARKERS - 1].own.length, 1, "!marker->own.length");
	PLANT(mw_gc.marking.shared.length, 1, "!marking->shared.length");
	PLANT(mw_gc.marking.shared_length, 1, "shared_length");
	PLANT(mw_gc.marking.busy, 1, "marking->busy");
	PLANT(span->generation, now + 1, "generation == now");
	PLANT(span->generation, 0, "generation == now");
	PLANT(span->generation, now - MW_GENERATION_STEP, "!all_swept");
	PLANT(hand->generation, now, "!generation");
	mw_free(by_hand);
	CHECK(mw_gc_root_remove(root));
}

BARE_TEST(names_what_is_wrong_with_roots)
{
	struct mw_pin *pin = NULL;
	size_t at = 0;

	setup(8 << 20);
	test_heap_may_leak();
	root[0] = mw_alloc(64, MW_COLLECTED);
	NEED(root[0] && mw_pin(root[0], "a test"));
	for (size_t i = 0; i < MW_LEN(mw_gc.pins); i++)
		if (mw_gc.pins[i])
			pin = mw_gc.pins[at = i];
	NEED(pin && mw_gc.roots);
	PLANT(mw_gc.roots->hi, (uintptr_t)mw_gc.roots->lo - 8, "root->lo <= root->hi");
	PLANT(mw_gc.roots->lo, (uintptr_t)mw_gc.roots->lo + 1, "sizeof(void *)");
	PLANT(mw_gc.roots->next, mw_gc.roots, "mw_gc.root_records.in_use");
	PLANT(pin->count, 0, "pin->count");
	PLANT(pin->object, (uintptr_t)pin->object + 4096 * 16, "pin_bucket(pin->object) == i");
	PLANT(mw_gc.pins[(at + 1) % MW_LEN(mw_gc.pins)], pin, "pin_bucket(pin->object) == i");
	PLANT(pin->next, pin, "mw_gc.pin_records.in_use");
	CHECK(mw_unpin(root[0]));
	CHECK(mw_gc_root_remove(root));
}

#endif
