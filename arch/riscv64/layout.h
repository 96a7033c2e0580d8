/* SPDX-License-Identifier: MIT */
/* Where things are in the address space (Sv39). For Marrow's configuration, too: only numbers. */
#ifndef ARCH_RISCV64_LAYOUT_H
#define ARCH_RISCV64_LAYOUT_H

#define ARCH_NAME "riscv64"
#define ARCH_PAGE_SIZE 4096ul
#define ARCH_DIRECT_MAP 0xffffffc000000000 /* physical address 0 */
#define ARCH_DIRECT_MAP_BITS 37 /* 128 GiB: half of a kernel's addresses */
#define ARCH_KERNEL_BASE 0xffffffff00000000 /* the image is linked here + its physical address */
#define ARCH_STACK_SIZE (32ul << 10) /* of the boot stack of each CPU */
#define ARCH_STACK_WINDOW 0xffffffe000000000 /* threads' stacks: arch_stack_map() */
#define ARCH_STACK_WINDOW_SIZE (256ul << 20)
#define ARCH_STACK_SLOT (32ul << 10) /* one each, with what is not mapped below it */

#define ARCH_HAS_NMI 0 /* no interrupts that come with interrupts off */
#define EARLY_LIMIT (128ul << 30) /* as far as the first page tables reach */

#endif
