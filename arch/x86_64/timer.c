// SPDX-License-Identifier: MIT
/*
 * Time: the TSC tells it, the local APIC's timer interrupts when it is due.
 *
 * How fast both run is measured against the PIT's counter, which is read, not waited for: a host that
 * takes the machine away for a while does not make the answer wrong. "tsc_hz=" saves that. The
 * timer is always one-shot; what is next is the earliest of the alarms', the screen's, and the preemption's time.
 */
#include "internal.h"

#define PIT_HZ 1193182ul
#define PIT_GATE 0x61
#define MEASURE_TICKS 2400 /* of the PIT, 2 ms */
#define ROUNDS 2
#define GUESS_HZ 1000000000ul

static uint64_t tsc_hz, apic_hz, tsc_start;
static uint64_t ns_per_tick_32; /* both with 32 bits of fraction */
static uint64_t apic_per_tick_32;

uint64_t arch_tsc_hz(void)
{
	return tsc_hz;
}

static uint64_t scale(uint64_t v, uint64_t by_32)
{
	return (uint64_t)((unsigned __int128)v * by_32 >> 32);
}

/* a * b / c, where the result fits. */
static uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t high;

	__asm__("mulq %3\n\tdivq %4" : "=&d"(high), "=&a"(a) : "1"(a), "r"(b), "r"(c) : "cc");
	return a;
}

/* Longer than a century is a century. */
static uint64_t ns_to_ticks(uint64_t ns)
{
	return mul_div(ns < 1ul << 61 ? ns : 1ul << 61, tsc_hz, 1000000000u);
}

uint64_t arch_now(void)
{
	return scale(arch_tsc() - tsc_start, ns_per_tick_32);
}

void arch_delay(uint64_t ns)
{
	uint64_t start = arch_tsc(), ticks = ns_to_ticks(ns);

	/* Not each turn: an emulated pause costs a thousand times what it waits. */
	for (unsigned int turn = 1; arch_tsc() - start < ticks; turn++) {
		if (turn % 64 == 0)
			arch_relax();
	}
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
	tsc0 = arch_tsc();
	apic0 = apic_timer_left();
	tries = 0;
	do {
		now = pit_read();
		if (++tries > 1000000)
			return false;
	} while (from - now < MEASURE_TICKS);
	*tsc = (arch_tsc() - tsc0) * PIT_HZ / (from - now);
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
	uint64_t start = arch_tsc(), spent;
	uint32_t left = apic_timer_left();

	do
		spent = arch_tsc() - start;
	while (spent < tsc_hz / 4096);
	apic_hz = mul_div(left - apic_timer_left(), tsc_hz, spent);
}

void timer_calibrate(void)
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
	ns_per_tick_32 = (1000000000ul << 32) / tsc_hz;
	apic_per_tick_32 = mul_div(apic_hz, 1ul << 32, tsc_hz);
	tsc_start = arch_tsc();
	boot_info.tsc_hz = tsc_hz;
}

/* xorshift: the sequence is the seed's alone, so that a run can be repeated. */
static uint64_t next_gap(struct timer *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return ns_to_ticks(1 + (t->random >> 11) % t->max_gap);
}

/* Arm for what comes first. A long wait is cut; the interrupt finds nothing due and comes back. */
static void arm(struct timer *t)
{
	uint64_t due = UINT64_MAX, now = arch_tsc(), wait, apic;

	for (int i = 0; i < ARCH_NR_TIMERS; i++)
		if (t->alarm[i].fn && t->alarm[i].due < due)
			due = t->alarm[i].due;
	if (t->draw_due && t->draw_due < due)
		due = t->draw_due;
	wait = due == UINT64_MAX ? due : due > now ? due - now : 1;
	if (t->random) {
		uint64_t gap = next_gap(t);

		wait = gap < wait ? gap : wait;
	}
	if (wait == UINT64_MAX) {
		apic_timer_arm(0);
		return;
	}
	apic = wait >> 40 ? UINT32_MAX : scale(wait, apic_per_tick_32);
	apic_timer_arm(apic > UINT32_MAX ? UINT32_MAX : apic ? (uint32_t)apic : 1);
}

static void set(enum arch_timer which, uint64_t ns, uint64_t period, arch_timer_fn *fn, void *arg)
{
	unsigned long state = arch_irq_save();
	struct timer *t = &this_cpu()->timer;

	t->alarm[which] = (struct alarm){ .fn = fn,
					  .arg = arg,
					  .due = arch_tsc() + ns_to_ticks(ns),
					  .period = ns_to_ticks(period) };
	arm(t);
	arch_irq_restore(state);
}

void arch_timer_oneshot(enum arch_timer which, uint64_t ns, arch_timer_fn *fn, void *arg)
{
	set(which, ns, 0, fn, arg);
}

void arch_timer_periodic(enum arch_timer which, uint64_t ns, arch_timer_fn *fn, void *arg)
{
	set(which, ns, ns ? ns : 1, fn, arg);
}

void arch_timer_stop(enum arch_timer which)
{
	set(which, 0, 0, NULL, NULL);
}

/* Periods that were missed altogether are left out: a slow host must not cause a storm. */
static void run_due(struct alarm *alarm, struct arch_regs *regs)
{
	arch_timer_fn *fn = alarm->fn;
	void *arg = alarm->arg;
	uint64_t now = arch_tsc();

	if (!fn || alarm->due > now)
		return;
	if (alarm->period)
		alarm->due = now - alarm->due < alarm->period ? alarm->due + alarm->period
							      : now + alarm->period;
	else
		alarm->fn = NULL;
	fn(regs, arg);
}

/* The pause gives the turn to another CPU where turns are taken; armed before it, none would move. */
void timer_interrupt(struct arch_regs *regs)
{
	struct timer *t = &this_cpu()->timer;

	if (t->random) {
		t->preemptions++;
		arch_relax();
	}
	if (t->draw_due && t->draw_due <= arch_tsc()) {
		t->draw_due = 0;
		console_draw();
	}
	for (int i = 0; i < ARCH_NR_TIMERS; i++)
		run_due(&t->alarm[i], regs);
	arm(t);
}

void timer_draw_later(uint64_t ns)
{
	struct timer *t = &this_cpu()->timer;

	if (!apic_hz || t->draw_due)
		return;
	t->draw_due = arch_tsc() + ns_to_ticks(ns);
	arm(t);
}

void arch_preempt_start(uint64_t seed, uint64_t max_gap_ns)
{
	unsigned long state = arch_irq_save();
	struct timer *t = &this_cpu()->timer;

	t->random = (seed + 1) * 0x9e3779b97f4a7c15ul + arch_cpu_id() * 0xd1342543de82ef95ul;
	if (!t->random)
		t->random = 1;
	t->max_gap = max_gap_ns ? max_gap_ns : 1;
	t->preemptions = 0;
	arm(t);
	arch_irq_restore(state);
}

uint64_t arch_preempt_stop(void)
{
	unsigned long state = arch_irq_save();
	struct timer *t = &this_cpu()->timer;

	t->random = 0;
	arm(t);
	arch_irq_restore(state);
	return t->preemptions;
}
