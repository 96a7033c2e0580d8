// SPDX-License-Identifier: MIT
/*
 * Objects: the short ways between the fast paths and the general ones. Another word or span without the
 * questions of a refill, a free into a full span, a resize of what is at hand.
 */
#include <marrow/watch.h>
#include "object_slot.h"

/* Objects of the slot, @n of them by now, until the short way has no more. Return: how many then. */
static size_t take_all(struct mw_slot *slot, size_t n, size_t *short_ways)
{
	unsigned long state = mw_port_pin();
	void *object;

	*short_ways = 0;
	for (;;) {
		object = mw_slot_take(slot);
		if (!object) {
			object = mw_slot_more(slot);
			*short_ways += object != NULL;
		}
		if (!object || n == MOST)
			break;
		objects[n++] = object;
	}
	mw_port_unpin(state);
	return n;
}

/* Of the word that is allocated from, all. */
static size_t take_word(struct mw_slot *slot, size_t n)
{
	unsigned long state = mw_port_pin();

	while ((objects[n] = mw_slot_take(slot)))
		n++;
	mw_port_unpin(state);
	return n;
}

static void *more(struct mw_slot *slot)
{
	unsigned long state = mw_port_pin();
	void *object = mw_slot_more(slot);

	mw_port_unpin(state);
	return object;
}

TEST(all_words_of_the_span)
{
	struct mw_slot *slot = begin(SIZE);
	struct mw_span *span = slot->span;
	size_t ways, n = take_all(slot, 1, &ways);

	CHECK_EQ(n, span->count);
	CHECK(span->words > 2);
	CHECK_EQ(ways, span->words - 1);
	CHECK_EQ(twice(n), 0);
	CHECK_EQ(mw_object_live_bytes(), n * SIZE);
	/* Nothing was there, and nothing was done. */
	CHECK_PTR(slot->span, span);
	CHECK_EQ(span->where, MW_WHERE_CURRENT);
	end(n);
}

/* The last word of a span may have bits that are no objects: they are not handed out. */
TEST(objects_of_the_last_word)
{
	struct mw_slot *slot = begin(48);
	struct mw_span *span = slot->span;
	size_t ways, n = take_all(slot, 1, &ways);

	CHECK(span->count % MW_WORD_BITS);
	CHECK_EQ(n, span->count);
	CHECK_EQ(twice(n), 0);
	mw_cache_free(cache, objects[--n]);
	n = take_all(slot, n, &ways);
	CHECK_EQ(n, span->count);
	end(n);
}

/* Freed by two CPUs at the same moment, and not gathered yet: an object waits for that. */
TEST(what_was_freed_twice_is_not_handed_out)
{
	struct mw_slot *slot = begin(SIZE);
	struct mw_span *span = slot->span;
	size_t ways, n;

	NEED(span->words > 2);
	atomic_fetch_or(&span->remote[1], 2ul);
	n = take_all(slot, 1, &ways);
	atomic_fetch_and(&span->remote[1], ~2ul);
	CHECK_EQ(n, span->count - 1);
	for (size_t i = 0; i < n; i++)
		NEED(objects[i] != mw_span_object(span, MW_WORD_BITS + 1));
	end(n);
}

TEST(zeroed_objects_of_other_words)
{
	size_t wrong = 0;

	NEED(test_heap(HEAP));
	for (unsigned int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 1000; i++) {
			objects[i] = mw_alloc(SIZE, MW_ZERO);
			NEED(objects[i]);
			for (size_t b = 0; b < SIZE; b++)
				wrong += ((char *)objects[i])[b] != 0;
			for (size_t b = 0; b < SIZE; b++)
				((char *)objects[i])[b] = 0x5a;
		}
		for (size_t i = 0; i < 1000; i++)
			mw_free(objects[i]);
	}
	CHECK_EQ(wrong, 0);
	CHECK_EQ(mw_object_live_bytes(), 0);
}

/* @n full spans of the slot, the last one current. Return: objects. */
static size_t fill_spans(struct mw_slot *slot, size_t n)
{
	size_t ways, have = take_all(slot, 1, &ways);

	while (slot->spans < n) {
		NEED(have < MOST);
		objects[have] = mw_cache_alloc(cache, 0);
		NEED(objects[have]);
		have = take_all(slot, have + 1, &ways);
	}
	return have;
}

TEST(other_spans_of_the_cpu)
{
	struct mw_slot *slot = begin(64);
	struct mw_span *first = slot->span, *last;
	size_t ways, n = fill_spans(slot, 3);
	void *free = objects[5];

	last = slot->span;
	NEED(first != last && mw_span_of(free) == first);
	CHECK_EQ(first->where, MW_WHERE_FULL);
	CHECK_EQ(mw_owner(first), mw_port_cpu() | MW_OWNER_FULL);
	mw_cache_free(cache, free);
	CHECK_EQ(first->where, MW_WHERE_AVAIL);
	CHECK_EQ(mw_owner(first), mw_port_cpu());
	CHECK_PTR(more(slot), free);
	CHECK_PTR(slot->span, first);
	CHECK_EQ(last->where, MW_WHERE_FULL);
	CHECK_EQ(mw_owner(last), mw_port_cpu() | MW_OWNER_FULL);
	CHECK_EQ(take_all(slot, n, &ways), n);
	CHECK_EQ(slot->spans, 3);
	end(n);
}

/* The short way is not taken, nothing is done; and it is, when the reason is gone. */
static void unusual(struct mw_slot *slot, size_t *n, const char *why)
{
	mw_atomic_t *word = slot->word;

	if (!test_check(!more(slot) && slot->word == word, __FILE__, __LINE__, "%s", why))
		return;
	*n = take_word(slot, *n);
}

static void usual(struct mw_slot *slot, size_t *n)
{
	objects[*n] = more(slot);
	NEED(objects[*n]);
	*n = take_word(slot, *n + 1);
}

TEST(what_is_unusual_goes_the_general_way)
{
	struct mw_slot *slot = begin(SIZE);
	size_t n = take_word(slot, 1);

	NEED(mw_debug_set("P,more"));
	unusual(slot, &n, "aids were switched on");
	objects[n] = mw_cache_alloc(cache, 0);
	NEED(objects[n]);
	CHECK_EQ(mw_owner(mw_span_of(objects[n++])), MW_OWNER_DEBUG);
	NEED(mw_debug_set("-"));
	usual(slot, &n);
	if (MW_GC) {
		cache->span_flags |= MW_SPAN_SAFE;
		unusual(slot, &n, "frees are held back");
		cache->span_flags = 0;
	}
	end(n);
}

TEST(the_profile_goes_the_general_way)
{
	struct mw_slot *slot = begin(SIZE);
	size_t n = take_word(slot, 1);

	if (!mw_profile_rate(1 << 20))
		test_skip("no profile");
	unusual(slot, &n, "a profile is on");
	CHECK(mw_profile_rate(0));
	usual(slot, &n);
	end(n);
}

TEST(collected_objects_go_the_general_way)
{
	unsigned long state;
	struct mw_slot *slot;
	void *object;

	if (!MW_GC)
		test_skip("no collector");
	NEED(test_heap(HEAP));
	test_heap_may_leak();
	object = mw_alloc(SIZE, MW_COLLECTED);
	NEED(object);
	state = mw_port_pin();
	slot = mw_cpu_here()->slot[mw_span_of(object)->cache->id];
	mw_port_unpin(state);
	NEED(slot->span);
	CHECK_PTR(more(slot), NULL);
	CHECK_EQ(*(char *)object, 0);
}

/* What was the slot's may be gone when it is asked for more. */
TEST(a_flush_between)
{
	struct mw_slot *slot = begin(SIZE);

	mw_cache_free(cache, objects[0]);
	(void)mw_cache_shrink(cache);
	CHECK_PTR(slot->span, NULL);
	CHECK_PTR(more(slot), NULL);
	objects[0] = mw_cache_alloc(cache, 0);
	NEED(objects[0]);
	CHECK_PTR(slot->span, mw_span_of(objects[0]));
	end(1);
}

static struct {
	struct mw_slot *slot;
	struct mw_span *avail;
	void *free;
	size_t n;
} afar;

/* CPU 0 has a full span that is current and another one with a free object; CPU 1 frees one of the first. */
static void free_from_afar(unsigned int i, void *arg)
{
	(void)arg;
	if (i == 0) {
		afar.slot = begin(64);
		afar.avail = afar.slot->span;
		afar.n = fill_spans(afar.slot, 2);
		mw_cache_free(cache, objects[0]);
		objects[0] = objects[--afar.n];
		afar.free = objects[0];
		NEED(mw_span_of(afar.free) == afar.slot->span && afar.avail != afar.slot->span);
	}
	test_barrier();
	if (i == 1)
		mw_cache_free(cache, afar.free);
	test_barrier();
	if (i == 0) {
		CHECK(mw_span_pending(afar.slot->span));
		CHECK_PTR(more(afar.slot), NULL);
		CHECK_PTR(mw_cache_alloc(cache, 0), afar.free);
		CHECK_EQ(afar.slot->remote_frees, 1);
		end(afar.n);
	}
}

TEST(what_others_freed_comes_first)
{
	if (test_cpus() < 2)
		test_skip("one CPU");
	test_parallel(2, free_from_afar, NULL);
}

TEST(wrong_frees_into_a_full_span)
{
	const struct mw_cache_want want = { .name = "other", .size = 64 };
	struct mw_slot *slot = begin(64);
	struct mw_cache *other = mw_cache_create(&want);
	struct mw_span *full = slot->span;
	size_t n = fill_spans(slot, 2);

	NEED(other && full->where == MW_WHERE_FULL);
	wrong_free((char *)objects[0] + 8, cache, MW_INNER_FREE);
	wrong_free((char *)objects[0] + 8, NULL, MW_INNER_FREE);
	wrong_free(objects[0], other, MW_WRONG_CACHE);
	CHECK_EQ(full->where, MW_WHERE_FULL);
	mw_free(objects[0]);
	CHECK_EQ(full->where, MW_WHERE_AVAIL);
	wrong_free(objects[0], cache, MW_DOUBLE_FREE);
	wrong_free(objects[0], NULL, MW_DOUBLE_FREE);
	objects[0] = objects[--n];
	CHECK(mw_cache_destroy(other));
	end(n);
}

/* ---- resizes ---- */

static void *near(void *object, size_t size)
{
	void *moved = mw_realloc_near(object, size);

	CHECK(mw_object_check());
	return moved;
}

TEST(a_resize_at_hand)
{
	unsigned char *object, *moved, *other;
	size_t wrong = 0;

	NEED(test_heap(HEAP));
	/* So that there is an object of each class at hand. */
	for (size_t size = 16; size <= 3000; size += 16)
		mw_free(mw_alloc(size, 0));
	object = mw_alloc(16, 0);
	NEED(object);
	for (size_t size = 16, next; size < 2000; size = next) {
		next = size + size / 3 + 1;
		for (size_t i = 0; i < size; i++)
			object[i] = (unsigned char)(i ^ size);
		moved = near(object, next);
		NEED(moved);
		wrong += (moved == object) != (mw_size_roundup(size) == mw_size_roundup(next));
		for (size_t i = 0; i < size; i++)
			wrong += moved[i] != (unsigned char)(i ^ size);
		object = moved;
	}
	CHECK_EQ(wrong, 0);
	/* Smaller: not a byte behind it is written. */
	other = mw_alloc(32, 0);
	mw_free(other);
	moved = mw_alloc(32, 0);
	other = mw_alloc(32, 0);
	NEED(moved && other);
	for (size_t i = 0; i < 32; i++)
		other[i] = 0x5a;
	mw_free(moved);
	object = near(object, 32);
	NEED(object);
	for (size_t i = 0; i < 32; i++)
		wrong += other[i] != 0x5a;
	CHECK_EQ(wrong, 0);
	mw_free(object);
	mw_free(other);
	CHECK_EQ(mw_object_live_bytes(), 0);
}

TEST(resizes_of_what_is_not_at_hand)
{
	struct mw_slot *slot = begin(64);
	char *object, *aligned, *large;

	(void)slot;
	object = mw_alloc(64, 0);
	aligned = mw_alloc_aligned(64, 64, 0);
	large = mw_alloc(100000, 0);
	NEED(object && aligned && large);
	CHECK_PTR(near(object, 60), object);
	CHECK_PTR(near(object + 8, 60), NULL);
	CHECK_PTR(near(&object, 60), NULL);
	CHECK_PTR(near(aligned, 60), NULL);
	CHECK_PTR(near(large, 60), NULL);
	CHECK_PTR(near(objects[0], 60), NULL);
	CHECK_PTR(near(object, 31000), NULL); /* no such slot yet */
	mw_free(object);
	CHECK_PTR(near(object, 60), NULL);
	CHECK_PTR(near(object, 128), NULL);
	mw_free(aligned);
	mw_free(large);
	end(1);
}

static void resize_from_afar(unsigned int i, void *arg)
{
	char **object = arg;

	if (i == 0) {
		mw_free(mw_alloc(128, 0));
		*object = mw_alloc(64, 0);
		NEED(*object);
		**object = 7;
	}
	test_barrier();
	if (i == 1) {
		mw_free(mw_alloc(128, 0));
		CHECK_PTR(mw_realloc_near(*object, 128), NULL);
		*object = mw_realloc(*object, 128, 0);
		NEED(*object);
		CHECK_EQ(**object, 7);
		mw_free(*object);
	}
}

TEST(a_resize_of_what_another_cpu_has)
{
	static char *object;

	if (test_cpus() < 2)
		test_skip("one CPU");
	NEED(test_heap(HEAP));
	test_parallel(2, resize_from_afar, &object);
	CHECK_EQ(mw_object_live_bytes(), 0);
}

/* ---- what a CPU keeps of large objects ---- */

static size_t kept_bytes(void)
{
	struct mw_stats stats;

	mw_stats(&stats);
	return stats.cached_bytes;
}

/* Memory does not grow past what is kept and of no use: as much goes back first. */
TEST(what_is_kept_in_vain_goes_back)
{
	void *some[8], *longer[8];
	size_t kept, before;

	NEED(test_heap(HEAP));
	for (size_t i = 0; i < 8; i++)
		NEED(some[i] = mw_alloc(100000, 0));
	for (size_t i = 0; i < 8; i++)
		mw_free(some[i]);
	kept = kept_bytes();
	CHECK(kept >= 8 * 100000);
	/* None of these fits into what is kept; the first one makes sure that it was of no use. */
	for (size_t i = 0; i < 8; i++) {
		before = kept_bytes();
		NEED(longer[i] = mw_alloc(120000, 0));
		CHECK(i < 2 || !before || before - kept_bytes() >= 100000);
	}
	CHECK(kept_bytes() <= kept / 4);
	for (size_t i = 0; i < 8; i++)
		mw_free(longer[i]);
	/* What is of use stays. */
	kept = kept_bytes();
	for (size_t i = 0; i < 8; i++)
		NEED(longer[i] = mw_alloc(120000, 0));
	CHECK(kept - kept_bytes() >= 8 * 120000);
	for (size_t i = 0; i < 8; i++)
		mw_free(longer[i]);
	CHECK_EQ(kept_bytes(), kept);
}
