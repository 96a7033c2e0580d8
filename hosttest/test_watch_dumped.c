// SPDX-License-Identifier: MIT
/*
 * What a heap dump says beside objects and roots, record by record: figures, samples, and what is
 * behind its end.
 */
#include "dump_reader.h"
#include "../mm/watch/dump.h"
#include "../mm/watch/profile.h"

#if MW_WATCH && MW_GC

#define PAGE MW_PAGE_SIZE

struct leaf {
	uintptr_t value;
	void *inner;
};

struct node {
	struct node *next;
	struct leaf leaf[3];
	void *odd;
};

static struct mw_type leaf_type = MW_TYPE(struct leaf, MW_PTR(struct leaf, inner));
static struct mw_type node_type =
	MW_TYPE(struct node, MW_PTR(struct node, odd), MW_STRUCTS(struct node, leaf, leaf_type),
		MW_PTR(struct node, next));

static void **root;

static void setup(void)
{
	test_heap(16 << 20);
	root = test_memory(PAGE);
	NEED(root);
	__builtin_memset(root, 0, PAGE);
	NEED(mw_gc_root_add("test", root, root + PAGE / sizeof(void *), NULL));
	test_own_roots(true);
}

static void teardown(void)
{
	CHECK(mw_gc_root_remove(root));
	test_heap_may_leak();
}

/* The only record of a kind, or the one whose first number is @first. */
static struct item find(const struct kept *kept, unsigned int kind, uint64_t first)
{
	struct reader r = open_dump(kept);
	struct item item, found = { 0 };

	while (!r.bad && next(&r, &item))
		if (item.kind == kind && (!first || item.n[0] == first))
			found = item;
	CHECK(!r.bad);
	return found;
}

static void never(void *object, void *arg)
{
	(void)object, (void)arg;
}

static void never_clean(void *arg)
{
	(void)arg;
}

/* ---- figures ---- */

static uint64_t bytes_ever(const void *large)
{
	struct mw_cache_stats cache;
	uint64_t bytes = mw_usable_size(large);

	for (size_t i = 0; mw_cache_stats(i, &cache); i++)
		bytes += (uint64_t)cache.allocs * cache.size;
	return bytes;
}

/* @s is from after the dump, which changes none of it. */
static void check_statistics(const struct item *item, const struct mw_stats *s, const void *large)
{
	const size_t *use = s->metadata_by_use;
	size_t used = s->page.objects + s->page.raw + s->page.stocked + s->page.lost, released = 0;
	struct mw_pause pause[3];

	NEED(mw_pauses(pause, 3) == 2);
	for (size_t z = 0; z < MW_NR_ZONES; z++)
		released += s->page.zone[z].released;
	CHECK(released && s->lookups && s->frees && s->page.raw && s->page.stocked);
	const uint64_t expected[] = {
		s->live_bytes,
		bytes_ever(large),
		s->page.bytes,
		s->lookups,
		s->allocs,
		s->frees,
		s->live_bytes,
		s->page.bytes - s->page.metadata,
		s->page.bytes - s->page.metadata - used * PAGE,
		used * PAGE,
		released * PAGE,
		s->live_objects,
		s->page.stacks * PAGE,
		s->page.stacks * PAGE,
		s->span_records,
		use[MW_USE_SPANS],
		s->cache_records,
		use[MW_USE_CACHES],
		use[MW_USE_WATCH],
		use[MW_USE_COLLECTOR] + use[MW_USE_RECORDS],
		use[MW_USE_MAP] + use[MW_USE_RUNS] + use[MW_USE_OTHER] + s->metadata_spare +
			s->page.edges,
		s->goal,
		pause[1].end,
		s->pause_total_ns,
		2,
	};
	for (size_t i = 0; i < MW_LEN(expected); i++) {
		if (item->n[i] != expected[i])
			test_note("field %zu", i);
		CHECK_EQ(item->n[i], expected[i]);
	}
}

TEST(each_field_of_the_statistics)
{
	struct mw_place place;
	struct mw_stats stats;
	struct kept kept;
	void *large, *pages, *page;

	setup();
	NEED(large = mw_alloc(300000, MW_NORMAL));
	NEED(pages = mw_pages_alloc(50, MW_NORMAL));
	for (size_t i = 0; i < 50; i++)
		NEED(root[i] = mw_alloc(100 + i, MW_COLLECTED));
	mw_free(mw_alloc(700, MW_NORMAL));
	CHECK(mw_lookup(large, &place));
	mw_pages_free(pages, 50);
	CHECK(mw_scavenge(0, 20 * PAGE));
	NEED(pages = mw_pages_alloc(3, MW_NORMAL));
	NEED(page = mw_pages_alloc(1, MW_NORMAL));
	mw_pages_free(page, 1);
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	kept = dump();
	mw_stats(&stats);
	const struct item item = find(&kept, MW_DUMP_STATS, 0);

	check_statistics(&item, &stats, large);
	mw_free(large);
	mw_pages_free(pages, 3);
	teardown();
}

TEST(the_machine_it_is_of)
{
	struct mw_region_stats region;
	struct kept kept;
	struct item item;
	uint64_t lo = 0, hi = 0;

	setup();
	NEED(root[0] = mw_alloc(100, MW_COLLECTED));
	for (size_t i = 0; mw_region_stats(i, &region); i++) {
		lo = i ? lo : (uintptr_t)region.base;
		hi = (uintptr_t)region.base + (uint64_t)region.pages * PAGE;
	}
	kept = dump();
	item = find(&kept, MW_DUMP_PARAMS, 0);
	CHECK_EQ(item.n[0], __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
	CHECK_EQ(item.n[1], sizeof(void *));
	CHECK_EQ(item.n[2], lo);
	CHECK_EQ(item.n[3], hi);
	CHECK_EQ(item.n[4], sizeof(void *) == 8 ? '6' : '8');
	CHECK(says(item.text[0], MW_DUMP_MORE));
	CHECK_EQ(item.n[5], sum_up(&kept).kinds[MW_DUMP_CPU]);
	teardown();
}

/* ---- what belongs to an object ---- */

TEST(samples_lead_to_who_made_them)
{
	struct item sample, bucket;
	struct kept kept;
	char *hand, *gone;

	setup();
	CHECK(mw_profile_rate(1));
	NEED(hand = mw_alloc(1000, MW_NORMAL));
	NEED(root[0] = mw_alloc(3000, MW_COLLECTED));
	NEED(gone = mw_alloc(2000, MW_NORMAL));
	mw_free(gone);
	kept = dump();
	for (unsigned int i = 0; i < 2; i++) {
		const void *object = i ? root[0] : hand;

		sample = find(&kept, MW_DUMP_SAMPLE, (uintptr_t)object);
		CHECK_EQ(sample.n[0], (uintptr_t)object);
		bucket = find(&kept, MW_DUMP_BUCKET, sample.n[1]);
		CHECK_EQ(bucket.n[0], sample.n[1]);
		CHECK_EQ(bucket.n[1], mw_usable_size(object));
		CHECK(bucket.n[2] >= 1 && bucket.n[2] <= MW_FRAMES);
		CHECK_EQ(bucket.n[3], 1);
		CHECK(i || !bucket.n[4]);
	}
	CHECK_EQ(sum_up(&kept).kinds[MW_DUMP_SAMPLE], 2);
	CHECK_EQ(sum_up(&kept).kinds[MW_DUMP_BUCKET], 3);
	mw_free(hand);
	CHECK(mw_profile_rate(0));
	teardown();
}

static void make_due(void)
{
	struct node *dead = mw_new(&node_type, MW_NORMAL);

	NEED(dead && mw_finalizer_set(dead, never, NULL));
}

TEST(finalizers_that_wait_and_that_are_due)
{
	struct kept kept;
	struct item item;

	setup();
	NEED(root[0] = mw_new(&node_type, MW_NORMAL));
	NEED(mw_finalizer_set(root[0], never, NULL));
	make_due();
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	kept = dump();
	item = find(&kept, MW_DUMP_FINALIZER, (uintptr_t)root[0]);
	CHECK_EQ(item.n[1], (uintptr_t)never);
	CHECK_EQ(item.n[2], (uintptr_t)never);
	CHECK_EQ(item.n[4], (uintptr_t)&node_type);
	item = find(&kept, MW_DUMP_DUE, 0);
	CHECK(item.n[0] && item.n[0] != (uintptr_t)root[0]);
	CHECK_EQ(item.n[1], (uintptr_t)never);
	CHECK_EQ(sum_up(&kept).kinds[MW_DUMP_FINALIZER], 1);
	CHECK_EQ(sum_up(&kept).kinds[MW_DUMP_DUE], 1);
	CHECK_EQ(mw_finalizers_run(9), 1);
	CHECK(mw_finalizer_clear(root[0]));
	teardown();
}

/* ---- what a dump is in itself ---- */

/* Its own words are none of the stack's; those before and behind it are. */
TEST(a_dump_on_a_stack_is_no_part_of_it)
{
	struct {
		uintptr_t before;
		struct mw_dump dump;
		uintptr_t behind;
	} stack = { 0 };
	struct kept kept = { .bytes = test_memory(PAGE), .room = PAGE };
	struct reader r;
	struct item item = { 0 };

	setup();
	NEED(root[0] = mw_alloc(100, MW_COLLECTED));
	mw_stream_begin(&stack.dump.s, keep, &kept);
	stack.before = stack.behind = (uintptr_t)root[0];
	stack.dump.data = stack.dump.bss = root[0];
	mw_dump_words(&stack.dump, &stack, sizeof(stack), MW_AIM_ANY);
	CHECK(mw_stream_end(&stack.dump.s));
	r = (struct reader){ kept.bytes, kept.bytes + kept.len, false };
	fields(&r, &item);
	CHECK(!r.bad);
	CHECK_EQ(item.fields, 2);
	CHECK_EQ(item.field[0], 0);
	CHECK_EQ(item.field[1], (uintptr_t)&stack.behind - (uintptr_t)&stack);
	teardown();
}

/* ---- behind the end ---- */

struct more {
	unsigned int types, fields, spans, records, wrong;
};

static bool is_text(const struct text *t, const char *word)
{
	return says(*t, word);
}

static void check_type(struct reader *r, struct more *more)
{
	struct item item = { 0 };
	const struct mw_type *type;

	numbers(r, &item, 2);
	text(r, &item);
	numbers(r, &item, 1);
	type = item.n[0] == (uintptr_t)&node_type ? &node_type : &leaf_type;
	more->types |= type == &node_type ? 1 : 2;
	more->wrong += item.n[0] != (uintptr_t)type || item.n[1] != type->size ||
		       !is_text(&item.text[0], type->name) || item.n[2] != type->field_count;
	for (size_t i = 0; i < type->field_count && !r->bad; i++, more->fields++) {
		const struct mw_field *f = &type->fields[i];
		struct item field = { 0 };

		text(r, &field);
		numbers(r, &field, 4);
		more->wrong += !is_text(&field.text[0], f->name) || field.n[0] != f->kind ||
			       field.n[1] != f->offset || field.n[2] != f->count ||
			       field.n[3] != (uintptr_t)f->type;
	}
}

static void check_span(struct reader *r, struct more *more)
{
	struct item item = { 0 };
	struct mw_span *span;

	numbers(r, &item, 6);
	text(r, &item);
	span = mw_span_of((void *)(uintptr_t)item.n[0]);
	more->spans++;
	more->wrong +=
		!span || (uintptr_t)span->base != item.n[0] || span->stride != item.n[1] ||
		span->size != item.n[2] || span->count != item.n[3] ||
		(uintptr_t)span->type != item.n[4] || span->flags != item.n[5] ||
		!is_text(&item.text[0], mw_span_cache(span) ? mw_span_cache(span)->name : "large");
}

/* Where a port has no names of functions they are numbers. */
static bool names(const struct text *t, uintptr_t fn)
{
	char name[96] = "";

	if (fn && !mw_port_symbol(fn, name, sizeof(name)))
		mw_format(name, sizeof(name), "%p", (void *)fn);
	return is_text(t, name);
}

static void check_record(struct reader *r, struct more *more)
{
	struct item item = { 0 };

	numbers(r, &item, 1);
	text(r, &item);
	text(r, &item);
	numbers(r, &item, 1);
	more->wrong += item.n[0] != (uintptr_t)root[0];
	if (is_text(&item.text[0], "tag"))
		more->wrong += item.n[1] != 4711 || !names(&item.text[1], 0);
	else if (is_text(&item.text[0], "finalizer"))
		more->wrong +=
			item.n[1] != (uintptr_t)root[1] || !names(&item.text[1], (uintptr_t)never);
	else if (is_text(&item.text[0], "cleanup"))
		more->wrong += item.n[1] != (uintptr_t)root[2] ||
			       !names(&item.text[1], (uintptr_t)never_clean);
	else
		more->wrong++;
	more->records++;
}

static uint32_t adler32(const unsigned char *bytes, size_t n)
{
	uint32_t low = 1, high = 0;

	for (size_t i = 0; i < n; i++) {
		low = (low + bytes[i]) % 65521;
		high = (high + low) % 65521;
	}
	return high << 16 | low;
}

static struct more read_more(const struct kept *kept)
{
	static const char head[] = MW_DUMP_MORE "\n";
	struct reader r = open_dump(kept);
	struct more more = { 0 };
	struct item item;
	uint64_t kind;
	size_t end;

	while (next(&r, &item))
		;
	NEED(!r.bad && r.end - r.at > (ptrdiff_t)sizeof(head));
	CHECK(!__builtin_memcmp(r.at, head, sizeof(head) - 1));
	r.at += sizeof(head) - 1;
	while (!r.bad && (kind = number(&r))) {
		if (kind == MW_MORE_TYPE)
			check_type(&r, &more);
		else if (kind == MW_MORE_SPAN)
			check_span(&r, &more);
		else if (kind == MW_MORE_RECORD)
			check_record(&r, &more);
		else
			more.wrong++;
	}
	end = (size_t)(r.at - kept->bytes);
	CHECK_EQ(number(&r), adler32(kept->bytes, end));
	CHECK(!r.bad && r.at == r.end);
	return more;
}

TEST(what_is_behind_the_end)
{
	struct mw_span_cursor cursor = { 0 };
	const struct mw_span *span;
	unsigned int spans = 0;
	struct kept kept;
	struct more more;
	void *hand, *large;

	setup();
	NEED(root[0] = mw_new(&node_type, MW_NORMAL));
	NEED(root[1] = mw_alloc(100, MW_COLLECTED));
	NEED(root[2] = mw_alloc(200, MW_NOSCAN));
	NEED(hand = mw_alloc(50, MW_NORMAL));
	NEED(large = mw_alloc(100000, MW_NORMAL));
	NEED(mw_tag_set(root[0], 4711));
	NEED(mw_finalizer_set(root[0], never, root[1]));
	NEED(mw_cleanup_add(root[0], never_clean, root[2]));
	CHECK(mw_gc_collect(MW_COLLECT_SWEPT));
	kept = dump();
	more = read_more(&kept);
	while ((span = mw_span_next(&cursor)))
		spans += mw_span_live_count(span) > 0;
	CHECK_EQ(more.wrong, 0);
	CHECK_EQ(more.types, 3);
	CHECK(more.fields >= 4);
	CHECK_EQ(more.spans, spans);
	CHECK_EQ(more.records, 3);
	mw_free(hand);
	mw_free(large);
	CHECK(mw_finalizer_clear(root[0]));
	teardown();
}

#endif
