// SPDX-License-Identifier: MIT
#include "line.h"
#include "text.h"
#include "arch.h"

#define CONTROL(letter) ((letter)-0x40)

/* ---- the screen ---- */

static void put(struct line *line, char c, size_t n)
{
	while (n--)
		line->write(&c, 1);
}

/* Without the terminal's own commands the way to the right is to write what stands there. */
static void move_to(struct line *line, size_t column)
{
	if (column < line->cursor)
		put(line, '\b', line->cursor - column);
	else
		line->write(line->screen + line->cursor, column - line->cursor);
	line->cursor = column;
}

/* Make the screen show @len characters of @text: write from the first that is another one. */
static void show(struct line *line, const char *text, size_t len)
{
	size_t same = 0, old = line->shown;

	while (same < len && same < old && line->screen[same] == text[same])
		same++;
	if (same == len && len == old)
		return;
	move_to(line, same);
	memcpy(line->screen, text, len);
	line->shown = len;
	move_to(line, len);
	if (old > len) {
		put(line, ' ', old - len);
		put(line, '\b', old - len);
	}
}

static void redraw(struct line *line)
{
	size_t visible;

	if (line->at < line->from)
		line->from = line->at;
	if (line->at > line->from + LINE_WINDOW)
		line->from = line->at - LINE_WINDOW;
	visible = line->len - line->from;
	show(line, line->text + line->from, visible < LINE_WINDOW ? visible : LINE_WINDOW);
	move_to(line, line->at - line->from);
}

/* ---- the text ---- */

static void insert(struct line *line, const char *text, size_t n)
{
	if (n > LINE_SIZE - 1 - line->len)
		return;
	memmove(line->text + line->at + n, line->text + line->at, line->len - line->at + 1);
	memcpy(line->text + line->at, text, n);
	line->at += n;
	line->len += n;
}

/* Take [from, to) out. */
static void cut(struct line *line, size_t from, size_t to)
{
	memmove(line->text + from, line->text + to, line->len - to + 1);
	line->len -= to - from;
	line->at = from;
}

static void replace(struct line *line, const char *text)
{
	cut(line, 0, line->len);
	insert(line, text, text_length(text));
}

static size_t word_start(const struct line *line)
{
	size_t at = line->at;

	while (at && line->text[at - 1] == ' ')
		at--;
	while (at && line->text[at - 1] != ' ')
		at--;
	return at;
}

/* ---- history ---- */

static void remember(struct line *line)
{
	if (line->len && !(line->lines &&
			   text_equal(line->history[(line->lines - 1) % LINE_HISTORY], line->text)))
		memcpy(line->history[line->lines++ % LINE_HISTORY], line->text, line->len + 1);
}

static void look_back(struct line *line)
{
	if (!line->looking || line->lines - line->looking >= LINE_HISTORY)
		return;
	line->looking--;
	replace(line, line->history[line->looking % LINE_HISTORY]);
}

static void look_forward(struct line *line)
{
	if (line->looking == line->lines)
		return;
	line->looking++;
	replace(line,
		line->looking == line->lines ? "" : line->history[line->looking % LINE_HISTORY]);
}

/* ---- completion ---- */

static size_t common_length(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] && a[n] == b[n])
		n++;
	return n;
}

/* Where the word begins that the cursor is in, or behind. */
static size_t word_here(const struct line *line)
{
	size_t at = line->at;

	while (at && line->text[at - 1] != ' ')
		at--;
	return at;
}

static const char *nth(struct line *line, size_t n)
{
	return line->complete(line->text, word_here(line), line->at, n);
}

static void list_words(struct line *line)
{
	const char *word;

	put(line, '\n', 1);
	for (size_t n = 0; (word = nth(line, n)); n++) {
		line->write(word, text_length(word));
		put(line, ' ', 1);
	}
	put(line, '\n', 1);
	if (line->prompt)
		line->write(line->prompt, text_length(line->prompt));
	line->shown = line->cursor = 0;
}

static void complete(struct line *line)
{
	size_t have = line->at - word_here(line), common;
	const char *first, *other;

	if (!line->complete || !(first = nth(line, 0)))
		return;
	common = text_length(first);
	for (size_t n = 1; (other = nth(line, n)); n++)
		if (common_length(first, other) < common)
			common = common_length(first, other);
	if (!nth(line, 1)) {
		insert(line, first + have, common - have);
		insert(line, " ", 1);
	} else if (common > have) {
		insert(line, first + have, common - have);
	} else {
		list_words(line);
	}
}

/* ---- keys ---- */

/* A key that a terminal sends as ESC [ …; @key is without the ESC. */
static void special_key(struct line *line, const char *key)
{
	static const struct {
		const char *bytes;
		char same_as;
	} keys[] = {
		{ "[A", CONTROL('P') },	 { "[B", CONTROL('N') },  { "[C", CONTROL('F') },
		{ "[D", CONTROL('B') },	 { "[H", CONTROL('A') },  { "OH", CONTROL('A') },
		{ "[1~", CONTROL('A') }, { "[F", CONTROL('E') },  { "OF", CONTROL('E') },
		{ "[4~", CONTROL('E') }, { "[3~", CONTROL('D') },
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (text_equal(key, keys[i].bytes) && !(keys[i].same_as == CONTROL('D') && !line->len))
			(void)line_key(line, keys[i].same_as);
}

/* Return: the key is part of a sequence, which may end with it. */
static bool take_escape(struct line *line, char key)
{
	size_t n = line->escape_len;

	if (!n && key != 27)
		return false;
	line->escape[n] = key;
	line->escape[++line->escape_len] = '\0';
	if (n < 2 && (n == 0 || key == '[' || key == 'O'))
		return true;
	if (n >= 2 && !(key >= '@' && key <= '~') && n + 2 < sizeof(line->escape))
		return true;
	line->escape_len = 0;
	special_key(line, line->escape + 1);
	return true;
}

static void edit(struct line *line, char key)
{
	switch (key) {
	case CONTROL('A'):
		line->at = 0;
		break;
	case CONTROL('E'):
		line->at = line->len;
		break;
	case CONTROL('B'):
		line->at -= line->at > 0;
		break;
	case CONTROL('F'):
		line->at += line->at < line->len;
		break;
	case CONTROL('D'):
		if (line->at < line->len)
			cut(line, line->at, line->at + 1);
		break;
	case CONTROL('H'):
	case 127:
		if (line->at)
			cut(line, line->at - 1, line->at);
		break;
	case CONTROL('K'):
		line->len = line->at;
		line->text[line->len] = '\0';
		break;
	case CONTROL('U'):
		cut(line, 0, line->at);
		break;
	case CONTROL('W'):
		cut(line, word_start(line), line->at);
		break;
	case CONTROL('P'):
		look_back(line);
		break;
	case CONTROL('N'):
		look_forward(line);
		break;
	case '\t':
		complete(line);
		break;
	default:
		if ((unsigned char)key >= ' ')
			insert(line, &key, 1);
	}
}

void line_begin(struct line *line)
{
	line->len = line->at = line->from = line->shown = line->cursor = line->escape_len = 0;
	line->text[0] = '\0';
	line->looking = line->lines;
}

enum line_event line_key(struct line *line, char key)
{
	if (take_escape(line, key))
		return LINE_MORE;
	switch (key) {
	case '\r':
	case '\n':
		put(line, '\n', 1);
		remember(line);
		return LINE_DONE;
	case CONTROL('C'):
		line->write("^C\n", 3);
		line->len = 0;
		line->text[0] = '\0';
		return LINE_DROPPED;
	case CONTROL('D'):
		if (!line->len) {
			put(line, '\n', 1);
			return LINE_END;
		}
		break;
	}
	edit(line, key);
	redraw(line);
	return LINE_MORE;
}
