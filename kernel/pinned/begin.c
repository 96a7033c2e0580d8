// SPDX-License-Identifier: MIT
/* Linked before mm/. */
#include "pinned.h"

void pinned_mm_begin(void)
{
}
