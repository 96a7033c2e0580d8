/* SPDX-License-Identifier: MIT */
/*
 * The Linux names for Marrow's calls, as thin inlines: for drivers and people that know them.
 *
 * What differs from Linux, on purpose:
 * - kmalloc(0) gives an ordinary valid address, there is no ZERO_SIZE_PTR to compare with.
 * - There is no struct page behind a page: struct page is never defined, and a pointer to it is the
 *   page's address in disguise, which page_address() and virt_to_page() convert.
 * - GFP_NOFAIL does not exist: running out of memory is an answer.
 * - Flags of a cache that only ask for debugging or accounting are accepted and do nothing;
 *   mw_debug_set() is the switch for debugging.
 *
 * The contracts of the calls behind hold, see <marrow/mm.h>.
 */
#ifndef MARROW_LINUX_H
#define MARROW_LINUX_H

#include <marrow/fast.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- flags ---- */

typedef mw_flags_t gfp_t;

#define __GFP_ZERO MW_ZERO
#define __GFP_HIGH MW_RESERVE
#define __GFP_DMA MW_BELOW_16M
#define __GFP_DMA32 MW_BELOW_4G
#define __GFP_NOWARN 0u
#define __GFP_NORETRY 0u
#define __GFP_RETRY_MAYFAIL 0u
#define __GFP_COMP 0u
#define __GFP_ACCOUNT 0u

#define GFP_KERNEL MW_NORMAL
#define GFP_KERNEL_ACCOUNT GFP_KERNEL
#define GFP_USER GFP_KERNEL
#define GFP_ATOMIC (MW_ATOMIC | MW_RESERVE)
#define GFP_NOWAIT MW_ATOMIC
/* Shrinkers may start input and output and enter file systems, so these do not ask them. */
#define GFP_NOIO MW_NO_SHRINK
#define GFP_NOFS MW_NO_SHRINK
#define GFP_DMA (GFP_KERNEL | __GFP_DMA)
#define GFP_DMA32 (GFP_KERNEL | __GFP_DMA32)

/* ---- objects ---- */

static inline __attribute__((always_inline)) void *kmalloc(size_t size, gfp_t flags)
{
	return mw_alloc_fast(size, flags);
}

static inline void *kzalloc(size_t size, gfp_t flags)
{
	return mw_alloc(size, flags | MW_ZERO);
}

static inline void *kmalloc_array(size_t n, size_t size, gfp_t flags)
{
	return mw_alloc_array(n, size, flags);
}

static inline void *kcalloc(size_t n, size_t size, gfp_t flags)
{
	return mw_alloc_array(n, size, flags | MW_ZERO);
}

static inline void *krealloc(void *object, size_t size, gfp_t flags)
{
	return mw_realloc(object, size, flags);
}

static inline void *krealloc_array(void *object, size_t n, size_t size, gfp_t flags)
{
	return mw_realloc_array(object, n, size, flags);
}

static inline void kfree(const void *object)
{
	mw_free((void *)object);
}

static inline size_t ksize(const void *object)
{
	return mw_usable_size(object);
}

static inline size_t kmalloc_size_roundup(size_t size)
{
	return size ? mw_size_roundup(size) : 0;
}

/* The whole object is zeroed first, and the compiler may not leave that out. */
static inline void kfree_sensitive(const void *object)
{
	volatile unsigned char *byte = (volatile unsigned char *)object;

	for (size_t left = mw_usable_size(object); left; left--)
		*byte++ = 0;
	mw_free((void *)object);
}

/* All memory is physically contiguous, so there is no other kind to fall back to. */
static inline void *kvmalloc(size_t size, gfp_t flags)
{
	return mw_alloc(size, flags);
}

static inline void *kvzalloc(size_t size, gfp_t flags)
{
	return mw_alloc(size, flags | MW_ZERO);
}

static inline void *kvmalloc_array(size_t n, size_t size, gfp_t flags)
{
	return mw_alloc_array(n, size, flags);
}

static inline void *kvcalloc(size_t n, size_t size, gfp_t flags)
{
	return mw_alloc_array(n, size, flags | MW_ZERO);
}

static inline void kvfree(const void *object)
{
	mw_free((void *)object);
}

static inline void *kmemdup(const void *from, size_t size, gfp_t flags)
{
	void *object = mw_alloc(size, flags);

	return object ? __builtin_memcpy(object, from, size) : NULL;
}

/* At most @max bytes of it, and always terminated. */
static inline char *kstrndup(const char *text, size_t max, gfp_t flags)
{
	size_t len = 0;
	char *copy;

	if (!text)
		return NULL;
	while (len < max && text[len])
		len++;
	copy = (char *)mw_alloc(len + 1, flags);
	if (!copy)
		return NULL;
	__builtin_memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

static inline char *kstrdup(const char *text, gfp_t flags)
{
	return kstrndup(text, SIZE_MAX - 1, flags);
}

/* ---- typed caches ---- */

typedef unsigned int slab_flags_t;

#define SLAB_HWCACHE_ALIGN                                                                         \
	0x1u /* objects begin on a cache line, if they fill more than half of one */
#define SLAB_CACHE_DMA 0x2u
#define SLAB_CACHE_DMA32 0x4u
#define SLAB_PANIC 0x8u /* a cache that cannot be made is the end */
#define SLAB_ACCOUNT 0u
#define SLAB_RECLAIM_ACCOUNT 0u
#define SLAB_POISON 0u
#define SLAB_RED_ZONE 0u
#define SLAB_STORE_USER 0u
#define SLAB_CONSISTENCY_CHECKS 0u

/* Never defined: a struct mw_cache under another name. */
struct kmem_cache;

/* From marrow/port.h, which a user of the Linux names need not see as a whole. */
__attribute__((noreturn)) void mw_port_panic(const char *why);

static inline struct kmem_cache *kmem_cache_create(const char *name, unsigned int size,
						   unsigned int align, slab_flags_t flags,
						   void (*construct)(void *object))
{
	struct mw_cache_want want;
	struct mw_cache *cache;
	unsigned int line = 64;

	__builtin_memset(&want, 0, sizeof(want));
	if (flags & SLAB_HWCACHE_ALIGN) {
		/* A small object would be mostly padding: only as much as keeps it on one line. */
		while (size && size <= line / 2)
			line /= 2;
		if (align < line)
			align = line;
	}
	want.name = name;
	want.size = size;
	want.align = align;
	want.construct = construct;
	if (flags & SLAB_CACHE_DMA)
		want.flags |= MW_BELOW_16M;
	if (flags & SLAB_CACHE_DMA32)
		want.flags |= MW_BELOW_4G;
	cache = mw_cache_create(&want);
	if (!cache && (flags & SLAB_PANIC))
		mw_port_panic("kmem_cache_create: no memory for a cache with SLAB_PANIC");
	return (struct kmem_cache *)cache;
}

#define KMEM_CACHE(type, flags)                                                                    \
	kmem_cache_create(#type, sizeof(struct type), __alignof__(struct type), (flags), NULL)

static inline void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t flags)
{
	return mw_cache_alloc((struct mw_cache *)cache, flags);
}

static inline void *kmem_cache_zalloc(struct kmem_cache *cache, gfp_t flags)
{
	return mw_cache_alloc((struct mw_cache *)cache, flags | MW_ZERO);
}

static inline void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	mw_cache_free((struct mw_cache *)cache, object);
}

/* Return: @n, or 0 and nothing is allocated. */
static inline int kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t flags, size_t n,
					void **objects)
{
	return mw_cache_alloc_bulk((struct mw_cache *)cache, flags, n, objects) ? (int)n : 0;
}

static inline void kmem_cache_free_bulk(struct kmem_cache *cache, size_t n, void **objects)
{
	mw_cache_free_bulk((struct mw_cache *)cache, n, objects);
}

/* Return: 0 if nothing was left to give back. */
static inline int kmem_cache_shrink(struct kmem_cache *cache)
{
	return mw_cache_shrink((struct mw_cache *)cache) != 0;
}

/* With live objects the cache stays, after a report. */
static inline void kmem_cache_destroy(struct kmem_cache *cache)
{
	if (cache)
		(void)mw_cache_destroy((struct mw_cache *)cache);
}

/* ---- pages ---- */

struct page; /* never defined */

static inline void *page_address(const struct page *page)
{
	return (void *)page;
}

static inline struct page *virt_to_page(const void *address)
{
	return (struct page *)((uintptr_t)address & ~(uintptr_t)(MW_PAGE_SIZE - 1));
}

static inline uint64_t page_to_phys(const struct page *page)
{
	return mw_phys(page);
}

static inline uint64_t virt_to_phys(const void *address)
{
	return mw_phys(address);
}

static inline void *phys_to_virt(uint64_t phys)
{
	return mw_virt(phys);
}

/* The smallest order whose pages hold @size bytes. */
static inline unsigned int get_order(size_t size)
{
	unsigned int order = 0;

	while (order < 8 * sizeof(size_t) - MW_PAGE_SHIFT - 1 && (MW_PAGE_SIZE << order) < size)
		order++;
	return order;
}

/* Aligned to their size, as buddies are. */
static inline struct page *alloc_pages(gfp_t flags, unsigned int order)
{
	struct mw_pages want;

	if (order >= 8 * sizeof(size_t) - MW_PAGE_SHIFT)
		return NULL;
	if (order == 0)
		return (struct page *)mw_pages_alloc(1, flags);
	__builtin_memset(&want, 0, sizeof(want));
	want.count = (size_t)1 << order;
	want.flags = flags;
	want.align = MW_PAGE_SIZE << order;
	return (struct page *)mw_pages_alloc_as(&want);
}

static inline void __free_pages(struct page *page, unsigned int order)
{
	mw_pages_free(page, (size_t)1 << order);
}

static inline unsigned long __get_free_pages(gfp_t flags, unsigned int order)
{
	return (unsigned long)alloc_pages(flags, order);
}

static inline void free_pages(unsigned long address, unsigned int order)
{
	mw_pages_free((void *)address, (size_t)1 << order);
}

#define alloc_page(flags) alloc_pages((flags), 0)
#define __free_page(page) __free_pages((page), 0)
#define __get_free_page(flags) __get_free_pages((flags), 0)
#define get_zeroed_page(flags) __get_free_pages((flags) | MW_ZERO, 0)
#define free_page(address) free_pages((address), 0)

static inline void *alloc_pages_exact(size_t size, gfp_t flags)
{
	return mw_pages_alloc(size / MW_PAGE_SIZE + (size % MW_PAGE_SIZE != 0), flags);
}

static inline void free_pages_exact(void *address, size_t size)
{
	mw_pages_free(address, size / MW_PAGE_SIZE + (size % MW_PAGE_SIZE != 0));
}

#ifdef __cplusplus
}
#endif

#include <marrow/mempool.h>

#endif
