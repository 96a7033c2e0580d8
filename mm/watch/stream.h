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
	uint32_t low, high; /* Adler-32 of what was sent */
	size_t used;
	char buf[512];
};

static inline void mw_stream_begin(struct mw_stream *s, mw_sink_fn *sink, void *ctx)
{
	s->sink = sink;
	s->ctx = ctx;
	s->stopped = false;
	s->low = 1;
	s->high = 0;
	s->used = 0;
}

#define MW_VARINT_MOST 10

/* As in protocol buffers, up to MW_VARINT_MOST bytes. Return: how many. */
size_t mw_varint(unsigned char *bytes, uint64_t n);

void mw_stream_bytes(struct mw_stream *s, const void *bytes, size_t len);
/* Memory as it is, whoever's: whole words, each read once. */
void mw_stream_memory(struct mw_stream *s, const void *at, size_t bytes);
void mw_stream_varint(struct mw_stream *s, uint64_t n);
/* Its length first; NULL is "". */
void mw_stream_string(struct mw_stream *s, const char *text);
/* One piece is at most 127 bytes; longer ones are cut. */
void mw_stream_text(struct mw_stream *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* With the quotes of JSON, and what must be escaped between them. */
void mw_stream_quoted(struct mw_stream *s, const char *text);
/* The Adler-32 of all that came before. */
uint32_t mw_stream_sum(struct mw_stream *s);
/* Return: whether all of it was taken. */
bool mw_stream_end(struct mw_stream *s);

#endif
#endif
