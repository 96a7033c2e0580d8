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
#include "../mm/object/inside.h"
#include "../mm/page/up.h"

/*
 * The first piece: enough that further ones are rare, for what lies there is looked up in one step; but the
 * root of the page map has 8 bytes for each 64 MiB of it, all of which are written.
 */
#define LARGEST ((size_t)1 << (sizeof(void *) == 8 ? 36 : 30))
#define SMALLEST ((size_t)32 << 20)

/*
 * How often a thread on a slow path looks for memory to give back, how many of its spans it looks
 * at, and how long pages have been idle before the system gets them.
 */
#define TEND_EVERY_NS 100000000u
#define TEND_SPANS 8192u
#define IDLE_NS 300000000u
struct preload_lock preload_heap_lock;

static size_t reserved; /* bytes, in all; preload_heap_lock, or nobody else yet */

static bool add_region(size_t bytes)
{
	int saved = errno;
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	bool done = at != MAP_FAILED;

	if (done && !mw_region_add_zeroed(at, (uintptr_t)at, bytes)) {
		munmap(at, bytes);
		done = false;
	}
	reserved += done ? bytes : 0;
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
	preload_lock(&preload_heap_lock);
	/* Bookkeeping takes less than a fiftieth of a region. Regions are few: each is an eighth of all. */
	want = mw_round_up(bytes + bytes / 50 + mw_max(reserved / 8, SMALLEST), SMALLEST);
	if (grown != seen)
		done = true; /* another thread did */
	for (; !done && want > bytes; want = want / 2)
		done = add_region(want);
	if (done && grown == seen)
		__atomic_store_n(&grown, seen + 1, __ATOMIC_RELEASE);
	preload_unlock(&preload_heap_lock);
	return done;
}

/* Of all threads, one at a time gives to the system. */
static void scavenge_now_and_then(uint64_t now)
{
	static _Atomic(uint64_t) last;
	uint64_t before = atomic_load_explicit(&last, memory_order_relaxed);

	if (now - before >= TEND_EVERY_NS &&
	    atomic_compare_exchange_strong_explicit(&last, &before, now, memory_order_relaxed,
						    memory_order_relaxed))
		mw_scavenge(IDLE_NS, SIZE_MAX);
}

/*
 * No thread of its own, which programs would not expect: whoever is on a slow path anyway does it. A
 * program that does nothing at all keeps what it has.
 */
MW_NOINLINE void preload_heap_look(void)
{
	struct preload_self *self = &preload_self;
	uint64_t now = mw_port_now();

	if (now - self->tended < TEND_EVERY_NS)
		return;
	self->tended = now;
	mw_cpu_gather(self->cpu, MW_GATHER_STEP);
	mw_cpu_reap(self->cpu, TEND_SPANS, false);
	scavenge_now_and_then(now);
}

/* All that can be given, at once. Return: bytes. */
size_t preload_heap_trim(void)
{
	mw_up_reclaim(1, MW_ATOMIC, 0);
	return mw_scavenge(0, SIZE_MAX);
}
