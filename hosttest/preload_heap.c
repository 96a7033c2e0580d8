// SPDX-License-Identifier: MIT
/*
 * Where the memory of a preloaded malloc comes from: address space set aside in one piece, as much
 * as the system gives, backed by memory when it is touched. If that is used up, another piece.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <marrow/port.h>
#include "preload.h"
#include "../mm/object/inside.h"
#include "../mm/page/up.h"

/*
 * The first piece: enough that further ones are rare, for what lies there is looked up in one step; but the
 * root of the page map has 8 bytes for each 64 MiB of it, all of which are written.
 */
#define LARGEST ((size_t)1 << (sizeof(void *) == 8 ? 36 : 30))
#define USUAL ((size_t)32 << 20)
/* What the bookkeeping of a region leaves most of, however the region lies. */
#define SMALLEST ((size_t)256 << 10)
#define MOST_REGIONS 500u /* Marrow has numbers for a few more */

/*
 * How often a thread on a slow path looks for memory to give back, how many of its spans it looks
 * at, and how long pages have been idle before the system gets them.
 */
#define TEND_EVERY_NS 100000000u
#define TEND_SPANS 8192u
#define IDLE_NS 300000000u
struct preload_lock preload_heap_lock;

/* Both: preload_heap_lock, or nobody else yet. */
static size_t reserved; /* bytes, in all */
static unsigned int regions;

static bool in_window(const void *at, size_t bytes)
{
	uint64_t offset = (uintptr_t)at - (uintptr_t)MW_ADDR_BASE;

	return !((offset + bytes - 1) >> MW_ADDR_BITS) && !(offset >> MW_ADDR_BITS);
}

static void *map_at(uintptr_t hint, size_t bytes)
{
	void *at = mmap((void *)hint, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED || in_window(at, bytes))
		return at;
	munmap(at, bytes);
	return NULL;
}

/*
 * Where the system likes, which is in the window unless the process has the old layout, of an unlimited
 * stack: then in one of 64 parts of the window. Return: MAP_FAILED or NULL: nowhere.
 */
static void *map(size_t bytes)
{
	uintptr_t part = (uintptr_t)1 << (MW_ADDR_BITS - 6), hint = MW_ADDR_BASE;
	void *at = map_at(0, bytes);

	for (unsigned int i = 1; !at && i < 64; i++)
		at = map_at(hint += part, bytes);
	return at;
}

static bool add_region(size_t bytes)
{
	int saved = errno;
	void *at = regions < MOST_REGIONS ? map(bytes) : NULL;
	bool done = at && at != MAP_FAILED;

	if (done && !mw_region_add_zeroed(at, (uintptr_t)at, bytes)) {
		munmap(at, bytes);
		done = false;
	}
	reserved += done ? bytes : 0;
	regions += done;
	errno = saved;
	return done;
}

/* Of a limit on address space (ulimit -v) half is left to others, until it turns out that more is needed. */
void preload_heap_start(void)
{
	struct rlimit limit;
	bool limited = !getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur != RLIM_INFINITY;

	for (size_t bytes = LARGEST; bytes >= SMALLEST; bytes /= 2) {
		if ((!limited || bytes <= limit.rlim_cur / 2) && add_region(bytes))
			return;
	}
}

/* As much as is worth it, else half of that, and so on. Return: false: not even enough for @bytes. */
static bool grow_for(size_t bytes)
{
	/* Bookkeeping takes less than a fiftieth of a region. Regions are few: each is an eighth of all. */
	size_t least = mw_round_up(bytes + bytes / 50 + SMALLEST, SMALLEST);
	size_t want = least + mw_round_up(mw_max(reserved / 8, USUAL), SMALLEST);

	while (want > least && !add_region(want))
		want = mw_max(least, mw_round_down(want / 2, SMALLEST));
	return want > least || add_region(least);
}

bool preload_heap_grow(size_t bytes)
{
	static unsigned long grown;
	unsigned long seen = __atomic_load_n(&grown, __ATOMIC_ACQUIRE);
	bool done;

	if (bytes > PTRDIFF_MAX)
		return false;
	preload_lock(&preload_heap_lock);
	done = grown != seen; /* another thread did */
	if (!done && grow_for(bytes)) {
		done = true;
		__atomic_store_n(&grown, seen + 1, __ATOMIC_RELEASE);
	}
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
	mw_up_reclaim(0, MW_ATOMIC, 0);
	return mw_scavenge(0, SIZE_MAX);
}
