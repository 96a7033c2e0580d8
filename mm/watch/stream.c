// SPDX-License-Identifier: MIT
/* See stream.h. */
#include "stream.h"

#if MW_WATCH

static void flush(struct mw_stream *s)
{
	if (s->used && !s->stopped && !s->sink(s->ctx, s->buf, s->used))
		s->stopped = true;
	s->used = 0;
}

void mw_stream_bytes(struct mw_stream *s, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len--) {
		if (s->used == sizeof(s->buf))
			flush(s);
		s->buf[s->used++] = *at++;
	}
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

bool mw_stream_end(struct mw_stream *s)
{
	flush(s);
	return !s->stopped;
}

#endif
