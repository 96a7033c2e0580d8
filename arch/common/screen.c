// SPDX-License-Identifier: MIT
/*
 * The second console: a framebuffer, or EGA text. Text goes into an array of characters at once; the
 * screen follows a bounded number of characters at a time, so that a long output costs little and
 * nobody has interrupts off for long. Guarded by the console's lock.
 */
#include "internal.h"

#define MARGIN 8 /* pixels on each side */
#define WIDE_FROM 960 /* pixels: letters of double width still give 80 columns */
#define GLYPH_WIDTH 6 /* with the gap */
#define GLYPH_HEIGHT 8
#define LINE_GAP 2
#define MAX_CELLS (256 * 96)
#define PLAIN 0x07u /* a colour as EGA numbers them */
#define DARK 0x00101820u
#define BLANK ((uint16_t)(PLAIN << 8 | ' '))

/* A character, with its colour in the upper byte: what EGA's memory has. */
static ARCH_PLAIN uint16_t wanted[MAX_CELLS], shown[MAX_CELLS];
static unsigned int colour = PLAIN;
static unsigned int escape; /* characters of an escape sequence that came; 0: none */
static unsigned int number; /* in it */
static const uint32_t palette[16] = {
	0x101820, 0x4a7dd6, 0x5fb95f, 0x4fb5b5, 0xd9605a, 0xb37fd0, 0xd6a44a, 0xd0d0d0,
	0x6b7480, 0x7ea9f2, 0x8fdc8f, 0x7fe0e0, 0xf28b86, 0xd6a8ee, 0xf2d27e, 0xffffff,
};
static unsigned int columns, rows, x, y;
static unsigned int scale_x, scale_y; /* pixels for a dot of a letter */
static unsigned int scan; /* where the last screen_draw() left off */
static bool behind; /* wanted and shown may differ */
static volatile char *memory;

static void draw_ega(unsigned int at, uint16_t cell)
{
	((volatile uint16_t *)memory)[at] = cell;
}

static void draw_pixel(volatile char *pixel, size_t width, uint32_t rgb)
{
	if (width == 4) {
		*(volatile uint32_t *)pixel = rgb;
		return;
	}
	for (size_t i = 0; i < width; i++)
		pixel[i] = (char)(rgb >> 8 * i);
}

/* One line of dots, each @scale_x pixels wide. */
static void draw_dots(volatile char *pixel, size_t width, unsigned int bits, uint32_t rgb)
{
	for (unsigned int dot = GLYPH_WIDTH - 1; dot-- > 0;)
		for (unsigned int i = 0; i < scale_x; i++, pixel += width)
			draw_pixel(pixel, width, bits >> dot & 1 ? rgb : DARK);
}

static void draw_pixels(unsigned int at, uint16_t cell)
{
	const struct arch_framebuffer *fb = &boot_info.fb;
	char c = (char)(cell & 0xff);
	const uint8_t *glyph = font_glyphs[c >= ' ' && c <= '~' ? c - ' ' : '?' - ' '];
	size_t left = MARGIN + at % columns * GLYPH_WIDTH * scale_x;
	size_t top = MARGIN + at / columns * (GLYPH_HEIGHT * scale_y + LINE_GAP);
	volatile char *line = memory + top * fb->pitch + left * (fb->bpp / 8u);

	for (unsigned int row = 0; row < GLYPH_HEIGHT * scale_y; row++, line += fb->pitch)
		draw_dots(line, fb->bpp / 8u, glyph[row / scale_y], palette[cell >> 8 & 15]);
}

/* Bring up to @cells characters of the screen up to date. */
bool screen_draw(size_t cells)
{
	unsigned int n = columns * rows;

	if (!memory || !behind)
		return false;
	if (!cells)
		return true;
	for (unsigned int looked = 0; looked < n; looked++) {
		unsigned int at = scan;

		if (wanted[at] != shown[at]) {
			if (!cells--)
				return true;
			shown[at] = wanted[at];
			if (boot_info.fb.text)
				draw_ega(at, wanted[at]);
			else
				draw_pixels(at, wanted[at]);
		}
		scan = scan + 1 == n ? 0 : scan + 1;
	}
	behind = false;
	return false;
}

static void fill(uint16_t *cells, size_t n)
{
	while (n--)
		*cells++ = BLANK;
}

static void new_line(void)
{
	x = 0;
	if (++y < rows)
		return;
	y = rows - 1;
	memmove(wanted, wanted + columns, sizeof(wanted[0]) * columns * y);
	fill(wanted + (size_t)columns * y, columns);
}

/* Of "select graphic rendition": the eight colours, dark and bright, and back to plain. */
static void set_colour(unsigned int code)
{
	static const unsigned char ega[8] = { 0, 4, 2, 6, 1, 5, 3, 7 };

	if (!code)
		colour = PLAIN;
	else if (code - 30 < 8)
		colour = ega[code - 30];
	else if (code - 90 < 8)
		colour = ega[code - 90] | 8u;
}

/* The next character of an escape sequence. All others than those of colours do nothing. */
static void take_escape(char c)
{
	if (escape == 1) {
		escape = c == '[' ? 2 : 0;
		number = 0;
	} else if (c >= '0' && c <= '9') {
		number = (number * 10 + (unsigned int)(c - '0')) % 1000;
	} else {
		if (c == 'm' || c == ';')
			set_colour(number);
		number = 0;
		if (c >= '@' && c <= '~')
			escape = 0;
	}
}

static void put(char c)
{
	if (escape) {
		take_escape(c);
		return;
	}
	switch (c) {
	case '\033':
		escape = 1;
		return;
	case '\n':
		new_line();
		return;
	case '\r':
		x = 0;
		return;
	case '\b':
		if (x)
			x--;
		return;
	case '\t':
		x = (x + 8) & ~7u;
		break;
	default:
		wanted[y * columns + x++] = (uint16_t)(colour << 8 | (unsigned char)c);
	}
	if (x >= columns)
		new_line();
}

void screen_write(const char *text, size_t len)
{
	if (!memory)
		return;
	while (len--)
		put(*text++);
	behind = true;
}

/* Faster than drawing spaces. */
static void clear_pixels(void)
{
	const struct arch_framebuffer *fb = &boot_info.fb;

	for (uint32_t row = 0; row < fb->height; row++)
		for (uint32_t i = 0; i < fb->width; i++)
			draw_pixel(memory + (size_t)row * fb->pitch + i * (fb->bpp / 8u),
				   fb->bpp / 8u, DARK);
	fill(shown, MAX_CELLS);
}

static bool can_draw(const struct arch_framebuffer *fb)
{
	return fb->phys && (fb->text || fb->bpp == 32 || fb->bpp == 24);
}

static void set_size(const struct arch_framebuffer *fb)
{
	columns = fb->width;
	rows = fb->height;
	if (fb->text)
		return;
	scale_x = fb->width >= WIDE_FROM ? 2 : 1;
	scale_y = 2;
	columns = columns > 2 * MARGIN ? (columns - 2 * MARGIN) / (GLYPH_WIDTH * scale_x) : 0;
	rows = rows > 2 * MARGIN ? (rows - 2 * MARGIN) / (GLYPH_HEIGHT * scale_y + LINE_GAP) : 0;
}

/* Fewer than eight bits a colour are left alone. */
void screen_init(void)
{
	struct arch_framebuffer *fb = &boot_info.fb;

	if (!can_draw(fb))
		return;
	set_size(fb);
	if (!columns || !rows)
		return;
	if (columns * rows > MAX_CELLS)
		rows = MAX_CELLS / columns;
	fill(wanted, MAX_CELLS);
	memory = arch_map_phys(fb->phys, (size_t)fb->pitch * fb->height, true);
	if (memory && !fb->text)
		clear_pixels();
	behind = true;
}
