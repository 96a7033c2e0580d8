// SPDX-License-Identifier: MIT
/*
 * The longest time with interrupts off, for each place where mm/ is entered. A place is the address in
 * the outermost function of mm/ on the stack, found by frame pointers; scripts/pinned.py knows its name.
 * Linked behind mm/.
 */
#include "pinned.h"
#include "../kernel.h"

#define PLACES 4096u

unsigned long pinned_since;

static struct place {
	uintptr_t entry, site,
		caller; /* the outermost address in mm/; the one that pinned when it took longest, and its caller */
	unsigned long most, times;
} places[PLACES];
static unsigned long lost;

void pinned_mm_end(void)
{
}

static bool in_mm(uintptr_t address)
{
	return address >= (uintptr_t)pinned_mm_begin && address < (uintptr_t)pinned_mm_end;
}

static struct place *place_of(uintptr_t entry)
{
	for (unsigned int i = 0; i < PLACES; i++) {
		struct place *place = &places[(entry * 0x9e3779b1u + i) % PLACES];

		if (!place->entry)
			place->entry = entry;
		if (place->entry == entry)
			return place;
	}
	return NULL;
}

void pinned_end(void);
void pinned_end(void)
{
	unsigned long now = arch_cycles(), took = now - pinned_since;
	const uintptr_t *frame = __builtin_frame_address(0);
	uintptr_t site = frame[1], caller = ((const uintptr_t *)frame[0])[1], entry = site;
	struct place *place;

	for (unsigned int depth = 0; depth < 32 && in_mm(frame[1]); depth++) {
		entry = frame[1];
		frame = (const uintptr_t *)frame[0];
	}
	place = arch_cpu_count() == 1 ? place_of(entry) : NULL;
	if (!place) {
		lost++;
		return;
	}
	place->times++;
	if (took > place->most) {
		place->most = took;
		place->site = site;
		place->caller = caller;
	}
}

void pinned_report(void)
{
	for (unsigned int i = 0; i < PLACES; i++) {
		if (places[i].entry)
			mw_print("# pinned %lx %lx %lx %lu %lu\n", places[i].entry, places[i].site,
				 places[i].caller, places[i].most, places[i].times);
	}
	mw_print("# pinned places lost: %lu\n", lost);
}
