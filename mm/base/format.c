// SPDX-License-Identifier: MIT
/*
 * Text without memory. One engine feeds both mw_format(), which drops what does not fit, and
 * mw_print(), which hands a full buffer to the port and goes on; a line that fits the buffer goes
 * out in one write, so that lines of two CPUs do not mix inside.
 */
#include "level.h"
#include "report.h"

struct mw_text {
	char *buf;
	size_t size; /* of buf */
	size_t used; /* <= size */
	bool print; /* a full buffer goes to the port; else the rest is dropped */
};

struct mw_spec {
	bool left, zero;
	size_t width;
	unsigned int longs; /* 0 int, 1 long, 2 long long */
};

static void mw_put(struct mw_text *text, char c)
{
	if (text->used == text->size) {
		if (!text->print)
			return;
		mw_port_write(text->buf, text->used);
		text->used = 0;
	}
	text->buf[text->used++] = c;
}

static void mw_put_many(struct mw_text *text, char c, size_t n)
{
	while (n--)
		mw_put(text, c);
}

/* "-0x" in front of @len digits or letters, padded as @spec says. */
static void mw_put_field(struct mw_text *text, const struct mw_spec *spec, const char *prefix,
			 const char *body, size_t len)
{
	size_t taken = len, pad;

	for (const char *p = prefix; *p; p++)
		taken++;
	pad = spec->width > taken ? spec->width - taken : 0;
	if (!spec->left && !spec->zero)
		mw_put_many(text, ' ', pad);
	while (*prefix)
		mw_put(text, *prefix++);
	if (!spec->left && spec->zero)
		mw_put_many(text, '0', pad);
	while (len--)
		mw_put(text, *body++);
	if (spec->left)
		mw_put_many(text, ' ', pad);
}

unsigned int mw_divide(uint64_t *n, unsigned int by)
{
	uint32_t rest = 0, digit;
	uint64_t quotient = 0;

	for (int i = 0; i < 4; i++) {
		rest = rest << 16 | (uint32_t)(*n >> 48);
		*n <<= 16;
		digit = rest / by;
		rest -= digit * by;
		quotient = quotient << 16 | digit;
	}
	*n = quotient;
	return rest;
}

static void mw_put_number(struct mw_text *text, const struct mw_spec *spec, const char *prefix,
			  uint64_t n, bool hex)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		unsigned int digit = hex ? (unsigned int)(n & 15) : mw_divide(&n, 10);

		if (hex)
			n >>= 4;
		digits[--at] = "0123456789abcdef"[digit];
	} while (n);
	mw_put_field(text, spec, prefix, digits + at, sizeof(digits) - at);
}

static void mw_put_string(struct mw_text *text, struct mw_spec *spec, const char *string)
{
	size_t len = 0;

	if (!string)
		string = "(null)";
	while (string[len])
		len++;
	spec->zero = false;
	mw_put_field(text, spec, "", string, len);
}

/* Flags, width and length modifier; @at is behind the '%'. Return: at the conversion. */
static const char *mw_read_spec(const char *at, struct mw_spec *spec)
{
	*spec = (struct mw_spec){ 0 };
	for (; *at == '-' || *at == '0'; at++) {
		spec->left |= *at == '-';
		spec->zero |= *at == '0';
	}
	for (; *at >= '0' && *at <= '9'; at++)
		spec->width = spec->width * 10 + (size_t)(*at - '0');
	if (*at == 'z') {
		spec->longs = sizeof(size_t) == sizeof(long) ? 1 : 0;
		return at + 1;
	}
	for (; *at == 'l' && spec->longs < 2; at++)
		spec->longs++;
	return at;
}

/* A va_list in a structure: its address can be handed on whatever kind of type it is. */
struct mw_args {
	va_list list;
};

static uint64_t mw_next_unsigned(const struct mw_spec *spec, struct mw_args *args)
{
	if (spec->longs == 2)
		return va_arg(args->list, unsigned long long);
	return spec->longs ? va_arg(args->list, unsigned long) : va_arg(args->list, unsigned int);
}

static int64_t mw_next_signed(const struct mw_spec *spec, struct mw_args *args)
{
	if (spec->longs == 2)
		return va_arg(args->list, long long);
	return spec->longs ? va_arg(args->list, long) : va_arg(args->list, int);
}

/* One conversion at @at. Return: false if it is not known and nothing was taken. */
static bool mw_convert(struct mw_text *text, char what, struct mw_spec *spec, struct mw_args *args)
{
	int64_t n;
	char c;

	switch (what) {
	case 's':
		mw_put_string(text, spec, va_arg(args->list, const char *));
		return true;
	case 'c':
		c = (char)va_arg(args->list, int);
		spec->zero = false;
		mw_put_field(text, spec, "", &c, 1);
		return true;
	case 'd':
		n = mw_next_signed(spec, args);
		mw_put_number(text, spec, n < 0 ? "-" : "", n < 0 ? -(uint64_t)n : (uint64_t)n,
			      false);
		return true;
	case 'u':
	case 'x':
		mw_put_number(text, spec, "", mw_next_unsigned(spec, args), what == 'x');
		return true;
	case 'p':
		mw_put_number(text, spec, "0x", (uintptr_t)va_arg(args->list, void *), true);
		return true;
	case '%':
		mw_put(text, '%');
		return true;
	default:
		return false;
	}
}

static void mw_put_format(struct mw_text *text, const char *format, struct mw_args *args)
{
	struct mw_spec spec;

	while (*format) {
		const char *at = format;

		if (*format == '%') {
			at = mw_read_spec(format + 1, &spec);
			if (*at && mw_convert(text, *at, &spec, args)) {
				format = at + 1;
				continue;
			}
		}
		mw_put(text, *format++);
	}
}

size_t mw_vformat(char *buf, size_t size, const char *format, va_list list)
{
	struct mw_text text = { .buf = buf, .size = size ? size - 1 : 0 };
	struct mw_args args;

	if (!size)
		return 0;
	va_copy(args.list, list);
	mw_put_format(&text, format, &args);
	va_end(args.list);
	buf[text.used] = '\0';
	return text.used;
}

size_t mw_format(char *buf, size_t size, const char *format, ...)
{
	va_list list;
	size_t used;

	va_start(list, format);
	used = mw_vformat(buf, size, format, list);
	va_end(list);
	return used;
}

void mw_print(const char *format, ...)
{
	char line[192];
	struct mw_text text = { .buf = line, .size = sizeof(line), .print = true };
	struct mw_args args;

	va_start(args.list, format);
	mw_put_format(&text, format, &args);
	va_end(args.list);
	if (text.used)
		mw_port_write(line, text.used);
}
