// SPDX-License-Identifier: MIT
/* See stream.h. */
#include "stream.h"

#if MW_WATCH

/* Stacks and other people's objects go through: no business of a sanitizer's. */
#define RAW __attribute__((no_sanitize("address"), no_sanitize("thread")))

/* No buffer is so long that the sums overflow before they are reduced. */
RAW static void add_up(struct mw_stream *s)
{
	for (size_t i = 0; i < s->used; i++) {
		s->low += (unsigned char)s->buf[i];
		s->high += s->low;
	}
	s->low %= 65521;
	s->high %= 65521;
}

static void flush_stream(struct mw_stream *s)
{
	add_up(s);
	if (s->used && !s->stopped && !s->sink(s->ctx, s->buf, s->used))
		s->stopped = true;
	s->used = 0;
}

void mw_stream_bytes(struct mw_stream *s, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len && !s->stopped) {
		size_t n;

		if (s->used == sizeof(s->buf))
			flush_stream(s);
		n = mw_min(len, sizeof(s->buf) - s->used);
		__builtin_memcpy(s->buf + s->used, at, n);
		s->used += n;
		at += n;
		len -= n;
	}
}

RAW void mw_stream_memory(struct mw_stream *s, const void *at, size_t bytes)
{
	const volatile uintptr_t *word = at, *end = word + bytes / sizeof(*word);

	while (word < end && !s->stopped) {
		if (sizeof(s->buf) - s->used < sizeof(*word))
			flush_stream(s);
		for (; word < end && sizeof(s->buf) - s->used >= sizeof(*word); word++) {
			uintptr_t value = *word;

			__builtin_memcpy(s->buf + s->used, &value, sizeof(value));
			s->used += sizeof(value);
		}
	}
}

size_t mw_varint(unsigned char *bytes, uint64_t n)
{
	size_t len = 0;

	do {
		bytes[len++] = (unsigned char)(n < 128 ? n : (n & 127) | 128);
		n >>= 7;
	} while (n);
	return len;
}

void mw_stream_varint(struct mw_stream *s, uint64_t n)
{
	unsigned char bytes[MW_VARINT_MOST];

	mw_stream_bytes(s, bytes, mw_varint(bytes, n));
}

void mw_stream_string(struct mw_stream *s, const char *text)
{
	size_t len = 0;

	while (text && text[len])
		len++;
	mw_stream_varint(s, len);
	mw_stream_bytes(s, text, len);
}

void mw_stream_text(struct mw_stream *s, const char *format, ...)
{
	char piece[128];
	va_list args;

	va_start(args, format);
	mw_stream_bytes(s, piece, mw_vformat(piece, sizeof(piece), format, args));
	va_end(args);
}

void mw_stream_quoted(struct mw_stream *s, const char *text)
{
	mw_stream_bytes(s, "\"", 1);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		/* Bytes above 127 too: names need not be UTF-8. */
		if (c == '"' || c == '\\')
			mw_stream_text(s, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			mw_stream_text(s, "\\u%04x", c);
		else
			mw_stream_bytes(s, text, 1);
	}
	mw_stream_bytes(s, "\"", 1);
}

uint32_t mw_stream_sum(struct mw_stream *s)
{
	flush_stream(s);
	return s->high << 16 | s->low;
}

bool mw_stream_end(struct mw_stream *s)
{
	flush_stream(s);
	return !s->stopped;
}

#endif
