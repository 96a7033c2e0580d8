/* SPDX-License-Identifier: MIT */
/* The last collections and pauses, as JSON for scripts/heap_pictures.py. */
#ifndef KERNEL_HISTORY_H
#define KERNEL_HISTORY_H

#include <marrow/watch.h>

/* When the heap has been opened: what was before is forgotten. */
void history_begin(void);
bool history_write(mw_sink_fn *sink, void *ctx);

#endif
