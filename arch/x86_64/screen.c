// SPDX-License-Identifier: MIT
/*
 * The second console: a framebuffer, or EGA text. Text goes into an array of characters at once; the
 * screen follows a bounded number of characters at a time, so that a long output costs little and
 * nobody has interrupts off for long. Guarded by the console's lock.
 */
#include "internal.h"

#define CELL_WIDTH 8
#define CELL_HEIGHT 16
#define MAX_CELLS (256 * 96)
#define EGA_COLOUR 0x0700
#define LIGHT 0x00d0d0d0u
#define DARK 0x00101820u

static char wanted[MAX_CELLS], shown[MAX_CELLS];
static unsigned int columns, rows, x, y;
static unsigned int scan; /* where the last screen_draw() left off */
static bool behind; /* wanted and shown may differ */
static volatile char *memory;

static void draw_ega(unsigned int at, char c)
{
	((volatile uint16_t *)memory)[at] = (uint16_t)(EGA_COLOUR | (uint8_t)c);
}

static void draw_pixels(unsigned int at, char c)
{
	const uint8_t *glyph = font_glyphs[c >= ' ' && c <= '~' ? c - ' ' : '?' - ' '];
	volatile char *line = memory + (size_t)(at / columns) * CELL_HEIGHT * boot_info.fb.pitch +
			      (size_t)(at % columns) * CELL_WIDTH * 4;

	for (unsigned int row = 0; row < CELL_HEIGHT; row++) {
		volatile uint32_t *pixel = (volatile uint32_t *)line;
		unsigned int bits = (unsigned int)glyph[row / 2] << 2;

		for (unsigned int i = 0; i < CELL_WIDTH; i++)
			pixel[i] = bits >> (CELL_WIDTH - 1 - i) & 1 ? LIGHT : DARK;
		line += boot_info.fb.pitch;
	}
}

/* Bring up to @cells characters of the screen up to date. */
void screen_draw(size_t cells)
{
	unsigned int n = columns * rows;

	if (!memory || !behind)
		return;
	for (unsigned int looked = 0; looked < n; looked++) {
		unsigned int at = scan;

		if (wanted[at] != shown[at]) {
			if (!cells--)
				return;
			shown[at] = wanted[at];
			if (boot_info.fb.text)
				draw_ega(at, wanted[at]);
			else
				draw_pixels(at, wanted[at]);
		}
		scan = scan + 1 == n ? 0 : scan + 1;
	}
	behind = false;
}

static void new_line(void)
{
	x = 0;
	if (++y < rows)
		return;
	y = rows - 1;
	memmove(wanted, wanted + columns, (size_t)columns * y);
	memset(wanted + (size_t)columns * y, ' ', columns);
}

static void put(char c)
{
	switch (c) {
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
		wanted[y * columns + x++] = c;
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

/* "screen=off" leaves it alone. Other depths than 32 bits are left alone too. */
void screen_init(void)
{
	struct arch_framebuffer *fb = &boot_info.fb;
	char value[8];

	if (!fb->phys || (arch_param("screen", value, sizeof(value)) && !memcmp(value, "off", 4)))
		return;
	if (!fb->text && fb->bpp != 32)
		return;
	columns = fb->text ? fb->width : fb->width / CELL_WIDTH;
	rows = fb->text ? fb->height : fb->height / CELL_HEIGHT;
	if (columns > 256)
		columns = 256;
	if (!columns || !rows)
		return;
	if (columns * rows > MAX_CELLS)
		rows = MAX_CELLS / columns;
	memset(wanted, ' ', sizeof(wanted));
	memory = arch_map_phys(fb->phys, (size_t)fb->pitch * fb->height, true);
	behind = true;
}
