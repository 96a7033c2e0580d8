// SPDX-License-Identifier: MIT
/* What the loader hands over, the device tree, and the firmware that is asked by PSCI. */
#include "arm.h"
#include "dt/tree.h"

struct firmware_gic firmware_gic;

static bool psci_is_smc;

/* Return: what it answers; negative: its error. */
long psci_call(unsigned long what, unsigned long first, unsigned long second, unsigned long third)
{
	register unsigned long x0 __asm__("x0") = what;
	register unsigned long x1 __asm__("x1") = first;
	register unsigned long x2 __asm__("x2") = second;
	register unsigned long x3 __asm__("x3") = third;

#define PSCI_BY(instruction)                                                                       \
	__asm__ volatile(instruction " #0"                                                         \
			 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)                                  \
			 :                                                                         \
			 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",  \
			   "x15", "x16", "x17", "memory")
	if (psci_is_smc)
		PSCI_BY("smc");
	else
		PSCI_BY("hvc");
	return (long)x0;
}

static void see_cpu(const struct fdt_node *node, uint64_t number)
{
	(void)node;
	smp_add((unsigned int)number);
}

static void see_gic(const struct fdt_node *node)
{
	struct firmware_gic gic = {
		.v3 = fdt_text_is(&tree, node, "compatible", "arm,gic-v3"),
	};

	for (size_t i = 0; i < 2; i++)
		if (!fdt_number(&tree, node, "reg", 4 * i, 2, &gic.start[i]) ||
		    !fdt_number(&tree, node, "reg", 4 * i + 2, 2, &gic.len[i]))
			return;
	firmware_gic = gic;
}

static void find_devices(void)
{
	struct fdt_node node = { 0 };

	while (fdt_next(&tree, &node)) {
		if (node.depth == 2 && fdt_is(&node, "psci"))
			psci_is_smc = fdt_text_is(&tree, &node, "method", "smc");
		if (node.depth == 2 &&
		    (fdt_is(&node, "intc") || fdt_is(&node, "interrupt-controller")))
			see_gic(&node);
	}
	if (!firmware_gic.len[0])
		arch_panic("device tree: there is no interrupt controller");
}

void machine_bootinfo(uintptr_t phys, uintptr_t nothing)
{
	(void)nothing;
	arch_slots[0].hardware_id = cpu_hardware_id();
	boot_info.loader = phys ? "QEMU, as an Image" : "QEMU, as ELF";
	tree_read(phys ? phys : VIRT_TREE);
	tree_for_cpus(see_cpu);
	find_devices();
}
