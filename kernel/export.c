// SPDX-License-Identifier: MIT
/*
 * See export.h. One stream at a time, gathered in a buffer of the image's, so that the world may be
 * stopped and memory out. The buffer is no root: what goes out is no reference any more.
 */
#include "export.h"
#include "kernel.h"
#include "keys.h"
#include "live.h"
#include "text.h"

#define MAGIC 0x6658774du /* "MwXf" */
#define POLYNOMIAL 0xedb88320u
#define SAY_EVERY (8ul << 20)

struct header {
	uint32_t magic;
	uint16_t kind, zero;
	uint32_t sequence, length, sum, check;
};

_Static_assert(sizeof(struct header) == EXPORT_HEADER, "as the format says");

static struct {
	_Atomic(unsigned long) busy;
	export_out_fn *out;
	char name[32];
	uint32_t sequence, sum;
	uint64_t total, began; /* bytes; when */
	bool failed; /* nobody takes it any more */
	size_t used; /* of the bytes behind the header */
	struct {
		struct header header;
		uint8_t bytes[EXPORT_PIECE];
	} frame __attribute__((aligned(ARCH_PAGE_SIZE)));
} stream ARCH_PLAIN;

/* ---- the sum: four bytes a step ---- */

static uint32_t steps[4][256];

static void make_steps(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		steps[0][i] = crc;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int n = 1; n < 4; n++)
			steps[n][i] = steps[n - 1][i] >> 8 ^ steps[0][steps[n - 1][i] & 255];
}

uint32_t export_crc(uint32_t crc, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	uint32_t word;

	if (!steps[0][1])
		make_steps();
	crc = ~crc;
	for (; len >= 4; len -= 4, at += 4) {
		__builtin_memcpy(&word, at, 4);
		word ^= crc;
		crc = steps[3][word & 255] ^ steps[2][word >> 8 & 255] ^
		      steps[1][word >> 16 & 255] ^ steps[0][word >> 24];
	}
	while (len--)
		crc = crc >> 8 ^ steps[0][(crc ^ *at++) & 255];
	return ~crc;
}

/* ---- frames ---- */

static void send(enum export_kind kind)
{
	struct header *header = &stream.frame.header;

	if (kind == EXPORT_DATA) {
		stream.sum = export_crc(stream.sum, stream.frame.bytes, stream.used);
		stream.total += stream.used;
	}
	*header = (struct header){
		.magic = MAGIC,
		.kind = (uint16_t)kind,
		.sequence = stream.sequence++,
		.length = (uint32_t)stream.used,
		.sum = stream.sum,
	};
	header->check = export_crc(0, header, offsetof(struct header, check));
	if (!stream.failed && !stream.out(&stream.frame, EXPORT_HEADER + stream.used))
		stream.failed = true;
	stream.used = 0;
}

static void fill(const void *bytes, size_t len)
{
	memcpy(stream.frame.bytes + stream.used, bytes, len);
	stream.used += len;
}

static void say_how_far(void)
{
	char text[64];

	mw_format(text, sizeof(text), "%s: %llu MiB", stream.name,
		  (unsigned long long)stream.total >> 20);
	live_show(text, text_length(text));
}

bool export_bytes(void *ctx, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	(void)ctx;
	while (len && !stream.failed && !keys_stop()) {
		size_t room = EXPORT_PIECE - stream.used, n = len < room ? len : room;

		fill(at, n);
		at += n;
		len -= n;
		if (stream.used < EXPORT_PIECE)
			break;
		send(EXPORT_DATA);
		if (!(stream.total % SAY_EVERY))
			say_how_far();
	}
	return !stream.failed && !keys_stop();
}

bool export_begin(const char *name, export_out_fn *out)
{
	if (!out && !arch_host_present()) {
		mw_print("This machine has no virtio console to take it.\n");
		return false;
	}
	if (atomic_exchange_explicit(&stream.busy, 1, memory_order_acquire)) {
		mw_print("Another stream is on its way out: %s.\n", stream.name);
		return false;
	}
	stream.out = out ? out : arch_host_write;
	stream.sequence = stream.sum = 0;
	stream.total = 0;
	stream.failed = false;
	stream.used = 0;
	stream.began = arch_now();
	mw_format(stream.name, sizeof(stream.name), "%s", name);
	fill(stream.name, text_length(stream.name));
	send(EXPORT_BEGIN);
	return true;
}

bool export_end(bool whole)
{
	uint64_t us;

	if (stream.used)
		send(EXPORT_DATA);
	fill(&stream.total, sizeof(stream.total));
	send(whole ? EXPORT_END : EXPORT_LOST);
	whole = whole && !stream.failed;
	us = (arch_now() - stream.began) / 1000;
	if (stream.total >= SAY_EVERY)
		live_end();
	mw_print("%s: %llu bytes in %llu us%s\n", stream.name, (unsigned long long)stream.total,
		 (unsigned long long)us, whole ? "" : ", NOT WHOLE: the host did not take all");
	atomic_store_explicit(&stream.busy, 0, memory_order_release);
	return whole;
}
