// SPDX-License-Identifier: MIT
/* The allocation profile: exact at rate 1, near the truth when sampling, the same in all its forms. */
#include "test.h"
#include <marrow/gc.h>
#include <marrow/watch.h>
#include "../mm/watch/profile.h"

#if MW_WATCH

#define NOINLINE __attribute__((noinline))
#define ROOM ((size_t)1 << 20)

struct kept {
	unsigned char *bytes;
	size_t len;
};

static bool keep(void *ctx, const void *bytes, size_t len)
{
	struct kept *kept = ctx;

	if (kept->len + len >= ROOM)
		return false;
	__builtin_memcpy(kept->bytes + kept->len, bytes, len);
	kept->len += len;
	kept->bytes[kept->len] = 0;
	return true;
}

static struct kept write_as(enum mw_profile_form form)
{
	struct kept kept = { .bytes = test_memory(ROOM) };

	NEED(kept.bytes);
	CHECK(mw_profile_write(form, keep, &kept));
	return kept;
}

/* ---- what the table says ---- */

static uint64_t objects_of(size_t size)
{
	struct mw_profile_cursor cursor = { 0 };
	struct mw_bucket bucket;
	uint64_t objects = 0;

	while (mw_profile_next(&cursor, &bucket)) {
		if (bucket.size == size)
			objects += bucket.objects;
	}
	return objects;
}

static bool near(uint64_t n, uint64_t truth, unsigned int percent)
{
	uint64_t off = n > truth ? n - truth : truth - n;

	test_note("%llu, in truth %llu", (unsigned long long)n, (unsigned long long)truth);
	return off * 100 <= truth * percent;
}

/* Objects that stay, so that nothing is used twice; then all are freed. */
static void **chain;

NOINLINE static void stay(size_t n, size_t size)
{
	while (n--) {
		void **object = mw_alloc(size, MW_NORMAL);

		NEED(object);
		*object = chain;
		chain = object;
	}
}

static void free_all(void)
{
	while (chain) {
		void **next = *chain;

		mw_free(chain);
		chain = next;
	}
}

TEST(rate_one_is_exact)
{
	test_heap(16 << 20);
	chain = NULL;
	stay(10, 64);
	CHECK(mw_profile_rate(1));
	stay(1000, 64);
	free_all();
	stay(77, 64);
	stay(50, 2048);
	stay(3, 100000);
	CHECK_EQ(objects_of(64), 1077);
	CHECK_EQ(objects_of(2048), 50);
	CHECK_EQ(objects_of(mw_round_up(100000, MW_PAGE_SIZE)), 3);
	CHECK(mw_profile_rate(0));
	stay(10, 64);
	CHECK_EQ(objects_of(64), 1077);
	free_all();
}

#define CALLERS (4 * MW_BUCKET_HEADS)

/* Many have the same head: each has a bucket of its own, whose second time is the first one's. */
TEST(callers_are_kept_apart)
{
	struct mw_profile_cursor cursor = { 0 };
	struct mw_bucket bucket;
	size_t n = 0, wrong = 0;
	void *object;

	test_heap(16 << 20);
	object = mw_alloc(64, MW_NORMAL);
	NEED(object);
	for (unsigned int times = 1; times <= 2; times++)
		for (uintptr_t i = 1; i <= CALLERS; i++)
			mw_up_profile(64, object, 16 * i, i);
	for (; mw_profile_next(&cursor, &bucket); n++)
		wrong += bucket.depth != 1 || bucket.objects != bucket.pcs[0] / 16 * 2;
	CHECK_EQ(n, CALLERS);
	CHECK_EQ(wrong, 0);
	mw_free(object);
}

/* Thousands of samples each: the sum of a size is exact but for the last gap. */
TEST(sampling_is_near_the_truth)
{
	test_heap(64 << 20);
	chain = NULL;
	CHECK(mw_profile_rate(2048));
	for (unsigned int round = 0; round < 40; round++) {
		stay(5000, 64);
		CHECK(mw_heap_check());
		stay(500, 512);
		stay(20, 40000);
		free_all();
	}
	CHECK(near(objects_of(64), 200000, 1));
	CHECK(near(objects_of(512), 20000, 1));
	CHECK_EQ(objects_of(mw_round_up(40000, MW_PAGE_SIZE)), 800);
	CHECK(mw_profile_rate(0));
	CHECK(mw_heap_check());
}

NOINLINE static void site_often(void)
{
	stay(3, 64);
	__asm__ volatile("");
}

NOINLINE static void site_rarely(void)
{
	stay(1, 64);
	__asm__ volatile("");
}

/* Two callers share a size in turn, 3 to 1: each gets its share. By address of the call in the test. */
TEST(callers_get_their_share)
{
	struct mw_profile_cursor cursor = { 0 };
	struct mw_bucket bucket;
	uint64_t most = 0, all = 0;
	unsigned int depth = 0;

	test_heap(64 << 20);
	chain = NULL;
	CHECK(mw_profile_rate(1024));
	for (unsigned int i = 0; i < 100000; i++) {
		site_often();
		site_rarely();
	}
	CHECK(mw_profile_rate(0));
	while (mw_profile_next(&cursor, &bucket)) {
		all += bucket.objects;
		if (bucket.objects > most)
			most = bucket.objects;
		depth = bucket.depth;
	}
	free_all();
	CHECK(near(all, 400000, 1));
	if (depth < 3)
		test_skip("no backtraces of callers");
	CHECK(near(most, 300000, 5));
}

TEST(large_ones_by_chance)
{
	test_heap(16 << 20);
	CHECK(mw_profile_rate(512 << 10));
	for (unsigned int i = 0; i < 100000; i++)
		mw_free(mw_alloc(65536, MW_NORMAL));
	CHECK(near(objects_of(65536), 100000, 5));
	CHECK(mw_profile_rate(0));
}

/* ---- an independent reader of profile.proto ---- */

struct reader {
	const unsigned char *at, *end;
	bool bad;
};

static uint64_t varint(struct reader *r)
{
	uint64_t n = 0;

	for (unsigned int shift = 0; shift < 70; shift += 7) {
		if (r->at == r->end)
			break;
		n |= (uint64_t)(*r->at & 127) << (shift & 63);
		if (!(*r->at++ & 128))
			return n;
	}
	r->bad = true;
	return 0;
}

/* The next field; of wire type 2: its bytes in @inside, else its value in @value. 0: the end. */
static unsigned int field(struct reader *r, uint64_t *value, struct reader *inside)
{
	uint64_t tag, len;

	if (r->bad || r->at == r->end)
		return 0;
	tag = varint(r);
	*inside = (struct reader){ 0 };
	if ((tag & 7) == 0) {
		*value = varint(r);
	} else if ((tag & 7) == 2) {
		len = varint(r);
		if (r->bad || len > (size_t)(r->end - r->at)) {
			r->bad = true;
			return 0;
		}
		*inside = (struct reader){ r->at, r->at + len, false };
		r->at += len;
	} else {
		r->bad = true;
	}
	return r->bad ? 0 : (unsigned int)(tag >> 3);
}

struct seen {
	unsigned int fields[16];
	uint64_t objects, bytes, live_objects, live_bytes, references, period;
	bool bad;
};

static void read_sample(struct reader r, struct seen *seen)
{
	struct reader inside;
	unsigned int number;
	uint64_t value;

	while ((number = field(&r, &value, &inside))) {
		if (number == 1)
			for (; inside.at != inside.end && !inside.bad; seen->references++)
				seen->bad |= !varint(&inside);
		if (number == 2) {
			seen->objects += varint(&inside);
			seen->bytes += varint(&inside);
			seen->live_objects += varint(&inside);
			seen->live_bytes += varint(&inside);
			seen->bad |= inside.at != inside.end;
		}
		seen->bad |= inside.bad;
	}
	seen->bad |= r.bad;
}

static struct seen read_profile(struct kept kept)
{
	struct reader r = { kept.bytes, kept.bytes + kept.len, false }, inside;
	struct seen seen = { .bad = !kept.len };
	unsigned int number;
	uint64_t value;

	while ((number = field(&r, &value, &inside))) {
		seen.bad |= number > 14;
		seen.fields[number & 15]++;
		if (number == 2)
			read_sample(inside, &seen);
		if (number == 12)
			seen.period = value;
	}
	seen.bad |= r.bad;
	return seen;
}

static uint64_t number_after(const unsigned char *text, char c)
{
	uint64_t n = 0;

	while (*text && *text != c)
		text++;
	for (text += *text != 0; *text == ' '; text++)
		;
	for (; *text >= '0' && *text <= '9'; text++)
		n = n * 10 + (uint64_t)(*text - '0');
	return n;
}

TEST(forms_agree)
{
	struct kept kept;
	struct seen seen;
	size_t lines = 0;

	test_heap(16 << 20);
	chain = NULL;
	CHECK(mw_profile_rate(1));
	stay(100, 64);
	stay(10, 1024);
	stay(2, 100000);
	seen = read_profile(write_as(MW_PROFILE_PPROF));
	CHECK(!seen.bad);
	CHECK_EQ(seen.objects, 112);
	CHECK_EQ(seen.bytes, 100 * 64 + 10 * 1024 + 2 * mw_round_up(100000, MW_PAGE_SIZE));
	CHECK_EQ(seen.live_objects, MW_GC ? 112 : 0);
	CHECK_EQ(seen.live_bytes, MW_GC ? seen.bytes : 0);
	CHECK_EQ(seen.fields[1], 4);
	CHECK_EQ(seen.fields[3], 1);
	CHECK_EQ(seen.fields[4], seen.references);
	CHECK(seen.references >= seen.fields[2] && seen.fields[2] >= 3);
	CHECK_EQ(seen.period, 1);
	kept = write_as(MW_PROFILE_TEXT);
	CHECK_EQ(number_after(kept.bytes, '['), 112);
	CHECK_EQ(number_after(kept.bytes, ':'), MW_GC ? 112 : 0);
	for (size_t i = 0; i < kept.len; i++)
		lines += kept.bytes[i] == '\n';
	CHECK_EQ(lines, seen.fields[2] + 1);
	kept = write_as(MW_PROFILE_FOLDED);
	for (size_t i = lines = 0; i < kept.len; i++)
		lines += kept.bytes[i] == '\n';
	CHECK_EQ(lines, seen.fields[2]);
	kept = write_as(MW_PROFILE_PPROF);
	kept.len--;
	CHECK(read_profile(kept).bad);
	free_all();
	CHECK(mw_profile_rate(0));
}

static void churn(unsigned int i, void *arg)
{
	unsigned long most = test_rounds(20000);

	(void)arg;
	test_barrier();
	for (unsigned long n = 0; n < most; n++) {
		void *a = mw_alloc(64, MW_NORMAL), *b = mw_alloc(200 + 16 * i, MW_NORMAL);

		if (n % (most / 20) == 0)
			CHECK(mw_profile_rate(i ? 4096 : 1000));
		mw_free(a);
		mw_free(b);
	}
}

TEST(rates_change_under_way)
{
	unsigned int n = test_cpus() < 4 ? test_cpus() : 4;

	test_heap(32 << 20);
	test_parallel(n, churn, NULL);
	CHECK(mw_profile_rate(0));
	CHECK(!read_profile(write_as(MW_PROFILE_PPROF)).bad);
}

#if MW_GC

/* ---- calls that ask other calls ---- */

struct pair {
	struct pair *one, *other;
};

static struct mw_type pair_type =
	MW_TYPE(struct pair, MW_PTR(struct pair, one), MW_PTR(struct pair, other));
static struct mw_cache *a_cache;

/* Each call is one of its own: two that end in the same one would be one site. */
#define CALL(n, how, call)                                                                         \
	do {                                                                                       \
		many[0] = call;                                                                    \
		__asm__ volatile("/* " #n ", " #how " */");                                        \
	} while (0)
#define ASK(n)                                                                                     \
	NOINLINE static void ask_##n(unsigned int how)                                             \
	{                                                                                          \
		void *many[2] = { NULL };                                                          \
                                                                                                   \
		if (how == 0)                                                                      \
			CALL(n, 0, mw_new(&pair_type, MW_NORMAL));                                 \
		else if (how == 1)                                                                 \
			CALL(n, 1, mw_new_array(&pair_type, 3, MW_NORMAL));                        \
		else if (how == 2)                                                                 \
			CALL(n, 2, mw_new_array(&pair_type, 3000, MW_NORMAL));                     \
		else if (how == 3)                                                                 \
			CALL(n, 3, mw_new_flex(&pair_type, 100, MW_NORMAL));                       \
		else                                                                               \
			(void)mw_cache_alloc_bulk(a_cache, MW_NORMAL, MW_LEN(many), many);         \
		NEED(many[0]);                                                                     \
		__asm__ volatile("/* site " #n " */");                                             \
	}
ASK(0)
ASK(1)

static unsigned int buckets(void)
{
	struct mw_profile_cursor cursor = { 0 };
	struct mw_bucket bucket;
	uintptr_t pcs[40];
	unsigned int n = 0, i;

	while (mw_profile_next(&cursor, &bucket)) {
		for (i = 0; i < n && pcs[i] != bucket.pcs[0]; i++)
			;
		if (i == n && n < MW_LEN(pcs))
			pcs[n++] = bucket.pcs[0];
	}
	return n;
}

/* The site is who called, not the call that another one made for it. */
TEST(calls_name_who_called)
{
	test_heap(16 << 20);
	test_heap_may_leak();
	a_cache = mw_cache_create(&(const struct mw_cache_want){ .name = "own", .size = 320 });
	NEED(a_cache);
	for (unsigned int how = 0; how < 5; how++) {
		unsigned int before = buckets();

		CHECK(mw_profile_rate(1));
		ask_0(how);
		CHECK_EQ(buckets(), before + 1);
		ask_1(how);
		CHECK_EQ(buckets(), before + 2);
		CHECK(mw_profile_rate(0));
	}
}

#endif
#endif
