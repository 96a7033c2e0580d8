// SPDX-License-Identifier: MIT
/*
 * Preloaded, writes what the program asks of malloc to the file $BENCH_RECORD: see bench_trace.h.
 * Objects that live at the start or are aligned specially are recorded as plain ones.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench_trace.h"

/* glibc's own names for the functions that this file stands in front of */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *p);

#define BUCKETS (2u * BENCH_MAX_SLOTS)

static struct {
	int lock;
	int fd; /* 0: not open yet, -1: nothing to do */
	size_t used;
	unsigned char buf[1 << 16];
	uint32_t nr_slots, nr_spare;
	uint32_t spare[BENCH_MAX_SLOTS];
	struct {
		uintptr_t object;
		uint32_t slot;
	} live[BUCKETS]; /* open addressing, linear */
} rec;

static void flush(void)
{
	size_t at = 0;

	while (at < rec.used) {
		ssize_t n = write(rec.fd, rec.buf + at, rec.used - at);

		if (n <= 0)
			abort();
		at += (size_t)n;
	}
	rec.used = 0;
}

static void put(uint64_t n)
{
	if (rec.used + 10 > sizeof(rec.buf))
		flush();
	for (; n >= 128; n >>= 7)
		rec.buf[rec.used++] = (unsigned char)(n | 128);
	rec.buf[rec.used++] = (unsigned char)n;
}

static uint32_t bucket_of(uintptr_t object)
{
	return (uint32_t)((object >> 4) * 0x9e3779b97f4a7c15u >> 40) % BUCKETS;
}

static uint32_t find(uintptr_t object)
{
	uint32_t b = bucket_of(object);

	while (rec.live[b].object && rec.live[b].object != object)
		b = (b + 1) % BUCKETS;
	return b;
}

static uint32_t remember(void *object)
{
	uint32_t b = find((uintptr_t)object);

	if (!rec.nr_spare && rec.nr_slots == BENCH_MAX_SLOTS)
		abort();
	rec.live[b].object = (uintptr_t)object;
	rec.live[b].slot = rec.nr_spare ? rec.spare[--rec.nr_spare] : rec.nr_slots++;
	return rec.live[b].slot;
}

/* Return: the slot, or -1 for an object that was never seen. */
static long forget(void *object)
{
	uint32_t b = find((uintptr_t)object), hole = b, slot = rec.live[b].slot;

	if (!rec.live[b].object)
		return -1;
	for (b = (b + 1) % BUCKETS; rec.live[b].object; b = (b + 1) % BUCKETS) {
		uint32_t home = bucket_of(rec.live[b].object);

		if ((b - home) % BUCKETS >= (b - hole) % BUCKETS) {
			rec.live[hole] = rec.live[b];
			hole = b;
		}
	}
	rec.live[hole].object = 0;
	rec.spare[rec.nr_spare++] = slot;
	return slot;
}

/* Takes the lock. Return: whether there is something to write to. */
static int enter(void)
{
	while (__atomic_exchange_n(&rec.lock, 1, __ATOMIC_ACQUIRE))
		sched_yield();
	if (!rec.fd) {
		const char *name = environ ? getenv("BENCH_RECORD") : NULL;

		rec.fd = name ? open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	}
	return rec.fd > 0;
}

static void leave(void)
{
	__atomic_store_n(&rec.lock, 0, __ATOMIC_RELEASE);
}

static void *note(void *object, enum bench_op op, size_t size)
{
	if (!object)
		return NULL;
	if (enter()) {
		put((uint64_t)remember(object) << 2 | op);
		put(size);
	}
	leave();
	return object;
}

static void note_free(void *object)
{
	long slot;

	if (!object)
		return;
	if (enter()) {
		slot = forget(object);
		if (slot >= 0)
			put((uint64_t)slot << 2 | BENCH_FREE);
	}
	leave();
}

void *malloc(size_t size)
{
	return note(__libc_malloc(size), BENCH_MALLOC, size);
}

void *calloc(size_t n, size_t size)
{
	return note(__libc_calloc(n, size), BENCH_CALLOC, n * size);
}

void free(void *object)
{
	note_free(object);
	__libc_free(object);
}

void *realloc(void *object, size_t size)
{
	void *p;
	long slot = -1;

	if (!object)
		return malloc(size);
	if (!size) {
		free(object);
		return NULL;
	}
	/* Forgotten before: another thread might be given the same address. */
	if (enter())
		slot = forget(object);
	leave();
	p = __libc_realloc(object, size);
	if (!p)
		abort();
	if (enter()) {
		uint32_t same = remember(p);

		if (slot >= 0 && same == (uint32_t)slot)
			put((uint64_t)same << 2 | BENCH_REALLOC);
		else
			put((uint64_t)same << 2 | BENCH_MALLOC);
		put(size);
	}
	leave();
	return p;
}

void *memalign(size_t align, size_t size)
{
	return note(__libc_memalign(align, size), BENCH_MALLOC, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

int posix_memalign(void **object, size_t align, size_t size)
{
	void *p = memalign(align, size);

	if (!p)
		return ENOMEM;
	*object = p;
	return 0;
}

static __attribute__((destructor)) void finish(void)
{
	if (enter()) {
		flush();
		close(rec.fd);
	}
	rec.fd = -1;
	leave();
}
