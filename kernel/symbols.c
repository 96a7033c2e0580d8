/* SPDX-License-Identifier: MIT */
/*
 * Names for addresses: the table that the build makes of the linked kernel and links in again
 * (scripts/symbols.sh). Sorted by address.
 */
#include "arch.h"

struct symbol {
	uintptr_t at;
	const char *name;
};

extern const struct symbol kernel_symbols[], kernel_symbols_end[];

const char *kernel_symbol(uintptr_t pc, uintptr_t *off)
{
	size_t lo = 0, hi = (size_t)(kernel_symbols_end - kernel_symbols);

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;

		if (kernel_symbols[middle].at <= pc)
			lo = middle + 1;
		else
			hi = middle;
	}
	if (!lo || pc > (uintptr_t)arch_text_end)
		return NULL;
	*off = pc - kernel_symbols[lo - 1].at;
	return kernel_symbols[lo - 1].name;
}
