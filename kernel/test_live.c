// SPDX-License-Identifier: MIT
/* The live line: what a screen shows of it and of others' text. */
#include "kernel.h"
#include "live.h"
#include "test.h"
#include "text.h"

#define ROWS 8u
#define COLUMNS 80u

static char screen[ROWS][COLUMNS + 1];
static size_t row, column;

/* As a terminal does. */
static void show(const char *text)
{
	memset(screen, 0, sizeof(screen));
	row = column = 0;
	for (; *text; text++) {
		if (*text == '\b')
			column -= column > 0;
		else if (*text == '\r')
			column = 0;
		else if (*text == '\n')
			row += row + 1 < ROWS, column = 0;
		else if (column < COLUMNS)
			screen[row][column++] = *text;
	}
}

/* Is that in the row, and only blanks behind it? */
static bool stands(size_t in, const char *text)
{
	const char *rest = text_after(screen[in], text);

	while (rest && *rest == ' ')
		rest++;
	return rest && !*rest;
}

TEST(grows_shrinks_and_ends)
{
	test_capture();
	live_show("one", 3);
	live_show("one and two", 11);
	live_show("only", 1);
	show(test_captured());
	CHECK(stands(0, "only"));
	CHECK_EQ(column, 1);
	test_capture();
	live_show("on", 2);
	live_end();
	mw_print("next\n");
	show(test_captured());
	CHECK_EQ(row, 2);
	CHECK(stands(1, "next"));
}

TEST(others_text_goes_above)
{
	test_capture();
	live_show("marrow> all", 8);
	mw_print("gc 1: what happened\n");
	show(test_captured());
	test_capture();
	live_end();
	(void)test_captured();
	CHECK(stands(0, "gc 1: what happened"));
	CHECK(stands(1, "marrow> all"));
	CHECK_EQ(row, 1);
	CHECK_EQ(column, 8);
}

TEST(others_text_in_pieces)
{
	test_capture();
	live_show("5 s", 3);
	mw_print("a line");
	mw_print(" of two pieces\n");
	mw_print("half a line");
	live_show("6 s", 3);
	live_end();
	show(test_captured());
	CHECK(stands(0, "a line of two pieces"));
	CHECK(stands(1, "half a line"));
	CHECK(stands(2, "6 s"));
	CHECK_EQ(row, 3);
}

/* A prompt draws itself: what it leaves is what is drawn again. */
TEST(one_that_is_drawn_without_help)
{
	unsigned long state;

	test_capture();
	state = live_take();
	live_raw("> ab", 4);
	live_leave(state, "> ab", 4);
	mw_print("said\n");
	state = live_take();
	live_raw("c\n", 2);
	live_leave(state, NULL, 0);
	mw_print("answer\n");
	show(test_captured());
	CHECK(stands(0, "said"));
	CHECK(stands(1, "> abc"));
	CHECK(stands(2, "answer"));
}
