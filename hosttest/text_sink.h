/* SPDX-License-Identifier: MIT */
/* What a writer of mm/watch writes, as one text. */
#ifndef HOSTTEST_TEXT_SINK_H
#define HOSTTEST_TEXT_SINK_H

#include "test.h"

#define TEXT_SINK_ROOM ((size_t)1 << 20)

struct text_sink {
	char *text;
	size_t len;
};

static __attribute__((unused)) void text_sink_begin(struct text_sink *sink)
{
	if (!sink->text)
		NEED(sink->text = test_memory(TEXT_SINK_ROOM));
	sink->len = 0;
}

/* A mw_sink_fn. @ctx: the sink. */
static __attribute__((unused)) bool text_sink_keep(void *ctx, const void *bytes, size_t len)
{
	struct text_sink *sink = ctx;

	if (sink->len + len >= TEXT_SINK_ROOM)
		return false;
	__builtin_memcpy(sink->text + sink->len, bytes, len);
	sink->len += len;
	sink->text[sink->len] = '\0';
	return true;
}

#endif
