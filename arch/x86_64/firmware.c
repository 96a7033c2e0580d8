// SPDX-License-Identifier: MIT
/* What BIOS, UEFI and loaders of PCs have in common: the map's types, low memory, ACPI's pointer. */
#include "x86.h"

#define MB2_MAGIC 0x36d76289
#define LOW_END 0xa0000ul

uint64_t trampoline_phys;

/* The types of e820, of multiboot2 and of PVH are the same; unknown ones are out of bounds. */
void bootinfo_add_e820(uint64_t start, uint64_t len, uint32_t type)
{
	bootinfo_add(start, len,
		     type == 1	 ? MW_MEM_FREE
		     : type == 3 ? MW_MEM_RECLAIM
				 : MW_MEM_RESERVED);
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

/* Low memory for the start of other CPUs: the last page that is free where a run of it begins. */
static void find_trampoline(void)
{
	struct mw_memrange run;

	for (uint64_t from = 0;
	     mw_memmap_next(boot_info.map, boot_info.nr_map, MW_MEM_FREE, from, &run) &&
	     run.start < LOW_END;
	     from = run.start + run.len)
		trampoline_phys = run.start;
	if (trampoline_phys)
		bootinfo_add(trampoline_phys, ARCH_PAGE_SIZE, MW_MEM_RESERVED);
}

void machine_bootinfo(uintptr_t magic, uintptr_t info)
{
	if (magic == MB2_MAGIC)
		multiboot2_read(info);
	else
		pvh_read(info);
	if (!boot_info.rsdp && !boot_info.uefi)
		search_rsdp();
	bootinfo_firmware_done();
	/* The real mode's vectors and the BIOS's data; also, nothing should live at address 0. */
	bootinfo_add(0, 0x1000, MW_MEM_RESERVED);
	find_trampoline();
}
