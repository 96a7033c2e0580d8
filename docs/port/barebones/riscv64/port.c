// SPDX-License-Identifier: MIT
/* Marrow's port at level 0, and this machine: SBI console, device tree, QEMU's test device. */
#include "../kernel.h"
#include <marrow/port.h>

void mw_port_write(const char *text, size_t len)
{
	while (len--) {
		register unsigned long a0 __asm__("a0") = (unsigned char)*text++;
		register unsigned long a7 __asm__("a7") = 1; /* console_putchar */

		__asm__ volatile("ecall" : "+r"(a0) : "r"(a7) : "a1", "memory");
	}
}

unsigned long mw_port_pin(void)
{
	unsigned long sstatus;

	__asm__ volatile("csrrci %0, sstatus, 2" : "=r"(sstatus) : : "memory");
	return sstatus & 2;
}

void mw_port_unpin(unsigned long enabled)
{
	__asm__ volatile("csrs sstatus, %0" : : "r"(enabled) : "memory");
}

void machine_exit(unsigned int code)
{
	*(volatile uint32_t *)0x100000 = code << 16 | 0x3333;
	for (;;)
		__asm__ volatile("wfi");
}

/* A number of one or two words in the device tree. */
static uint64_t number(const uint32_t *word, unsigned int words)
{
	const unsigned char *byte = (const unsigned char *)word;
	uint64_t n = 0;

	while (byte < (const unsigned char *)(word + words))
		n = n << 8 | *byte++;
	return n;
}

/*
 * The first memory node of the device tree, without the tree and what lies before this image.
 * A walk over tokens: 1 begins a node, 3 is a property, 9 ends the tree; no name looks like one.
 */
size_t machine_memory(const void *boot_info, struct mw_memrange *map, size_t max)
{
	const uint32_t *tree = boot_info, *p = tree + number(tree + 2, 1) / 4;
	const char *names = (const char *)boot_info + number(tree + 3, 1);
	uint64_t ram, image = (uintptr_t)image_start;
	bool memory = false;

	for (;; p++) {
		if (number(p, 1) == 1)
			memory = !__builtin_memcmp(p + 1, "memory@", 7);
		if (number(p, 1) == 9 || max < 3)
			mw_port_panic("no memory node");
		if (number(p, 1) != 3)
			continue;
		if (memory && !__builtin_memcmp(names + number(p + 2, 1), "reg", 4))
			break;
		p += 2 + (number(p + 1, 1) + 3) / 4;
	}
	ram = number(p + 3, 2);
	map[0] = (struct mw_memrange){ ram, number(p + 5, 2), MW_MEM_FREE };
	map[1] = (struct mw_memrange){ ram, image - ram, MW_MEM_RESERVED };
	map[2] = (struct mw_memrange){ (uintptr_t)tree, number(tree + 1, 1), MW_MEM_RESERVED };
	return 3;
}
