// SPDX-License-Identifier: MIT
/* The profile as text: the older form that suits a serial line, and collapsed stacks. */
#include "profile.h"

#if MW_WATCH

/* "live: bytes [allocated: bytes] @ callers"; what lives is not known, and is 0. */
static void write_text(struct mw_stream *s)
{
	struct mw_bucket_cursor cursor = { 0 };
	struct mw_bucket b;
	uint64_t objects = 0, bytes = 0;

	while (mw_profile_next(&cursor, &b)) {
		objects += b.objects;
		bytes += b.bytes;
	}
	/* "heapprofile": the numbers are estimates already, and not to be scaled again. */
	mw_stream_text(s, "heap profile: 0: 0 [%llu: %llu] @ heapprofile\n",
		       (unsigned long long)objects, (unsigned long long)bytes);
	cursor = (struct mw_bucket_cursor){ 0 };
	while (!s->stopped && mw_profile_next(&cursor, &b)) {
		mw_stream_text(s, "0: 0 [%llu: %llu] @", (unsigned long long)b.objects,
			       (unsigned long long)b.bytes);
		for (unsigned int i = 0; i < b.depth; i++)
			mw_stream_text(s, " %p", (void *)b.pcs[i]);
		mw_stream_text(s, "\n");
	}
}

/* The function's name without an offset, and without what separates frames. */
static void put_frame(struct mw_stream *s, uintptr_t pc)
{
	char name[96];
	size_t len = 0;

	if (!mw_port_symbol(pc - 1, name, sizeof(name)))
		mw_format(name, sizeof(name), "%p", (void *)pc);
	while (name[len] && name[len] != '+' && name[len] != ' ' && name[len] != ';')
		len++;
	mw_stream_bytes(s, name, len);
}

static void write_folded(struct mw_stream *s)
{
	struct mw_bucket_cursor cursor = { 0 };
	struct mw_bucket b;

	while (!s->stopped && mw_profile_next(&cursor, &b)) {
		for (unsigned int i = b.depth; i; i--) {
			put_frame(s, b.pcs[i - 1]);
			if (i > 1)
				mw_stream_bytes(s, ";", 1);
		}
		mw_stream_text(s, " %llu\n", (unsigned long long)b.bytes);
	}
}

bool mw_profile_write(enum mw_profile_form form, mw_sink_fn *sink, void *ctx)
{
	struct mw_stream s;

	mw_stream_begin(&s, sink, ctx);
	switch (form) {
	case MW_PROFILE_PPROF:
		mw_pprof_write(&s);
		break;
	case MW_PROFILE_TEXT:
		write_text(&s);
		break;
	case MW_PROFILE_FOLDED:
		write_folded(&s);
		break;
	}
	return mw_stream_end(&s);
}

#endif
