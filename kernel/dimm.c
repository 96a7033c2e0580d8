// SPDX-License-Identifier: MIT
/*
 * Memory modules that are plugged in and pulled out while the kernel runs. A thread looks at the slots
 * while the heap is open: a new module is mapped and becomes a region; one that is asked back is given if
 * all of it is free, and else the host is told that it is in use.
 */
#include <stdatomic.h>
#include "kernel.h"
#include "scratch.h"
#include "thread.h"

#define SLOTS 32u
#define LOOK_EVERY_NS 250000000ul

static struct dimm {
	uint64_t phys, len; /* len 0: nothing of this slot is in the heap */
	bool failed; /* cannot be used; said once */
} dimms[SLOTS];

static struct thread *thread;
static struct wait_queue wake;
static bool ending; /* both guarded by the scheduler's lock */

static void add(unsigned int slot, const struct arch_dimm *found)
{
	struct dimm *dimm = &dimms[slot];
	char *at = arch_map_phys(found->phys, found->len, false);
	/* It may have been here before, and was made to fault when it left. */
	bool mapped = at && arch_page_protect(at, found->len, ARCH_PROT_WRITE);
	size_t bytes = mapped ? mw_region_add(at, found->phys, found->len) : 0;

	if (!bytes) {
		if (!dimm->failed)
			mw_print("memory module in slot %u: cannot be used\n", slot);
		dimm->failed = true;
		return;
	}
	*dimm = (struct dimm){ .phys = found->phys, .len = found->len };
	scratch_open();
	mw_print("memory module in slot %u: %zu KiB at 0x%llx joined the heap\n", slot, bytes >> 10,
		 (unsigned long long)found->phys);
}

struct removal {
	void *at;
	bool done;
};

static void remove_region(void *arg)
{
	struct removal *removal = arg;

	removal->done = mw_region_remove(removal->at);
}

/* Return: false if something in it is in use. */
static bool take_out(struct dimm *dimm)
{
	void *at = arch_virt(dimm->phys);
	struct removal removal = { .at = at };

	if (dimm->len)
		scratch_without(remove_region, &removal);
	if (dimm->len && !removal.done)
		return false;
	/* From here on whoever still has an address of it faults. */
	if (dimm->len)
		(void)arch_page_protect(at, dimm->len, ARCH_PROT_NONE);
	dimm->len = 0;
	return true;
}

static void look_at(unsigned int slot)
{
	struct dimm *dimm = &dimms[slot];
	struct arch_dimm found;

	if (!arch_dimm_read(slot, &found)) {
		dimm->failed = false;
		return;
	}
	if (!found.leaves) {
		if (!dimm->len)
			add(slot, &found);
		arch_dimm_answer(slot, ARCH_DIMM_TAKEN);
	} else if (take_out(dimm)) {
		arch_dimm_answer(slot, ARCH_DIMM_EJECT);
		mw_print("memory module in slot %u: left the heap, may be pulled out\n", slot);
	} else {
		arch_dimm_answer(slot, ARCH_DIMM_IN_USE);
		mw_print("memory module in slot %u: asked back, but in use\n", slot);
	}
}

static void look(void *arg)
{
	bool end = false;

	(void)arg;
	while (!end) {
		unsigned long state;

		for (unsigned int slot = 0; slot < SLOTS; slot++)
			look_at(slot);
		state = sched_lock();
		if (!ending)
			(void)sched_wait(&wake, arch_now() + LOOK_EVERY_NS);
		end = ending;
		sched_unlock(state);
	}
}

/* The heap was opened: what is plugged in joins it. Machines without slots get no thread. */
void dimm_open(void)
{
	mw_list_init(&wake.waiters);
	ending = false;
	memset(dimms, 0, sizeof(dimms));
	if (arch_dimm_slots())
		thread = thread_create("dimm", look, NULL);
}

void dimm_close(void)
{
	unsigned long state = sched_lock();

	ending = true;
	if (thread)
		sched_wake_all(&wake);
	sched_unlock(state);
	if (thread)
		thread_join(thread);
	thread = NULL;
}

void dimm_print(void)
{
	struct arch_dimm found;
	unsigned int n = 0;

	for (unsigned int slot = 0; slot < SLOTS; slot++) {
		if (!arch_dimm_read(slot, &found))
			continue;
		n++;
		mw_print("  slot %-2u %8llu KiB at 0x%llx, %s\n", slot,
			 (unsigned long long)found.len >> 10, (unsigned long long)found.phys,
			 dimms[slot].len ? "in the heap" : "not in the heap");
	}
	if (arch_dimm_slots())
		mw_print("%u memory modules. To plug one in, go to QEMU's monitor by Ctrl-A C, and "
			 "back "
			 "by the same:\n"
			 "  object_add memory-backend-ram,id=m1,size=128M\n"
			 "  device_add pc-dimm,id=d1,memdev=m1\n"
			 "and to pull it out: device_del d1\n",
			 n);
	else
		mw_print("%u memory modules; this machine has no slots for them\n", n);
}
