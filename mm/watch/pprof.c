// SPDX-License-Identifier: MIT
/*
 * The profile as profile.proto, not compressed: a little of protocol buffers, written without memory.
 * A message inside another one needs its length first, so the small ones are made in a buffer.
 * Locations are numbered by bucket and frame; pprof joins those of one address.
 */
#include "profile.h"

#if MW_WATCH

/* Tags of protocol buffers: number of the field << 3 | wire type. */
enum {
	VARINT = 0,
	BYTES = 2,
};

/* Messages are on the stack: one at a time. */
#define APART __attribute__((noinline))

struct message {
	size_t len;
	unsigned char bytes[MW_FRAMES * 10 + 64];
};

static void put_varint(struct message *m, uint64_t n)
{
	MW_ASSERT(m->len + MW_VARINT_MOST <= sizeof(m->bytes));
	m->len += mw_varint(m->bytes + m->len, n);
}

static void put_number(struct message *m, unsigned int field, uint64_t n)
{
	put_varint(m, field << 3 | VARINT);
	put_varint(m, n);
}

static void put_inside(struct message *m, unsigned int field, const struct message *inner)
{
	put_varint(m, field << 3 | BYTES);
	put_varint(m, inner->len);
	for (size_t i = 0; i < inner->len; i++) {
		MW_ASSERT(m->len < sizeof(m->bytes));
		m->bytes[m->len++] = inner->bytes[i];
	}
}

/* A field of the outermost message. */
static void send(struct mw_stream *s, unsigned int field, const void *bytes, size_t len)
{
	struct message head = { 0 };

	put_varint(&head, field << 3 | BYTES);
	put_varint(&head, len);
	mw_stream_bytes(s, head.bytes, head.len);
	mw_stream_bytes(s, bytes, len);
}

/* The strings that are referred to, by number. */
enum string {
	EMPTY,
	ALLOC_OBJECTS,
	COUNT,
	ALLOC_SPACE,
	INUSE_OBJECTS,
	INUSE_SPACE,
	BYTES_UNIT,
	SPACE,
	FILE_NAME,
	BUILD_ID,
	NR_STRINGS,
};

static void send_type(struct mw_stream *s, unsigned int field, enum string type, enum string unit)
{
	struct message m = { 0 };

	put_number(&m, 1, type);
	put_number(&m, 2, unit);
	send(s, field, m.bytes, m.len);
}

APART static void send_mapping(struct mw_stream *s, const struct mw_profile_mapping *map)
{
	struct message m = { 0 };

	put_number(&m, 1, 1); /* id */
	put_number(&m, 2, map->start);
	put_number(&m, 3, map->limit ? map->limit : UINT64_MAX);
	put_number(&m, 4, map->offset);
	put_number(&m, 5, FILE_NAME);
	put_number(&m, 6, BUILD_ID);
	send(s, 3, m.bytes, m.len);
}

static uint64_t location_of(unsigned int bucket, unsigned int frame)
{
	return (uint64_t)bucket * MW_FRAMES + frame + 1;
}

APART static void send_sample(struct mw_stream *s, unsigned int number, const struct mw_bucket *b)
{
	struct message m = { 0 }, part = { 0 };

	for (unsigned int i = 0; i < b->depth; i++)
		put_varint(&part, location_of(number, i));
	put_inside(&m, 1, &part);
	part.len = 0;
	put_varint(&part, b->objects);
	put_varint(&part, b->objects * b->size);
	put_varint(&part, mw_bucket_live(b));
	put_varint(&part, mw_bucket_live(b) * b->size);
	put_inside(&m, 2, &part);
	part.len = 0;
	put_number(&part, 1, BYTES_UNIT); /* a label: bytes = size */
	put_number(&part, 3, b->size);
	put_inside(&m, 3, &part);
	send(s, 2, m.bytes, m.len);
}

APART static void send_locations(struct mw_stream *s, unsigned int number,
				 const struct mw_bucket *b, const struct mw_profile_mapping *map)
{
	for (unsigned int i = 0; i < b->depth; i++) {
		struct message m = { 0 };

		put_number(&m, 1, location_of(number, i));
		if (b->pcs[i] > map->start && (!map->limit || b->pcs[i] <= map->limit))
			put_number(&m, 2, 1); /* of another image no reader can make names */
		put_number(&m, 3, b->pcs[i] - 1); /* in the call, not behind it */
		send(s, 4, m.bytes, m.len);
	}
}

static size_t text_length(const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	return len;
}

void mw_pprof_write(struct mw_stream *s)
{
	const struct mw_profile_mapping map = mw_profile.mapping;
	const char *const strings[NR_STRINGS] = {
		[EMPTY] = "",
		[ALLOC_OBJECTS] = "alloc_objects",
		[COUNT] = "count",
		[ALLOC_SPACE] = "alloc_space",
		[INUSE_OBJECTS] = "inuse_objects",
		[INUSE_SPACE] = "inuse_space",
		[BYTES_UNIT] = "bytes",
		[SPACE] = "space",
		[FILE_NAME] = map.file ? map.file : "kernel",
		[BUILD_ID] = map.build_id ? map.build_id : "",
	};
	struct mw_profile_cursor cursor = { 0 };
	struct mw_bucket bucket;
	struct message period = { 0 };

	send_type(s, 1, ALLOC_OBJECTS, COUNT);
	send_type(s, 1, ALLOC_SPACE, BYTES_UNIT);
	send_type(s, 1, INUSE_OBJECTS, COUNT);
	send_type(s, 1, INUSE_SPACE, BYTES_UNIT);
	send_mapping(s, &map);
	for (unsigned int n = 0; !s->stopped && mw_profile_next(&cursor, &bucket); n++) {
		send_sample(s, n, &bucket);
		send_locations(s, n, &bucket, &map);
	}
	for (unsigned int i = 0; i < NR_STRINGS; i++)
		send(s, 6, strings[i], text_length(strings[i]));
	send_type(s, 11, SPACE, BYTES_UNIT);
	put_number(&period, 12, mw_word(&mw_profile_every));
	put_number(&period, 14, INUSE_SPACE);
	mw_stream_bytes(s, period.bytes, period.len);
}

#endif
