/* SPDX-License-Identifier: MIT */
/*
 * Prototypes of two layouts of object state, to be counted beside mm/: docs/design/layout.md says why. Each is a
 * program of its own, made of the same loads and checks. LAYOUT_TODAY is mm/ itself; LAYOUT_Q has flat bits, and
 * without it the bits are in descriptors. LAYOUT_LEAVES looks pages up through a root, as many regions need.
 */
#ifndef LAYOUTS_H
#define LAYOUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAY_CPUS 4u
#define LAY_ARENA ((size_t)128 << 20)
#define LAY_PIECE ((size_t)4 << 20) /* of many regions: every second piece of the arena is one */

extern char lay_arena[];

#ifdef LAYOUT_TODAY
#include <marrow/mm.h>
#include <marrow/gc.h>
#define lay_cache mw_cache
#define lay_alloc(size) mw_alloc(size, 0)
#define lay_free(object) mw_free(object)
#define lay_cache_alloc(cache) mw_cache_alloc(cache, 0)
#define lay_cache_free(cache, object) mw_cache_free(cache, object)
#define lay_aligned(size, align) mw_alloc_aligned(size, align, 0)
#define lay_realloc(object, size) mw_realloc(object, size, 0)
#define lay_usable(object) mw_usable_size(object)
#else
struct lay_cache;
void *lay_alloc_flags(size_t size, unsigned int flags);
#define lay_alloc(size) lay_alloc_flags(size, 0)
void lay_free(void *object);
void *lay_cache_alloc(struct lay_cache *cache);
void lay_cache_free(struct lay_cache *cache, void *object);
void *lay_aligned(size_t size, size_t align);
void *lay_realloc(void *object, size_t size);
size_t lay_usable(const void *object);
#endif

/* Memory for the heap: one region, or pieces of LAY_PIECE with gaps. */
void lay_start(bool pieces);
void lay_be_cpu(unsigned int cpu);
struct lay_cache *lay_cache_make(size_t size);
/* An object of @size bytes that a mark looks at, and into. */
void *lay_collected(size_t size);
/*
 * Mark what the @n words at @roots lead to, any word being a pointer if it looks like one; count it for @row, by object.
 * Return: objects.
 */
size_t lay_mark(void **roots, size_t n, const char *row);
bool lay_marked(const void *object);
/* Bytes that say something about memory in use, and not what users have of it. */
size_t lay_metadata(void);

/* Wrong calls so far, and the last one's object. */
enum lay_wrong {
	LAY_DOUBLE,
	LAY_INNER,
	LAY_FOREIGN,
	LAY_WRONG_CACHE,
	LAY_NR_WRONG
};
extern unsigned long lay_wrongs[LAY_NR_WRONG];
void lay_report(enum lay_wrong what, const void *object);

/* What is between the two is counted for a row, in @n steps. */
void lay_count_begin(void);
void lay_count_end(const char *row, unsigned long n);

void lay_loads(unsigned long n, unsigned int trees);
/* The same on every machine, and long where each instruction is logged. */
void lay_loads_metadata(void);
int lay_checks(void);
void lay_say(const char *text, unsigned long number);

#endif
