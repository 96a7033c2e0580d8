// SPDX-License-Identifier: MIT
/* Whatever is written somewhere: a sink that has had enough at any moment is not called again, and is told of. */
#include <marrow/watch.h>
#include "special.h"

#if MW_GC && MW_WATCH

/* Moments that are tried of each; where they take long, fewer. */
#if __STDC_HOSTED__ && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define MOST_PIECES 400u
#else
#define MOST_PIECES 40u
#endif

struct picky {
	unsigned long takes, came,
		after; /* pieces it takes, that came, that came after it had refused */
};

static bool take(void *ctx, const void *bytes, size_t len)
{
	struct picky *picky = ctx;

	(void)bytes, (void)len;
	picky->after += picky->came > picky->takes;
	return picky->came++ < picky->takes;
}

struct part {
	struct node *node;
	uintptr_t tag;
	uintptr_t tagged;
};

struct parts {
	struct node *head;
	struct part tail[];
};

static struct mw_type part_type =
	MW_TYPE(struct part, MW_PTR(struct part, node), MW_TAGGED(struct part, tag, 1, 1));
static struct mw_type parts_type =
	MW_TYPE(struct parts, MW_PTR(struct parts, head), MW_FLEX(struct parts, tail, part_type));

static void nobody(void *object, void *arg)
{
	(void)object, (void)arg;
}

static struct mw_weak *weak;

/* Of everything that is written about one at least. */
static void make_heap(void)
{
	struct parts *parts;

	setup(16 << 20);
	NEED(mw_region_add(test_memory(4 << 20), (uint64_t)1 << 33, 4 << 20));
	CHECK(mw_trace_on(true));
	CHECK(mw_profile_rate(1));
	for (unsigned int i = 0; i < 40; i++)
		root[i] = make(i);
	for (unsigned int i = 40; i < 80; i++)
		root[i] = mw_alloc((size_t)16 << i % 16, MW_COLLECTED | MW_ZERO);
	NEED(parts = mw_new_flex(&parts_type, 100 * sizeof(struct part), MW_NORMAL));
	for (unsigned int i = 0; i < 100; i++)
		parts->tail[i] = (struct part){ root[i % 40], i & 1, (uintptr_t)root[(i + 1) % 40] };
	root[80] = (struct node *)parts;
	root[81] = mw_new_array(&node_type, 30000, MW_NORMAL);
	for (unsigned int i = 0; i < 10; i++) {
		NEED(mw_finalizer_set(root[i], nobody, NULL));
		NEED(mw_tag_set(root[i], i + 1));
	}
	NEED(weak = mw_weak_new(root[20]));
	collect();
}

static void end_heap(void)
{
	mw_weak_free(weak);
	CHECK(mw_trace_on(false));
	CHECK(mw_profile_rate(0));
	for (unsigned int i = 0; i < ROOTS; i++)
		root[i] = NULL;
	test_heap_may_leak();
}

static bool write_one(unsigned int which, struct picky *picky)
{
	switch (which) {
	case 0:
		return mw_trace_write(take, picky);
	case 1:
		return mw_picture_write(take, picky);
	case 2:
		return mw_dump_write(take, picky);
	default:
		return mw_profile_write((enum mw_profile_form)(which - 3), take, picky);
	}
}

TEST(a_sink_may_have_enough_at_any_moment)
{
	make_heap();
	for (unsigned int which = 0; which < 7; which++) {
		struct picky whole = { .takes = ~0ul };
		unsigned long step;

		CHECK(write_one(which, &whole));
		CHECK(whole.came > 0);
		step = whole.came / MOST_PIECES + 1;
		for (unsigned long takes = 0; takes + 1 < whole.came; takes += step) {
			struct picky picky = { .takes = takes };

			if (write_one(which, &picky) || picky.after || picky.came != takes + 1) {
				CHECK_EQ(which, ~0u);
				break;
			}
		}
	}
	CHECK(mw_heap_check());
	end_heap();
}

/* Any width, with and without colours. */
TEST(maps_of_any_width)
{
	static const unsigned int widths[] = { 0, 1, 2, 7, 80, 1000 };

	make_heap();
	for (unsigned int i = 0; i < 2 * MW_LEN(widths); i++) {
		const char *text;

		test_capture();
		mw_print_map(widths[i / 2], i & 1);
		text = test_captured();
		CHECK(test_has(text, "a letter for"));
		CHECK(!(i & 1) == !test_has(text, "\x1b["));
	}
	end_heap();
}

#endif
