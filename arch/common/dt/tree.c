// SPDX-License-Identifier: MIT
/*
 * From the device tree to what the kernel is told. Addresses and lengths have 64 bits, as on all machines of 64
 * bits that are known; another tree is refused.
 */
#include "internal.h"
#include "tree.h"

struct fdt tree;

/* All ranges of a node's "reg" enter the map. */
static void add_ranges(const struct fdt_node *node, enum mw_memtype type)
{
	uint64_t start, len;

	for (size_t i = 0; fdt_number(&tree, node, "reg", i, 2, &start) &&
			   fdt_number(&tree, node, "reg", i + 2, 2, &len);
	     i += 4)
		bootinfo_add(start, len, type);
}

static void add_module(const struct fdt_node *chosen)
{
	uint64_t start, end;

	/* One word or two each. */
	if (!fdt_number(&tree, chosen, "linux,initrd-start", 0, 2, &start) &&
	    !fdt_number(&tree, chosen, "linux,initrd-start", 0, 1, &start))
		return;
	if (!fdt_number(&tree, chosen, "linux,initrd-end", 0, 2, &end) &&
	    !fdt_number(&tree, chosen, "linux,initrd-end", 0, 1, &end))
		return;
	if (end > start)
		(void)bootinfo_add_module(start, end - start, "");
}

static void read_chosen(const struct fdt_node *chosen)
{
	const char *args = fdt_text(&tree, chosen, "bootargs");

	if (args)
		boot_info.cmdline = bootinfo_keep(args);
	add_module(chosen);
}

static void read_root(const struct fdt_node *root)
{
	uint64_t words = 0;

	if (!fdt_number(&tree, root, "#address-cells", 0, 1, &words) || words != 2 ||
	    !fdt_number(&tree, root, "#size-cells", 0, 1, &words) || words != 2)
		arch_panic("device tree: addresses are not of 64 bits");
}

/* @in_reserved: the node is below that of what memory is reserved. */
static void read_node(const struct fdt_node *node, bool in_reserved)
{
	if (node->depth == 1)
		read_root(node);
	else if (in_reserved)
		add_ranges(node, MW_MEM_RESERVED);
	else if (node->depth == 2 && fdt_is(node, "memory"))
		add_ranges(node, MW_MEM_FREE);
	else if (node->depth == 2 && fdt_is(node, "chosen"))
		read_chosen(node);
}

void tree_read(uint64_t phys)
{
	const void *bytes = arch_virt(phys);
	struct fdt_node node = { 0 };
	bool reserved = false;
	uint64_t start, len;

	if (!fdt_open(&tree, bytes, fdt_length(bytes)))
		arch_panic("there is no device tree");
	while (fdt_next(&tree, &node)) {
		if (node.depth <= 2)
			reserved = fdt_is(&node, "reserved-memory");
		read_node(&node, reserved && node.depth > 2);
	}
	for (size_t i = 0; fdt_reserved(&tree, i, &start, &len); i++)
		bootinfo_add(start, len, MW_MEM_RESERVED);
	bootinfo_firmware_done();
	bootinfo_add(phys, tree.len, MW_MEM_RESERVED);
}

void tree_for_cpus(void (*fn)(const struct fdt_node *node, uint64_t number))
{
	struct fdt_node node = { 0 };
	uint64_t number;

	while (fdt_next(&tree, &node)) {
		const char *status = fdt_text(&tree, &node, "status");

		if (node.depth != 3 || !fdt_is(&node, "cpu") || (status && status[0] != 'o'))
			continue;
		if (fdt_number(&tree, &node, "reg", 0, 1, &number))
			fn(&node, number);
	}
}
