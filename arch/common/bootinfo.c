// SPDX-License-Identifier: MIT
/*
 * What loader and firmware said, copied to memory of the image's before anything else is used: the
 * loader's own copy may lie anywhere, low memory included.
 */
#include "internal.h"

#define MAP_ENTRIES 1024
#define MODULES 16
#define TEXT_BYTES 4096

static ARCH_PLAIN struct mw_memrange map[MAP_ENTRIES];
static struct arch_module modules[MODULES];
static char texts[TEXT_BYTES];
static size_t texts_used;

struct arch_boot_info boot_info = { .map = map, .modules = modules, .cmdline = "", .loader = "unknown" };
size_t boot_nr_firmware;

/*
 * A full map loses free memory, never a restriction: those take the place of free entries.
 */
void bootinfo_add(uint64_t start, uint64_t len, enum mw_memtype type)
{
	size_t n = boot_info.nr_map;

	if (n == MAP_ENTRIES) {
		if (type == MW_MEM_FREE)
			return;
		while (n && map[n - 1].type != MW_MEM_FREE)
			n--;
		if (!n)
			arch_panic("memory map: too many reserved entries");
		map[n - 1] = map[MAP_ENTRIES - 1];
		n = MAP_ENTRIES - 1;
	}
	map[n] = (struct mw_memrange){ start, len, type };
	boot_info.nr_map = n + 1;
}

/* Return: false if there are too many; its memory is then as free as the firmware says. */
bool bootinfo_add_module(uint64_t phys, uint64_t len, const char *cmdline)
{
	size_t n = boot_info.nr_modules;

	if (n == MODULES)
		return false;
	modules[n] = (struct arch_module){ phys, len, bootinfo_keep(cmdline) };
	boot_info.nr_modules = n + 1;
	return true;
}

/* A copy that stays; cut short when the room for texts is used up. */
const char *bootinfo_keep(const char *text)
{
	char *copy = texts + texts_used;

	if (texts_used == TEXT_BYTES)
		return "";
	while (*text && texts_used < TEXT_BYTES - 1)
		texts[texts_used++] = *text++;
	texts[texts_used++] = 0;
	return copy;
}

/* "mem=": no free memory from there on. Cut the entries, so that nothing new is made reserved. */
static void apply_mem(void)
{
	uint64_t limit = arch_param_number("mem", UINT64_MAX);

	for (size_t i = 0; i < boot_info.nr_map; i++) {
		struct mw_memrange *r = &map[i];

		if (r->type != MW_MEM_FREE)
			continue;
		if (r->start >= limit)
			r->len = 0;
		else if (r->len > limit - r->start)
			r->len = limit - r->start;
	}
}

void bootinfo_firmware_done(void)
{
	param_set(boot_info.cmdline);
	apply_mem();
	boot_nr_firmware = boot_info.nr_map;
}

void bootinfo_done(void)
{
	for (size_t i = 0; i < boot_info.nr_modules; i++)
		bootinfo_add(modules[i].phys, modules[i].len, MW_MEM_RESERVED);
	bootinfo_add(arch_phys(arch_image_start),
		     arch_phys(arch_image_end) - arch_phys(arch_image_start), MW_MEM_RESERVED);
}
