/* SPDX-License-Identifier: MIT */
/* What the files of build/libmarrow.so share: preload.c the names of libc, preload_new.c those of C++, preload_slot.c threads
 * and forks, preload_port.c the port, preload_heap.c where memory comes from.
 */
#ifndef HOSTTEST_PRELOAD_H
#define HOSTTEST_PRELOAD_H

#include <marrow/mm.h>
#include "../mm/base/base.h"

/* What the program sees; all else is hidden. */
#define PRELOAD_API __attribute__((visibility("default")))

/*
 * A second name for a function that the program sees: this library's, where the first may be the
 * program's own function of that name.
 */
#define PRELOAD_OWN(name)                                                                          \
	extern __typeof__(name) preload_own_##name                                                 \
		__attribute__((alias(#name), visibility("hidden"), copy(name)));

/* ---- preload.c ---- */

void *preload_own_malloc(size_t size);

void preload_own_free(void *object);
void *preload_own_memalign(size_t align, size_t size);
void preload_own_free_sized(void *object, size_t size);
void preload_own_free_aligned_sized(void *object, size_t align, size_t size);

/* ---- preload_slot.c ---- */

/*
 * Between the two this thread may call Marrow: with a slot of its own if it has or gets one, else
 * with the one that is shared, under a lock. Return of the first, to be handed to the second: whether
 * that is so.
 */
bool preload_begin(void);
void preload_end(bool borrowed);

/* A lock that yields; for slow paths, which never nest it. */
struct preload_lock {
	atomic_bool taken;
};
void preload_lock(struct preload_lock *lock);
void preload_unlock(struct preload_lock *lock);

/* ---- preload_heap.c ---- */

/* Address space for the heap, once. */
void preload_heap_start(void);
/* After Marrow had no room for @bytes: more address space. Return: whether to try again. */
bool preload_heap_grow(size_t bytes);
/*
 * Now and then, from slow paths of threads with a slot: give memory back that has been idle for a
 * while. The clock is read each 64 times only.
 */
void preload_heap_look(void);
static inline void preload_heap_tend(void)
{
	if (mw_unlikely(!(++preload_self.ticks % 64)))
		preload_heap_look();
}

/* For malloc_trim(): all that is idle. Return: bytes. */
size_t preload_heap_trim(void);
extern struct preload_lock preload_heap_lock;

#endif
