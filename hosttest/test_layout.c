/* SPDX-License-Identifier: MIT */
/* Types as written with field names, against the words that a scan must visit. */
#include "test.h"
#include "../mm/gc/layout.h"

#if MW_GC

struct link {
	struct link *next, *prev;
};

struct value {
	uintptr_t kind;
	void *p;
};

struct node {
	long count;
	struct node *parent;
	void *blocks[4];
	struct link self;
	long gap;
	struct link many[3];
	uintptr_t kind;
	void *tagged;
	uintptr_t maybe[2];
};

struct record {
	long n;
	struct record *next;
	struct link tail[];
};

struct deep3 {
	struct value v[2];
	long x;
};

struct deep2 {
	long a;
	struct deep3 d[3];
	void *end;
};

struct deep1 {
	struct deep2 d[2];
	void *last;
};

static struct mw_type link_type =
	MW_TYPE(struct link, MW_PTR(struct link, next), MW_PTR(struct link, prev));
static struct mw_type plain_type = MW_TYPE_PLAIN(struct value);

static struct mw_type pointers_type =
	MW_TYPE(struct node, MW_PTR(struct node, parent), MW_PTRS(struct node, blocks),
		MW_STRUCT(struct node, self, link_type));
static struct mw_type mixed_type =
	MW_TYPE(struct node, MW_STRUCTS(struct node, many, link_type),
		MW_TAGGED(struct node, kind, 7, 5), MW_WORDS(struct node, maybe));
static struct mw_type named_type =
	MW_TYPE(struct node, MW_STRUCTS(struct node, many, link_type), MW_PTR(struct node, parent));
static struct mw_type structs_type =
	MW_TYPE(struct record, MW_PTR(struct record, next), MW_FLEX(struct record, tail, link_type));
static struct mw_type words_type = MW_TYPE(struct record, MW_FLEX_PTRS(struct record, tail));
static struct mw_type nests_flexible =
	MW_TYPE(struct record, MW_STRUCT(struct record, n, words_type));
static struct mw_type value_type = MW_TYPE(struct value, MW_TAGGED(struct value, kind, 1, 1));
static struct mw_type deep3_type = MW_TYPE(struct deep3, MW_STRUCTS(struct deep3, v, value_type));
static struct mw_type deep2_type =
	MW_TYPE(struct deep2, MW_STRUCTS(struct deep2, d, deep3_type), MW_PTR(struct deep2, end));
static struct mw_type deep1_type =
	MW_TYPE(struct deep1, MW_STRUCTS(struct deep1, d, deep2_type), MW_PTR(struct deep1, last));

/* Visited words as a bit mask of the object's words. */
struct seen {
	uintptr_t *base;
	uint64_t sure, maybe;
	unsigned int twice;
};

static void see(void *ctx, uintptr_t *word, bool sure)
{
	struct seen *seen = ctx;
	uint64_t bit = 1ull << (word - seen->base);

	if ((seen->sure | seen->maybe) & bit)
		seen->twice++;
	if (sure)
		seen->sure |= bit;
	else
		seen->maybe |= bit;
}

static struct seen scan(struct mw_type *type, void *object, size_t bytes)
{
	struct seen seen = { .base = object };
	const struct mw_layout *layout = mw_layout_of(type);

	NEED(layout);
	mw_layout_each(layout, object, bytes, see, &seen);
	CHECK_EQ(seen.twice, 0);
	return seen;
}

#define BIT(type_, field_) (1ull << offsetof(type_, field_) / sizeof(void *))

TEST(mask_of_pointers)
{
	struct node node = { 0 };
	struct seen seen;

	test_heap(1 << 20);
	seen = scan(&pointers_type, &node, sizeof(node));
	CHECK(mw_layout_of(&pointers_type)->by_mask);
	CHECK_EQ(seen.sure, BIT(struct node, parent) | 0xf * BIT(struct node, blocks) |
				    3 * BIT(struct node, self));
	CHECK_EQ(seen.maybe, 0);
}

TEST(loops_tags_and_words)
{
	struct node node = { .kind = 13 };
	struct seen seen;

	test_heap(1 << 20);
	seen = scan(&mixed_type, &node, sizeof(node));
	CHECK_EQ(seen.sure, 0x3f * BIT(struct node, many) | BIT(struct node, tagged));
	CHECK_EQ(seen.maybe, 3 * BIT(struct node, maybe));
	node.kind = 12;
	seen = scan(&mixed_type, &node, sizeof(node));
	CHECK_EQ(seen.sure, 0x3f * BIT(struct node, many));
}

TEST(arrays_repeat_the_type)
{
	struct link links[5];
	struct seen seen;

	test_heap(1 << 20);
	seen = scan(&link_type, links, sizeof(links));
	CHECK_EQ(seen.sure, 0x3ff);
	/* What is left behind the last whole element is no element. */
	seen = scan(&link_type, links, sizeof(links) - sizeof(void *));
	CHECK_EQ(seen.sure, 0xff);
}

TEST(flexible_arrays)
{
	uintptr_t object[12] = { 0 };
	struct seen seen;

	test_heap(1 << 20);
	seen = scan(&structs_type, object, sizeof(struct record) + 3 * sizeof(struct link));
	CHECK_EQ(seen.sure, 2 | 0x3f << 2);
	seen = scan(&structs_type, object, sizeof(struct record));
	CHECK_EQ(seen.sure, 2);
	seen = scan(&words_type, object, sizeof(struct record) + 5 * sizeof(void *));
	CHECK_EQ(seen.sure, 0x1f << 2);
}

TEST(loops_inside_loops)
{
	struct deep1 object = { 0 };
	uint64_t want = BIT(struct deep1, last);
	struct seen seen;

	test_heap(1 << 20);
	for (unsigned int i = 0; i < 2; i++) {
		want |= BIT(struct deep1, d[i].end);
		for (unsigned int j = 0; j < 3; j++) {
			object.d[i].d[j].v[j & 1].kind = 1;
			want |= BIT(struct deep1, d[i].d[j].v[j & 1].p);
		}
	}
	seen = scan(&deep1_type, &object, sizeof(object));
	CHECK_EQ(seen.sure, want);
}

TEST(a_million_elements_cost_a_few_steps)
{
	static const struct mw_field field = { "huge", MW_FIELD_STRUCT, 0, 1000000, &link_type, 0, 0 };
	static struct mw_type type = { .name = "huge",
				       .size = 1000000 * sizeof(struct link),
				       .fields = &field,
				       .field_count = 1 };

	test_heap(1 << 20);
	NEED(mw_layout_of(&type));
	CHECK(mw_layout_of(&type)->steps <= 6);
}

TEST(no_pointers)
{
	struct value value;
	struct seen seen;

	test_heap(1 << 20);
	seen = scan(&plain_type, &value_type, sizeof(value));
	CHECK(mw_layout_of(&plain_type)->plain);
	CHECK_EQ(seen.sure | seen.maybe, 0);
}

static void refused(struct mw_field field)
{
	struct mw_type type = { .name = "bad", .size = 32, .fields = &field, .field_count = 1 };
	const struct mw_report *report;

	field.name = "f";
	test_expect_misuse(MW_BAD_REQUEST);
	CHECK_PTR(mw_layout_of(&type), NULL);
	report = test_misuse_came();
	NEED(report);
	CHECK_PTR(report->address, &type);
}

TEST(contradictions_are_reported)
{
	static const struct mw_type odd = { .name = "odd", .size = 10 };

	test_heap(1 << 20);
	refused((struct mw_field){ .kind = MW_FIELD_POINTER, .offset = 32, .count = 1 });
	refused((struct mw_field){ .kind = MW_FIELD_POINTER, .offset = 3, .count = 1 });
	refused((struct mw_field){ .kind = MW_FIELD_POINTER, .offset = 0, .count = 9 });
	refused((struct mw_field){ .kind = MW_FIELD_POINTER, .offset = 0, .count = 0 });
	refused((struct mw_field){ .kind = MW_FIELD_POINTER, .count = SIZE_MAX / 2 });
	refused((struct mw_field){ .kind = MW_FIELD_STRUCT, .count = 1 });
	refused((struct mw_field){ .kind = MW_FIELD_STRUCT, .count = 2, .type = &odd });
	refused((struct mw_field){ .kind = MW_FIELD_FLEX, .offset = 16, .type = &odd });
	refused((struct mw_field){ .kind = MW_FIELD_FLEX, .offset = 40 });
	refused((struct mw_field){ .kind = MW_FIELD_FLEX, .offset = 32, .type = &words_type });
	refused((struct mw_field){ .kind = MW_FIELD_FLEX, .offset = 32, .type = &nests_flexible });
	refused((struct mw_field){ .kind = MW_FIELD_STRUCT, .count = 1, .type = &words_type });
}

/* Whichever of them comes first. */
TEST(one_flexible_array_at_most)
{
	static const struct mw_field two[] = {
		{ "a", MW_FIELD_FLEX, 16, 0, &link_type, 0, 0 },
		{ "b", MW_FIELD_FLEX, 8, 0, NULL, 0, 0 },
		{ "a", MW_FIELD_FLEX, 16, 0, &link_type, 0, 0 },
	};
	static struct mw_type type[2];

	test_heap(1 << 20);
	for (unsigned int i = 0; i < 2; i++) {
		type[i].name = "two";
		type[i].size = 16;
		type[i].fields = two + i;
		type[i].field_count = 2;
		test_expect_misuse(MW_BAD_REQUEST);
		CHECK(!mw_type_ready(&type[i]));
		CHECK(test_misuse_came());
	}
}

TEST(no_arrays_of_flexible_objects)
{
	test_heap(1 << 20);
	for (size_t n = 0; n < 3; n++) {
		const struct mw_report *report;

		test_expect_misuse(MW_BAD_REQUEST);
		CHECK_PTR(mw_new_array(&structs_type, n, MW_NORMAL), NULL);
		report = test_misuse_came();
		NEED(report);
		CHECK_PTR(report->address, &structs_type);
	}
	CHECK(mw_new_flex(&structs_type, 0, MW_NORMAL));
}

TEST(nesting_has_an_end)
{
	static struct mw_type type[12];
	static struct mw_field field[12];

	test_heap(1 << 20);
	for (unsigned int i = 0; i < 12; i++) {
		field[i] = (struct mw_field){ .name = "f", .kind = MW_FIELD_POINTER, .count = 1 };
		if (i)
			field[i] = (struct mw_field){ .name = "f",
						      .kind = MW_FIELD_STRUCT,
						      .count = 1,
						      .type = &type[i - 1] };
		type[i].name = "nest";
		type[i].size = sizeof(void *);
		type[i].fields = &field[i];
		type[i].field_count = 1;
		atomic_store(&type[i].layout, NULL);
	}
	CHECK(mw_layout_of(&type[MW_LAYOUT_DEPTH]));
	test_expect_misuse(MW_BAD_REQUEST);
	CHECK_PTR(mw_layout_of(&type[MW_LAYOUT_DEPTH + 1]), NULL);
	test_misuse_came();
}

TEST(fields_have_names)
{
	CHECK(mw_field_name(&named_type, offsetof(struct node, parent))[0] == 'p');
	CHECK(mw_field_name(&named_type, offsetof(struct node, many[1].prev))[0] == 'm');
	CHECK(mw_field_name(&named_type, 0)[0] == 0);
}

#endif
