/* SPDX-License-Identifier: MIT */
/* Between the collectors' loads (bench_gc.c) and a collector: bench_gc_marrow.c, peers/gc_bdw.c. */
#ifndef HOSTTEST_BENCH_GC_H
#define HOSTTEST_BENCH_GC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node {
	struct node *left, *right;
	uintptr_t value[]; /* the rest of its size */
};

/* @markers threads mark; nodes are of @node_size bytes. Everything returned is zero. */
void gc_start(unsigned int markers, size_t node_size);
void *gc_plain(size_t size); /* anything in it may be a pointer */
struct node *gc_node(void);
void *gc_array(size_t n); /* of pointers */
void gc_collect(void); /* until the program runs again */
void gc_sweep(void); /* what a collection has left to do */
void gc_collect_by_itself(bool on);
/* Threads that collect and sweep beside the program, where there are such. */
void gc_workers(void);

/* Counts a dead object and does no more; called by gc_finalize(). */
void gc_finalized(void);
bool gc_set_finalizer(void *object);
void gc_clear_finalizer(void *object);
void gc_finalize(void); /* run what is due */

#endif
