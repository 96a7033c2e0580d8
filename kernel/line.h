/* SPDX-License-Identifier: MIT */
/*
 * A line that is being typed: keys in, the line and its echo out. Knows no device, so tests can type.
 *
 * Only '\b', '\r' and '\n' are asked of the screen. A line longer than the window is shown in part.
 */
#ifndef KERNEL_LINE_H
#define KERNEL_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define LINE_SIZE 256
#define LINE_WINDOW 68 /* characters that are shown */
#define LINE_HISTORY 16

enum line_event {
	LINE_MORE,
	LINE_DONE, /* return: the text is complete */
	LINE_DROPPED, /* control-C: the text is empty */
	LINE_END, /* control-D on an empty line */
};

struct line {
	const char *prompt; /* what stands before the text, after a list; NULL: nothing */
	char text[LINE_SIZE]; /* terminated */
	size_t len, at; /* at: where the next character goes in, <= len */
	size_t from; /* first character shown */
	char screen[LINE_WINDOW]; /* what is shown, */
	size_t shown, cursor; /* how much that is, and where the cursor is in it */
	char history[LINE_HISTORY][LINE_SIZE];
	size_t lines; /* ever remembered; number n is in history[n % LINE_HISTORY] */
	size_t looking; /* the one that is shown; lines: none */
	char escape[8]; /* of a key in several bytes */
	size_t escape_len;
	void (*write)(const char *text, size_t len);
	/*
	 * The n-th word that could stand in place of the one that begins at @text + @start, and begins as
	 * that does up to @text + @len; NULL: no more. May be NULL.
	 */
	const char *(*complete)(const char *text, size_t start, size_t len, size_t n);
};

void line_begin(struct line *line);
enum line_event line_key(struct line *line, char key);

#endif
