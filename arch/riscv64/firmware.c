// SPDX-License-Identifier: MIT
/* What the firmware hands over: this hart's number and the device tree. */
#include "riscv.h"
#include "dt/tree.h"

uint64_t firmware_clock_hz;
bool firmware_has_sstc;

/* "rv64imac_zicsr_sstc_...": extensions behind the first underscore have names. */
static bool has_extension(const char *isa, const char *name)
{
	for (const char *p = isa; *p; p++) {
		size_t n = 0;

		while (p[0] == '_' && name[n] && p[n + 1] == name[n])
			n++;
		if (p[0] == '_' && !name[n] && (!p[n + 1] || p[n + 1] == '_'))
			return true;
	}
	return false;
}

static void see_cpu(const struct fdt_node *node, uint64_t number)
{
	const char *isa = fdt_text(&tree, node, "riscv,isa");

	firmware_has_sstc = isa && has_extension(isa, "sstc");
	smp_add((unsigned int)number);
}

static void find_clock(void)
{
	struct fdt_node node = { 0 };

	while (fdt_next(&tree, &node))
		if (node.depth == 2 && fdt_is(&node, "cpus") &&
		    fdt_number(&tree, &node, "timebase-frequency", 0, 1, &firmware_clock_hz))
			return;
	arch_panic("device tree: nothing says how fast the clock is");
}

void machine_bootinfo(uintptr_t hart, uintptr_t phys)
{
	arch_slots[0].hardware_id = (unsigned int)hart;
	boot_info.loader = "OpenSBI";
	tree_read(phys);
	tree_for_cpus(see_cpu);
	find_clock();
}
