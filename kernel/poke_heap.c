// SPDX-License-Identifier: MIT
/*
 * Mistakes with the heap. Most are made with objects of a cache that has all debug aids, so that
 * the report names who allocated the object and who freed it: the functions here are called as
 * their parts are.
 */
#include <stdatomic.h>
#include <marrow/gc.h>
#include "../mm/page/page.h"
#include "commands.h"
#include "look.h"
#include "poke.h"
#include "settings.h"
#include "thread.h"

#define SIZE 100u
#define ALLOCATIONS 80u
#define PART __attribute__((noinline)) static

/*
 * After the last call, so that it is no jump; no two are alike, or the compiler would make them
 * one.
 */
#define STAY() __asm__ volatile("" : : "i"(__LINE__))

/* ---- who does what ---- */

PART void *the_owner_allocates(struct mw_cache *cache)
{
	void *object = mw_cache_alloc(cache, MW_NORMAL);

	STAY();
	return object;
}

PART void the_owner_frees(void *object)
{
	mw_free(object);
	STAY();
}

PART void somebody_else_frees(void *object)
{
	mw_free(object);
	STAY();
}

/* Not seen by a sanitizer of this kernel: the heap is to find it. */
__attribute__((no_sanitize_address)) PART void somebody_writes(char *at)
{
	*(volatile char *)at = 'x';
}

/* Call @make with a cache whose objects have all debug aids, and end it. */
static void with_aids(const char *aids, void (*make)(struct mw_cache *cache, char *object))
{
	const struct mw_cache_want want = { .name = "poke", .size = SIZE };
	struct mw_cache *cache = NULL;
	char *object = NULL;

	if (mw_debug_set(aids))
		cache = mw_cache_create(&want);
	if (cache)
		object = the_owner_allocates(cache);
	if (object)
		make(cache, object);
	else
		poke_no_memory();
	if (cache)
		(void)mw_cache_destroy(cache);
	settings_apply();
}

/* ---- frees ---- */

static void free_twice(struct mw_cache *cache, char *object)
{
	(void)cache;
	the_owner_frees(object);
	somebody_else_frees(object);
}

static void free_inside(struct mw_cache *cache, char *object)
{
	(void)cache;
	somebody_else_frees(object + 24);
	the_owner_frees(object);
}

static void free_as_larger(struct mw_cache *cache, char *object)
{
	(void)cache;
	mw_free_sized(object, 300);
	the_owner_frees(object);
}

static void free_to_other(struct mw_cache *cache, char *object)
{
	const struct mw_cache_want want = { .name = "poke-other", .size = SIZE };
	struct mw_cache *other = mw_cache_create(&want);

	(void)cache;
	if (other) {
		mw_cache_free(other, object);
		(void)mw_cache_destroy(other);
	} else {
		poke_no_memory();
	}
	the_owner_frees(object);
}

static struct {
	void *object;
	atomic_uint waiting;
} both;

static void free_at_once(unsigned int cpu, void *unused)
{
	(void)cpu, (void)unused;
	atomic_fetch_add(&both.waiting, 1);
	while (atomic_load(&both.waiting) < 2)
		arch_relax();
	somebody_else_frees(both.object);
}

/* One of the two is first, whichever that is; the other one is told. */
static void free_on_two(struct mw_cache *cache, char *object)
{
	(void)cache;
	both.object = object;
	atomic_store(&both.waiting, 0);
	arch_run_on_cpus(3, free_at_once, NULL);
	both.object = NULL;
}

static void foreign_free(void *arg)
{
	int variable = 1;

	(void)arg;
	mw_free(&variable);
	STAY();
}

/* ---- writes ---- */

static void write_behind(struct mw_cache *cache, char *object)
{
	(void)cache;
	somebody_writes(object + mw_usable_size(object));
	the_owner_frees(object);
}

/* The first object of a span may have nothing before it: not this one. */
static void write_before(struct mw_cache *cache, char *first)
{
	char *object = the_owner_allocates(cache);

	if (object) {
		somebody_writes(object - 1);
		the_owner_frees(object);
	} else {
		poke_no_memory();
	}
	the_owner_frees(first);
}

/* Found when the object is handed out again, which takes some allocations. */
static void write_after_free(struct mw_cache *cache, char *object)
{
	void *more[ALLOCATIONS];

	the_owner_frees(object);
	somebody_writes(object + 8);
	for (size_t i = 0; i < LEN(more); i++)
		more[i] = the_owner_allocates(cache);
	if (!more[LEN(more) - 1])
		poke_no_memory();
	for (size_t i = 0; i < LEN(more); i++)
		mw_cache_free(cache, more[i]);
}

static void somebody_reads(void *object)
{
	(void)*(volatile char *)object;
	STAY();
}

/* Each object has a page of its own, which faults from its end on. */
static void read_after_free(struct mw_cache *cache, char *object)
{
	(void)cache;
	the_owner_frees(object);
	poke_try(somebody_reads, object);
	look_at(object);
}

#define WITH_AIDS(name, aids, make)                                                                \
	static void name(void *arg)                                                                \
	{                                                                                          \
		(void)arg;                                                                         \
		with_aids(aids ",poke", make);                                                     \
	}

WITH_AIDS(double_free, "FZPU", free_twice)
WITH_AIDS(inner_free, "FZPU", free_inside)
WITH_AIDS(wrong_size, "FZPU", free_as_larger)
WITH_AIDS(wrong_cache, "FZPU", free_to_other)
WITH_AIDS(tracked_race, "U", free_on_two)
WITH_AIDS(overrun, "FZPU", write_behind)
WITH_AIDS(underrun, "FZPU", write_before)
WITH_AIDS(use_after_free, "FZPU", write_after_free)
WITH_AIDS(read_freed, "GU", read_after_free)

static void two_cpus(void *arg)
{
	if (arch_cpu_count() > 1)
		tracked_race(arg);
	else
		mw_print("This needs a second CPU.\n");
}

/* ---- pages ---- */

static void wrong_count(void *arg)
{
	void *pages = mw_pages_alloc(4, MW_NORMAL);

	(void)arg;
	if (!pages) {
		poke_no_memory();
		return;
	}
	mw_pages_free(pages, 3);
	mw_pages_free(pages, 4);
}

static void wrong_kind(void *arg)
{
	void *pages = mw_pages_alloc(1, MW_NORMAL);

	(void)arg;
	if (!pages) {
		poke_no_memory();
		return;
	}
	mw_free(pages);
	mw_pages_free(pages, 1);
}

/* Found when the page is taken again. */
static void freed_page(void *arg)
{
	struct mw_pages same = { .count = 1 };
	char *page;

	(void)arg;
	mw_page_poison(true);
	page = mw_pages_alloc(1, MW_NORMAL);
	mw_pages_free(page, 1);
	same.at = page;
	if (page) {
		somebody_writes(page + 16);
		page = mw_pages_alloc_as(&same);
	}
	if (page)
		mw_pages_free(page, 1);
	else
		poke_no_memory();
	mw_page_poison(false);
}

/* ---- pointers ---- */

#if MW_GC

struct poke_node {
	struct poke_node *next;
	char bytes[40];
};

static struct mw_type poke_node_type = MW_TYPE(struct poke_node, MW_PTR(struct poke_node, next));
static struct poke_node *poke_list;

/* Three nodes; the last one points to where an object was, which has been freed by hand. */
static bool make_list(void)
{
	struct poke_node *gone = mw_alloc(sizeof(*gone), MW_NORMAL);

	mw_free(gone);
	poke_list = gone;
	for (int i = 0; gone && i < 3; i++) {
		struct poke_node *node = mw_new(&poke_node_type, MW_NORMAL);

		if (!node)
			return false;
		node->next = poke_list;
		poke_list = node;
	}
	return gone;
}

/* A neighbour keeps the place that the list leads to one of objects. */
static void bad_pointer(void *arg)
{
	unsigned long before = mw_misuse_count(MW_BAD_POINTER);
	void *neighbour = mw_alloc(sizeof(struct poke_node), MW_NORMAL);

	(void)arg;
	if (neighbour && make_list()) {
		mw_gc_debug(MW_GC_DEBUG_POINTERS, 0);
		(void)mw_gc_collect(MW_COLLECT_MARKED);
		if (mw_misuse_count(MW_BAD_POINTER) == before)
			mw_print("The pointer was not found: there may be no memory for a second "
				 "mark.\n");
	} else {
		poke_no_memory();
	}
	poke_list = NULL;
	mw_free(neighbour);
	settings_apply();
}

static void leak(void *arg)
{
	(void)arg;
	if (mw_debug_set("U,alloc-256"))
		monitor_run("leaks make 3;leaks;leaks free");
	settings_apply();
}

#endif

static const struct mistake mistakes[] = {
	{ "double-free", "free an object twice", double_free },
	{ "two-cpus", "free an object on two CPUs at once", two_cpus },
	{ "inner-free", "free an address inside an object", inner_free },
	{ "foreign-free", "free a local variable", foreign_free },
	{ "wrong-size", "tell mw_free_sized() another size", wrong_size },
	{ "wrong-cache", "give an object to another cache", wrong_cache },
	{ "wrong-count", "free 3 pages of 4", wrong_count },
	{ "wrong-kind", "free pages as an object", wrong_kind },
	{ "overrun", "write behind an object", overrun },
	{ "underrun", "write before an object", underrun },
	{ "use-after-free", "write to an object that was freed", use_after_free },
	{ "read-freed", "read an object that was freed, where that faults", read_freed },
	{ "freed-page", "write to a page that was freed", freed_page },
#if MW_GC
	{ "bad-pointer", "point to where no object is any more", bad_pointer },
	{ "leak", "lose objects", leak },
#endif
};

const struct mistake *poke_heap_mistake(size_t n)
{
	return n < LEN(mistakes) ? &mistakes[n] : NULL;
}
