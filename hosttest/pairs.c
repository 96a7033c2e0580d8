// SPDX-License-Identifier: MIT
/*
 * Every pair of calls, at every moment: the loop. See pairs.h; scripts/pairs.py runs it and makes the table.
 *
 *	pairs --list			names of states and of calls
 *	pairs [--state S] [--a CALL] [--b CALL] [--way W] [--moment M] [--cases N] [--seed N] [--twice|--verify]
 *
 * Of each state and A there is a line "unit ...", behind it one for each B and way, "pair ...", and
 * "fail ..." for each case that failed. --cases N: a sample of about so many for each state and A.
 * --most N: leave each A that touches memory more often than that, with a line "long ...".
 * --moments N: of each A at most so many, by the seed.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "pairs.h"

/* In a sample: */
#define BS_A_UNIT 24u
#define SAMPLE_STOPPERS 2u

OWN struct loop *loop;

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

/* ---- one state and A ---- */

static bool wanted(unsigned int i, enum way way)
{
	const struct b *b = &loop->bs[i];
	const struct tally *tally = &loop->tally[i][way];

	return (way == WAY_STOPPER || case_way_is_open(way, b->form)) &&
	       !forms_apart(loop->now_a, b->form) && tally->hangs < MOST_HANGS &&
	       (!loop->way || chosen(loop->way, way_names[way]));
}

static void put_back(const struct copy *copy)
{
	copy_put_back(copy);
	if (loop->verifies && !copy_is_so(copy)) {
		fprintf(stderr, "pairs: something was written that nobody noted\n");
		abort();
	}
}

static void at_moment(unsigned int m, const struct moment *moment)
{
	bool moved = false;

	copy_take(loop->moment_copy);
	for (unsigned int i = 0; i < loop->nr_bs; i++) {
		for (enum way way = WAY_CPU; way < WAY_STOPPER; way++) {
			if (moved)
				put_back(loop->moment_copy);
			moved = false;
			if (!wanted(i, way) || !loop->drawn[i])
				continue;
			moved = true;
			if (!loop->reference[i][way].known) {
				(void)case_make_reference(i, way);
				put_back(loop->moment_copy);
			}
			if (!loop->reference[i][way].fine) {
				moved = false;
				continue;
			}
			step_stands_at(m);
			if (loop->twice && way == WAY_CPU)
				case_run_twice(i, m, moment);
			else
				case_run(i, way, m, moment);
		}
	}
	put_back(loop->moment_copy);
	step_stands_at(m);
}

static void say_unit(unsigned int moments, double took)
{
	printf("unit\t%s\t%s\t%u\t%u\t%zu\t%lu\t%lu\t%.2f\n", loop->now_state->name,
	       form_name(loop->now_a), loop->accesses, moments, memory_pages(), loop->unit_cases,
	       loop->unit_failed, took);
	for (unsigned int i = 0; i < loop->nr_bs; i++) {
		for (enum way way = WAY_CPU; way < NR_WAYS; way++) {
			const struct tally *tally = &loop->tally[i][way];

			if (tally->cases || tally->failed)
				printf("pair\t%s%s\t%s\t%u\t%u%s\n", form_name(loop->bs[i].form),
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
	       form_name(loop->now_a), what, verdict_names[failure->verdict],
	       (unsigned long)failure->ip, failure->text);
	loop->unit_failed++;
}

/*
 * In a sample, some of the B: two orders are tried of each, so it is better to have few at many
 * moments.
 */
static void draw_bs(void)
{
	unsigned int left = loop->cases ? BS_A_UNIT : loop->nr_bs;

	for (unsigned int i = 0; i < loop->nr_bs; i++) {
		loop->drawn[i] = draw(loop->nr_bs - i) < left;
		left -= loop->drawn[i];
	}
}

/*
 * In a sample so many moments that there are about as many cases as are wanted. Else all, or so
 * many as are wanted at most.
 */
static void run_moments(const struct moment *moments, unsigned int n)
{
	unsigned int stops = loop->moments ? loop->moments : n;

	if (loop->cases)
		stops = (unsigned int)(loop->cases / BS_A_UNIT + 1);
	draw_bs();
	for (unsigned int m = 0; m < n; m++) {
		if (loop->moment >= 0 && m != (unsigned int)loop->moment)
			continue;
		/* Of those that are left, each is as likely as any other. */
		if (loop->moment < 0 && draw(n - m) >= stops)
			continue;
		stops -= loop->moment < 0;
		if (!step_to(m)) {
			fail_unit("on the way");
			return;
		}
		at_moment(m, &moments[m]);
	}
}

/* As handlers of the stopped CPU: A is recorded anew behind each B that has stopped the world. */
static void run_behind(unsigned int i, const struct form *a)
{
	const struct moment *moments;
	unsigned int n;

	if (!wanted(i, WAY_STOPPER) || !case_hold(i) || !case_make_reference(i, WAY_STOPPER))
		return;
	(void)case_hold(i);
	copy_take(loop->held);
	machine_begin(CO_A, a, 1, 0, true);
	n = step_record(loop->most);
	(void)step_moments(&moments);
	copy_put_back(loop->held);
	machine_begin(CO_A, a, 1, 0, true);
	for (unsigned int m = 0; m < n; m++) {
		if (loop->moment >= 0 && m != (unsigned int)loop->moment)
			continue;
		if (!step_to(m)) {
			case_failed(i, WAY_STOPPER, "on the way", 0, 0);
			break;
		}
		copy_take(loop->moment_copy);
		case_run(i, WAY_STOPPER, m, &moments[m]);
		copy_put_back(loop->moment_copy);
		step_stands_at(m);
	}
	step_end();
}

static void run_as_handler(const struct form *a)
{
	unsigned int left = SAMPLE_STOPPERS;

	if (!(a->words & (IRQ | ATOMIC)))
		return;
	for (unsigned int i = 0; i < loop->nr_bs; i++) {
		if (!(loop->bs[i].form->words & WAITS) || (loop->cases && draw(8)))
			continue;
		if (loop->cases && !left--)
			return;
		run_behind(i, a);
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
	machine_begin(CO_A, a, 1, 0, false);
	n = step_record(loop->most);
	if (!n && failure->verdict == V_LONG && loop->most) {
		printf("long\t%s\t%s\n", loop->now_state->name, form_name(a));
		loop->left++;
		return;
	}
	if (!n)
		fail_unit("recorded");
	loop->accesses = step_accesses();
	(void)step_moments(&moments);
	copy_put_back(loop->start);
	machine_begin(CO_A, a, 1, 0, false);
	run_moments(moments, n);
	step_end();
	run_as_handler(a);
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
		if (!chosen(loop->b, form_name(&forms[i])))
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
			if (chosen(loop->a, form_name(&forms[i])) && !is_alone(&forms[i]))
				run_unit(&forms[i]);
		}
	}
	printf("total\t%lu\t%lu\t%lu\n", loop->total_cases, loop->total_failed, loop->checked);
	return loop->total_failed || (!loop->total_cases && !loop->left);
}

static int list(void)
{
	if (!states_cover()) {
		fprintf(stderr, "pairs: two choices of states never meet\n");
		return 1;
	}
	for (unsigned int i = 0; i < nr_states; i++)
		printf("state\t%s\n", states[i].name);
	for (unsigned int i = 0; i < nr_forms; i++)
		printf("form\t%s\t%s\t%s\n", form_name(&forms[i]), is_alone(&forms[i]) ? "alone" : "",
		       forms[i].words & (IRQ | ATOMIC) ? "irq" : "");
	for (unsigned int i = 0; i < nr_forms; i++) {
		for (unsigned int k = 0; k < nr_forms; k++) {
			const char *sentence = forms_apart(&forms[i], &forms[k]);

			if (sentence)
				printf("apart\t%s\t%s\t%s\n", form_name(&forms[i]),
				       form_name(&forms[k]), sentence);
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
		   *cases = value_of(argc, argv, "--cases"), *seed = value_of(argc, argv, "--seed"),
		   *most = value_of(argc, argv, "--most"),
		   *moments = value_of(argc, argv, "--moments");

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
	loop->moments = moments ? (unsigned int)strtoul(moments, NULL, 0) : 0;
	loop->most = most ? (unsigned int)strtoul(most, NULL, 0) : 0;
	loop->seed = loop->dice = seed ? strtoull(seed, NULL, 0) : 1;
	machine_set_up();
	machine_clear();
	memory_set_up();
	step_set_up();
	loop->start = copy_new();
	loop->moment_copy = copy_new();
	loop->held = copy_new();
	loop->second_copy = copy_new();
	loop->twice = argc > 1 && !strcmp(argv[argc - 1], "--twice");
	loop->verifies = argc > 1 && !strcmp(argv[argc - 1], "--verify");
	return run_all();
}
