/* SPDX-License-Identifier: MIT */
/* What both prototypes share: the arena, runs of pages, classes and CPUs. Much simpler than mm/page, and not counted. */
#ifndef LAYOUTS_HEAP_H
#define LAYOUTS_HEAP_H

#include <stdatomic.h>
#include "layouts.h"
#include "../../mm/base/base.h"
#include "../../mm/base/word.h"
#include "../../mm/object/class.h"

#define PAGE ((size_t)4096)
#define PAGES (LAY_ARENA / PAGE)
#define FLAT_MAX ((size_t)256) /* bytes; larger objects have descriptors in layout Q too */
#define MAX_CACHES 128u
#define LARGEST_RUN 256u

#define LEAF_SHIFT 26
#define LEAF_PAGES ((size_t)1 << (LEAF_SHIFT - 12))
#define ROOTS ((size_t)1 << (47 - LEAF_SHIFT))

/* Kinds of owner: the number of a CPU, with or without flags; or one of no CPU. */
#define OWNER_PENDING 0x8000u
#define OWNER_FULL 0x4000u
#define OWNER_NONE 0x2000u /* free pages, addresses of nobody */
#define OWNER_LARGE 0x2001u
#define OWNER_DESCRIBED 0x2002u /* layout Q: a descriptor says more */
#define OWNER_MASK 0x3fffu

typedef _Atomic(unsigned long) word_t;

struct lay_slot;
struct lay_cache {
	unsigned int id;
	size_t size;
	bool collected;
};

struct span;
struct lay_cpu {
	struct lay_slot *fine[MW_FINE_STEPS];
	struct lay_slot *slot[MAX_CACHES];
	unsigned int number;
	struct span *_Atomic pending;
	_Atomic(uint32_t) pending_page;
	struct span *large[LARGEST_RUN + 1];
};

struct lay_self {
	struct lay_cpu *cpu;
	unsigned int number;
};
extern __thread struct lay_self lay_self __attribute__((tls_model("local-exec")));
extern struct lay_cpu lay_cpus[LAY_CPUS];
extern struct lay_cache lay_caches[MAX_CACHES];
extern struct mw_class_tables lay_classes;
extern size_t lay_described_bytes, lay_used_pages;

/* A freer's hazard pointer: the span that it is at. */
struct lay_hazard {
	_Alignas(64) struct span *_Atomic span;
};
extern struct lay_hazard lay_hazards[LAY_CPUS];

void *lay_pages_take(size_t pages);
void lay_pages_give(void *run, size_t pages);
void *lay_meta(size_t bytes, size_t align);
void lay_slots_make(struct lay_cache *cache);
unsigned int lay_collected_id(size_t size);
void lay_copy(void *to, const void *from, size_t bytes);

static inline unsigned long word_get(const word_t *word)
{
	return atomic_load_explicit((word_t *)word, memory_order_relaxed);
}

static inline void word_set(word_t *word, unsigned long value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline unsigned long bit_of(size_t i)
{
	return 1ul << i % 64;
}

#endif
