// SPDX-License-Identifier: MIT
/* Objects of all sizes, typed caches, resizing, and wrong frees, against a list of what lives. */
#include <string.h>
#include "fuzz.h"

#define BYTES ((size_t)16 << 20)
#define OBJECTS 128
#define CACHES 4

static struct object {
	unsigned char *at;
	size_t size; /* asked for */
	size_t align; /* asked for, or 0 */
	unsigned int cache; /* 1 + index, 0: none */
} objects[OBJECTS];

static struct {
	struct mw_cache *cache;
	size_t size;
	size_t live;
} caches[CACHES];

static unsigned char tag(size_t i, size_t at)
{
	return (unsigned char)(i * 31 + at * 7 + 1);
}

/* The first and last bytes tell whose it is: enough to see two that overlap. */
static void fill(size_t i)
{
	struct object *object = &objects[i];

	for (size_t at = 0; at < object->size; at++)
		if (at < 32 || at + 32 >= object->size)
			object->at[at] = tag(i, at);
}

static void look(size_t i, size_t size)
{
	for (size_t at = 0; at < size; at++)
		if (at < 32 || at + 32 >= objects[i].size)
			FUZZ_NEED(objects[i].at[at] == tag(i, at));
}

static void born(size_t i, void *at, size_t size, size_t align, mw_flags_t flags)
{
	struct object *object = &objects[i];
	struct mw_place place;

	*object = (struct object){ at, size, align, 0 };
	if (!at)
		return;
	if (!size) {
		object->at = NULL;
		mw_free(at);
		return;
	}
	FUZZ_NEED(!((uintptr_t)at & ((align ? align : size >= 16 ? 16 : 8) - 1)));
	FUZZ_NEED(mw_usable_size(at) >= size);
	FUZZ_NEED(mw_lookup((char *)at + size - 1, &place) && place.base == at &&
		  place.kind == MW_KIND_OBJECT);
	for (size_t byte = 0; flags & MW_ZERO && byte < size; byte++)
		FUZZ_NEED(!object->at[byte]);
	fill(i);
}

static void alloc(struct fuzz *fuzz, size_t i)
{
	unsigned int kind = fuzz_byte(fuzz);
	mw_flags_t flags = (kind & 1 ? MW_ZERO : 0) | (kind & 2 ? MW_ATOMIC : 0);
	size_t size = fuzz_size(fuzz, 19), align = (size_t)8 << (kind >> 4 & 7);

	if (kind & 4)
		born(i, mw_alloc_aligned(size, align, flags), size, align, flags);
	else if (kind & 8)
		born(i, mw_alloc_array(size / 16 + 1, 16, flags), (size / 16 + 1) * 16, 0, flags);
	else
		born(i, mw_alloc(size, flags), size, 0, flags);
}

static void alloc_cached(struct fuzz *fuzz, size_t i)
{
	unsigned int c = fuzz_below(fuzz, CACHES);
	struct mw_cache_want want = { .name = "fuzzed" };

	if (!caches[c].cache) {
		caches[c].size = want.size = 1 + fuzz_size(fuzz, 11);
		caches[c].cache = mw_cache_create(&want);
		caches[c].live = 0;
	}
	if (!caches[c].cache)
		return;
	born(i, mw_cache_alloc(caches[c].cache, MW_NORMAL), caches[c].size, 8, 0);
	if (objects[i].at) {
		objects[i].cache = 1 + c;
		caches[c].live++;
	}
}

static void destroy_cache(struct fuzz *fuzz)
{
	unsigned int c = fuzz_below(fuzz, CACHES);

	if (!caches[c].cache)
		return;
	if (caches[c].live)
		fuzz_expect(MW_CACHE_LIVE);
	FUZZ_NEED(mw_cache_destroy(caches[c].cache) == !caches[c].live);
	if (caches[c].live)
		fuzz_came();
	else
		caches[c].cache = NULL;
}

static void resize(struct fuzz *fuzz, size_t i)
{
	struct object *object = &objects[i];
	size_t size = 1 + fuzz_size(fuzz, 18), kept = size < object->size ? size : object->size;
	unsigned char *at = mw_realloc(object->at, size, MW_NORMAL);

	if (!at)
		return;
	object->at = at;
	FUZZ_NEED(!((uintptr_t)at & ((object->align ? object->align : 8) - 1)));
	for (size_t byte = 0; byte < kept && byte < 32; byte++)
		FUZZ_NEED(at[byte] == tag(i, byte));
	FUZZ_NEED(mw_usable_size(at) >= size);
	object->size = size;
	fill(i);
}

static void give(struct fuzz *fuzz, size_t i)
{
	struct object *object = &objects[i];
	unsigned int c = object->cache;

	look(i, object->size);
	if (c && fuzz_byte(fuzz) & 1)
		mw_cache_free(caches[c - 1].cache, object->at);
	else if (!object->align && fuzz_byte(fuzz) & 1)
		mw_free_sized(object->at, object->size);
	else
		mw_free(object->at);
	if (c)
		caches[c - 1].live--;
	object->at = NULL;
}

static void give_wrong(struct fuzz *fuzz, size_t i)
{
	struct object *object = &objects[i];
	size_t inner = 1 + fuzz_below(fuzz, 65535) % object->size;
	unsigned char *at = object->at;
	static int here;

	switch (fuzz_below(fuzz, 5)) {
	case 0:
		if (inner >= object->size)
			return;
		fuzz_expect(MW_INNER_FREE);
		mw_free(object->at + inner);
		break;
	case 1:
		fuzz_expect(MW_FOREIGN_FREE);
		mw_free(&here);
		break;
	case 2:
		fuzz_expect(MW_WRONG_SIZE);
		mw_free_sized(object->at, mw_usable_size(object->at) * 2 + 1);
		break;
	case 3:
		fuzz_expect(MW_WRONG_KIND);
		mw_pages_free((void *)((uintptr_t)object->at & ~(MW_PAGE_SIZE - 1)), 1);
		break;
	default:
		give(fuzz, i);
		fuzz_expect_either(MW_DOUBLE_FREE, MW_FREED_SPAN);
		mw_free(at);
	}
	fuzz_came();
}

static void one(struct fuzz *fuzz)
{
	unsigned int op = fuzz_below(fuzz, 16);
	size_t i = fuzz_below(fuzz, OBJECTS);

	if (op == 15)
		destroy_cache(fuzz);
	else if (!objects[i].at && op < 9)
		alloc(fuzz, i);
	else if (!objects[i].at)
		alloc_cached(fuzz, i);
	else if (op == 14)
		give_wrong(fuzz, i);
	else if (op > 10 && !objects[i].cache)
		resize(fuzz, i);
	else
		give(fuzz, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size, 0 };
	struct mw_stats stats;

	memset(objects, 0, sizeof(objects));
	memset(caches, 0, sizeof(caches));
	fuzz_heap(BYTES);
	while (fuzz_more(&fuzz)) {
		one(&fuzz);
		if (fuzz.step % 16 == 0)
			FUZZ_NEED(mw_heap_check());
	}
	for (size_t i = 0; i < OBJECTS; i++)
		if (objects[i].at)
			give(&fuzz, i);
	mw_stats(&stats);
	FUZZ_NEED(!stats.live_objects && !stats.live_bytes);
	FUZZ_NEED(mw_heap_check());
	return 0;
}
