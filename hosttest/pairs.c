// SPDX-License-Identifier: MIT
/*
 * Every pair of calls, at every moment: the loop. See pairs.h; scripts/pairs.py runs it and makes the table.
 *
 *	pairs --list			names of states and of calls
 *	pairs [--state S] [--a CALL] [--b CALL] [--way W] [--moment M] [--cases N] [--seed N]
 *
 * Of each state and A there is a line "unit ...", behind it one for each B and way, "pair ...", and "fail ..." for
 * each case that failed. --cases N: a sample of about so many for each state and A.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "pairs.h"

#define MOST_FAILURES 3u /* of one pair in one state, each with its moment; the rest is counted */
#define MOST_HANGS 3u /* then the pair is left in this state, and that is said */
#define BS_A_MOMENT 24u /* in a sample */
#define MOST_BS 400u

struct b {
	const struct form *form;
	unsigned int times;
};

/* How a pair goes, one after the other. */
struct reference {
	bool known, fine;
	struct outcome ab, ba;
};

/* Mapped, so that nothing of it is put back. */
OWN static struct loop {
	const char *state, *a, *b, *way;
	int moment;
	unsigned long cases; /* 0: all */
	uint64_t dice;
	struct b bs[MOST_BS];
	unsigned int nr_bs;
	struct copy *start, *moment_copy;
	const struct state *now_state;
	const struct form *now_a;
	struct reference reference[MOST_BS][NR_WAYS];
	struct tally {
		unsigned int cases, failed, hangs;
	} tally[MOST_BS][NR_WAYS];
	unsigned long unit_cases, unit_failed;
	unsigned long total_cases, total_failed, forbidden;
} * loop;

static uint64_t draw(uint64_t n)
{
	uint64_t z = loop->dice += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return (uint64_t)(((unsigned __int128)z * n) >> 64);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *name_of(const struct form *form)
{
	static char names[4][80];
	static unsigned int next;
	char *name = names[next++ % 4];

	snprintf(name, sizeof(names[0]), "%s%s%s", form->call, *form->tag ? "." : "", form->tag);
	return name;
}

/* @want: names with commas between, each of a call or of a form; NULL: all. */
static bool chosen(const char *want, const char *name)
{
	size_t len = strlen(name), dot = strcspn(name, ".");

	if (!want)
		return true;
	for (;;) {
		size_t n = strcspn(want, ",");

		if ((n == len || n == dot) && !strncmp(want, name, n))
			return true;
		if (!want[n])
			return false;
		want += n + 1;
	}
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

static bool way_is_open(enum way way, const struct form *form)
{
	bool stopped = machine->stopper != CO_NOBODY;

	if (way == WAY_CPU)
		return !stopped && cpu_now() == 0;
	if (!(form->words & (IRQ | ATOMIC)))
		return false;
	if (way == WAY_STOPPED && !stopped)
		return false;
	return !machine->cpu[cpu_for(way)].depth;
}

static void begin_b(const struct b *b, enum way way)
{
	machine_begin(CO_B, b->form, b->times, cpu_for(way), way != WAY_CPU);
}

static void run_b_first(void *arg)
{
	struct outcome *outcome = arg;

	machine_run(CO_B);
	check_outcome(outcome);
	check_after(outcome);
}

static void run_a_then_b(void *arg)
{
	const struct b *b = ((struct outcome *)arg)->b;

	machine_begin(CO_A, loop->now_a, 1, 0, false);
	machine_run(CO_A);
	machine_begin(CO_B, b->form, b->times, ((struct outcome *)arg)->way == WAY_HANDLER ? 0 : 1,
		      ((struct outcome *)arg)->way != WAY_CPU);
	run_b_first(arg);
}

static void run_b_then_a(void *arg)
{
	const struct b *b = ((struct outcome *)arg)->b;

	machine_begin(CO_B, b->form, b->times, ((struct outcome *)arg)->way == WAY_HANDLER ? 0 : 1,
		      ((struct outcome *)arg)->way != WAY_CPU);
	machine_run(CO_B);
	machine_begin(CO_A, loop->now_a, 1, 0, false);
	machine_run(CO_A);
	check_outcome(arg);
	check_after(arg);
}

static void say_failed(const struct b *b, enum way way, const char *moment, unsigned int step,
		       uintptr_t ip)
{
	extern char __executable_start[];
	uintptr_t base = (uintptr_t)__executable_start;

	printf("fail\t%s\t%s\t%s%s\t%s\t%s\t%u\t%#lx\t%s\t%#lx\t%s\n", loop->now_state->name,
	       name_of(loop->now_a), name_of(b->form), b->times > 1 ? "*2" : "", way_names[way],
	       moment, step, ip ? (unsigned long)(ip - base) : 0, verdict_names[failure->verdict],
	       failure->ip ? (unsigned long)(failure->ip - base) : 0, failure->text);
	fflush(stdout);
}

static void count_failed(unsigned int i, enum way way, const char *moment, unsigned int step,
			 uintptr_t ip)
{
	struct tally *tally = &loop->tally[i][way];

	loop->unit_failed++;
	tally->hangs += failure->verdict == V_HANG;
	if (tally->failed++ < MOST_FAILURES)
		say_failed(&loop->bs[i], way, moment, step, ip);
}

static bool make_reference(unsigned int i, enum way way)
{
	struct reference *reference = &loop->reference[i][way];

	if (reference->known)
		return reference->fine;
	reference->known = true;
	reference->ab = reference->ba = (struct outcome){ .b = &loop->bs[i], .way = way };
	copy_put_back(loop->start);
	reference->fine = machine_try(run_a_then_b, &reference->ab);
	if (!reference->fine)
		count_failed(i, way, "behind", 0, 0);
	copy_put_back(loop->start);
	if (!machine_try(run_b_then_a, &reference->ba)) {
		count_failed(i, way, "before", 0, 0);
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

/* The machine stands at the moment. */
static void run_case(unsigned int i, enum way way, unsigned int m, const struct moment *moment)
{
	const struct b *b = &loop->bs[i];
	struct reference *reference = &loop->reference[i][way];
	struct outcome seen = { .b = b, .way = way };
	bool full = state_is_full(loop->now_state), fine;
	char name[16];

	loop->tally[i][way].cases++;
	loop->unit_cases++;
	begin_b(b, way);
	fine = machine_try(run_b_first, &seen);
	if (fine && !check_alike(loop->now_a, b->form, full, &seen, &reference->ab) &&
	    !check_alike(loop->now_a, b->form, full, &seen, &reference->ba)) {
		explain(&seen, reference);
		fine = false;
	}
	snprintf(name, sizeof(name), "%u", m);
	if (!fine)
		count_failed(i, way, name, moment->step, moment->ip);
}

/* ---- one state and A ---- */

static bool wanted(unsigned int i, enum way way)
{
	const struct b *b = &loop->bs[i];
	const struct tally *tally = &loop->tally[i][way];

	return way_is_open(way, b->form) && !forms_apart(loop->now_a, b->form) &&
	       tally->hangs < MOST_HANGS && (!loop->way || chosen(loop->way, way_names[way]));
}

static void at_moment(unsigned int m, const struct moment *moment, unsigned int permille)
{
	bool put_back = false;

	copy_take(loop->moment_copy);
	for (unsigned int i = 0; i < loop->nr_bs; i++) {
		for (enum way way = WAY_CPU; way < NR_WAYS; way++) {
			if (put_back)
				copy_put_back(loop->moment_copy);
			put_back = false;
			if (!wanted(i, way) || (permille < 1000 && draw(1000) >= permille))
				continue;
			put_back = true;
			if (!loop->reference[i][way].known) {
				(void)make_reference(i, way);
				copy_put_back(loop->moment_copy);
			}
			if (!loop->reference[i][way].fine) {
				put_back = false;
				continue;
			}
			step_stands_at(m);
			run_case(i, way, m, moment);
		}
	}
	copy_put_back(loop->moment_copy);
	step_stands_at(m);
}

static void say_unit(unsigned int moments, double took)
{
	printf("unit\t%s\t%s\t%u\t%u\t%zu\t%lu\t%lu\t%.2f\n", loop->now_state->name,
	       name_of(loop->now_a), step_instructions(), moments, memory_pages(), loop->unit_cases,
	       loop->unit_failed, took);
	for (unsigned int i = 0; i < loop->nr_bs; i++) {
		for (enum way way = WAY_CPU; way < NR_WAYS; way++) {
			const struct tally *tally = &loop->tally[i][way];

			if (tally->cases || tally->failed)
				printf("pair\t%s%s\t%s\t%u\t%u%s\n", name_of(loop->bs[i].form),
				       loop->bs[i].times > 1 ? "*2" : "", way_names[way],
				       tally->cases, tally->failed,
				       tally->hangs >= MOST_HANGS ? "\tleft" : "");
		}
	}
	fflush(stdout);
}

static void fail_unit(const char *what)
{
	printf("fail\t%s\t%s\t\t\t%s\t0\t0\t%s\t%#lx\t%s\n", loop->now_state->name,
	       name_of(loop->now_a), what, verdict_names[failure->verdict],
	       (unsigned long)failure->ip, failure->text);
	loop->unit_failed++;
}

/* Of how many moments, and of how many B at each, so that there are about as many cases as are wanted. */
static void run_moments(const struct moment *moments, unsigned int n)
{
	unsigned int permille = 1000, stops = n;

	if (loop->cases) {
		permille = BS_A_MOMENT * 1000 / (loop->nr_bs + 1);
		stops = (unsigned int)(loop->cases / BS_A_MOMENT + 1);
		permille = permille > 1000 ? 1000 : permille;
	}
	for (unsigned int m = 0; m < n; m++) {
		if (loop->moment >= 0 && m != (unsigned int)loop->moment)
			continue;
		if (stops < n && draw(n) >= stops)
			continue;
		if (!step_to(m)) {
			fail_unit("on the way");
			return;
		}
		at_moment(m, &moments[m], permille);
	}
}

static void run_unit(const struct form *a)
{
	const struct moment *moments;
	double from = seconds();
	unsigned int n;

	loop->now_a = a;
	loop->unit_cases = loop->unit_failed = 0;
	memset(loop->reference, 0, sizeof(loop->reference));
	memset(loop->tally, 0, sizeof(loop->tally));
	copy_put_back(loop->start);
	n = step_record(a);
	if (!n)
		fail_unit(failure->verdict == V_PASSED ? "no moment in it" : "recorded");
	(void)step_moments(&moments);
	copy_put_back(loop->start);
	machine_begin(CO_A, a, 1, 0, false);
	run_moments(moments, n);
	step_end();
	say_unit(n, seconds() - from);
	loop->total_cases += loop->unit_cases;
	loop->total_failed += loop->unit_failed;
}

/* ---- all ---- */

static bool may_be_twice(const struct form *form)
{
	return (form->words & WAITS) && form->effect == NOTHING;
}

static void choose_bs(void)
{
	for (unsigned int i = 0; i < nr_forms; i++) {
		if (!chosen(loop->b, name_of(&forms[i])))
			continue;
		for (unsigned int times = 1; times <= 1u + may_be_twice(&forms[i]); times++) {
			if (loop->nr_bs == MOST_BS)
				abort();
			loop->bs[loop->nr_bs++] = (struct b){ &forms[i], times };
		}
	}
}

/* Whether anybody may be inside beside it. */
static bool is_alone(const struct form *form)
{
	for (unsigned int i = 0; i < nr_forms; i++) {
		if (!forms_apart(form, &forms[i]))
			return false;
	}
	return true;
}

static int run_all(void)
{
	choose_bs();
	for (unsigned int s = 0; s < nr_states; s++) {
		if (!chosen(loop->state, states[s].name))
			continue;
		loop->now_state = &states[s];
		if (!state_make(&states[s])) {
			printf("fail\t%s\t\t\t\tmade\t0\t0\t%s\t%#lx\t%s\n", states[s].name,
			       verdict_names[failure->verdict], (unsigned long)failure->ip,
			       failure->text);
			loop->total_failed++;
			continue;
		}
		copy_take(loop->start);
		for (unsigned int i = 0; i < nr_forms; i++) {
			if (chosen(loop->a, name_of(&forms[i])) && !is_alone(&forms[i]))
				run_unit(&forms[i]);
		}
	}
	printf("total\t%lu\t%lu\n", loop->total_cases, loop->total_failed);
	return loop->total_failed || !loop->total_cases;
}

static int list(void)
{
	for (unsigned int i = 0; i < nr_states; i++)
		printf("state\t%s\n", states[i].name);
	for (unsigned int i = 0; i < nr_forms; i++)
		printf("form\t%s\t%s\t%s\n", name_of(&forms[i]), is_alone(&forms[i]) ? "alone" : "",
		       forms[i].words & (IRQ | ATOMIC) ? "irq" : "");
	for (unsigned int i = 0; i < nr_forms; i++) {
		for (unsigned int k = 0; k < nr_forms; k++) {
			const char *sentence = forms_apart(&forms[i], &forms[k]);

			if (sentence)
				printf("apart\t%s\t%s\t%s\n", name_of(&forms[i]),
				       name_of(&forms[k]), sentence);
		}
	}
	return 0;
}

static const char *value_of(int argc, char **argv, const char *option)
{
	for (int i = 1; i + 1 < argc; i++) {
		if (!strcmp(argv[i], option))
			return argv[i + 1];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const char *moment = value_of(argc, argv, "--moment"),
		   *cases = value_of(argc, argv, "--cases"), *seed = value_of(argc, argv, "--seed");

	if (argc == 2 && !strcmp(argv[1], "--list"))
		return list();
	loop = mmap(NULL, sizeof(*loop), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (loop == MAP_FAILED)
		return 70;
	loop->state = value_of(argc, argv, "--state");
	loop->a = value_of(argc, argv, "--a");
	loop->b = value_of(argc, argv, "--b");
	loop->way = value_of(argc, argv, "--way");
	loop->moment = moment ? atoi(moment) : -1;
	loop->cases = cases ? strtoul(cases, NULL, 0) : 0;
	loop->dice = seed ? strtoull(seed, NULL, 0) : 1;
	machine_set_up();
	machine_clear();
	memory_set_up();
	step_set_up();
	loop->start = copy_new();
	loop->moment_copy = copy_new();
	return run_all();
}
