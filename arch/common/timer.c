// SPDX-License-Identifier: MIT
/*
 * Time: the machine's clock tells it, its timer interrupts when it is due.
 *
 * The timer is always one-shot; what is next is the earliest of the alarms', the screen's, and the preemption's time.
 */
#include "internal.h"

#define NS 1000000000ul

static uint64_t clock_hz, clock_start;
static uint64_t ns_per_tick_32; /* with 32 bits of fraction */

uint64_t arch_clock_hz(void)
{
	return clock_hz;
}

/* Longer than a century is a century. */
static uint64_t ns_to_ticks(uint64_t ns)
{
	ns = ns < 1ul << 61 ? ns : 1ul << 61;
	return ns / NS * clock_hz + ns % NS * clock_hz / NS;
}

uint64_t arch_now(void)
{
	return (uint64_t)((unsigned __int128)(arch_clock() - clock_start) * ns_per_tick_32 >> 32);
}

void arch_delay(uint64_t ns)
{
	uint64_t start = arch_clock(), ticks = ns_to_ticks(ns);

	/* Not each turn: an emulated pause costs a thousand times what it waits. */
	for (unsigned int turn = 1; arch_clock() - start < ticks; turn++) {
		if (turn % 64 == 0)
			arch_relax();
	}
}

void timer_set_clock(uint64_t hz)
{
	clock_hz = hz;
	ns_per_tick_32 = (NS << 32) / hz;
	clock_start = arch_clock();
}

/* xorshift: the sequence is the seed's alone, so that a run can be repeated. */
static uint64_t next_gap(struct timer *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return ns_to_ticks(1 + (t->random >> 11) % t->max_gap);
}

/* Arm for what comes first. The machine may be early: the interrupt finds nothing due and comes back. */
static void arm(struct timer *t)
{
	uint64_t due = UINT64_MAX, now = arch_clock(), wait;

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
	machine_timer_arm(wait);
}

static void set(enum arch_timer which, uint64_t ns, uint64_t period, arch_timer_fn *fn, void *arg)
{
	unsigned long state = arch_irq_save();
	struct timer *t = &this_cpu()->timer;

	t->alarm[which] = (struct alarm){ .fn = fn,
					  .arg = arg,
					  .due = arch_clock() + ns_to_ticks(ns),
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
	uint64_t now = arch_clock();

	if (!fn || alarm->due > now)
		return;
	if (alarm->period)
		alarm->due = now - alarm->due < alarm->period ? alarm->due + alarm->period
							      : now + alarm->period;
	else
		alarm->fn = NULL;
	fn(regs, arg);
}

/* Relaxing gives the turn to another CPU where turns are taken; armed before it, none would move. */
void timer_interrupt(struct arch_regs *regs)
{
	struct timer *t = &this_cpu()->timer;

	if (t->random) {
		t->preemptions++;
		arch_relax();
	}
	if (t->draw_due && t->draw_due <= arch_clock()) {
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

	if (!clock_hz || t->draw_due)
		return;
	t->draw_due = arch_clock() + ns_to_ticks(ns);
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
