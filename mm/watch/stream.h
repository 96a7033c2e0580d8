/* SPDX-License-Identifier: MIT */
/* Bytes on their way to a function of the caller's, gathered in a buffer on the stack. */
#ifndef MW_WATCH_STREAM_H
#define MW_WATCH_STREAM_H

#include <marrow/watch.h>
#include "../base/report.h"

#if MW_WATCH

struct mw_stream {
	mw_sink_fn *sink;
	void *ctx;
	bool stopped; /* by the sink; then nothing more is sent */
	size_t used;
	char buf[512];
};

static inline void mw_stream_begin(struct mw_stream *s, mw_sink_fn *sink, void *ctx)
{
	s->sink = sink;
	s->ctx = ctx;
	s->stopped = false;
	s->used = 0;
}

void mw_stream_bytes(struct mw_stream *s, const void *bytes, size_t len);
/* One piece is at most 127 bytes; longer ones are cut. */
void mw_stream_text(struct mw_stream *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* With the quotes of JSON, and what must be escaped between them. */
void mw_stream_quoted(struct mw_stream *s, const char *text);
/* Return: whether all of it was taken. */
bool mw_stream_end(struct mw_stream *s);

#endif
#endif
