// SPDX-License-Identifier: MIT
/*
 * The table of orders: each protocol with the orders of the code, then with each of them weakened
 * by a step, and by another one as long as nothing is found.
 *
 *	orders --list			names of protocols
 *	orders [--short] [--trace] NAME	the table of one protocol; with the shortest trace of all that is broken
 *	orders litmus			the machine itself
 *	orders [--short] axioms		the same with programs made from a seed
 *	orders --sites			all accesses: PROTOCOL | FUNCTION | ACCESS | ORDER
 *
 * A line is "states N", or "FUNCTION | ACCESS | ORDER | WEAKER ORDER | what came of it".
 * scripts/orders.py runs it and compares. Status 1: a protocol is wrong as it is, or could not be
 * searched.
 */
#include <stdio.h>
#include <string.h>
#include "orders.h"

static bool brief, traces;
static enum order spare[MOST_SITES]; /* the weakest of each with which nothing was found */

/* What is one step weaker, as far as the kind of access has it; up to two. */
static unsigned int weaker(enum order order, unsigned int kind, enum order out[2])
{
	unsigned int n = 0;

	if (order == SEQ_CST)
		out[n++] = kind == LOAD ? ACQUIRE : kind == STORE ? RELEASE : ACQ_REL;
	else if (order == ACQ_REL)
		out[n++] = ACQUIRE, out[n++] = RELEASE;
	else if (order != RELAXED)
		out[n++] = RELAXED;
	return n;
}

static void say_trace(void)
{
	if (traces)
		search_trace();
}

/*
 * Weaken one site from @from on; @tried: a bit for each order. Return: false: the answer is not
 * known.
 */
static bool try_weaker(unsigned int number, enum order from, unsigned int *tried)
{
	const struct site *site = &machine.protocol->sites[number];
	bool known = true;
	enum order to[2];
	unsigned int n = weaker(from, site->kind, to);

	for (unsigned int i = 0; i < n; i++) {
		struct found found;

		if (*tried & 1u << to[i])
			continue;
		*tried |= 1u << to[i];
		machine_set(machine.protocol);
		machine.order[number] = to[i];
		found = search(brief);
		printf("%s | %s | %s | %s | ", site->function, site->access,
		       order_names[site->order], order_names[to[i]]);
		if (found.wrong)
			printf("broken in %u steps: %s\n", found.steps, found.wrong);
		else
			printf("%s\n", found.exhausted ? "not needed" : "NOT KNOWN: too many states");
		if (found.wrong)
			say_trace();
		if (!found.wrong && found.exhausted && to[i] < spare[number])
			spare[number] = to[i];
		if (!found.wrong && found.exhausted && to[i] != RELAXED)
			found.exhausted = try_weaker(number, to[i], tried);
		known &= found.exhausted;
	}
	return known;
}

/* All that are not needed, each alone, are away. */
static bool try_together(void)
{
	struct found found;

	machine_set(machine.protocol);
	for (unsigned int i = 0; i < machine.sites; i++)
		machine.order[i] = spare[i];
	found = search(brief);
	printf("together | all that are not needed | as in mm/ | weakest | ");
	if (found.wrong)
		printf("broken in %u steps: %s\n", found.steps, found.wrong);
	else
		printf("%s\n", found.exhausted ? "not needed" : "NOT KNOWN: too many states");
	if (found.wrong)
		say_trace();
	return found.exhausted;
}

static bool table(const struct protocol *protocol)
{
	struct found found;
	bool ok;

	machine_set(protocol);
	found = search(brief);
	ok = found.exhausted && !found.wrong && found.states >= protocol->least;
	printf("states %lu\n", found.states);
	if (found.wrong)
		printf("WRONG in %u steps: %s\n", found.steps, found.wrong);
	if (found.wrong)
		say_trace();
	else if (!ok)
		printf("%s\n", found.exhausted ? "TOO FEW states" : "NOT KNOWN: too many states");
	for (unsigned int i = 0; ok && i < machine.sites; i++) {
		unsigned int tried = 0;

		spare[i] = protocol->sites[i].order;
		ok = try_weaker(i, protocol->sites[i].order, &tried);
	}
	ok = ok && try_together();
	return ok;
}

static int run(const char *name)
{
	unsigned int passed = 0, failed = 0;

	if (!strcmp(name, "litmus")) {
		(void)litmus(&passed, &failed);
		printf("litmus: %u passed, %u failed\n", passed, failed);
		return failed != 0;
	}
	if (!strcmp(name, "axioms")) {
		(void)axioms(brief ? 20000 : 300000, &passed, &failed);
		printf("axioms: %u passed, %u failed\n", passed, failed);
		return failed != 0;
	}
	for (unsigned int i = 0; i < nr_protocols; i++)
		if (!strcmp(name, protocols[i]->name))
			return !table(protocols[i]);
	fprintf(stderr, "no protocol is called %s\n", name);
	return 2;
}

static void list_sites(void)
{
	for (unsigned int p = 0; p < nr_protocols; p++) {
		machine_set(protocols[p]);
		for (unsigned int i = 0; i < machine.sites; i++)
			printf("%s | %s | %s | %s\n", protocols[p]->name,
			       protocols[p]->sites[i].function, protocols[p]->sites[i].access,
			       order_names[protocols[p]->sites[i].order]);
	}
}

int main(int argc, char **argv)
{
	int status = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--short"))
			brief = true;
		else if (!strcmp(argv[i], "--trace"))
			traces = true;
		else if (!strcmp(argv[i], "--sites"))
			list_sites();
		else if (!strcmp(argv[i], "--list"))
			for (unsigned int p = 0; p < nr_protocols; p++)
				printf("%s | %s\n", protocols[p]->name, protocols[p]->about);
		else
			status |= run(argv[i]);
	}
	return status;
}
