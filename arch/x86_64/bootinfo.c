// SPDX-License-Identifier: MIT
/*
 * What loader and firmware said, copied to memory of the image's before anything else is used: the
 * loader's own copy may lie anywhere, low memory included.
 */
#include "internal.h"

#define MB2_MAGIC 0x36d76289
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

/* The types of e820, of multiboot2 and of PVH are the same; unknown ones are out of bounds. */
void bootinfo_add_e820(uint64_t start, uint64_t len, uint32_t type)
{
	bootinfo_add(start, len,
		     type == 1	 ? MW_MEM_FREE
		     : type == 3 ? MW_MEM_RECLAIM
				 : MW_MEM_RESERVED);
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

/* Old firmware keeps the ACPI pointer in the BIOS's area, at a multiple of 16. */
static void search_rsdp(void)
{
	for (uint64_t at = 0xe0000; at < 0x100000; at += 16) {
		const char *p = arch_virt(at);
		unsigned char sum = 0;

		if (memcmp(p, "RSD PTR ", 8))
			continue;
		for (int i = 0; i < 20; i++)
			sum += (unsigned char)p[i];
		if (!sum) {
			boot_info.rsdp = at;
			return;
		}
	}
}

void bootinfo_read(uint32_t magic, uint32_t info)
{
	if (magic == MB2_MAGIC)
		multiboot2_read(info);
	else
		pvh_read(info);
	param_set(boot_info.cmdline);
	apply_mem();
	if (!boot_info.rsdp && !boot_info.uefi)
		search_rsdp();
	boot_nr_firmware = boot_info.nr_map;
	for (size_t i = 0; i < boot_info.nr_modules; i++)
		bootinfo_add(modules[i].phys, modules[i].len, MW_MEM_RESERVED);
	bootinfo_add(arch_phys(arch_image_start),
		     arch_phys(arch_image_end) - arch_phys(arch_image_start), MW_MEM_RESERVED);
	/* The real mode's vectors and the BIOS's data; also, nothing should live at address 0. */
	bootinfo_add(0, 0x1000, MW_MEM_RESERVED);
}
