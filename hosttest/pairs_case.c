// SPDX-License-Identifier: MIT
/* One case of a pair: run, compared with the pair's two orders, and reported. See pairs.h. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "pairs.h"

const char *form_name(const struct form *form)
{
	OWN static char names[4][80];
	OWN static unsigned int next;
	char *name = names[next++ % 4];

	snprintf(name, sizeof(names[0]), "%s%s%s", form->call, *form->tag ? "." : "", form->tag);
	return name;
}

/* ---- one case ---- */

static unsigned int cpu_now(void)
{
	return machine->now == CO_NOBODY ? 0 : machine->co[machine->now].cpu;
}

/* Where @way comes: on which CPU. */
static unsigned int cpu_for(enum way way)
{
	return way == WAY_HANDLER ? cpu_now() : 1 - cpu_now();
}

bool case_way_is_open(enum way way, const struct form *form)
{
	bool stopped = machine->stopper != CO_NOBODY;

	if (way == WAY_STOPPER)
		return false;
	if (way == WAY_CPU)
		return !stopped && cpu_now() == 0;
	if (!(form->words & (IRQ | ATOMIC)))
		return false;
	if (way == WAY_STOPPED && !stopped)
		return false;
	return !machine->cpu[cpu_for(way)].depth;
}

static void begin_a(enum way way)
{
	machine_begin(CO_A, loop->now_a, 1, 0, way == WAY_STOPPER);
}

/* Before or after A: where it would have come. */
static void begin_b_alone(const struct outcome *outcome)
{
	const struct b *b = outcome->b;

	machine_begin(CO_B, b->form, b->times, outcome->way == WAY_HANDLER ? 0 : 1,
		      outcome->way == WAY_HANDLER || outcome->way == WAY_STOPPED);
}

/* ---- what was seen already ---- */

#define MOST_SEEN (1u << 16)
#define NEAR 8u

/* What the checks found in memory like this; never a failure. */
struct seen {
	uint64_t hash;
	struct outcome outcome;
};
OWN static struct seen *seen;

/* Where it is; or where it may be put. */
static struct seen *seen_of(uint64_t hash)
{
	struct seen *near;

	if (!seen)
		seen = mmap(NULL, MOST_SEEN * sizeof(*seen), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (seen == MAP_FAILED)
		abort();
	near = &seen[hash % (MOST_SEEN / NEAR) * NEAR];
	for (unsigned int i = 0; i < NEAR; i++) {
		if (near[i].hash == hash || !near[i].hash)
			return &near[i];
	}
	return &near[hash >> 32 & (NEAR - 1)];
}

/* What is left of how it came there is nothing to the checks. */
static void forget_the_way(void)
{
	machine->yields = 0;
	machine->worker_fn = NULL;
	machine->worker_arg = NULL;
	machine->inside = false;
	for (enum who who = CO_A; who < NR_CO; who++) {
		machine->co[who].sp = NULL;
		memset(&machine->co[who].registers, 0, sizeof(machine->co[who].registers));
		machine->co[who].cpu = 0;
		machine->co[who].times = 0;
	}
}

static bool all_have_ended(void)
{
	for (enum who who = CO_A; who < NR_CO; who++) {
		if (machine->co[who].started && !machine->co[who].ended)
			return false;
	}
	return true;
}

static void check(struct outcome *outcome)
{
	loop->checked++;
	check_after(outcome);
}

static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
	return a->result[0] == b->result[0] && a->result[1] == b->result[1] &&
	       !memcmp(a->reports, b->reports, sizeof(a->reports)) &&
	       a->left_objects == b->left_objects && a->left_pages == b->left_pages;
}

/* The checks go the same way in the same memory, so what they once said holds. */
static void look(struct outcome *outcome)
{
	const struct b *b = outcome->b;
	enum way way = outcome->way;
	struct seen *known;
	uint64_t hash;

	check_outcome(outcome);
	if (!all_have_ended()) {
		check(outcome);
		return;
	}
	forget_the_way();
	hash = memory_hash() | 1;
	known = seen_of(hash);
	if (known->hash != hash) {
		check(outcome);
		*known = (struct seen){ hash, *outcome };
	} else if (loop->verifies) {
		check(outcome);
		if (!same_outcome(outcome, &known->outcome))
			machine_fail(V_ENGINE, 0, "memory as it was, and not the same outcome");
	}
	*outcome = known->outcome;
	outcome->b = b;
	outcome->way = way;
}

static void run_b(void *arg)
{
	machine_run(CO_B);
	look(arg);
}

static void run_held(void *arg)
{
	machine_begin(CO_B, ((struct b *)arg)->form, ((struct b *)arg)->times, 1, false);
	machine->hold = true;
	machine_run(CO_B);
}

bool case_hold(unsigned int i)
{
	copy_put_back(loop->start);
	return machine_try(run_held, &loop->bs[i]) && !machine->hold;
}

/* B has stopped the world, and goes on by itself when A has ended. */
static void run_a_while_held(void *arg)
{
	begin_a(WAY_STOPPER);
	machine_run(CO_A);
	look(arg);
}

static void run_a_then_b(void *arg)
{
	struct outcome *outcome = arg;

	begin_a(outcome->way);
	machine_run(CO_A);
	begin_b_alone(outcome);
	run_b(arg);
}

static void run_b_then_a(void *arg)
{
	struct outcome *outcome = arg;

	begin_b_alone(outcome);
	machine_run(CO_B);
	begin_a(outcome->way);
	machine_run(CO_A);
	look(outcome);
}

static void say_failed(const struct b *b, enum way way, const char *moment, unsigned int step,
		       uintptr_t ip)
{
	printf("fail\t%s\t%s\t%s%s\t%s\t%s\t%u\t%#lx\t%s\t%#lx\t%s\n", loop->now_state->name,
	       form_name(loop->now_a), form_name(b->form), b->times > 1 ? "*2" : "", way_names[way],
	       moment, step, (unsigned long)ip, verdict_names[failure->verdict],
	       (unsigned long)failure->ip, failure->text);
	fflush(stdout);
}

void case_failed(unsigned int i, enum way way, const char *moment, unsigned int step, uintptr_t ip)
{
	struct tally *tally = &loop->tally[i][way];

	loop->unit_failed++;
	tally->hangs += failure->verdict == V_HANG;
	if (tally->failed++ < MOST_FAILURES)
		say_failed(&loop->bs[i], way, moment, step, ip);
}

bool case_make_reference(unsigned int i, enum way way)
{
	struct reference *reference = &loop->reference[i][way];

	if (reference->known)
		return reference->fine;
	reference->known = true;
	reference->ab = reference->ba = (struct outcome){ .b = &loop->bs[i], .way = way };
	if (way == WAY_STOPPER) {
		reference->fine = case_hold(i) && machine_try(run_a_while_held, &reference->ab);
	} else {
		copy_put_back(loop->start);
		reference->fine = machine_try(run_a_then_b, &reference->ab);
	}
	if (!reference->fine)
		case_failed(i, way, "behind", 0, 0);
	copy_put_back(loop->start);
	if (!machine_try(run_b_then_a, &reference->ba)) {
		case_failed(i, way, "before", 0, 0);
		reference->fine = false;
	}
	return reference->fine;
}

/* "answers, reports, what was left" */
static void describe(char *text, size_t size, const struct outcome *outcome)
{
	int at = snprintf(text, size, "%#lx %#lx", outcome->result[0], outcome->result[1]);

	for (unsigned int i = 0; i < MW_NR_MISUSES; i++) {
		if (outcome->reports[i])
			at += snprintf(text + at, size - (size_t)at, " %u %s", outcome->reports[i],
				       mw_misuse_name((enum mw_misuse)i));
	}
	if (outcome->left_objects || outcome->left_pages)
		snprintf(text + at, size - (size_t)at, " left %zu+%zu", outcome->left_objects,
			 outcome->left_pages);
}

static void explain(const struct outcome *seen, const struct reference *reference)
{
	char text[3][120];

	describe(text[0], sizeof(text[0]), seen);
	describe(text[1], sizeof(text[1]), &reference->ab);
	describe(text[2], sizeof(text[2]), &reference->ba);
	failure->verdict = V_ORDER;
	failure->ip = 0;
	snprintf(failure->text, sizeof(failure->text), "%s; in order: %s, or %s", text[0], text[1],
		 text[2]);
}

/* Held against both orders. */
static void judge(unsigned int i, enum way way, bool fine, const struct outcome *seen,
		  const char *name, const struct moment *moment)
{
	const struct form *b = loop->bs[i].form;
	struct reference *reference = &loop->reference[i][way];
	bool full = state_is_full(loop->now_state);

	loop->tally[i][way].cases++;
	loop->unit_cases++;
	if (fine && !check_alike(loop->now_a, b, full, seen, &reference->ab) &&
	    !check_alike(loop->now_a, b, full, seen, &reference->ba)) {
		explain(seen, reference);
		fine = false;
	}
	if (!fine)
		case_failed(i, way, name, moment->step, moment->ip);
}

void case_run(unsigned int i, enum way way, unsigned int m, const struct moment *moment)
{
	const struct b *b = &loop->bs[i];
	struct outcome seen = { .b = b, .way = way };
	char name[16];
	bool fine;

	if (way != WAY_STOPPER)
		machine_begin(CO_B, b->form, b->times, cpu_for(way), way != WAY_CPU);
	fine = machine_try(run_b, &seen);
	snprintf(name, sizeof(name), "%u", m);
	judge(i, way, fine, &seen, name, moment);
}

static void run_a_again(void *arg)
{
	machine_run(CO_A);
	look(arg);
}

/* B stands at its moment @k. */
static void run_second(unsigned int i, unsigned int m, unsigned int k, const struct moment *moment)
{
	struct outcome seen = { .b = &loop->bs[i], .way = WAY_CPU };
	char name[24];
	bool fine;

	if (!machine_may_run(CO_A))
		return;
	copy_take(loop->second_copy);
	fine = machine_try(run_a_again, &seen);
	snprintf(name, sizeof(name), "%u/%u", m, k);
	judge(i, WAY_CPU, fine, &seen, name, moment);
	copy_put_back(loop->second_copy);
	step_stands_at(k);
}

void case_run_twice(unsigned int i, unsigned int m, const struct moment *moment)
{
	const struct b *b = &loop->bs[i];
	const struct moment *moments;
	unsigned int n;

	step_use(CO_B);
	machine_begin(CO_B, b->form, b->times, 1, false);
	n = step_record(loop->most);
	(void)step_moments(&moments);
	copy_put_back(loop->moment_copy);
	machine_begin(CO_B, b->form, b->times, 1, false);
	for (unsigned int k = 0; k < n; k++) {
		/* Where A had to go on, there is no second switch behind that. */
		if (!step_to(k))
			break;
		run_second(i, m, k, moment);
	}
	step_end();
	step_use(CO_A);
}
