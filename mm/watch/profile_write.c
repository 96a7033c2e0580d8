// SPDX-License-Identifier: MIT
/* The profile as text: the older form that suits a serial line, and collapsed stacks. */
#include "profile.h"

#if MW_WATCH

static void put_counts(struct mw_stream *s, uint64_t live, uint64_t live_bytes, uint64_t objects,
		       uint64_t bytes)
{
	mw_stream_text(s, "%llu: %llu [%llu: %llu] @", (unsigned long long)live,
		       (unsigned long long)live_bytes, (unsigned long long)objects,
		       (unsigned long long)bytes);
}

/* "live: bytes [allocated: bytes] @ callers" */
static void write_text(struct mw_stream *s)
{
	struct mw_profile_cursor cursor = { 0 };
	struct mw_bucket b;
	uint64_t objects = 0, bytes = 0, live = 0, live_bytes = 0;

	while (mw_profile_next(&cursor, &b)) {
		objects += b.objects;
		bytes += b.objects * b.size;
		live += mw_bucket_live(&b);
		live_bytes += mw_bucket_live(&b) * b.size;
	}
	/* "heapprofile": the numbers are estimates already, and not to be scaled again. */
	mw_stream_text(s, "heap profile: ");
	put_counts(s, live, live_bytes, objects, bytes);
	mw_stream_text(s, " heapprofile\n");
	cursor = (struct mw_profile_cursor){ 0 };
	while (!s->stopped && mw_profile_next(&cursor, &b)) {
		put_counts(s, mw_bucket_live(&b), mw_bucket_live(&b) * b.size, b.objects,
			   b.objects * b.size);
		for (unsigned int i = 0; i < b.depth; i++)
			mw_stream_text(s, " %p", (void *)b.pcs[i]);
		mw_stream_text(s, "\n");
	}
}

/* The function's name without an offset, and without what separates frames. */
static void put_profile_frame(struct mw_stream *s, uintptr_t pc)
{
	char name[96];
	size_t len = 0;

	if (!mw_port_symbol(pc - 1, name, sizeof(name)))
		mw_format(name, sizeof(name), "%p", (void *)pc);
	while (name[len] && name[len] != '+' && name[len] != ' ' && name[len] != ';')
		len++;
	mw_stream_bytes(s, name, len);
}

static void write_folded(struct mw_stream *s, bool live)
{
	struct mw_profile_cursor cursor = { 0 };
	struct mw_bucket b;

	while (!s->stopped && mw_profile_next(&cursor, &b)) {
		uint64_t objects = live ? mw_bucket_live(&b) : b.objects;

		if (!objects)
			continue;
		for (unsigned int i = b.depth; i; i--) {
			put_profile_frame(s, b.pcs[i - 1]);
			if (i > 1)
				mw_stream_bytes(s, ";", 1);
		}
		mw_stream_text(s, " %llu\n", (unsigned long long)objects * b.size);
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
	case MW_PROFILE_FOLDED_LIVE:
		write_folded(&s, form == MW_PROFILE_FOLDED_LIVE);
		break;
	}
	return mw_stream_end(&s);
}

#endif
