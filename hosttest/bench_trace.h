/* SPDX-License-Identifier: MIT */
/*
 * A recorded run: what a program asked of its allocator, in order, without the program.
 *
 * Each record is a varint (slot << 2 | what), followed for all but a free by a varint of the size.
 * A slot names a live object and is used again after its death, lowest last given first.
 */
#ifndef BENCH_TRACE_H
#define BENCH_TRACE_H

enum bench_op {
	BENCH_MALLOC,
	BENCH_CALLOC,
	BENCH_REALLOC,
	BENCH_FREE
};

#define BENCH_MAX_SLOTS (1u << 20) /* objects live at once */

#endif
