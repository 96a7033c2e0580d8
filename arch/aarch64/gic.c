// SPDX-License-Identifier: MIT
/*
 * The interrupt controller (GIC), version 2 or 3: who sends, who is told, and what came.
 *
 * A capture is of group 0, which comes as a FIQ, and of higher priority; all else is of group 1.
 * Firmware may keep group 0 for itself: then captures come as all others do. What came ends for the
 * controller before it is handled, so that handlers may be interrupted.
 */
#include "arm.h"

#define SGIS                                                                                       \
	(1u << MESSAGE_CALL | 1u << MESSAGE_RESCHEDULE | 1u << MESSAGE_CAPTURE | 1u << MESSAGE_STRAY)
#define OWN (SGIS | 1u << IRQ_TIMER)
#define GROUP_1 (~(1u << MESSAGE_CAPTURE))
#define PRIORITY 0x80u /* of all but captures; 0 is the highest */
#define FRAME 0x10000ul /* of what each CPU has in version 3: two, or four */

/* Of what all share, and in version 3 of what each CPU has. */
enum {
	GICD_CONTROL = 0x000,
	GICD_TYPE = 0x004,
	GIC_GROUP = 0x080,
	GIC_ENABLE = 0x100,
	GIC_PRIORITY = 0x400,
	GICD_TARGETS = 0x800,
	GICD_SEND = 0xf00,
	GICD_ROUTE = 0x6000,
	GICR_TYPE = 0x008,
	GICR_WAKE = 0x014,
};

/* Of a CPU, in version 2. */
enum {
	GICC_CONTROL = 0x00,
	GICC_MASK = 0x04,
	GICC_TAKE = 0x0c,
	GICC_END = 0x10,
	GICC_NEXT = 0x18,
};

static bool is_v3, has_fiq;

static volatile uint32_t *shared(unsigned long at)
{
	return arch_virt(firmware_gic.start[0] + at);
}

static volatile uint32_t *each(unsigned long at)
{
	return arch_virt(firmware_gic.start[1] + at);
}

void gic_map(void)
{
	const uint64_t most = 4 * FRAME * ARCH_MAX_CPUS;

	for (int i = 0; i < 2; i++) {
		uint64_t len = firmware_gic.len[i] < most ? firmware_gic.len[i] : most;

		paging_must_map((uintptr_t)arch_virt(firmware_gic.start[i]), firmware_gic.start[i],
				len, PAGE_READ | PAGE_WRITE | PAGE_DEVICE);
	}
}

/* ---- to take ---- */

unsigned int gic_take(void)
{
	uint32_t irq;

	if (is_v3) {
		irq = (uint32_t)READ_REGISTER("s3_0_c12_c12_0") & 0xffffff;
		if (irq < IRQ_NONE)
			WRITE_REGISTER("s3_0_c12_c12_1", irq);
		return irq;
	}
	irq = *each(GICC_TAKE);
	if ((irq & 0x3ff) < IRQ_NONE)
		*each(GICC_END) = irq; /* with the number of who sent it */
	return irq & 0x3ff;
}

/* For a FIQ. Return: whether there was one. */
bool gic_take_capture(void)
{
	if (!is_v3)
		return (*each(GICC_NEXT) & 0x3ff) == MESSAGE_CAPTURE && gic_take() == MESSAGE_CAPTURE;
	if ((READ_REGISTER("s3_0_c12_c8_0") & 0xffffff) != MESSAGE_CAPTURE)
		return false;
	WRITE_REGISTER("s3_0_c12_c8_1", MESSAGE_CAPTURE);
	return true;
}

/* ---- to send ---- */

/* Whatever was written before is seen by who is interrupted. */
void machine_send(struct arch_percpu *to, enum machine_message message)
{
	uint64_t target = to->machine.sgi_target, number = message;

	__asm__ volatile("dsb ishst" : : : "memory");
	if (!is_v3)
		*shared(GICD_SEND) = (uint32_t)(target << 16 | number);
	else if (message == MESSAGE_CAPTURE && has_fiq)
		WRITE_REGISTER("s3_0_c12_c11_7", target | number << 24);
	else
		WRITE_REGISTER("s3_0_c12_c11_5", target | number << 24);
}

/* ---- to begin ---- */

void gic_init(void)
{
	is_v3 = firmware_gic.v3;
	if (is_v3) {
		*shared(GICD_CONTROL) = 0x13; /* both groups; CPUs have names, not numbers */
		has_fiq = *shared(GICD_CONTROL) & 0x40;
	} else {
		has_fiq = !(*shared(GICD_TYPE) & 0x400);
		*shared(GICD_CONTROL) = has_fiq ? 3 : 1;
	}
}

/* What is this CPU's own, in registers from @own on. */
static void begin_own(volatile uint32_t *own)
{
	own[GIC_GROUP / 4] = GROUP_1;
	for (unsigned int i = 0; i < 8; i++)
		own[GIC_PRIORITY / 4 + i] = PRIORITY * 0x01010101u;
	own[(GIC_PRIORITY + MESSAGE_CAPTURE) / 4] =
		(PRIORITY * 0x01010101u) & ~(0xffu << 8 * (MESSAGE_CAPTURE % 4));
	own[GIC_ENABLE / 4] = OWN;
}

static void begin_v2(struct arch_percpu *cpu)
{
	uint32_t target = *shared(GICD_TARGETS) & 0xff; /* of an interrupt that only this CPU has */

	cpu->machine.sgi_target = target ? target : 1;
	begin_own(shared(0));
	*each(GICC_MASK) = 0xf0;
	*each(GICC_CONTROL) =
		has_fiq ? 0xf : 1; /* both groups, of which either is taken, the first by FIQ */
}

/* The registers that this CPU has in memory, of those of all CPUs. */
static unsigned long find_own(uint64_t name)
{
	unsigned long at = 0;

	for (;;) {
		uint64_t type = *(volatile uint64_t *)each(at + GICR_TYPE);

		if (type >> 32 == name)
			return at;
		at += (type & 2 ? 4 : 2) * FRAME;
		if (type & 0x10 || at >= firmware_gic.len[1])
			arch_panic("interrupt controller: it does not know this CPU");
	}
}

static void begin_v3(struct arch_percpu *cpu)
{
	uint64_t name = cpu->hardware_id;
	unsigned long own = find_own(name);

	cpu->machine.sgi_target =
		1ul << (name & 0xf) | (name >> 8 & 0xff) << 16 | (name >> 16 & 0xff) << 32;
	*each(own + GICR_WAKE) &= ~2u;
	while (*each(own + GICR_WAKE) & 4)
		;
	begin_own(each(own + FRAME));
	WRITE_REGISTER("s3_0_c12_c12_5",
		       READ_REGISTER("s3_0_c12_c12_5") | 7); /* by registers of the CPU's */
	WRITE_REGISTER("s3_0_c4_c6_0", 0xf0);
	if (has_fiq)
		WRITE_REGISTER("s3_0_c12_c12_6", 1);
	WRITE_REGISTER("s3_0_c12_c12_7", 1);
}

void gic_cpu_init(void)
{
	if (is_v3)
		begin_v3(this_cpu());
	else
		begin_v2(this_cpu());
}

/* A device's interrupt comes to this CPU. */
void gic_route(unsigned int irq)
{
	volatile uint8_t *priority = (volatile uint8_t *)shared(GIC_PRIORITY + irq);

	*priority = PRIORITY;
	*shared(GIC_GROUP + irq / 32 * 4) |= 1u << irq % 32;
	if (is_v3)
		*(volatile uint64_t *)shared(GICD_ROUTE + 8ul * irq) = this_cpu()->hardware_id;
	else
		*((volatile uint8_t *)shared(GICD_TARGETS) + irq) =
			(uint8_t)this_cpu()->machine.sgi_target;
	*shared(GIC_ENABLE + irq / 32 * 4) = 1u << irq % 32;
}
