/* SPDX-License-Identifier: MIT */
/* Maps that PC firmware, loaders and hypervisors have given, E820 and what was made of it. */
#ifndef MAPS_PC_H
#define MAPS_PC_H

#include "map.h"

/* clang-format off */

/* SeaBIOS under QEMU, -M pc -m 64M */
static const struct mw_memrange seabios_pc_64m[] = {
	{ 0, 0x9fc00, F }, { 0x9fc00, 0x400, R }, { 0xf0000, 0x10000, R },
	{ 0x100000, 0x3ee0000, F }, { 0x3fe0000, 0x20000, R }, { 0xfffc0000, 0x40000, R },
	{ 0xfd00000000, 0x300000000, R },
};
static const struct mw_memrange seabios_pc_64m_runs[] = {
	{ 0, 0x9f000, F }, { 0x100000, 0x3ee0000, F },
};

/* -M pc -m 3584M: split at 3 GiB */
static const struct mw_memrange seabios_pc_3584m[] = {
	{ 0, 0x9fc00, F }, { 0x9fc00, 0x400, R }, { 0xf0000, 0x10000, R },
	{ 0x100000, 0xbfee0000, F }, { 0xbffe0000, 0x20000, R }, { 0xfffc0000, 0x40000, R },
	{ 0x100000000, 0x20000000, F }, { 0xfd00000000, 0x300000000, R },
};
static const struct mw_memrange seabios_pc_3584m_runs[] = {
	{ 0, 0x9f000, F }, { 0x100000, 0xbfee0000, F }, { 0x100000000, 0x20000000, F },
};

/* -M pc -m 8G */
static const struct mw_memrange seabios_pc_8g[] = {
	{ 0, 0x9fc00, F }, { 0x9fc00, 0x400, R }, { 0xf0000, 0x10000, R },
	{ 0x100000, 0xbfee0000, F }, { 0xbffe0000, 0x20000, R }, { 0xfffc0000, 0x40000, R },
	{ 0x100000000, 0x140000000, F }, { 0xfd00000000, 0x300000000, R },
};
static const struct mw_memrange seabios_pc_8g_runs[] = {
	{ 0, 0x9f000, F }, { 0x100000, 0xbfee0000, F }, { 0x100000000, 0x140000000, F },
};

/* -M pc -m 16G */
static const struct mw_memrange seabios_pc_16g[] = {
	{ 0, 0x9fc00, F }, { 0x9fc00, 0x400, R }, { 0xf0000, 0x10000, R },
	{ 0x100000, 0xbfee0000, F }, { 0xbffe0000, 0x20000, R }, { 0xfffc0000, 0x40000, R },
	{ 0x100000000, 0x340000000, F }, { 0xfd00000000, 0x300000000, R },
};
static const struct mw_memrange seabios_pc_16g_runs[] = {
	{ 0, 0x9f000, F }, { 0x100000, 0xbfee0000, F }, { 0x100000000, 0x340000000, F },
};

/* -M q35 -m 2G */
static const struct mw_memrange seabios_q35_2g[] = {
	{ 0, 0x9fc00, F }, { 0x9fc00, 0x400, R }, { 0xf0000, 0x10000, R },
	{ 0x100000, 0x7fedf000, F }, { 0x7ffdf000, 0x21000, R }, { 0xb0000000, 0x10000000, R },
	{ 0xfed1c000, 0x4000, R }, { 0xfffc0000, 0x40000, R }, { 0xfd00000000, 0x300000000, R },
};
static const struct mw_memrange seabios_q35_2g_runs[] = {
	{ 0, 0x9f000, F }, { 0x100000, 0x7fedf000, F },
};

/* -M q35 -m 16G */
static const struct mw_memrange seabios_q35_16g[] = {
	{ 0, 0x9fc00, F }, { 0x9fc00, 0x400, R }, { 0xf0000, 0x10000, R },
	{ 0x100000, 0x7fedf000, F }, { 0x7ffdf000, 0x21000, R }, { 0xb0000000, 0x10000000, R },
	{ 0xfed1c000, 0x4000, R }, { 0xfffc0000, 0x40000, R }, { 0x100000000, 0x380000000, F },
	{ 0xfd00000000, 0x300000000, R },
};
static const struct mw_memrange seabios_q35_16g_runs[] = {
	{ 0, 0x9f000, F }, { 0x100000, 0x7fedf000, F }, { 0x100000000, 0x380000000, F },
};

/* -M q35,max-ram-below-4g=512M -m 2G */
static const struct mw_memrange seabios_q35_hole_512m[] = {
	{ 0, 0x9fc00, F }, { 0x9fc00, 0x400, R }, { 0xf0000, 0x10000, R },
	{ 0x100000, 0x1fedf000, F }, { 0x1ffdf000, 0x21000, R }, { 0xb0000000, 0x10000000, R },
	{ 0xfed1c000, 0x4000, R }, { 0xfffc0000, 0x40000, R }, { 0x100000000, 0x60000000, F },
	{ 0xfd00000000, 0x300000000, R },
};
static const struct mw_memrange seabios_q35_hole_512m_runs[] = {
	{ 0, 0x9f000, F }, { 0x100000, 0x1fedf000, F }, { 0x100000000, 0x60000000, F },
};

/*
 * The 64 MiB machine with what a loader put there: kernel image, two modules that touch, boot
 * information, and ACPI tables in the firmware's reserved top.
 */
static const struct mw_memrange seabios_with_kernel[] = {
	{ 0, 0x9fc00, F }, { 0x9fc00, 0x400, R }, { 0xf0000, 0x10000, R },
	{ 0x100000, 0x3ee0000, F }, { 0x3fe0000, 0x20000, R }, { 0xfffc0000, 0x40000, R },
	{ 0xfd00000000, 0x300000000, R }, { 0x100000, 0x1b90a0, R }, { 0x2b90a0, 0x5f8, A },
	{ 0x400000, 0x12345, A }, { 0x412345, 0x7777, A }, { 0x3fe17a0, 0x800, A },
};
static const struct mw_memrange seabios_with_kernel_runs[] = {
	{ 0, 0x9f000, F }, { 0x2ba000, 0x146000, F }, { 0x400000, 0x1a000, A },
	{ 0x41a000, 0x3bc6000, F },
};

/* What a loader hands on: 5 is memory of the loader's own, 6 the kernel */
static const struct mw_memrange limine_q35_2g[] = {
	{ 0x1000, 0x51000, A }, { 0x52000, 0x4d000, F }, { 0x9fc00, 0x400, R },
	{ 0xf0000, 0x10000, R }, { 0x100000, 0x7fe1b000, F }, { 0x7ff1b000, 0x3000, A },
	{ 0x7ff1e000, 0x8000, T(6) }, { 0x7ff26000, 0x1a000, A }, { 0x7ff40000, 0x1000, F },
	{ 0x7ff41000, 0x2000, A }, { 0x7ff43000, 0x1b000, F }, { 0x7ff5e000, 0x81000, A },
	{ 0x7ffdf000, 0x21000, R }, { 0xb0000000, 0x10000000, R },
};
static const struct mw_memrange limine_q35_2g_runs[] = {
	{ 0x1000, 0x51000, A }, { 0x52000, 0x4d000, F }, { 0x100000, 0x7fe1b000, F },
	{ 0x7ff1b000, 0x3000, A }, { 0x7ff26000, 0x1a000, A }, { 0x7ff40000, 0x1000, F },
	{ 0x7ff41000, 0x2000, A }, { 0x7ff43000, 0x1b000, F }, { 0x7ff5e000, 0x81000, A },
};

/* coreboot keeps its tables under a type of its own, at both ends of RAM */
static const struct mw_memrange coreboot_type_16[] = {
	{ 0, 0x1000, T(16) }, { 0x1000, 0x9f000, F }, { 0xa0000, 0x60000, R },
	{ 0x100000, 0x7fe63000, F }, { 0x7ff63000, 0x9d000, T(16) },
	{ 0xb0000000, 0x10000000, R }, { 0x100000000, 0x180000000, F },
};
static const struct mw_memrange coreboot_type_16_runs[] = {
	{ 0x1000, 0x9f000, F }, { 0x100000, 0x7fe63000, F }, { 0x100000000, 0x180000000, F },
};

/* A server that boots through LinuxBoot: ACPI NVS over the whole ROM area */
static const struct mw_memrange linuxboot_server[] = {
	{ 0, 0x1000, R }, { 0x1000, 0x5f000, F }, { 0x60000, 0x8000, R }, { 0x68000, 0x38000, F },
	{ 0xa0000, 0x60000, R }, { 0x100000, 0x700000, F }, { 0x800000, 0x358000, R },
	{ 0xb58000, 0x7e2a8000, F }, { 0x7ee00000, 0x200000, R }, { 0x7f000000, 0x700000, R },
	{ 0x7f700000, 0x100000, R }, { 0x7f800000, 0x10800000, R }, { 0xfbffc000, 0x2000, R },
	{ 0xfeb00000, 0x10000, R }, { 0xfeb80000, 0x1a0000, R },
};
static const struct mw_memrange linuxboot_server_runs[] = {
	{ 0x1000, 0x5f000, F }, { 0x68000, 0x38000, F }, { 0x100000, 0x700000, F },
	{ 0xb58000, 0x7e2a8000, F },
};

/*
 * A 2003 desktop board as a kernel that took the stride wrong read it: overlaps, no alignment
 * anywhere, an entry across 4 GiB.
 */
static const struct mw_memrange misread_d875pbz[] = {
	{ 0xffffff44, 0x27f00, F }, { 0x27f00, 0x27f00, F }, { 0x4fd44, 0x27f00, F },
	{ 0x77d00, 0x27f00, F }, { 0x9fb44, 0x100, R }, { 0x9fd00, 0x100, R },
	{ 0x9fd44, 0x100, R }, { 0x9ff00, 0x100, R }, { 0xeff44, 0x4000, R },
	{ 0xf4000, 0x4000, R }, { 0xf7f44, 0x4000, R }, { 0xfc000, 0x4000, R },
	{ 0xfff44, 0x1ffb8000, F },
};
static const struct mw_memrange misread_d875pbz_runs[] = {
	{ 0x28000, 0x4f000, F }, { 0x78000, 0x27000, F }, { 0x100000, 0x1ffb7000, F },
	{ 0x100000000, 0x27000, F },
};

/* Inclusive ends taken for exclusive ones twice: each range is two bytes short */
static const struct mw_memrange fiwix_even_ends[] = {
	{ 0, 0x9fbfe, F }, { 0x9fc00, 0x3fe, R }, { 0xf0000, 0xfffe, R },
	{ 0x100000, 0xbfedffe, F }, { 0xbfe0000, 0x1fffe, R }, { 0xfffc0000, 0x3fffe, R },
};
static const struct mw_memrange fiwix_even_ends_runs[] = {
	{ 0, 0x9f000, F }, { 0x100000, 0xbee0000, F }, { 0xc000000, 0xed000, F },
};

/* A 2006 board, BIOS 6.00 PG: NVS and ACPI data share the top 64 KiB */
static const struct mw_memrange nforce_1g[] = {
	{ 0, 0x9f400, F }, { 0x9f400, 0xc00, R }, { 0xf0000, 0x10000, R },
	{ 0x100000, 0x3fef0000, F }, { 0x3fff0000, 0x3000, R }, { 0x3fff3000, 0xd000, A },
	{ 0xe0000000, 0x10000000, R }, { 0xfec00000, 0x1400000, R },
};
static const struct mw_memrange nforce_1g_runs[] = {
	{ 0, 0x9f000, F }, { 0x100000, 0x3fef0000, F }, { 0x3fff3000, 0xd000, A },
};

/*
 * An old laptop: the memory hole at 15 MiB, an EBDA that ends in the middle of a page, ACPI data
 * laid over RAM that is also listed whole, entries out of order.
 */
static const struct mw_memrange old_laptop[] = {
	{ 0x100000, 0x3ff00000, F }, { 0, 0x9f800, F }, { 0x9f800, 0x800, R },
	{ 0xdc000, 0x24000, R }, { 0xf00000, 0x100000, R }, { 0x3fee0000, 0xb4c8, A },
	{ 0x3feeb4c8, 0x14b38, T(4) }, { 0x3ff00000, 0x100000, R }, { 0xfec00000, 0x10000, R },
	{ 0xfee00000, 0x1000, R }, { 0xfff80000, 0x80000, R },
};
static const struct mw_memrange old_laptop_runs[] = {
	{ 0, 0x9f000, F }, { 0x100000, 0xe00000, F }, { 0x1000000, 0x3eee0000, F },
	{ 0x3fee0000, 0xb000, A },
};

/* A 2012 laptop: one usable page between ACPI data and the graphics memory */
static const struct mw_memrange lenovo_20184[] = {
	{ 0, 0x9ec00, F }, { 0x9ec00, 0x1400, R }, { 0x100000, 0xba9bf000, F },
	{ 0xbaabf000, 0x400000, R }, { 0xbaebf000, 0x100000, R }, { 0xbafbf000, 0x40000, A },
	{ 0xbafff000, 0x1000, F }, { 0xbb000000, 0x4a00000, R }, { 0xf0000000, 0x4000000, R },
	{ 0xfeb00000, 0x4000, R }, { 0xfec00000, 0x1000, R }, { 0xfed10000, 0xa000, R },
	{ 0xfed1c000, 0x4000, R }, { 0xfee00000, 0x1000, R }, { 0xffb80000, 0x480000, R },
	{ 0x100000000, 0x13f600000, F },
};
static const struct mw_memrange lenovo_20184_runs[] = {
	{ 0, 0x9e000, F }, { 0x100000, 0xba9bf000, F }, { 0xbafbf000, 0x40000, A },
	{ 0xbafff000, 0x1000, F }, { 0x100000000, 0x13f600000, F },
};

/* A 2014 desktop: reserved pages below 640 KiB, islands of RAM between ACPI areas */
static const struct mw_memrange asus_2014[] = {
	{ 0, 0x58000, F }, { 0x58000, 0x1000, R }, { 0x59000, 0x45000, F },
	{ 0x9e000, 0x2000, R }, { 0x100000, 0xad753000, F }, { 0xad853000, 0x7000, R },
	{ 0xad85a000, 0x879000, F }, { 0xae0d3000, 0x2a1000, R }, { 0xae374000, 0xf552000, F },
	{ 0xbd8c6000, 0x209000, R }, { 0xbdacf000, 0x332000, F }, { 0xbde01000, 0xd05000, R },
	{ 0xbeb06000, 0x4f9000, R }, { 0xbefff000, 0x1000, F },
};
static const struct mw_memrange asus_2014_runs[] = {
	{ 0, 0x58000, F }, { 0x59000, 0x45000, F }, { 0x100000, 0xad753000, F },
	{ 0xad85a000, 0x879000, F }, { 0xae374000, 0xf552000, F }, { 0xbdacf000, 0x332000, F },
	{ 0xbefff000, 0x1000, F },
};

/* A 2019 laptop: EBDA in the middle of a page, reserved memory at 158 MiB */
static const struct mw_memrange ryzen_low[] = {
	{ 0, 0x9d400, F }, { 0x9d400, 0x2c00, R }, { 0xe0000, 0x20000, R },
	{ 0x100000, 0x9d10000, F }, { 0x9e10000, 0x1f0000, R }, { 0xa000000, 0x200000, F },
};
static const struct mw_memrange ryzen_low_runs[] = {
	{ 0, 0x9d000, F }, { 0x100000, 0x9d10000, F }, { 0xa000000, 0x200000, F },
};

/* A 2019 desktop with 96 GiB; a line of the log was lost, so part is not listed */
static const struct mw_memrange x570_96g[] = {
	{ 0xe0000, 0x20000, R }, { 0x100000, 0x9d02000, F }, { 0x9e02000, 0x1fe000, R },
	{ 0xa000000, 0x200000, F }, { 0xa200000, 0xc000, R }, { 0xdb5fe000, 0x190000, R },
	{ 0xdb78e000, 0x184000, F }, { 0xdb912000, 0x41f000, R }, { 0xdbd31000, 0xf6c000, R },
	{ 0xdcc9d000, 0x2363000, F }, { 0xdf000000, 0x1000000, R }, { 0xf8000000, 0x4000000, R },
	{ 0xfd000000, 0x3000000, R }, { 0x100000000, 0x171f380000, F },
};
static const struct mw_memrange x570_96g_runs[] = {
	{ 0x100000, 0x9d02000, F }, { 0xa000000, 0x200000, F }, { 0xdb78e000, 0x184000, F },
	{ 0xdcc9d000, 0x2363000, F }, { 0x100000000, 0x171f380000, F },
};

/*
 * A workstation with 160 GiB of which the user reserved 79 GiB from 82 GiB on: the whole of RAM
 * above 4 GiB is listed too.
 */
static const struct mw_memrange workstation_carved[] = {
	{ 0, 0x5d000, F }, { 0x5d000, 0x2000, R }, { 0x5f000, 0x41000, F },
	{ 0xa0000, 0x60000, R }, { 0x100000, 0x68693000, F }, { 0x68793000, 0x17eb000, R },
	{ 0x69f7e000, 0xa30000, R }, { 0x6a9ae000, 0x212000, A }, { 0x6abc0000, 0x4c40000, F },
	{ 0x6f800000, 0x20800000, R }, { 0xfe000000, 0x11000, R },
	{ 0x100000000, 0x2780000000, F }, { 0x1480000000, 0x13c0000000, R },
};
static const struct mw_memrange workstation_carved_runs[] = {
	{ 0, 0x5d000, F }, { 0x5f000, 0x41000, F }, { 0x100000, 0x68693000, F },
	{ 0x6a9ae000, 0x212000, A }, { 0x6abc0000, 0x4c40000, F },
	{ 0x100000000, 0x1380000000, F }, { 0x2840000000, 0x40000000, F },
};

/* Xen's first domain: 1 KiB between usable and reserved that nobody names */
static const struct mw_memrange xen_dom0[] = {
	{ 0, 0x9d000, F }, { 0x9d400, 0x62c00, R }, { 0x100000, 0xce18f000, F },
	{ 0xce28f000, 0x7000, R }, { 0xce296000, 0xc2c000, F }, { 0xceec2000, 0x4d6000, R },
	{ 0xcf398000, 0x8a1c000, F },
};
static const struct mw_memrange xen_dom0_runs[] = {
	{ 0, 0x9d000, F }, { 0x100000, 0xce18f000, F }, { 0xce296000, 0xc2c000, F },
	{ 0xcf398000, 0x8a1c000, F },
};

/* A Xen guest with firmware: the last page below the end of RAM is kept */
static const struct mw_memrange xen_hvm_2g[] = {
	{ 0, 0x9fc00, F }, { 0x9fc00, 0x400, R }, { 0xf0000, 0x10000, R },
	{ 0x100000, 0x7f6ff000, F }, { 0x7f7ff000, 0x1000, R }, { 0xfc000000, 0x1ffd000, R },
	{ 0xfdffd000, 0x1000, T(4) }, { 0xfe000000, 0x2000000, R },
};
static const struct mw_memrange xen_hvm_2g_runs[] = {
	{ 0, 0x9f000, F }, { 0x100000, 0x7f6ff000, F },
};

/* A Xen guest that enters by PVH: RAM from 0 in one piece, ACPI tables below 4 GiB */
static const struct mw_memrange xen_pvh[] = {
	{ 0, 0x20000000, F }, { 0xfc000000, 0x9000, A }, { 0xfeff8000, 0x8000, R },
};
static const struct mw_memrange xen_pvh_runs[] = {
	{ 0, 0x20000000, F }, { 0xfc000000, 0x9000, A },
};

/*
 * No E820 at all: a device tree's memory node, OpenSBI in its first pages, the kernel, the tree
 * itself.
 */
static const struct mw_memrange riscv_virt[] = {
	{ 0x80000000, 0x8000000, F }, { 0x80000000, 0x40000, R }, { 0x80040000, 0x20000, R },
	{ 0x80200000, 0x8d123, R }, { 0x87e00000, 0x1a3f, A },
};
static const struct mw_memrange riscv_virt_runs[] = {
	{ 0x80060000, 0x1a0000, F }, { 0x8028e000, 0x7b72000, F }, { 0x87e00000, 0x2000, A },
	{ 0x87e02000, 0x1fe000, F },
};

static const struct map_case pc_maps[] = {
	MAP(seabios_pc_64m),
	MAP(seabios_pc_3584m),
	MAP(seabios_pc_8g),
	MAP(seabios_pc_16g),
	MAP(seabios_q35_2g),
	MAP(seabios_q35_16g),
	MAP(seabios_q35_hole_512m),
	MAP(seabios_with_kernel),
	MAP(limine_q35_2g),
	MAP(coreboot_type_16),
	MAP(linuxboot_server),
	MAP(misread_d875pbz),
	MAP(fiwix_even_ends),
	MAP(nforce_1g),
	MAP(old_laptop),
	MAP(lenovo_20184),
	MAP(asus_2014),
	MAP(ryzen_low),
	MAP(x570_96g),
	MAP(workstation_carved),
	MAP(xen_dom0),
	MAP(xen_hvm_2g),
	MAP(xen_pvh),
	MAP(riscv_virt),
};
/* clang-format on */

#endif
