// SPDX-License-Identifier: MIT
/* Guard pages: see page.h. Their contents are known, and looked at with the rest of the heap. */
#include "page.h"

#define GUARD ((unsigned long)0x9d9d9d9d9d9d9d9dull)
#define WORDS_A_PAGE (MW_PAGE_SIZE / sizeof(unsigned long))

void mw_guard_set(size_t pn)
{
	unsigned long *word = mw_pn_address(pn);

	for (size_t i = 0; i < WORDS_A_PAGE; i++)
		word[i] = GUARD;
	mw_shadow_dead(word, MW_PAGE_SIZE, MW_SHADOW_ZONE);
}

bool mw_guard_check(size_t pn)
{
	const unsigned long *word = mw_pn_address(pn);

	for (size_t i = 0; i < WORDS_A_PAGE; i++)
		MW_CHECK(&word[i], word[i] == GUARD);
	return true;
}
