// SPDX-License-Identifier: MIT
/*
 * The clock is the TSC, the timer that of the local APIC.
 *
 * How fast both run is measured against the PIT's counter, which is read, not waited for: a host that
 * takes the machine away for a while does not make the answer wrong. "tsc_hz=" saves that.
 */
#include "x86.h"

#define PIT_HZ 1193182ul
#define PIT_GATE 0x61
#define MEASURE_TICKS 2400 /* of the PIT, 2 ms */
#define ROUNDS 2
#define GUESS_HZ 1000000000ul

static uint64_t tsc_hz, apic_hz;
static uint64_t apic_per_tick_32; /* with 32 bits of fraction */

/* a * b / c, where the result fits. */
static uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t high;

	__asm__("mulq %3\n\tdivq %4" : "=&d"(high), "=&a"(a) : "1"(a), "r"(b), "r"(c) : "cc");
	return a;
}

static unsigned int pit_read(void)
{
	unsigned int low;

	outb(0x43, 0x80); /* latch channel 2 */
	low = inb(0x42);
	return low | (unsigned int)inb(0x42) << 8;
}

static void pit_start(void)
{
	outb(PIT_GATE, (uint8_t)((inb(PIT_GATE) & ~2u) | 1u));
	outb(0x43, 0xb0); /* channel 2, both bytes, count down once */
	outb(0x42, 0xff);
	outb(0x42, 0xff);
}

/* Return: false if the PIT does not count. */
static bool measure(uint64_t *tsc, uint64_t *apic)
{
	uint64_t tsc0;
	uint32_t apic0;
	unsigned int from, now, tries = 0;

	pit_start();
	do
		from = pit_read();
	while (from < 0xff00 && ++tries < 100);
	tsc0 = arch_clock();
	apic0 = apic_timer_left();
	tries = 0;
	do {
		now = pit_read();
		if (++tries > 1000000)
			return false;
	} while (from - now < MEASURE_TICKS);
	*tsc = (arch_clock() - tsc0) * PIT_HZ / (from - now);
	*apic = (uint64_t)(apic0 - apic_timer_left()) * PIT_HZ / (from - now);
	return true;
}

/* The smaller of two measurements had less in between. */
static void measure_both(void)
{
	uint64_t tsc, apic;

	for (int i = 0; i < ROUNDS; i++) {
		if (!measure(&tsc, &apic)) {
			arch_print("timer: the PIT does not count, assuming 1 GHz\n");
			tsc_hz = apic_hz = GUESS_HZ;
			return;
		}
		if (!tsc_hz || tsc < tsc_hz) {
			tsc_hz = tsc;
			apic_hz = apic;
		}
	}
}

/* With the TSC known: a quarter of a millisecond. */
static void measure_apic(void)
{
	uint64_t start = arch_clock(), spent;
	uint32_t left = apic_timer_left();

	do
		spent = arch_clock() - start;
	while (spent < tsc_hz / 4096);
	apic_hz = mul_div(left - apic_timer_left(), tsc_hz, spent);
}

void clock_calibrate(void)
{
	apic_timer_arm(0xffffffff);
	tsc_hz = arch_param_number("tsc_hz", 0);
	if (tsc_hz >= 1000000)
		measure_apic();
	else
		measure_both();
	apic_timer_arm(0);
	if (!apic_hz)
		arch_panic("timer: the local APIC's timer does not count");
	apic_per_tick_32 = mul_div(apic_hz, 1ul << 32, tsc_hz);
	timer_set_clock(tsc_hz);
}

/* The counter has 32 bits: a longer wait is cut. */
void machine_timer_arm(uint64_t wait)
{
	uint64_t apic;

	if (wait == UINT64_MAX) {
		apic_timer_arm(0);
		return;
	}
	apic = wait >> 40 ? UINT32_MAX : (uint64_t)((unsigned __int128)wait * apic_per_tick_32 >> 32);
	apic_timer_arm(apic > UINT32_MAX ? UINT32_MAX : apic ? (uint32_t)apic : 1);
}
