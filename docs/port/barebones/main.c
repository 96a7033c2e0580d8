// SPDX-License-Identifier: MIT
/* A kernel of nothing but a heap: sets it up, uses it, misuses it, and says how that went. */
#include "kernel.h"
#include <marrow/port.h>

#define MAP_MAX 64
#define COUNT 1000

static unsigned int caught;

static void need(bool ok, const char *what)
{
	if (!ok)
		mw_port_panic(what);
}

static void on_misuse(const struct mw_report *report)
{
	mw_report_print(report);
	caught += report->what == MW_DOUBLE_FREE;
}

/* All free memory that is mapped, but not this image, nor page 0: its address is NULL. */
static void give_memory(const void *boot_info)
{
	static struct mw_memrange map[MAP_MAX];
	size_t n = machine_memory(boot_info, map, MAP_MAX - 3), given = 0;
	const uint64_t image = (uintptr_t)image_start;
	struct mw_memrange run = { 0, 0, MW_MEM_FREE };

	map[n++] = (struct mw_memrange){ image, (uintptr_t)image_end - image, MW_MEM_RESERVED };
	map[n++] = (struct mw_memrange){ 0, MW_PAGE_SIZE, MW_MEM_RESERVED };
	map[n++] = (struct mw_memrange){ MAPPED_END, 0 - MAPPED_END, MW_MEM_RESERVED };
	while (mw_memmap_next(map, n, MW_MEM_FREE, run.start + run.len, &run))
		given += mw_region_add((void *)(uintptr_t)run.start, run.start, run.len);
	need(given, "no memory");
}

static void use_objects(void)
{
	static unsigned char *object[COUNT];

	for (unsigned int i = 0; i < COUNT; i++) {
		object[i] = mw_alloc(1 + i * 7 % 3000, MW_ZERO);
		need(object[i] && !object[i][i * 7 % 3000], "an object, zeroed");
		object[i][0] = (unsigned char)i;
	}
	for (unsigned int i = 0; i < COUNT; i++) {
		need(object[i][0] == (unsigned char)i, "objects are apart");
		mw_free(object[i]);
		if (i == COUNT / 2) /* others of its size are still there */
			mw_free(object[i]);
	}
	need(!mw_alloc(SIZE_MAX / 2, 0), "too much is NULL");
	need(caught == 1, "the double free is caught");
}

void mw_port_panic(const char *why)
{
	for (; *why; why++)
		mw_port_write(why, 1);
	mw_port_write(": panic\n", 8);
	machine_exit(35);
}

void kernel_main(const void *boot_info)
{
	mw_on_misuse(on_misuse);
	give_memory(boot_info);
	use_objects();
	mw_port_write("barebones: done\n", 16);
	machine_exit(33);
}
