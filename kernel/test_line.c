// SPDX-License-Identifier: MIT
/* Typing: what is in the line, and what a screen shows of it. */
#include "kernel.h"
#include "line.h"
#include "test.h"
#include "text.h"

static struct line line;
static char screen[512]; /* one row */
static size_t cursor;

static void show(const char *text, size_t len)
{
	for (; len--; text++) {
		if (*text == '\b')
			cursor -= cursor > 0;
		else if (*text == '\n')
			memset(screen, cursor = 0, sizeof(screen));
		else if (cursor < sizeof(screen) - 1)
			screen[cursor++] = *text;
	}
}

/* Behind a blank, names of colours. */
static const char *complete(const char *text, size_t start, size_t len, size_t n)
{
	static const char *const words[] = { "alloc", "allow", "free", "green", "grey" };

	for (size_t i = start ? 3 : 0; i < (start ? LEN(words) : 3); i++) {
		size_t same = 0;

		while (same < len - start && words[i][same] == text[start + same])
			same++;
		if (same == len - start && !n--)
			return words[i];
	}
	return NULL;
}

static void begin(void)
{
	line = (struct line){ .write = show, .complete = complete };
	memset(screen, 0, sizeof(screen));
	cursor = 0;
	line_begin(&line);
}

static enum line_event type(const char *keys)
{
	enum line_event event = LINE_MORE;

	while (*keys)
		event = line_key(&line, *keys++);
	return event;
}

/* The row without blanks at its end, up to the window. */
static bool shows(const char *text)
{
	size_t end = sizeof(screen) - 1;

	while (end && (!screen[end - 1] || screen[end - 1] == ' '))
		end--;
	screen[end] = '\0';
	return text_equal(screen, text);
}

TEST(plain)
{
	begin();
	CHECK_EQ(type("hello\r"), LINE_DONE);
	CHECK(text_equal(line.text, "hello"));
}

TEST(editing)
{
	begin();
	type("hallo\033[D\033[D\033[D\033[De\033[3~");
	CHECK(text_equal(line.text, "hello"));
	CHECK(shows("hello"));
	CHECK_EQ(cursor, 2);
	type("\033[H>\033[F<\177\177");
	CHECK(text_equal(line.text, ">hell"));
	CHECK(shows(">hell"));
	type("\001\013");
	CHECK(text_equal(line.text, ""));
	CHECK(shows(""));
	type("one two  three\027");
	CHECK(text_equal(line.text, "one two  "));
	type("\027\033[D\025");
	CHECK(text_equal(line.text, " "));
	CHECK_EQ(cursor, 0);
}

TEST(ends)
{
	begin();
	CHECK_EQ(type("abc\003"), LINE_DROPPED);
	CHECK_EQ(line.len, 0);
	line_begin(&line);
	CHECK_EQ(type("\004"), LINE_END);
	line_begin(&line);
	CHECK_EQ(type("a\004"), LINE_MORE);
	CHECK(text_equal(line.text, "a"));
	CHECK_EQ(type("\001\004"), LINE_MORE);
	CHECK(text_equal(line.text, ""));
}

static void enter(const char *text)
{
	line_begin(&line);
	type(text);
	type("\n");
}

TEST(history)
{
	char number[8];

	begin();
	enter("first");
	enter("second");
	enter("second");
	line_begin(&line);
	type("third\033[A");
	CHECK(text_equal(line.text, "second"));
	CHECK(shows("second"));
	type("\033[A\033[A\033[A");
	CHECK(text_equal(line.text, "first"));
	CHECK(shows("first"));
	type("\033[B");
	CHECK(text_equal(line.text, "second"));
	type("\033[B\033[B");
	CHECK(text_equal(line.text, ""));
	for (int i = 0; i < 40; i++) {
		mw_format(number, sizeof(number), "%d", i);
		enter(number);
	}
	line_begin(&line);
	for (int i = 0; i < 40; i++)
		type("\033[A");
	CHECK(text_equal(line.text, "24"));
}

TEST(completion)
{
	begin();
	type("f\t");
	CHECK(text_equal(line.text, "free "));
	type("\025al\t");
	CHECK(text_equal(line.text, "allo"));
	type("\t");
	CHECK(text_equal(line.text, "allo"));
	CHECK(shows("allo"));
	type("w\t");
	CHECK(text_equal(line.text, "allow "));
	type("x\t");
	CHECK(text_equal(line.text, "allow x"));
	type("\025free g\t");
	CHECK(text_equal(line.text, "free gre"));
	type("e\t");
	CHECK(text_equal(line.text, "free green "));
}

/*
 * What there is to choose from goes on the screen; below it stands the prompt again, and the line.
 */
TEST(the_prompt_comes_again_below_a_list)
{
	begin();
	line.prompt = "> ";
	type("free gre\t");
	CHECK(shows("> free gre"));
}

TEST(longer_than_the_window)
{
	begin();
	for (int i = 0; i < 2 * LINE_SIZE; i++)
		line_key(&line, (char)('a' + i % 26));
	CHECK_EQ(line.len, LINE_SIZE - 1);
	CHECK_EQ(cursor, LINE_WINDOW);
	CHECK(text_equal(line.text + line.len - LINE_WINDOW, screen));
	type("\001");
	CHECK_EQ(cursor, 0);
	CHECK_EQ(screen[0], 'a');
	CHECK_EQ(screen[LINE_WINDOW], 0);
	for (int i = 0; i < 2 * LINE_SIZE; i++)
		type("\033[C");
	CHECK_EQ(line.at, line.len);
	type("\025");
	CHECK(shows(""));
}

/* Any keys: the line stays whole, and the screen shows the window of it. */
TEST(random_keys)
{
	static const char keys[] =
		"ab \b\033[ABCDHF3~OP\177\001\002\004\005\006\013\016\020\025\027\t";

	begin();
	for (int i = 0; i < 20000; i++) {
		enum line_event event = line_key(&line, keys[test_below(sizeof(keys) - 1)]);

		if (event != LINE_MORE) {
			line_begin(&line);
			show("\n", 1);
		}
		if (line.text[line.len] || text_length(line.text) != line.len ||
		    line.at > line.len || cursor != line.at - line.from ||
		    (line.shown && memcmp(screen, line.text + line.from, line.shown))) {
			CHECK(!"whole");
			break;
		}
	}
	CHECK(line.len < LINE_SIZE);
}
