/* SPDX-License-Identifier: MIT */
/*
 * The collector: every form that a type can have, small, in arrays, and in arrays of more than a span
 * that are scanned in pieces; and heaps of shapes that break recursion and fixed tables.
 *
 * Every word of an object gets the address of an object of its own. Those at pointers must live, the
 * others must not.
 */
#include "gc_lists.h"
#include "../mm/base/state.h"
#include "../mm/gc/gc.h"
#include "../mm/page/page.h"
#include "../mm/page/stock.h"

#if MW_GC

struct one {
	uintptr_t number;
	void *p;
};

struct three {
	void *p[3];
	uintptr_t number;
};

struct maybe {
	uintptr_t number, word[2], last;
};

struct outer {
	uintptr_t number;
	struct one one;
	void *p;
};

struct loops {
	struct three many[2];
	struct outer outer[2];
	uintptr_t last;
};

struct tagged {
	uintptr_t tag, word, tag2, word2;
};

struct dense {
	void *a, *b;
};

struct flex {
	uintptr_t number;
	struct one tail[];
};

struct flex_pointers {
	void *p;
	uintptr_t number;
	void *tail[];
};

struct flex_alone {
	uintptr_t number;
	void *tail[];
};

static struct mw_type one_type = MW_TYPE(struct one, MW_PTR(struct one, p));
static struct mw_type three_type = MW_TYPE(struct three, MW_PTRS(struct three, p));
static struct mw_type maybe_type = MW_TYPE(struct maybe, MW_WORDS(struct maybe, word));
static struct mw_type outer_type =
	MW_TYPE(struct outer, MW_STRUCT(struct outer, one, one_type), MW_PTR(struct outer, p));
static struct mw_type loops_type = MW_TYPE(struct loops, MW_STRUCTS(struct loops, many, three_type),
					   MW_STRUCTS(struct loops, outer, outer_type));
static struct mw_type tagged_type = MW_TYPE(struct tagged, MW_TAGGED(struct tagged, tag, 3, 1),
					    MW_TAGGED(struct tagged, tag2, 3, 1));
static struct mw_type dense_type =
	MW_TYPE(struct dense, MW_PTR(struct dense, a), MW_PTR(struct dense, b));
static struct mw_type flex_type = MW_TYPE(struct flex, MW_FLEX(struct flex, tail, one_type));
static struct mw_type flex_pointers_type =
	MW_TYPE(struct flex_pointers, MW_PTR(struct flex_pointers, p),
		MW_FLEX_PTRS(struct flex_pointers, tail));
static struct mw_type flex_alone_type =
	MW_TYPE(struct flex_alone, MW_FLEX_PTRS(struct flex_alone, tail));

/*
 * A character a word: p a pointer, . none, T and t tags that say that the word behind is one, is none.
 * @tail: of an element of the flexible array.
 */
static const struct form {
	struct mw_type *type;
	const char *words, *tail;
} forms[] = {
	{ &one_type, ".p", NULL },
	{ &three_type, "ppp.", NULL },
	{ &maybe_type, ".pp.", NULL },
	{ &outer_type, "..pp", NULL },
	{ &loops_type, "ppp.ppp...pp..pp.", NULL },
	{ &tagged_type, "Tpt.", NULL },
	{ &dense_type, "pp", NULL },
	{ &flex_type, ".", ".p" },
	{ &flex_pointers_type, "p.", "p" },
	{ &flex_alone_type, ".", "p" },
};

static size_t length(const char *text)
{
	size_t n = 0;

	while (text && text[n])
		n++;
	return n;
}

/* Return: how many words of @n times @words were filled with pointers. */
NOINLINE static size_t fill(uintptr_t *at, const char *words, size_t n)
{
	size_t len = length(words), pointers = 0;

	for (size_t i = 0; i < n * len; i++) {
		char what = words[i % len];

		at[i] = what == 'T' ? 1 : what == 't' ? 2 : (uintptr_t)mw_alloc(16, MW_COLLECTED);
		NEED(at[i]);
		pointers += what == 'p';
	}
	return pointers;
}

/* Return: objects that live with it. */
NOINLINE static size_t make_form(const struct form *form, size_t n)
{
	size_t head = length(form->words), tail = length(form->tail) * sizeof(uintptr_t);
	uintptr_t *object;

	if (form->tail)
		object = mw_new_flex(form->type, n * tail, MW_NORMAL);
	else if (n == 1)
		object = mw_new(form->type, MW_NORMAL);
	else
		object = mw_new_array(form->type, n, MW_NORMAL);
	NEED(object);
	root[0] = (struct node *)object;
	if (form->tail)
		return 1 + fill(object, form->words, 1) + fill(object + head, form->tail, n);
	return 1 + fill(object, form->words, n);
}

static void each_form(size_t words)
{
	setup(32 << 20);
	for (size_t i = 0; i < MW_LEN(forms); i++) {
		size_t n = mw_max(words / length(forms[i].tail ? forms[i].tail : forms[i].words), 1);
		size_t lives = make_form(&forms[i], n);

		collect();
		collect();
		if (live_objects() != lives)
			test_note("form %zu, %zu times", i, n);
		CHECK_EQ(live_objects(), lives);
		CHECK(mw_gc_check());
		root[0] = NULL;
		collect();
	}
}

TEST(each_form_of_a_type)
{
	each_form(1);
}

TEST(each_form_a_few_times)
{
	each_form(6);
}

TEST(each_form_in_a_small_array)
{
	each_form(40);
}

TEST(each_form_in_an_array_without_a_mask)
{
	each_form(300);
}

TEST(each_form_in_pieces)
{
	each_form(40000);
}

/* ---- shapes ---- */

/* The way of a list through a heap of any size is one entry at a time: no stack grows with it. */
static void deep(size_t n)
{
	setup(n * 48 + (16 << 20));
	keep_list(0, n);
	collect();
	CHECK_EQ(live_objects(), n);
	check_list(0, n);
	root[0] = NULL;
	collect();
	collect();
	CHECK(live_objects() <= 10);
}

TEST(deep_list)
{
	deep(300000);
}

TEST_WITH(deep_list_of_ten_million, TEST_HOSTED | TEST_LONG)
{
	deep(10000000);
}

NOINLINE static void forget_one(size_t i)
{
	((struct node **)root[0])[i] = NULL;
}

static void wide(size_t n)
{
	setup(n * 48 + (16 << 20));
	fill_array(n);
	collect();
	CHECK_EQ(live_objects(), n + 1);
	forget_one(n / 2);
	collect();
	CHECK_EQ(live_objects(), n);
	root[0] = NULL;
	collect();
	collect();
	CHECK(live_objects() <= 10);
}

TEST(one_array_of_many)
{
	wide(200000);
}

static void collect_among_others(unsigned int i, void *arg)
{
	(void)arg;
	if (!i)
		collect();
	test_barrier();
}

/* Its pieces go from marker to marker. */
TEST(one_array_marked_by_all)
{
	unsigned int cpus = test_cpus() < 4 ? test_cpus() : 4;

	if (cpus < 2)
		test_skip("one CPU");
	setup(32 << 20);
	fill_array(100000);
	for (unsigned int i = 0; i < 5; i++) {
		test_parallel(cpus, collect_among_others, NULL);
		CHECK_EQ(live_objects(), 100001);
	}
}

TEST_WITH(one_array_of_ten_million, TEST_HOSTED | TEST_LONG)
{
	wide(10000000);
}

/* ---- data and bss ---- */

static struct node *volatile in_bss, *volatile in_data = (struct node *)1;

NOINLINE static void keep_in_data(void)
{
	in_bss = make_list(30);
	in_data = make_list(40);
}

TEST(data_and_bss_are_roots)
{
	setup(16 << 20);
	keep_in_data();
	collect();
	CHECK(live_objects() >= 70 && live_objects() <= 80);
	in_bss = NULL;
	collect();
	CHECK(live_objects() >= 40 && live_objects() <= 50);
	in_data = (struct node *)1;
	collect();
	collect();
	CHECK(live_objects() <= 10);
}

/*
 * A page that waits in a CPU's stock may become a span of collected objects later on; where the last page of
 * records ends one may begin.
 */
static const struct {
	const void *at;
	size_t size;
} own[] = {
	{ &mw_base, sizeof(mw_base) }, { mw_map_root, sizeof(mw_map_root) },
	{ &mw_page, sizeof(mw_page) }, { &mw_object, sizeof(mw_object) },
	{ &mw_gc, sizeof(mw_gc) },     { mw_page_stocks, sizeof(mw_page_stocks) },
};

static void count_own(void *ctx, enum mw_root_kind kind, const char *name, const void *lo,
		      const void *hi, const struct mw_layout *layout)
{
	(void)name, (void)layout;
	for (size_t i = 0; kind == MW_ROOT_DATA && i < MW_LEN(own); i++)
		*(size_t *)ctx += (const char *)own[i].at + own[i].size > (const char *)lo &&
				  (const char *)own[i].at < (const char *)hi;
}

TEST(own_variables_are_no_roots)
{
	size_t n = 0;

	setup(16 << 20);
	collect();
	CHECK(mw_gc_hold());
	mw_roots_each(count_own, &n);
	mw_gc_release();
	CHECK_EQ(n, 0);
}

/* More than are dealt out to markers. */
TEST(as_many_ranges_as_one_likes)
{
	size_t n = MW_MAX_RANGES + 100;
	struct node **word;

	setup(16 << 20);
	word = test_memory(n * sizeof(struct node *));
	NEED(word);
	for (size_t i = 0; i < n; i++) {
		NEED(mw_gc_root_add("one of many", word + i, word + i + 1, NULL));
		word[i] = make_list(1);
	}
	collect();
	CHECK(live_objects() >= n);
	for (size_t i = 0; i < n; i++) {
		CHECK_EQ(word[i]->value, 0);
		CHECK(mw_gc_is_object(word[i]));
		CHECK(mw_gc_root_remove(word + i));
	}
	collect();
	collect();
	CHECK(live_objects() <= 10);
}

/* ---- regions ---- */

/* Not all of it is in the flat part of the page map: it is of the largest region. */
TEST(one_list_through_two_regions)
{
	const size_t size = 60000, more = 2 << 20;
	struct node **last = NULL, **next;
	char *memory, *at = NULL;
	size_t n = 0, there = 0;

	setup(64 << 20);
	memory = test_memory(more);
	NEED(memory && mw_phys(memory) == UINT64_MAX);
	NEED(mw_region_add(memory, (uint64_t)1 << 40, more));
	while (n < 2000 && (next = mw_alloc(size, MW_COLLECTED))) {
		*next = (struct node *)last;
		root[0] = (struct node *)next;
		last = next;
		there += (size_t)((char *)next - memory) < more;
		n++;
	}
	CHECK(there >= 30 && n >= 900);
	collect();
	CHECK_EQ(live_objects(), n);
	for (next = last; next; next = (struct node **)at, n--)
		at = (char *)*next;
	CHECK_EQ(n, 0);
}

/* ---- what was freed by hand ---- */

/* Of one, two, or as many pointers as it has words. */
NOINLINE static void free_a_holder(struct mw_type *type)
{
	struct node **holder = type ? mw_new(type, MW_NORMAL) : mw_alloc(64, MW_COLLECTED);

	NEED(holder);
	holder[1] = make_list(50);
	root[0] = (struct node *)holder;
	mw_free(holder);
}

NOINLINE static void point_from_an_object(void)
{
	struct node *node = make_list(1);

	node->next = root[0];
	root[0] = node;
}

/* A pointer to it is left, by a word that is looked at in each of these ways, and its bytes are as they were. */
TEST(what_was_freed_keeps_nothing)
{
	struct mw_type *types[] = { NULL, &one_type, &maybe_type };

	for (size_t from = 0; from < 2; from++) {
		for (size_t i = 0; i < MW_LEN(types); i++) {
			setup(16 << 20);
			free_a_holder(types[i]);
			if (from)
				point_from_an_object();
			collect();
			collect();
			CHECK(live_objects() <= 10);
		}
	}
}

#endif
