// SPDX-License-Identifier: MIT
/*
 * Memory modules that come and go while the machine runs: the slots' registers of QEMU's machines, at
 * an address that its ACPI tables name in bytecode only. Without "slots=" all reads give ones.
 */
#include "x86.h"

enum {
	PORT = 0xa00,
	SLOT = 0, /* written: which slot; read: the module's address, 8 bytes */
	EVENT = 4, /* written: which event is answered */
	STATUS = 8, /* written: the answer; read: the module's length, 8 bytes */
	FLAGS = 20,
};

enum {
	ENABLED = 1,
	INSERTING = 2, /* written: seen */
	REMOVING = 4, /* written: seen */
	EJECT = 8,
};

#define EVENT_EJECT 3u
#define STATUS_IN_USE 0x82u

static struct spin lock; /* guards the choice of a slot */

static uint64_t read_long(uint16_t port)
{
	return inl(port) | (uint64_t)inl(port + 4) << 32;
}

bool arch_dimm_slots(void)
{
	unsigned long state = spin_lock(&lock);
	bool slots;

	outl(PORT + SLOT, 0);
	slots = inb(PORT + FLAGS) != 0xff;
	spin_unlock(&lock, state);
	return slots;
}

bool arch_dimm_read(unsigned int slot, struct arch_dimm *dimm)
{
	unsigned long state = spin_lock(&lock);
	uint8_t flags;

	outl(PORT + SLOT, slot);
	flags = inb(PORT + FLAGS);
	*dimm = (struct arch_dimm){ .phys = read_long(PORT + SLOT),
				    .len = read_long(PORT + STATUS),
				    .leaves = flags & REMOVING };
	spin_unlock(&lock, state);
	return flags != 0xff && (flags & ENABLED) && dimm->len;
}

void arch_dimm_answer(unsigned int slot, enum arch_dimm_answer answer)
{
	unsigned long state = spin_lock(&lock);

	outl(PORT + SLOT, slot);
	switch (answer) {
	case ARCH_DIMM_TAKEN:
		outb(PORT + FLAGS, INSERTING);
		break;
	case ARCH_DIMM_IN_USE:
		outb(PORT + FLAGS, REMOVING);
		outl(PORT + EVENT, EVENT_EJECT);
		outl(PORT + STATUS, STATUS_IN_USE);
		break;
	case ARCH_DIMM_EJECT:
		/* The next module in this slot would inherit the wish. */
		outb(PORT + FLAGS, REMOVING);
		outb(PORT + FLAGS, EJECT);
		break;
	}
	spin_unlock(&lock, state);
}
