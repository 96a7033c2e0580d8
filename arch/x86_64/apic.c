// SPDX-License-Identifier: MIT
/*
 * Interrupt controllers: the local APIC of each CPU (in memory, or as registers if firmware has
 * switched to x2APIC), the first I/O APIC for serial line and keyboard, the old ones masked.
 */
#include "x86.h"

enum {
	LAPIC_ID = 0x20,
	LAPIC_EOI = 0xb0,
	LAPIC_SPURIOUS = 0xf0,
	LAPIC_ICR_LOW = 0x300,
	LAPIC_ICR_HIGH = 0x310,
	LAPIC_TIMER = 0x320,
	LAPIC_LINT0 = 0x350,
	LAPIC_LINT1 = 0x360,
	LAPIC_TIMER_START = 0x380,
	LAPIC_TIMER_LEFT = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3e0,
};

#define APIC_MASKED (1u << 16)
#define ICR_BUSY (1u << 12)
#define BASE_X2APIC (1ul << 10)
#define BASE_ENABLE (1ul << 11)

static volatile uint32_t *lapic, *ioapic;
static bool x2apic;

static uint32_t lapic_read(unsigned int reg)
{
	return x2apic ? (uint32_t)rdmsr(0x800 + (reg >> 4)) : lapic[reg / 4];
}

static void lapic_write(unsigned int reg, uint32_t value)
{
	if (x2apic)
		wrmsr(0x800 + (reg >> 4), value);
	else
		lapic[reg / 4] = value;
}

unsigned int apic_id(void)
{
	return x2apic ? lapic_read(LAPIC_ID) : lapic_read(LAPIC_ID) >> 24;
}

void apic_eoi(void)
{
	lapic_write(LAPIC_EOI, 0);
}

/* One message to one CPU. The two halves are written with interrupts off. */
void apic_send(unsigned int id, uint32_t command)
{
	unsigned long state;

	if (x2apic) {
		/* An x2APIC write does not wait for earlier stores to be seen. */
		__asm__ volatile("mfence" : : : "memory");
		wrmsr(0x800 + (LAPIC_ICR_LOW >> 4), (uint64_t)id << 32 | command);
		return;
	}
	state = arch_irq_save();
	while (lapic_read(LAPIC_ICR_LOW) & ICR_BUSY)
		arch_relax();
	lapic_write(LAPIC_ICR_HIGH, id << 24);
	lapic_write(LAPIC_ICR_LOW, command);
	arch_irq_restore(state);
}

/* The divider is 1. */
void apic_timer_arm(uint32_t ticks)
{
	lapic_write(LAPIC_TIMER_START, ticks);
}

uint32_t apic_timer_left(void)
{
	return lapic_read(LAPIC_TIMER_LEFT);
}

/* NMIs from outside come in at LINT1 of the first CPU, as firmware set it; others take none. */
void apic_init_cpu(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	if (x2apic && !(base & BASE_X2APIC))
		wrmsr(MSR_APIC_BASE, base | BASE_ENABLE | BASE_X2APIC);
	lapic_write(LAPIC_SPURIOUS, 0x100 | VEC_SPURIOUS);
	lapic_write(LAPIC_LINT0, APIC_MASKED);
	lapic_write(LAPIC_LINT1, this_cpu() == &arch_slots[0] ? 0x400 : APIC_MASKED);
	lapic_write(LAPIC_TIMER_DIVIDE, 0xb);
	lapic_write(LAPIC_TIMER, VEC_TIMER);
	lapic_write(LAPIC_EOI, 0);
}

/* The two old controllers: moved away from the exceptions, and masked. */
static void mask_pics(void)
{
	static const uint8_t init[][2] = {
		{ 0x20, 0x11 }, { 0xa0, 0x11 }, { 0x21, VEC_PIC }, { 0xa1, VEC_PIC + 8 },
		{ 0x21, 4 },	{ 0xa1, 2 },	{ 0x21, 1 },	   { 0xa1, 1 },
		{ 0x21, 0xff }, { 0xa1, 0xff },
	};

	for (size_t i = 0; i < sizeof(init) / sizeof(init[0]); i++)
		outb(init[i][0], init[i][1]);
}

static uint32_t ioapic_read(uint32_t reg)
{
	ioapic[0] = reg;
	return ioapic[4];
}

static void ioapic_write(uint32_t reg, uint32_t value)
{
	ioapic[0] = reg;
	ioapic[4] = value;
}

/* Let an old interrupt come to the first CPU as @vector. */
void ioapic_route(unsigned int irq, unsigned int vector)
{
	struct acpi_irq to = acpi_isa_irq(irq);
	uint32_t pin = to.gsi - acpi_ioapic_base;

	if (!ioapic || pin > (ioapic_read(1) >> 16 & 0xff))
		return;
	ioapic_write(0x11 + 2 * pin, arch_slots[0].hardware_id << 24);
	ioapic_write(0x10 + 2 * pin, vector | (uint32_t)to.low << 13 | (uint32_t)to.level << 15);
}

void apic_init(void)
{
	mask_pics();
	x2apic = rdmsr(MSR_APIC_BASE) & BASE_X2APIC;
	if (!x2apic) {
		lapic = arch_map_phys(acpi_lapic_phys, ARCH_PAGE_SIZE, true);
		if (!lapic)
			arch_panic("cannot map the local APIC");
	}
	if (acpi_ioapic_phys)
		ioapic = arch_map_phys(acpi_ioapic_phys, ARCH_PAGE_SIZE, true);
	arch_slots[0].hardware_id = apic_id();
	apic_init_cpu();
}
