/* SPDX-License-Identifier: MIT */
/* What the kernel is told about the machine that it woke up on. */
#ifndef ARCH_COMMON_BOOTINFO_H
#define ARCH_COMMON_BOOTINFO_H

#include <marrow/mm.h>

struct arch_module {
	uint64_t phys, len; /* RESERVED in the map */
	const char *cmdline;
};

struct arch_framebuffer {
	uint64_t phys; /* 0: there is none */
	uint32_t width, height, pitch; /* pixels, pixels, bytes */
	uint8_t bpp;
	bool text; /* EGA text: width and height in characters */
};

/**
 * struct arch_boot_info - all that firmware and loader said; lives for ever
 * @map: raw entries of the firmware, and RESERVED ones for the image, the page tables, modules, low
 *       memory in use; RECLAIM for ACPI tables (read by the time kernel_main() runs). All FREE
 *       memory is in the direct map. Meant for mw_memmap_next(). "mem=" has been applied.
 * @cpus: how many run, numbered from 0 without holes ("cpus=" has been applied)
 * @cpus_found: how many the firmware named as usable
 */
struct arch_boot_info {
	const struct mw_memrange *map;
	size_t nr_map;
	const char *cmdline;
	const char *loader; /* "GRUB 2.06", "PVH", "OpenSBI" */
	const struct arch_module *modules;
	size_t nr_modules;
	struct arch_framebuffer fb;
	uint64_t rsdp; /* physical address of ACPI's pointer; 0: none */
	bool uefi;
	unsigned int cpus, cpus_found;
};

#endif
