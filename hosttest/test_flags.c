// SPDX-License-Identifier: MIT
/*
 * What the flags of a request allow when memory is out, whichever call it is made by: who may wait
 * and ask shrinkers, who may collect, who may use the reserve; and where in the machine an answer
 * lies.
 */
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "test.h"
#include "../mm/gc/gc.h"
#include "../mm/page/up.h"

#define PAGE MW_PAGE_SIZE
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

struct chain {
	struct chain *next;
};

static struct mw_cache *cache;

/* ---- the ways ---- */

#if MW_GC
static struct mw_type chain_type = MW_TYPE(struct chain, MW_PTR(struct chain, next));
#endif

struct way {
	const char *name;
	void *(*alloc)(mw_flags_t flags);
	void (*free)(void *at);
	size_t size; /* that is asked for */
};

/*
 * Not its last deed, so that the call returns to it: it is the caller that reports and the profile
 * name.
 */
#define WAY(name_, expression_)                                                                    \
	static __attribute__((noinline)) void *name_(mw_flags_t flags)                             \
	{                                                                                          \
		void *at = (expression_);                                                          \
                                                                                                   \
		__asm__ volatile("" : "+r"(at));                                                   \
		return at;                                                                         \
	}

WAY(small, mw_alloc(48, flags))
WAY(medium, mw_alloc(3000, flags))
WAY(large, mw_alloc(50000, flags))
WAY(aligned, mw_alloc_aligned(100, 64, flags))
WAY(aligned_large, mw_alloc_aligned(100, 2 * PAGE, flags))
WAY(array, mw_alloc_array(10, 30, flags))
WAY(pointers, mw_alloc(64, flags | MW_POINTERS))
WAY(resized, mw_realloc(NULL, 200, flags))
WAY(resized_array, mw_realloc_array(NULL, 10, 500, flags))
WAY(cached, mw_cache_alloc(cache, flags))
WAY(page, mw_pages_alloc(1, flags))
WAY(pages, mw_pages_alloc(3, flags))
WAY(stack, mw_stack_alloc(1, flags))
WAY(long_stack, mw_stack_alloc(4, flags))

WAY(placed, mw_pages_alloc_as(&(struct mw_pages){ .count = 2, .flags = flags, .align = 2 * PAGE }))

static __attribute__((noinline)) void *bulk(mw_flags_t flags)
{
	void *at;

	return mw_cache_alloc_bulk(cache, flags, 1, &at) ? at : NULL;
}

static void page_free(void *at)
{
	mw_pages_free(at, 1);
}

static void pages_free(void *at)
{
	mw_pages_free(at, 3);
}

static void placed_free(void *at)
{
	mw_pages_free(at, 2);
}

static void stack_free(void *at)
{
	mw_stack_free(at, 1);
}

static void long_stack_free(void *at)
{
	mw_stack_free(at, 4);
}

#if MW_GC
WAY(collected, mw_alloc(64, flags | MW_COLLECTED))
WAY(collected_large, mw_alloc(40000, flags | MW_COLLECTED))
WAY(typed, mw_new(&chain_type, flags))
#define ARRAY (160 / sizeof(struct chain))
WAY(typed_array, mw_new_array(&chain_type, ARRAY, flags))
#endif

static const struct way ways[] = {
	{ "small", small, mw_free, 48 },
	{ "medium", medium, mw_free, 3000 },
	{ "large", large, mw_free, 50000 },
	{ "aligned", aligned, mw_free, 100 },
	{ "aligned large", aligned_large, mw_free, 100 },
	{ "array", array, mw_free, 300 },
	{ "pointers", pointers, mw_free, 64 },
	{ "resized", resized, mw_free, 200 },
	{ "resized array", resized_array, mw_free, 5000 },
	{ "cached", cached, mw_free, 72 },
	{ "bulk", bulk, mw_free, 72 },
	{ "page", page, page_free, PAGE },
	{ "pages", pages, pages_free, 3 * PAGE },
	{ "placed", placed, placed_free, 2 * PAGE },
	{ "stack", stack, stack_free, 2 * PAGE },
	{ "long stack", long_stack, long_stack_free, 16 * PAGE },
#if MW_GC
	{ "collected", collected, mw_free, 64 },
	{ "collected large", collected_large, mw_free, 40000 },
	{ "typed", typed, mw_free, sizeof(struct chain) },
	{ "typed array", typed_array, mw_free, ARRAY * sizeof(struct chain) },
#endif
};

/* ---- memory that is out ---- */

static struct {
	struct chain *taken, *runs, *singles; /* by the way; raw ones, of 16 pages and of one */
	unsigned long asked;
	bool gives; /* the shrinker has something to give */
	struct chain **root; /* where the collector finds what was taken */
} out;

#define RUN 16

static void push(struct chain **to, void *at)
{
	((struct chain *)at)->next = *to;
	*to = at;
}

static void *pop(struct chain **from)
{
	struct chain *at = *from;

	if (at)
		*from = at->next;
	return at;
}

static void take_all(const struct way *way)
{
	void *at;

	while ((at = mw_pages_alloc(RUN, MW_ATOMIC)))
		push(&out.runs, at);
	while ((at = way->alloc(MW_ATOMIC)))
		push(out.root, at);
	while ((at = mw_pages_alloc(1, MW_ATOMIC)))
		push(&out.singles, at);
	/*
	 * What was the last page's may have been an object's records; and who may not wait does not
	 * sweep.
	 */
	while ((at = way->alloc(MW_NO_SHRINK)))
		push(out.root, at);
}

static void give_all(const struct way *way)
{
	void *at;

	while ((at = pop(out.root)))
		way->free(at);
	while ((at = pop(&out.runs)))
		mw_pages_free(at, RUN);
	while ((at = pop(&out.singles)))
		mw_pages_free(at, 1);
}

static size_t shrink(struct mw_shrinker *self, size_t wanted)
{
	size_t given = 0;
	void *at;

	(void)self;
	out.asked++;
	while (out.gives && given < wanted + RUN && (at = pop(&out.runs))) {
		mw_pages_free(at, RUN);
		given += RUN;
	}
	return given;
}

static unsigned long cycles(void)
{
	struct mw_stats stats;

	mw_stats(&stats);
	return stats.cycles;
}

static void begin(struct mw_shrinker *shrinker)
{
	static const struct mw_cache_want want = { .name = "flags", .size = 72 };

	test_heap(4 * MIB);
	out.root = test_memory(PAGE);
	out.root[0] = out.runs = out.singles = NULL;
#if MW_GC
	NEED(mw_gc_root_add("flags", out.root, out.root + 1, NULL));
	NEED(mw_type_ready(&chain_type));
	/* Arrays have a cache from the first one on, which MW_ATOMIC does not make. */
	mw_free(typed_array(MW_NORMAL));
	test_own_roots(true);
#endif
	NEED(cache = mw_cache_create(&want));
	*shrinker = (struct mw_shrinker){ .shrink = shrink };
	mw_shrinker_add(shrinker);
	(void)mw_up_reclaim(0, MW_ATOMIC, 0);
	CHECK(mw_reserve(512 * KIB));
}

/* @flags do not do: nobody is asked who must not be. */
static void check_refused(const struct way *way, mw_flags_t flags, bool asks)
{
	unsigned long before = cycles();
	void *at;

	out.asked = 0;
	at = way->alloc(flags);
	if (at || (out.asked > 0) != asks)
		test_note("%s, flags %x: asked %lu times", way->name, flags, out.asked);
	CHECK(!at);
	CHECK_EQ(out.asked > 0, asks);
	if (flags & MW_ATOMIC)
		CHECK_EQ(cycles(), before);
}

static void check_given(const struct way *way, mw_flags_t flags, bool asks)
{
	void *at;

	out.asked = 0;
	at = way->alloc(flags);
	if (!at || (out.asked > 0) != asks)
		test_note("%s, flags %x: asked %lu times", way->name, flags, out.asked);
	CHECK(at);
	CHECK_EQ(out.asked > 0, asks);
	if (at)
		push(out.root, at);
}

TEST(who_asks_and_who_has_the_reserve)
{
	struct mw_shrinker shrinker;

	begin(&shrinker);
	for (size_t i = 0; i < MW_LEN(ways); i++) {
		const struct way *way = &ways[i];

		out.gives = false;
		take_all(way);
		check_refused(way, MW_ATOMIC, false);
		check_refused(way, MW_ATOMIC | MW_ZERO, false);
		check_refused(way, MW_ATOMIC | MW_NO_SHRINK, false);
		check_refused(way, MW_NO_SHRINK, false);
		check_refused(way, MW_NORMAL, true);
		check_refused(way, MW_ZERO, true);
		out.gives = true;
		check_refused(way, MW_ATOMIC, false);
		check_refused(way, MW_NO_SHRINK, false);
		check_given(way, MW_NORMAL, true);
		take_all(way);
		check_given(way, MW_RESERVE | MW_ATOMIC, false);
		take_all(way);
		check_given(way, MW_RESERVE, false);
		give_all(way);
	}
	CHECK(mw_shrinker_remove(&shrinker));
	CHECK(mw_reserve(0));
	CHECK(mw_cache_destroy(cache));
	CHECK(mw_heap_check());
	test_heap_may_leak();
}

/* ---- failing on purpose ---- */

/* Of @n requests, how many fail. */
static size_t failing(const struct way *way, struct mw_fail fail, size_t n)
{
	size_t failed = 0;

	fail.pages = true;
	(void)mw_fail_set(&fail);
	for (size_t i = 0; i < n; i++) {
		void *at = way->alloc(MW_ATOMIC);

		failed += !at;
		if (at)
			way->free(at);
	}
	CHECK_EQ(mw_fail_set(NULL), failed);
	return failed;
}

#define FAIL(...) failing(way, (struct mw_fail){ __VA_ARGS__ }, 12)
#define CODE 800 /* more bytes than a way has */

TEST(failing_on_purpose_by_each_call)
{
	struct mw_shrinker shrinker;

	begin(&shrinker);
	for (size_t i = 0; i < MW_LEN(ways); i++) {
		const struct way *way = &ways[i];
		bool pages = way->free != mw_free;
		/* Of a size class it is the class's that counts. */
		size_t size = way->size,
		       most = pages ? size : mw_max(mw_size_roundup(size), 2 * size);
		uintptr_t site = (uintptr_t)way->alloc;

		/* The first one makes what others need. */
		way->free(way->alloc(MW_NORMAL));

		CHECK_EQ(FAIL(.every = 1), 12);
		CHECK_EQ(FAIL(.every = 5), 2);
		CHECK_EQ(FAIL(.after = 3), 1);
		CHECK_EQ(FAIL(.after = 3, .every = 4), 3);
		CHECK_EQ(FAIL(.permille = 1000), 12);
		CHECK_EQ(FAIL(.every = 0), 0);
		CHECK_EQ(FAIL(.every = 1, .min_size = size), 12);
		CHECK_EQ(FAIL(.every = 1, .min_size = size, .max_size = most), 12);
		CHECK_EQ(FAIL(.every = 1, .min_size = most + 1), 0);
		CHECK_EQ(FAIL(.every = 1, .max_size = size - 1), 0);
		CHECK_EQ(FAIL(.every = 1, .site_lo = site + CODE, .site_hi = UINTPTR_MAX), 0);
		CHECK_EQ(FAIL(.every = 1, .site_lo = 1, .site_hi = site), 0);
		CHECK_EQ(FAIL(.every = 1, .site_lo = site, .site_hi = site + CODE), 12);
	}
	CHECK(mw_shrinker_remove(&shrinker));
	CHECK(mw_reserve(0));
	CHECK(mw_cache_destroy(cache));
	CHECK(mw_heap_check());
}

/* ---- where an answer lies ---- */

static void add(size_t bytes, uint64_t phys)
{
	NEED(mw_region_add(test_memory(bytes), phys, bytes));
}

static bool lies_below(const void *at, size_t bytes, mw_flags_t flags)
{
	uint64_t end = mw_phys((const char *)at + bytes - 1);

	if (flags & MW_BELOW_16M)
		return end < 16 * MIB;
	return !(flags & MW_BELOW_4G) || end < (uint64_t)4 << 30;
}

/* Until there are no more: the last ones come from wherever something is left. */
static size_t take_below(const struct way *way, mw_flags_t flags, struct chain **taken)
{
	size_t n = 0, wrong = 0;
	void *at;

	for (; (at = way->alloc(flags | MW_ATOMIC)); n++) {
		wrong += !lies_below(at, sizeof(struct chain), flags);
		push(taken, at);
	}
	if (wrong)
		test_note("%s, flags %x", way->name, flags);
	CHECK_EQ(wrong, 0);
	return n;
}

TEST_WITH(answers_lie_where_they_must, TEST_HOSTED)
{
	static const mw_flags_t zones[] = { MW_BELOW_16M, MW_BELOW_4G, MW_BELOW_4G | MW_BELOW_16M, 0 };
	struct mw_cache_want want = { .name = "flags", .size = 72 };

	test_heap(4 * PAGE);
	mw_reset();
	add(MIB, 8 * MIB);
	add(MIB, (uint64_t)1 << 30);
	add(MIB, (uint64_t)8 << 30);
	/* Without those that have a type, which have no zone. */
	for (size_t i = 0; i < MW_LEN(ways) - (MW_GC ? 2 : 0); i++) {
		const struct way *way = &ways[i];
		bool whole = way->alloc == cached || way->alloc == bulk;
		size_t n[MW_LEN(zones)];

		for (size_t z = 0; z < MW_LEN(zones); z++) {
			struct chain *taken = NULL;
			void *at;

			/* Of a cache all objects lie alike. */
			want.flags = whole ? zones[z] : 0;
			NEED(cache = mw_cache_create(&want));
			n[z] = take_below(way, whole ? 0 : zones[z], &taken);
			while ((at = pop(&taken)))
				way->free(at);
			CHECK(mw_cache_destroy(cache));
			/*
			 * What this CPU keeps goes back: requests that may not wait look at a part
			 * of it.
			 */
			mw_cpu_stop();
			mw_page_cpu_stop();
			while (mw_up_reclaim(1, MW_ATOMIC, 0))
				;
		}
		CHECK(n[0] && n[1] > n[0] && n[2] < n[1] && n[3] > n[1]);
	}
	CHECK(mw_heap_check());
}

/* Not even one that could stay is left where it may not be. */
TEST_WITH(resized_objects_lie_where_they_must, TEST_HOSTED)
{
	static const size_t sizes[] = { 1, 50, 100, 3000, 40000, 100000 };
	static const mw_flags_t zones[] = { MW_BELOW_16M, MW_BELOW_4G };

	test_heap(4 * PAGE);
	mw_reset();
	add(MIB, 8 * MIB);
	add(MIB, (uint64_t)1 << 30);
	add(MIB, (uint64_t)8 << 30);
	for (size_t i = 0; i < MW_LEN(sizes) * MW_LEN(sizes) * MW_LEN(zones); i++) {
		size_t from = sizes[i % MW_LEN(sizes)], to = sizes[i / MW_LEN(sizes) % MW_LEN(sizes)];
		mw_flags_t flags = zones[i / MW_LEN(sizes) / MW_LEN(sizes)];
		char *object = mw_alloc(from, MW_NORMAL), *moved;

		NEED(object);
		CHECK(mw_phys(object) >= (uint64_t)8 << 30);
		object[0] = 47;
		moved = mw_realloc(object, to, flags);
		NEED(moved && moved[0] == 47);
		if (!lies_below(moved, to, flags))
			test_note("from %zu to %zu, flags %x", from, to, flags);
		CHECK(lies_below(moved, to, flags));
		mw_free(moved);
	}
}
