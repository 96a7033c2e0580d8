// SPDX-License-Identifier: MIT
/* The information that "qemu -kernel" leaves. */
#include "x86.h"

#define PVH_MAGIC 0x336ec578

struct pvh_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, cmdline, rsdp;
	/* Version 1 and later: */
	uint64_t map;
	uint32_t nr_map, reserved;
};

struct pvh_module {
	uint64_t phys, len, cmdline, reserved;
};

struct pvh_map_entry {
	uint64_t start, len;
	uint32_t type, reserved;
};

/* Nobody says that there is a screen; but if the characters' memory keeps what is put there … */
static void probe_text_screen(void)
{
	volatile uint16_t *cell = arch_virt(0xb8000);
	uint16_t was = cell[0];
	bool there;

	cell[0] = 0x0741;
	there = cell[0] == 0x0741;
	cell[0] = was;
	if (there)
		boot_info.fb = (struct arch_framebuffer){
			.phys = 0xb8000, .width = 80, .height = 25, .pitch = 160, .bpp = 16, .text = true
		};
}

void pvh_read(uint64_t info)
{
	const struct pvh_info *pvh = arch_virt(info);
	const struct pvh_map_entry *map;
	const struct pvh_module *modules;

	if (pvh->magic != PVH_MAGIC)
		arch_panic("boot: neither multiboot2 nor PVH");
	boot_info.loader = "PVH";
	boot_info.rsdp = pvh->rsdp;
	if (pvh->cmdline)
		boot_info.cmdline = bootinfo_keep(arch_virt(pvh->cmdline));
	map = arch_virt(pvh->map);
	for (uint32_t i = 0; pvh->version >= 1 && i < pvh->nr_map; i++)
		bootinfo_add_e820(map[i].start, map[i].len, map[i].type);
	modules = arch_virt(pvh->modules);
	for (uint32_t i = 0; i < pvh->nr_modules; i++)
		bootinfo_add_module(modules[i].phys, modules[i].len,
				    modules[i].cmdline ? arch_virt(modules[i].cmdline) : "");
	probe_text_screen();
}
