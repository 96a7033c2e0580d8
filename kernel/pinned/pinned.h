/* SPDX-License-Identifier: MIT */
/* Where the code of mm/ begins, and, with runtime.c linked behind it, ends. */
#ifndef KERNEL_PINNED_PINNED_H
#define KERNEL_PINNED_PINNED_H

void pinned_mm_begin(void);
void pinned_mm_end(void);

#endif
