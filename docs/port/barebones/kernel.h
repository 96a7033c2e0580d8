/* SPDX-License-Identifier: MIT */
/* What main.c needs of the machine: four functions, and two numbers on the compiler's command line. */
#include <marrow/mm.h>

/* MAPPED_END: memory is mapped 1:1 up to here. */

extern char image_start[], image_end[]; /* the linker script's */

/* What the firmware says of memory, @max entries at most. */
size_t machine_memory(const void *boot_info, struct mw_memrange *map, size_t max);
_Noreturn void machine_exit(unsigned int code);
_Noreturn void kernel_main(const void *boot_info);
