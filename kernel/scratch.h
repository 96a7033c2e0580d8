/* SPDX-License-Identifier: MIT */
/* Memory that is put aside for leak scans. */
#ifndef KERNEL_SCRATCH_H
#define KERNEL_SCRATCH_H

#include <stddef.h>

struct mw_leak_want;

void scratch_open(void); /* the heap is open; again when it has grown */
void scratch_close(void); /* nothing is put aside any more */
/*
 * Call @fn while none of it is put aside: what it lies in could not be taken out of the heap
 * otherwise.
 */
void scratch_without(void (*fn)(void *arg), void *arg);
size_t scratch_bytes(void);

/* mw_leak_scan(), in that memory if there is no other; 0 where there is no scan. */
size_t scratch_leak_scan(const struct mw_leak_want *want);

#endif
