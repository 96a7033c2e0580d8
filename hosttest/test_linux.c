// SPDX-License-Identifier: MIT
/* <marrow/linux.h>: each name does what a user of Linux expects of it, or what its head says it does. */
#include "test.h"
#include <marrow/linux.h>

#define HEAP (16u << 20)

static bool all_bytes(const void *p, size_t n, unsigned char value)
{
	const unsigned char *byte = p;

	for (size_t i = 0; i < n; i++)
		if (byte[i] != value)
			return false;
	return true;
}

/* Leaves memory behind that is not zero, so that zeroing can be seen. */
static void soil(size_t size)
{
	void *dirty[8];

	for (unsigned int i = 0; i < 8; i++) {
		dirty[i] = kmalloc(size, GFP_KERNEL);
		NEED(dirty[i]);
		__builtin_memset(dirty[i], 0xa5, size);
	}
	for (unsigned int i = 0; i < 8; i++)
		kfree(dirty[i]);
}

TEST(kmalloc_family)
{
	static const size_t sizes[] = { 1, 8, 24, 64, 100, 512, 1000, 4096, 8192, 40000, 200000 };

	NEED(test_heap(HEAP));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = sizes[i];
		char *p = kmalloc(size, GFP_KERNEL), *z, *c;

		NEED(p);
		CHECK(ksize(p) >= size);
		CHECK_EQ(ksize(p), kmalloc_size_roundup(size));
		__builtin_memset(p, 0x5a, size);
		kfree(p);
		soil(size);
		z = kzalloc(size, GFP_ATOMIC);
		c = kcalloc(size, 1, GFP_KERNEL);
		NEED(z && c);
		CHECK(all_bytes(z, size, 0) && all_bytes(c, size, 0));
		kfree(z);
		kvfree(c);
	}
	CHECK_EQ(kmalloc_size_roundup(0), 0);
	kfree(NULL);
}

/* Sizes that are constants go another way; what comes of it is the same. */
TEST(constant_sizes)
{
	void *p[8];

	NEED(test_heap(HEAP));
	for (unsigned int round = 0; round < 300; round++) {
		p[0] = kmalloc(1, GFP_KERNEL);
		p[1] = kmalloc(8, GFP_ATOMIC);
		p[2] = kmalloc(9, GFP_KERNEL);
		p[3] = kmalloc(100, GFP_NOWAIT);
		p[4] = kmalloc(1024, GFP_KERNEL);
		p[5] = kmalloc(1025, GFP_KERNEL);
		p[6] = kmalloc(64, GFP_KERNEL | __GFP_ZERO);
		p[7] = kmalloc(0, GFP_KERNEL);
		CHECK_EQ(ksize(p[0]), mw_size_roundup(1));
		CHECK_EQ(ksize(p[1]), mw_size_roundup(8));
		CHECK_EQ(ksize(p[2]), mw_size_roundup(9));
		CHECK_EQ(ksize(p[3]), mw_size_roundup(100));
		CHECK_EQ(ksize(p[4]), mw_size_roundup(1024));
		CHECK_EQ(ksize(p[5]), mw_size_roundup(1025));
		CHECK(all_bytes(p[6], 64, 0));
		CHECK(p[7]);
		for (unsigned int i = 0; i < 8; i++) {
			NEED(p[i]);
			if (i != 7)
				__builtin_memset(p[i], 0x5a, ksize(p[i]));
			kfree(p[i]);
		}
	}
}

TEST(arrays_do_not_overflow)
{
	size_t half = (size_t)1 << (4 * sizeof(size_t));

	NEED(test_heap(HEAP));
	CHECK(!kcalloc(half, half, GFP_KERNEL));
	CHECK(!kmalloc_array(SIZE_MAX, 2, GFP_KERNEL));
	CHECK(!kvmalloc_array(half, half + 1, GFP_KERNEL));
	CHECK(!kvcalloc(half, half + 1, GFP_KERNEL));
	CHECK(!krealloc_array(NULL, half, half, GFP_KERNEL));
	CHECK(!alloc_pages_exact(SIZE_MAX, GFP_KERNEL));
}

TEST(krealloc_keeps_and_zeroes)
{
	unsigned char *p;

	NEED(test_heap(HEAP));
	soil(5000);
	p = krealloc(NULL, 40, GFP_KERNEL);
	NEED(p);
	__builtin_memset(p, 7, 40);
	p = krealloc(p, 5000, GFP_KERNEL);
	NEED(p);
	CHECK(all_bytes(p, 40, 7));
	p = krealloc_array(p, 10, 2, GFP_KERNEL);
	NEED(p);
	CHECK(all_bytes(p, 20, 7));
	CHECK(krealloc(p, 0, GFP_KERNEL) != p);
}

/* The bytes are gone before the object is free: seen in the next object at its place. */
TEST(kfree_sensitive_wipes)
{
	char *p, *again;

	NEED(test_heap(HEAP));
	p = kmalloc(100, GFP_KERNEL);
	NEED(p);
	__builtin_memset(p, 0x77, ksize(p));
	kfree_sensitive(p);
	for (unsigned int i = 0; i < 200; i++) {
		again = kmalloc(100, GFP_KERNEL);
		NEED(again);
		CHECK(again != p || all_bytes(again, ksize(again), 0));
		kfree(again);
	}
	kfree_sensitive(NULL);
}

TEST(copies)
{
	static const char text[] = "marrow";
	char *copy;

	NEED(test_heap(HEAP));
	copy = kstrdup(text, GFP_KERNEL);
	NEED(copy);
	CHECK(!__builtin_memcmp(copy, text, sizeof(text)));
	kfree(copy);
	copy = kstrndup(text, 3, GFP_KERNEL);
	NEED(copy);
	CHECK(!__builtin_memcmp(copy, "mar", 4));
	kfree(copy);
	copy = kmemdup(text, 5, GFP_KERNEL);
	NEED(copy);
	CHECK(!__builtin_memcmp(copy, text, 5));
	kfree(copy);
	CHECK(!kstrdup(NULL, GFP_KERNEL));
}

struct inode {
	unsigned long number;
	char body[120];
};

static unsigned int constructed;

static void construct(void *object)
{
	((struct inode *)object)->number = 42;
	constructed++;
}

TEST(caches)
{
	struct kmem_cache *cache;
	void *objects[40];

	NEED(test_heap(HEAP));
	constructed = 0;
	cache = kmem_cache_create("inode", sizeof(struct inode), 0, SLAB_HWCACHE_ALIGN, construct);
	NEED(cache);
	CHECK_EQ(kmem_cache_alloc_bulk(cache, GFP_KERNEL, 40, objects), 40);
	for (unsigned int i = 0; i < 40; i++) {
		CHECK_EQ(((struct inode *)objects[i])->number, 42);
		CHECK_EQ((uintptr_t)objects[i] % 64, 0);
	}
	CHECK(constructed >= 40);
	kmem_cache_free(cache, objects[39]);
	kmem_cache_free_bulk(cache, 39, objects);
	(void)kmem_cache_shrink(cache);
	kmem_cache_destroy(cache);
	kmem_cache_destroy(NULL);
}

TEST(cache_zalloc_and_small_lines)
{
	struct kmem_cache *cache;
	unsigned char *p;

	NEED(test_heap(HEAP));
	cache = kmem_cache_create("small", 20, 0, SLAB_HWCACHE_ALIGN | SLAB_PANIC, NULL);
	NEED(cache);
	p = kmem_cache_alloc(cache, GFP_KERNEL);
	NEED(p);
	CHECK_EQ((uintptr_t)p % 32, 0);
	__builtin_memset(p, 0xff, 20);
	kmem_cache_free(cache, p);
	p = kmem_cache_zalloc(cache, GFP_KERNEL);
	NEED(p);
	CHECK(all_bytes(p, 20, 0));
	kmem_cache_free(cache, p);
	kmem_cache_destroy(cache);
	cache = KMEM_CACHE(inode, SLAB_ACCOUNT);
	NEED(cache);
	kmem_cache_destroy(cache);
}

TEST(wrong_cache_is_reported)
{
	struct kmem_cache *a, *b;
	void *p;

	NEED(test_heap(HEAP));
	a = kmem_cache_create("a", 64, 0, 0, NULL);
	b = kmem_cache_create("b", 64, 0, 0, NULL);
	NEED(a && b);
	p = kmem_cache_alloc(a, GFP_KERNEL);
	NEED(p);
	test_expect_misuse(MW_WRONG_CACHE);
	kmem_cache_free(b, p);
	CHECK_PTR(test_misuse_came()->address, p);
	kmem_cache_free(a, p);
	kmem_cache_destroy(a);
	kmem_cache_destroy(b);
}

TEST(pages)
{
	NEED(test_heap(HEAP));
	for (unsigned int order = 0; order < 6; order++) {
		struct page *page = alloc_pages(GFP_KERNEL, order);
		char *at = page_address(page);

		NEED(page);
		CHECK_EQ((uintptr_t)at % (MW_PAGE_SIZE << order), 0);
		CHECK_PTR(virt_to_page(at + 100), page);
		CHECK_PTR(phys_to_virt(page_to_phys(page)), at);
		CHECK_EQ(virt_to_phys(at + 1), page_to_phys(page) + 1);
		__builtin_memset(at, 0x99, MW_PAGE_SIZE << order);
		__free_pages(page, order);
	}
	CHECK(!alloc_pages(GFP_KERNEL, 8 * sizeof(size_t)));
	CHECK_EQ(get_order(1), 0);
	CHECK_EQ(get_order(MW_PAGE_SIZE), 0);
	CHECK_EQ(get_order(MW_PAGE_SIZE + 1), 1);
	CHECK_EQ(get_order(5 * MW_PAGE_SIZE), 3);
}

TEST(single_pages)
{
	unsigned long page;
	void *exact;

	NEED(test_heap(HEAP));
	page = __get_free_page(GFP_ATOMIC);
	NEED(page);
	__builtin_memset((void *)page, 0x44, MW_PAGE_SIZE);
	free_page(page);
	page = get_zeroed_page(GFP_KERNEL);
	NEED(page);
	CHECK(all_bytes((void *)page, MW_PAGE_SIZE, 0));
	free_pages(page, 0);
	exact = alloc_pages_exact(3 * MW_PAGE_SIZE - 5, GFP_KERNEL);
	NEED(exact);
	free_pages_exact(exact, 3 * MW_PAGE_SIZE - 5);
}

/* ---- mempool ---- */

static unsigned int budget; /* elements that the allocator behind still has */
static unsigned int outside; /* elements that it gave and did not get back */

static void *scarce(gfp_t flags, void *data)
{
	void *p;

	if (!budget)
		return NULL;
	p = mw_alloc((size_t)(uintptr_t)data, flags);
	if (p) {
		budget--;
		outside++;
	}
	return p;
}

static void scarce_free(void *element, void *data)
{
	(void)data;
	mw_free(element);
	budget++;
	outside--;
}

TEST(mempool_gives_what_it_holds)
{
	mempool_t *pool;
	void *got[9];
	unsigned int n = 0;

	NEED(test_heap(HEAP));
	budget = 6;
	outside = 0;
	pool = mempool_create(4, scarce, scarce_free, (void *)64);
	NEED(pool);
	CHECK_EQ(mw_mempool_in_reserve(pool), 4);
	while (n < 9 && (got[n] = mempool_alloc(pool, GFP_ATOMIC)))
		n++;
	CHECK_EQ(n, 6);
	CHECK(!mempool_alloc(pool, GFP_KERNEL));
	CHECK_EQ(mw_mempool_in_reserve(pool), 0);
	while (n)
		mempool_free(got[--n], pool);
	CHECK_EQ(mw_mempool_in_reserve(pool), 4);
	CHECK_EQ(outside, 4);
	mempool_free(NULL, pool);
	mempool_destroy(pool);
	CHECK_EQ(outside, 0);
	mempool_destroy(NULL);
}

/* Whether the allocator behind has it, or the pool. */
TEST(mempool_zeroes_what_it_gives)
{
	mempool_t *pool;
	char *p[3];

	NEED(test_heap(HEAP));
	budget = 3;
	NEED(pool = mempool_create(2, scarce, scarce_free, (void *)200));
	for (unsigned int round = 0; round < 4; round++) {
		for (unsigned int i = 0; i < 3; i++) {
			p[i] = mempool_alloc(pool, GFP_ATOMIC | __GFP_ZERO);
			NEED(p[i]);
			CHECK(all_bytes(p[i], 200, 0));
			__builtin_memset(p[i], 0xa5, 200);
		}
		for (unsigned int i = 0; i < 3; i++)
			mempool_free(p[i], pool);
	}
	mempool_destroy(pool);
}

static char no_object[64];

static void kept(void *element, void *data)
{
	(void)element, (void)data;
}

static void *same(gfp_t flags, void *data)
{
	(void)flags;
	return budget ? budget--, data : NULL;
}

TEST(mempool_zeroes_nothing_unknown)
{
	mempool_t *pool;

	NEED(test_heap(HEAP));
	budget = 1;
	NEED(pool = mempool_create(1, same, kept, no_object));
	test_expect_misuse(MW_BAD_REQUEST);
	CHECK_PTR(mempool_alloc(pool, GFP_ATOMIC | __GFP_ZERO), NULL);
	CHECK(test_misuse_came());
	CHECK_EQ(mw_mempool_in_reserve(pool), 1);
	CHECK_PTR(mempool_alloc(pool, GFP_ATOMIC), no_object);
	mempool_destroy(pool);
}

TEST(mempool_resizes_or_stays)
{
	mempool_t *pool;
	void *one;

	NEED(test_heap(HEAP));
	budget = 10;
	outside = 0;
	CHECK(!mempool_create(0, scarce, scarce_free, (void *)32));
	CHECK(!mempool_create(11, scarce, scarce_free, (void *)32));
	CHECK_EQ(outside, 0);
	pool = mempool_create(3, scarce, scarce_free, (void *)32);
	NEED(pool);
	CHECK_EQ(mempool_resize(pool, 8), 0);
	CHECK_EQ(mw_mempool_in_reserve(pool), 8);
	CHECK(mempool_resize(pool, 11) != 0);
	CHECK_EQ(mw_mempool_in_reserve(pool), 8);
	one = mempool_alloc(pool, GFP_NOWAIT);
	CHECK(one);
	CHECK_EQ(mempool_resize(pool, 2), 0);
	mempool_free(one, pool);
	CHECK_EQ(mw_mempool_in_reserve(pool), 2);
	CHECK_EQ(outside, 2);
	CHECK(mempool_resize(pool, 0) != 0);
	mempool_destroy(pool);
	CHECK_EQ(outside, 0);
}

static mempool_t *shared_pool;

static void borrow(unsigned int i, void *arg)
{
	(void)i, (void)arg;
	test_barrier();
	for (unsigned int k = 0; k < 2000; k++) {
		unsigned long *p = mempool_alloc(shared_pool, GFP_ATOMIC);

		if (!p)
			continue;
		*p = k;
		mempool_free(p, shared_pool);
	}
}

TEST(mempool_in_parallel)
{
	struct kmem_cache *cache;

	NEED(test_heap(HEAP));
	cache = kmem_cache_create("element", 48, 0, 0, NULL);
	NEED(cache);
	shared_pool = mempool_create_slab_pool(5, cache);
	NEED(shared_pool);
	test_parallel(test_cpus(), borrow, NULL);
	CHECK_EQ(mw_mempool_in_reserve(shared_pool), 5);
	mempool_destroy(shared_pool);
	shared_pool = mempool_create_kmalloc_pool(2, 256);
	NEED(shared_pool);
	test_parallel(test_cpus(), borrow, NULL);
	mempool_destroy(shared_pool);
	kmem_cache_destroy(cache);
}
