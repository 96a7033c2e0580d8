/* SPDX-License-Identifier: MIT */
/* Where things are in the address space. For Marrow's configuration, too: only numbers. */
#ifndef ARCH_AARCH64_LAYOUT_H
#define ARCH_AARCH64_LAYOUT_H

#define ARCH_NAME "aarch64"
#define ARCH_PAGE_SIZE 4096ul
#define ARCH_DIRECT_MAP 0xffff800000000000 /* physical address 0, for as much as there is */
#define ARCH_DIRECT_MAP_BITS 40 /* of it that the heap may lie in: 1 TiB */
#define ARCH_KERNEL_BASE 0xffffffff40000000 /* the image is linked here + its physical address */
#define ARCH_STACK_SIZE (32ul << 10) /* of the boot stack of each CPU */
#define ARCH_STACK_WINDOW 0xffffc00000000000 /* threads' stacks: arch_stack_map() */
#define ARCH_STACK_WINDOW_SIZE (256ul << 20)
#define ARCH_STACK_SLOT (32ul << 10) /* one each, with what is not mapped below it */

#define ARCH_HAS_NMI 1 /* interrupts that come with interrupts off: FIQs */
#define EARLY_LIMIT (256ul << 30) /* as far as the first page tables reach */

#endif
