// SPDX-License-Identifier: MIT
/* Metadata pages for a build in which mm/page is not there: from bss. */
#include <stdatomic.h>
#include <string.h>
#include "../mm/base/meta.h"

static _Alignas(65536) char standin[8u << 20];
static mw_atomic_t standin_used;

__attribute__((weak)) void *mw_up_meta_pages(size_t bytes)
{
	size_t at = atomic_fetch_add(&standin_used, mw_round_up(bytes, 4096));

	return at + bytes <= sizeof(standin) ? standin + at : NULL;
}

void mw_page_reset(void);

__attribute__((weak)) void mw_page_reset(void)
{
	size_t used = atomic_exchange(&standin_used, 0);

	memset(standin, 0, mw_min(used, sizeof(standin)));
}
