/* SPDX-License-Identifier: MIT */
/*
 * Streams of bytes out of the kernel, into files beside the emulator. What travels are frames, all
 * numbers little-endian:
 *
 *	 0  magic     "MwXf"
 *	 4  kind      16 bits, enum export_kind
 *	 6  zero      16 bits
 *	 8  sequence  32 bits: frames of this stream before this one
 *	12  length    32 bits: bytes that follow the header
 *	16  sum       32 bits: CRC-32 of all the stream's data so far, this frame's included
 *	20  check     32 bits: CRC-32 of the 20 bytes before
 *
 * BEGIN's bytes are the stream's name, DATA's are the stream; END and LOST hold its length in 64 bits.
 * As each frame has the sum so far, a reader can check each by itself, behind a damaged one too, and
 * END's sum is that of the whole. scripts/export.py is the reader.
 */
#ifndef KERNEL_EXPORT_H
#define KERNEL_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum export_kind {
	EXPORT_BEGIN = 1,
	EXPORT_DATA,
	EXPORT_END,
	EXPORT_LOST, /* the writer gave up: what came is not all */
};

#define EXPORT_HEADER 24u
#define EXPORT_PIECE (32u << 10) /* longest data of a frame */

/* Where frames go; tests put a function of theirs here. */
typedef bool export_out_fn(const void *bytes, size_t len);

/**
 * export_begin - a stream named @name, into @out (NULL: to the host)
 *
 * Return: false if another one is under way, or there is nobody to take it; a line says so.
 */
bool export_begin(const char *name, export_out_fn *out);
/* The stream's bytes; an mw_sink_fn that needs no context, no memory and no lock. */
bool export_bytes(void *ctx, const void *bytes, size_t len);
/**
 * export_end - after the last byte
 * @whole: what the writer says; false: its reader is told that something is missing
 *
 * Return: whether all of it went out. A line says so.
 */
bool export_end(bool whole);

/* CRC-32 as zlib, gzip and Ethernet have it. */
uint32_t export_crc(uint32_t crc, const void *bytes, size_t len);

#endif
