// SPDX-License-Identifier: MIT
/* Marrow's port at level 0, and this machine: COM1, the PVH memory map, QEMU's exit device. */
#include "../kernel.h"
#include <marrow/port.h>

static void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

void mw_port_write(const char *text, size_t len)
{
	while (len--) {
		while (!(inb(0x3fd) & 0x20))
			;
		outb(0x3f8, (uint8_t)*text++);
	}
}

unsigned long mw_port_pin(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq; pop %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

void mw_port_unpin(unsigned long flags)
{
	if (flags & 0x200)
		__asm__ volatile("sti" : : : "memory");
}

/* QEMU makes 2 * value + 1 of it. */
void machine_exit(unsigned int code)
{
	outb(0xf4, (uint8_t)(code / 2));
	for (;;)
		__asm__ volatile("hlt");
}

size_t machine_memory(const void *boot_info, struct mw_memrange *map, size_t max)
{
	const struct {
		uint32_t magic, version, flags, nr_modules;
		uint64_t modules, cmdline, rsdp, memmap;
		uint32_t entries;
	} *info = boot_info;
	const struct {
		uint64_t start, len;
		uint32_t type, unused;
	} *e820 = (const void *)(uintptr_t)info->memmap;

	if (info->magic != 0x336ec578 || info->entries > max)
		mw_port_panic("no memory map, or too long a one");
	for (size_t i = 0; i < info->entries; i++) {
		map[i].start = e820[i].start;
		map[i].len = e820[i].len;
		map[i].type = e820[i].type == 1 ? MW_MEM_FREE : MW_MEM_RESERVED;
	}
	return info->entries;
}
