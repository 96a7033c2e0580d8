// SPDX-License-Identifier: MIT
/*
 * malloc and all that belongs to it, by Marrow: the names of libc.
 *
 * What is left open by the standards is as in glibc: malloc(0) gives an address of its own,
 * realloc(p, 0) frees, everything is aligned to 16 bytes, an odd alignment given to memalign() is
 * rounded up to a power of two, free() keeps errno. The end of memory is ENOMEM.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <marrow/watch.h>
#include "../mm/base/report.h"
#include "../mm/object/elsewhere.h"
#include "preload_fast.h"

/* Once this thread has objects of MIN_ALIGN bytes, smaller requests lead to them as well. */
static void even_out(void)
{
	struct mw_cpu *cpu = preload_self.cpu;

	for (unsigned int i = 0; i < MIN_ALIGN / 8 && cpu != &mw_cpu_none; i++)
		cpu->fine[i] = cpu->fine[MIN_ALIGN / 8];
}

#define MOST_ALIGN ((size_t)1 << 30) /* mw_alloc_aligned() has no more */

/*
 * Others may take what the heap grew by, so once may not be enough; but a request that it does not meet, however
 * much there is, must not take all address space.
 */
#define MOST_GROWTHS 3u

static bool grow_again(unsigned int *times, size_t bytes)
{
	return (*times)++ < MOST_GROWTHS && preload_heap_grow(bytes);
}

/* Out of the line of malloc(): this thread's first time, no slot, a large object, or no memory. */
static MW_NOINLINE void *slow_alloc(size_t size, size_t align, mw_flags_t flags)
{
	bool borrowed = preload_begin();
	unsigned int grown = 0;
	void *p = NULL;

	/* So small an object is aligned to 8 only, unless the alignment is asked for. */
	if (size < MIN_ALIGN)
		size = MIN_ALIGN;
	if (size <= PTRDIFF_MAX && align <= MOST_ALIGN) {
		do
			p = align <= MIN_ALIGN && size > 8 ? mw_alloc(size, flags)
							   : mw_alloc_aligned(size, align, flags);
		while (!p && grow_again(&grown, align + size));
	}
	if (!borrowed) {
		if (size == MIN_ALIGN)
			even_out();
		preload_heap_tend();
	}
	preload_end(borrowed);
	if (!p)
		errno = ENOMEM;
	return p;
}

/* Now and then something is tended on the way. */
static MW_NOINLINE void *tended(void *object)
{
	preload_heap_look();
	return object;
}

/* A small object of another word, without all the questions of the slow way. */
static inline void *more_alloc(size_t size)
{
	struct mw_cpu *cpu = preload_self.cpu;
	void *p = mw_slot_more(size <= MW_FINE_MAX
				       ? cpu->fine[(size + 7) / 8]
				       : cpu->slot[mw_class_of(&mw_object.classes, size)]);

	return mw_likely(!p || ++preload_self.ticks % 64) ? p : tended(p);
}

static __attribute__((noinline)) void *small_alloc(size_t size)
{
	void *p = more_alloc(size);

	return mw_likely(p) ? p : slow_alloc(size, MIN_ALIGN, MW_NORMAL);
}

/* Large objects that this thread keeps, and all that quick_alloc() did not have. */
__attribute__((noinline)) void *preload_other_alloc(size_t size, struct mw_cpu *cpu)
{
	if (size <= MW_SMALL_MAX)
		return small_alloc(size);
	if (mw_likely(size <= MW_STOCK_LONGEST << MW_PAGE_SHIFT && !mw_profiling())) {
		void *p = mw_stock_take(cpu, size, 0);

		if (mw_likely(p))
			return mw_likely(cpu->large_allocs % 64) ? p : tended(p);
	}
	return slow_alloc(size, MIN_ALIGN, MW_NORMAL);
}

static __attribute__((noinline)) void *zeroed_alloc(size_t size)
{
	void *p = size <= MW_SMALL_MAX ? more_alloc(size) : NULL;

	return mw_likely(p) ? memset(p, 0, size) : slow_alloc(size, MIN_ALIGN, MW_ZERO);
}

PRELOAD_API void *malloc(size_t size)
{
	struct mw_cpu *cpu = preload_self.cpu;
	void *p = quick_alloc(size, cpu);

	return mw_likely(p) ? p : preload_other_alloc(size, cpu);
}

/* The thread has no slot. */
static MW_NOINLINE void strange_free(void *object)
{
	bool borrowed;

	if (!object)
		return;
	borrowed = preload_begin();
	mw_free(object);
	preload_end(borrowed);
}

/* An object of another thread, a large one, or none. */
static __attribute__((noinline)) void other_free(void *object, struct mw_span *span,
						 unsigned int owner)
{
	unsigned int slot = preload_self.slot;

	if (mw_likely(slot))
		mw_free_outside(object, span, NULL, 0, slot, owner, MW_SITE);
	else
		strange_free(object);
}

PRELOAD_API void free(void *object)
{
	struct mw_span *span = mw_span_fast(object);
	unsigned int owner = mw_span_owner(span);

	if (mw_unlikely(owner != preload_self.slot || !mw_span_free_exact(span, object)))
		other_free(object, span, owner);
}

PRELOAD_API void *calloc(size_t n, size_t size)
{
	size_t bytes;
	void *p;

	if (mw_unlikely(mw_mul_overflows(n, size, &bytes)))
		bytes = SIZE_MAX;
	p = quick_alloc(bytes, preload_self.cpu);
	return mw_likely(p) ? memset(p, 0, bytes) : zeroed_alloc(bytes);
}

static MW_NOINLINE void *slow_realloc(void *object, size_t size)
{
	bool borrowed = preload_begin();
	unsigned int grown = 0;
	void *p = NULL;

	if (!size) {
		mw_free(object);
	} else if (size <= PTRDIFF_MAX) {
		do
			p = mw_realloc(object, size < MIN_ALIGN ? MIN_ALIGN : size, MW_NORMAL);
		while (!p && grow_again(&grown, size));
	}
	preload_end(borrowed);
	if (!p && size)
		errno = ENOMEM;
	return p;
}

PRELOAD_API void *realloc(void *object, size_t size)
{
	void *p = NULL;

	if (mw_unlikely(!object))
		return malloc(size);
	if (mw_likely(size - 1 < MW_SMALL_MAX))
		p = mw_realloc_near(object, size < MIN_ALIGN ? MIN_ALIGN : size);
	return mw_likely(p) ? p : slow_realloc(object, size);
}

PRELOAD_API void *reallocarray(void *object, size_t n, size_t size)
{
	size_t bytes;

	if (mw_mul_overflows(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(object, bytes);
}

/* ---- with an alignment ---- */

PRELOAD_API void *memalign(size_t align, size_t size)
{
	if (align > (SIZE_MAX >> 1) + 1) {
		errno = EINVAL;
		return NULL;
	}
	if (!mw_is_pow2(align))
		align = (size_t)1 << mw_log2_up(align);
	return slow_alloc(size, align < MIN_ALIGN ? MIN_ALIGN : align, MW_NORMAL);
}

PRELOAD_API void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

PRELOAD_API int posix_memalign(void **object, size_t align, size_t size)
{
	int saved = errno;
	void *p;

	if (!mw_is_pow2(align) || align % sizeof(void *))
		return EINVAL;
	p = memalign(align, size);
	errno = saved;
	if (!p)
		return ENOMEM;
	*object = p;
	return 0;
}

PRELOAD_API void *valloc(size_t size)
{
	return memalign((size_t)getpagesize(), size);
}

PRELOAD_API void *pvalloc(size_t size)
{
	size_t page = (size_t)getpagesize();

	if (size > PTRDIFF_MAX)
		size = SIZE_MAX - page;
	return memalign(page, size ? mw_round_up(size, page) : page);
}

/* ---- what else glibc has ---- */

PRELOAD_API void cfree(void *object)
{
	free(object);
}

PRELOAD_API size_t malloc_usable_size(void *object)
{
	size_t size;
	bool borrowed;

	if (!object)
		return 0;
	borrowed = preload_begin();
	size = mw_usable_size(object);
	preload_end(borrowed);
	return size;
}

/* What is said to be wrong, strange or of a thread without a slot. */
static MW_NOINLINE void strange_free_sized(void *object, size_t size)
{
	bool borrowed;

	if (!object)
		return;
	borrowed = preload_begin();
	mw_free_sized(object, size < MIN_ALIGN ? MIN_ALIGN : size);
	preload_end(borrowed);
}

/* A large object has whole pages; one that was kept may be longer by an eighth than what was asked. */
static inline bool fits_large(size_t size, size_t had)
{
	return size <= had && had - size <= had / 8 + MW_PAGE_SIZE;
}

/* Has an object that malloc(@size) gave a span like this one? */
static inline bool fits(const struct mw_span *span, size_t size)
{
	const struct mw_class_tables *classes = &mw_object.classes;

	if (mw_likely(size <= MW_SMALL_MAX))
		return span->size ==
		       classes->sizes[mw_class_of(classes, size < MIN_ALIGN ? MIN_ALIGN : size)];
	return !span->cache && fits_large(size, span->size);
}

/* Of C23, and what C++ compiles a delete into: the size is checked. */
PRELOAD_API void free_sized(void *object, size_t size)
{
	struct mw_span *span = mw_span_fast(object);
	unsigned int owner;

	if (mw_unlikely(!fits(span, size))) {
		strange_free_sized(object, size);
		return;
	}
	owner = mw_span_owner(span);
	if (mw_unlikely(owner != preload_self.slot || !mw_span_free_exact(span, object)))
		other_free(object, span, owner);
}

static MW_NOINLINE void wrong_size(void *object, size_t size)
{
	bool borrowed = preload_begin();
	struct mw_report report = { .what = MW_WRONG_SIZE,
				    .address = object,
				    .given = size,
				    .size = mw_usable_size(object) };

	mw_misuse(&report);
	preload_end(borrowed);
}

/* Has an object that memalign(@align, @size) gave @had bytes? */
static bool fits_aligned(size_t align, size_t size, size_t had)
{
	if (align > MW_PAGE_SIZE || size > MW_SMALL_MAX)
		return fits_large(size, had);
	return had == mw_aligned_size(size < MIN_ALIGN ? MIN_ALIGN : size, align);
}

PRELOAD_API void free_aligned_sized(void *object, size_t align, size_t size)
{
	size_t had = malloc_usable_size(object);

	if (align <= MIN_ALIGN)
		free_sized(object, size);
	else if (!had || (mw_is_pow2(align) && fits_aligned(align, size, had)))
		free(object); /* which says so if it is none */
	else
		wrong_size(object, size);
}

PRELOAD_API int malloc_trim(size_t keep)
{
	bool borrowed = preload_begin();
	size_t given;

	(void)keep;
	given = preload_heap_trim();
	preload_end(borrowed);
	return given != 0;
}

/* Every setting is accepted, and none means anything here. */
PRELOAD_API int mallopt(int what, int value)
{
	(void)what, (void)value;
	return 1;
}

/* For what must not be led to a malloc or free of the program's own. */
PRELOAD_OWN(malloc)
PRELOAD_OWN(free)
PRELOAD_OWN(memalign)
PRELOAD_OWN(free_sized)
PRELOAD_OWN(free_aligned_sized)
