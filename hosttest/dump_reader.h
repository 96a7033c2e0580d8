/* SPDX-License-Identifier: MIT */
/* A reader of heap dumps, from the public description of the format alone (go.dev/wiki/heapdump14). */
#ifndef HOSTTEST_DUMP_READER_H
#define HOSTTEST_DUMP_READER_H

#include "test.h"
#include <marrow/gc.h>
#include <marrow/watch.h>

#if MW_WATCH && MW_GC

/* With ThreadSanitizer a process has 50 MB of bss, all of it roots. */
#ifdef __SANITIZE_THREAD__
#define ROOM ((size_t)96 << 20)
#define ROUNDS 3
#else
#define ROOM ((size_t)24 << 20)
#define ROUNDS 20
#endif

/* ---- a sink that keeps ---- */

struct kept {
	unsigned char *bytes;
	size_t len, room, most; /* @most: stop before there are more; 0: do not */
};

static bool keep(void *ctx, const void *bytes, size_t len)
{
	struct kept *kept = ctx;

	if (kept->len + len > kept->room || (kept->most && kept->len + len > kept->most))
		return false;
	__builtin_memcpy(kept->bytes + kept->len, bytes, len);
	kept->len += len;
	return true;
}

/* ---- an independent reader ---- */

struct text {
	const unsigned char *at;
	size_t len;
};

/* A record; what does not belong to its kind is 0. */
struct item {
	unsigned int kind;
	uint64_t n[40]; /* the numbers, in order; of the statistics the last one is the 40th */
	unsigned int numbers;
	struct text text[4];
	unsigned int texts;
	uint64_t field[16]; /* the first offsets of its list */
	unsigned int fields;
};

struct reader {
	const unsigned char *at, *end;
	bool bad;
};

static uint64_t number(struct reader *r)
{
	uint64_t n = 0;

	for (unsigned int shift = 0; shift < 64 && r->at < r->end; shift += 7) {
		n |= (uint64_t)(*r->at & 127) << shift;
		if (!(*r->at++ & 128))
			return n;
	}
	r->bad = true;
	return 0;
}

static void numbers(struct reader *r, struct item *item, unsigned int count)
{
	while (count--)
		item->n[item->numbers++ % 40] = number(r);
}

static void text(struct reader *r, struct item *item)
{
	uint64_t len = number(r);

	if (len > (size_t)(r->end - r->at)) {
		r->bad = true;
		return;
	}
	item->text[item->texts++ % 4] = (struct text){ r->at, (size_t)len };
	r->at += len;
}

static void fields(struct reader *r, struct item *item)
{
	uint64_t before = 0;

	while (!r->bad && number(r) == 1) {
		uint64_t offset = number(r);

		if (item->fields < 16)
			item->field[item->fields] = offset;
		r->bad |= item->fields++ && offset <= before;
		before = offset;
	}
	/* The list's end was read, or an unknown kind of field. */
	r->bad |= r->at[-1] != 0;
}

static void profile(struct reader *r, struct item *item)
{
	numbers(r, item, 3);
	for (uint64_t i = 0; i < item->n[2] && !r->bad; i++) {
		text(r, item);
		text(r, item);
		number(r);
	}
	numbers(r, item, 2);
}

/* One record. Return: false: the end, or damage. */
static bool next(struct reader *r, struct item *item)
{
	/* Kinds whose fields are numbers only. */
	static const unsigned char plain[] = { [7] = 5, [8] = 2, [9] = 3, [11] = 5, [17] = 2 };

	*item = (struct item){ .kind = (unsigned int)number(r) };
	switch (item->kind) {
	case 1:
	case 12:
	case 13:
		numbers(r, item, 1);
		text(r, item);
		fields(r, item);
		break;
	case 2:
		text(r, item);
		numbers(r, item, 1);
		break;
	case 3:
		numbers(r, item, 2);
		text(r, item);
		numbers(r, item, 1);
		break;
	case 4:
		numbers(r, item, 8);
		text(r, item);
		numbers(r, item, 4);
		break;
	case 5:
		numbers(r, item, 3);
		text(r, item);
		numbers(r, item, 3);
		text(r, item);
		fields(r, item);
		break;
	case 6:
		numbers(r, item, 5);
		text(r, item);
		numbers(r, item, 1);
		break;
	case 10:
		numbers(r, item, 24);
		for (unsigned int i = 0; i < 256; i++)
			number(r);
		numbers(r, item, 1);
		break;
	case 16:
		profile(r, item);
		break;
	default:
		r->bad |= item->kind >= sizeof(plain) || (item->kind && !plain[item->kind]);
		if (!r->bad)
			numbers(r, item, plain[item->kind]);
	}
	return item->kind && !r->bad;
}

static struct reader open_dump(const struct kept *kept)
{
	static const char header[] = "go1.4 heap dump\n";
	struct reader r = { kept->bytes, kept->bytes + kept->len, false };

	r.bad = kept->len < sizeof(header) ||
		__builtin_memcmp(kept->bytes, header, sizeof(header) - 1);
	r.at += sizeof(header) - 1;
	return r;
}

static bool says(struct text t, const char *word)
{
	for (size_t i = 0; i < t.len; i++)
		if (!word[i] || word[i] != (char)t.at[i])
			return false;
	return !word[t.len];
}

/* ---- what is in a dump ---- */

struct sums {
	unsigned int kinds[18];
	uint64_t objects, bytes;
	uint64_t said_objects, said_bytes, said_allocs, said_frees;
	size_t pointer_size;
	bool bad;
};

static struct sums sum_up(const struct kept *kept)
{
	struct reader r = open_dump(kept);
	struct sums sums = { 0 };
	struct item item;

	while (!r.bad && next(&r, &item)) {
		sums.kinds[item.kind]++;
		if (item.kind == 1) {
			sums.objects++;
			sums.bytes += item.text[0].len;
		} else if (item.kind == 6) {
			sums.pointer_size = (size_t)item.n[1];
		} else if (item.kind == 10) {
			sums.said_bytes = item.n[0];
			sums.said_allocs = item.n[4];
			sums.said_frees = item.n[5];
			sums.said_objects = item.n[11];
		}
	}
	sums.bad = r.bad;
	return sums;
}

/* The only object at an address; kind 0: there is none, or two. */
__attribute__((unused)) static struct item find_object(const struct kept *kept, const void *address)
{
	struct reader r = open_dump(kept);
	struct item item, found = { 0 };
	unsigned int n = 0;

	while (!r.bad && next(&r, &item)) {
		if (item.kind != 1 || item.n[0] != (uintptr_t)address)
			continue;
		found = item;
		n++;
	}
	return n == 1 ? found : (struct item){ 0 };
}

/* How many other roots of that name lead to the object. */
__attribute__((unused)) static unsigned int roots_of(const struct kept *kept, const char *name,
						     const void *object)
{
	struct reader r = open_dump(kept);
	unsigned int n = 0;
	struct item item;

	while (!r.bad && next(&r, &item))
		n += item.kind == 2 && item.n[0] == (uintptr_t)object && says(item.text[0], name);
	return n;
}

/* Records of a kind whose first number is the address. */
__attribute__((unused)) static unsigned int records_of(const struct kept *kept, unsigned int kind,
						       const void *address)
{
	struct reader r = open_dump(kept);
	unsigned int n = 0;
	struct item item;

	while (!r.bad && next(&r, &item))
		n += item.kind == kind && item.n[0] == (uintptr_t)address;
	return n;
}

static struct kept dump(void)
{
	struct kept kept = { .bytes = test_memory(ROOM), .room = ROOM };

	NEED(kept.bytes);
	NEED(mw_dump_write(keep, &kept));
	return kept;
}

#endif
#endif
