// SPDX-License-Identifier: MIT
/* What a CPU can have in its page tables, and who takes them. */
#include "x86.h"

bool paging_has_1g, paging_has_nx;

void machine_paging_init(void)
{
	struct cpuid features = cpuid(0x80000001, 0);

	paging_has_1g = features.d >> 26 & 1;
	paging_has_nx = features.d >> 20 & 1;
}

/* Text memory of screens, and what is below 1 MiB. */
void machine_map_devices(void)
{
	paging_must_map((uintptr_t)arch_virt(0xa0000), 0xa0000, 0x20000,
			PAGE_READ | PAGE_WRITE | PAGE_DEVICE);
	paging_must_map((uintptr_t)arch_virt(0), 0, 0x100000, PAGE_READ | PAGE_WRITE);
}

/* No execution where forbidden, no writing where forbidden. */
void machine_paging_load(void)
{
	if (paging_has_nx)
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	write_cr0(read_cr0() | CR0_WP);
	write_cr3(arch_phys(kernel_root));
}
