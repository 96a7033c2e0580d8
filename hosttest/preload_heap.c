// SPDX-License-Identifier: MIT
/*
 * Where the memory of a preloaded malloc comes from: address space set aside in one piece, as much
 * as the system gives, backed by memory when it is touched. If that is used up, another piece.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <marrow/port.h>
#include "preload.h"

#define LARGEST ((size_t)1 << (sizeof(void *) == 8 ? 40 : 30))
#define SMALLEST ((size_t)32 << 20)

struct preload_lock preload_heap_lock;

static bool add_region(size_t bytes)
{
	int saved = errno;
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	bool done = at != MAP_FAILED;

	if (done && !mw_region_add(at, (uintptr_t)at, bytes)) {
		munmap(at, bytes);
		done = false;
	}
	errno = saved;
	return done;
}

/* A limit on address space (ulimit -v) leaves half of what is there to others. */
void preload_heap_start(void)
{
	for (size_t bytes = LARGEST; bytes >= SMALLEST; bytes /= 2) {
		if (add_region(bytes))
			return;
	}
}

bool preload_heap_grow(size_t bytes)
{
	static unsigned long grown;
	unsigned long seen = __atomic_load_n(&grown, __ATOMIC_ACQUIRE);
	bool done = false;
	size_t want;

	if (bytes > PTRDIFF_MAX)
		return false;
	/* Bookkeeping takes less than a fiftieth of a region. */
	want = mw_round_up(bytes + bytes / 50 + SMALLEST, SMALLEST);
	preload_lock(&preload_heap_lock);
	if (grown != seen)
		done = true; /* another thread did */
	for (; !done && want > bytes; want = want / 2)
		done = add_region(want);
	if (done && grown == seen)
		__atomic_store_n(&grown, seen + 1, __ATOMIC_RELEASE);
	preload_unlock(&preload_heap_lock);
	return done;
}
