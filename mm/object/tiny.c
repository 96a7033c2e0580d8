// SPDX-License-Identifier: MIT
/*
 * Tiny objects: pointer-free requests below 16 bytes that the collector owns are packed into blocks
 * of 16, one open block a CPU. A block lives as long as any of its parts is reachable; a part cannot
 * be freed by hand. The open block is dropped at each collection.
 */
#include "inside.h"

static unsigned int mw_tiny_align(size_t size)
{
	if (!(size & 7))
		return 8;
	if (!(size & 3))
		return 4;
	return size & 1 ? 1 : 2;
}

/* A part of the open block, or NULL. Pinned. */
static void *mw_tiny_part(struct mw_tiny *tiny, size_t size)
{
	unsigned int at = (unsigned int)mw_round_up(tiny->used, mw_tiny_align(size));

	if (!tiny->block || at + size > MW_TINY_BLOCK)
		return NULL;
	tiny->used = at + (unsigned int)size;
	tiny->packed++;
	return tiny->block + at;
}

/*
 * The block was made for @size bytes. The one with more room is kept open; but none is while the
 * part that is due for a sample may lie in it, so that this one comes here. Pinned. Return: the
 * parts that the new one stands for.
 */
static unsigned long mw_tiny_opened(struct mw_tiny *tiny, char *block, size_t size)
{
	unsigned long stands = 0;

	tiny->opened++;
	if (mw_profiling()) {
		stands = mw_up_profile_tiny(tiny);
		if (stands ||
		    (long)(tiny->draw.due - tiny->packed - tiny->opened) < (long)MW_TINY_BLOCK) {
			tiny->block = NULL;
			return stands;
		}
	}
	if (!tiny->block || size < tiny->used) {
		tiny->block = block;
		tiny->used = (unsigned int)size;
	}
	return 0;
}

void *mw_tiny_alloc(size_t size, mw_flags_t flags, uintptr_t site)
{
	unsigned long state = mw_port_pin(), stands = 0;
	struct mw_cpu *cpu = mw_cpu_fast();
	void *object = cpu == &mw_cpu_none ? NULL : mw_tiny_part(&cpu->tiny, size);

	mw_port_unpin(state);
	if (object)
		return object;
	object = mw_cache_alloc_from(&mw_object.builtin[MW_TINY_ID], flags | MW_ZERO, site);
	if (!object)
		return NULL;
	state = mw_port_pin();
	cpu = mw_cpu_fast();
	if (cpu != &mw_cpu_none)
		stands = mw_tiny_opened(&cpu->tiny, object, size);
	mw_port_unpin(state);
	if (mw_unlikely(stands))
		mw_up_profile(size, object, site, stands);
	return object;
}
