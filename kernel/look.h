/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_LOOK_H
#define KERNEL_LOOK_H

/* Say what an address is. irq: on. */
void look_at(const void *address);

#endif
