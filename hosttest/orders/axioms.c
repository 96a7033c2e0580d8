// SPDX-License-Identifier: MIT
/*
 * The machine against the axioms: small programs made from a seed, whose outcomes are what the
 * search finds, and what is left of all ways to choose what each load reads and how stores follow
 * each other, once the axioms of C11 have ruled out the others. Both must be the same. With fences
 * that are sequentially consistent the machine may have fewer.
 *
 * The axioms: nothing reads what comes behind it (no cycle of sequenced-before and reads-from,
 * which leaves load buffering out); what happens before something is not behind it in the order of
 * a location; a read-modify-write comes right behind what it reads; and sequentially consistent
 * accesses have one order, which agrees with happens-before and with what each location's order
 * says.
 */
#include <stdio.h>
#include <string.h>
#include "orders.h"

#define LOCATIONS 2u
#define MOST_OPS 6u
#define MOST_NODES (LOCATIONS + MOST_OPS) /* with the first stores of all */
#define MOST_OUTCOMES 4096u

typedef uint16_t row; /* of a relation: a bit for each node that comes behind */

struct op {
	unsigned int thread, kind, location;
	enum order order;
};

static struct op ops[MOST_OPS];
static unsigned int nr_ops, threads;
static uint64_t dice;

/* What each load has read, and what each location has in the end: numbers of nodes, a byte each. */
struct outcomes {
	uint64_t is[MOST_OUTCOMES];
	unsigned int count;
};

static struct outcomes of_machine, of_axioms;

static void add(struct outcomes *to, uint64_t outcome)
{
	for (unsigned int i = 0; i < to->count; i++)
		if (to->is[i] == outcome)
			return;
	if (to->count < MOST_OUTCOMES)
		to->is[to->count++] = outcome;
}

static bool has(const struct outcomes *in, uint64_t outcome)
{
	for (unsigned int i = 0; i < in->count; i++)
		if (in->is[i] == outcome)
			return true;
	return false;
}

static bool reads(unsigned int op)
{
	return ops[op].kind == LOAD || ops[op].kind == UPDATE;
}

static bool writes(unsigned int op)
{
	return ops[op].kind == STORE || ops[op].kind == UPDATE;
}

/* ---- a program ---- */

static unsigned int draw(unsigned int n)
{
	uint64_t z = dice += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (unsigned int)((z ^ z >> 31) % n);
}

/*
 * Most are as strong as @theme says: what all of a program's are together shows in few outcomes
 * else.
 */
static enum order draw_order(unsigned int kind, unsigned int theme)
{
	static const enum order loads[] = { RELAXED, ACQUIRE, SEQ_CST };
	static const enum order stores[] = { RELAXED, RELEASE, SEQ_CST };
	static const enum order updates[] = { RELAXED, ACQUIRE, RELEASE, ACQ_REL, SEQ_CST };
	static const enum order themes[] = { RELAXED, ACQ_REL, SEQ_CST };
	bool as_said = draw(4);

	if (kind == LOAD)
		return loads[as_said ? theme : draw(3)];
	if (kind == STORE)
		return stores[as_said ? theme : draw(3)];
	if (kind == UPDATE)
		return as_said ? themes[theme] : updates[draw(5)];
	return as_said && theme ? themes[theme] : updates[1 + draw(4)];
}

static void make(void)
{
	static const unsigned int kinds[] = { LOAD,  LOAD,   LOAD,  STORE, STORE,
					      STORE, UPDATE, FENCE, FENCE };
	unsigned int fences = draw(2) ? 7 : 9; /* half of the programs have none */
	unsigned int theme = draw(3);

	threads = 2 + draw(3);
	nr_ops = 4 + draw(3);
	for (unsigned int i = 0; i < nr_ops; i++) {
		ops[i].thread = i < threads ? i : draw(threads);
		ops[i].kind = kinds[draw(fences)];
		ops[i].location = draw(LOCATIONS);
		ops[i].order = draw_order(ops[i].kind, theme);
	}
}

static bool has_fence(bool agreed)
{
	for (unsigned int i = 0; i < nr_ops; i++)
		if (ops[i].kind == FENCE && (!agreed || ops[i].order == SEQ_CST))
			return true;
	return false;
}

/* ---- by the machine ---- */

/* A store writes the number of its node. */
static void run_op(unsigned int i)
{
	unsigned int l = ops[i].location, value = LOCATIONS + i;

	if (ops[i].kind == LOAD)
		set_ghost(i, load(i, l));
	else if (ops[i].kind == STORE)
		store(i, l, value);
	else if (ops[i].kind == UPDATE)
		set_ghost(i, exchange(i, l, value));
	else
		fence(i);
}

static void run_thread(void)
{
	for (unsigned int i = 0; i < nr_ops; i++)
		if (ops[i].thread == machine.thread)
			run_op(i);
}

static void begin(void)
{
	for (unsigned int l = 0; l < LOCATIONS; l++)
		begin_with(l, l);
}

static const char *note_outcome(void)
{
	uint64_t outcome = 0;

	for (unsigned int i = 0; i < nr_ops; i++)
		outcome = outcome << 8 | last_ghost(i);
	for (unsigned int l = 0; l < LOCATIONS; l++)
		outcome = outcome << 8 | last(l);
	add(&of_machine, outcome);
	return NULL;
}

static bool by_machine(void)
{
	static struct protocol program;

	program = (struct protocol){
		.name = "a program", .location = { "x", "y" }, .start = begin, .wrong = note_outcome
	};
	for (unsigned int t = 0; t < threads; t++)
		program.run[t] = run_thread;
	for (unsigned int i = 0; i < nr_ops; i++)
		program.sites[i] = (struct site){ "", "", ops[i].order, ops[i].kind };
	machine_set(&program);
	of_machine.count = 0;
	return search(false).exhausted;
}

/* ---- by the axioms ---- */

struct execution {
	unsigned int nodes;
	unsigned int from[MOST_NODES]; /* reads: the node that is read */
	unsigned int at[MOST_NODES]; /* writes: place in the order of the location */
	row before[MOST_NODES], happens[MOST_NODES], eco[MOST_NODES];
};

static struct execution ex;

static bool node_reads(unsigned int n)
{
	return n >= LOCATIONS && reads(n - LOCATIONS);
}

static bool node_writes(unsigned int n)
{
	return n < LOCATIONS || writes(n - LOCATIONS);
}

static bool node_is_fence(unsigned int n)
{
	return n >= LOCATIONS && ops[n - LOCATIONS].kind == FENCE;
}

static unsigned int location_of(unsigned int n)
{
	return n < LOCATIONS ? n : ops[n - LOCATIONS].location;
}

static enum order order_of(unsigned int n)
{
	return n < LOCATIONS ? RELAXED : ops[n - LOCATIONS].order;
}

static void close_over(row *r)
{
	for (unsigned int k = 0; k < ex.nodes; k++)
		for (unsigned int i = 0; i < ex.nodes; i++)
			if (r[i] >> k & 1)
				r[i] |= r[k];
}

static bool has_ring(const row *r)
{
	for (unsigned int i = 0; i < ex.nodes; i++)
		if (r[i] >> i & 1)
			return true;
	return false;
}

static void sequence(row *r)
{
	memset(r, 0, sizeof(row) * MOST_NODES);
	for (unsigned int a = 0; a < ex.nodes; a++)
		for (unsigned int b = a + 1; b < ex.nodes; b++)
			if (b >= LOCATIONS && (a < LOCATIONS || ops[a - LOCATIONS].thread ==
									ops[b - LOCATIONS].thread))
				r[a] |= (row)(1u << b);
}

/* Is @n in the release sequence that begins with @head? */
static bool in_sequence(unsigned int head, unsigned int n)
{
	while (n != head) {
		if (!node_reads(n))
			return false;
		n = ex.from[n];
	}
	return true;
}

/* What publishes by the write @w: itself, or a fence before it. And what learns by the read @r. */
static bool publishes(unsigned int a, unsigned int w)
{
	if (a == w)
		return order_of(a) >= RELEASE;
	return node_is_fence(a) && order_of(a) >= RELEASE && ex.before[a] >> w & 1;
}

static bool learns(unsigned int b, unsigned int r)
{
	bool acquires = order_of(b) == ACQUIRE || order_of(b) >= ACQ_REL;

	if (b == r)
		return acquires;
	return node_is_fence(b) && acquires && ex.before[r] >> b & 1;
}

static void synchronize(unsigned int w, unsigned int r)
{
	for (unsigned int a = 0; a < ex.nodes; a++)
		for (unsigned int b = 0; b < ex.nodes; b++)
			if (a != b && publishes(a, w) && learns(b, r))
				ex.happens[a] |= (row)(1u << b);
}

static bool happens_before(void)
{
	row causes[MOST_NODES];

	sequence(ex.before);
	memcpy(causes, ex.before, sizeof(causes));
	for (unsigned int n = 0; n < ex.nodes; n++)
		if (node_reads(n))
			causes[ex.from[n]] |= (row)(1u << n);
	close_over(causes);
	if (has_ring(causes))
		return false;
	memcpy(ex.happens, ex.before, sizeof(ex.happens));
	for (unsigned int w = 0; w < ex.nodes; w++)
		for (unsigned int r = 0; r < ex.nodes; r++)
			if (node_writes(w) && node_reads(r) && in_sequence(w, ex.from[r]))
				synchronize(w, r);
	close_over(ex.happens);
	return !has_ring(ex.happens);
}

/* Where in its location's order a node is: reads twice as far as what they read, and one. */
static unsigned int place(unsigned int n, bool as_read)
{
	return as_read ? 2 * ex.at[ex.from[n]] + 1 : 2 * ex.at[n];
}

static bool is_eco(unsigned int a, unsigned int b)
{
	unsigned int from, to;

	if (a == b || node_is_fence(a) || node_is_fence(b) || location_of(a) != location_of(b))
		return false;
	from = node_writes(a) ? place(a, false) : place(a, true);
	to = node_writes(b) ? place(b, false) : place(b, true);
	if (node_writes(a))
		return to > from;
	return to > from; /* two reads of one write are not ordered */
}

static bool coherent(void)
{
	for (unsigned int n = 0; n < ex.nodes; n++)
		if (node_reads(n) && node_writes(n) && ex.at[n] != ex.at[ex.from[n]] + 1)
			return false;
	for (unsigned int a = 0; a < ex.nodes; a++)
		for (unsigned int b = 0; b < ex.nodes; b++)
			ex.eco[a] = (row)((ex.eco[a] & ~(1u << b)) | (unsigned int)is_eco(a, b) << b);
	for (unsigned int a = 0; a < ex.nodes; a++)
		for (unsigned int b = 0; b < ex.nodes; b++)
			if (ex.happens[a] >> b & 1 && ex.eco[b] >> a & 1)
				return false;
	return true;
}

/*
 * Does the sequentially consistent @a come before @b? A fence stands for what happens before it, or
 * behind it.
 */
static bool agrees(unsigned int a, unsigned int b)
{
	if (ex.happens[a] >> b & 1)
		return true;
	for (unsigned int x = 0; x < ex.nodes; x++) {
		if (x != a && !(node_is_fence(a) && ex.happens[a] >> x & 1))
			continue;
		for (unsigned int y = 0; y < ex.nodes; y++)
			if ((y == b || (node_is_fence(b) && ex.happens[y] >> b & 1)) &&
			    ex.eco[x] >> y & 1)
				return true;
	}
	return false;
}

static bool one_order(void)
{
	row order[MOST_NODES] = { 0 };

	for (unsigned int a = 0; a < ex.nodes; a++)
		for (unsigned int b = 0; b < ex.nodes; b++)
			if (a != b && order_of(a) == SEQ_CST && order_of(b) == SEQ_CST && agrees(a, b))
				order[a] |= (row)(1u << b);
	close_over(order);
	return !has_ring(order);
}

static void judge(void)
{
	uint64_t outcome = 0;

	if (!happens_before() || !coherent() || !one_order())
		return;
	for (unsigned int i = 0; i < nr_ops; i++)
		outcome = outcome << 8 | (reads(i) ? ex.from[LOCATIONS + i] : 0);
	for (unsigned int l = 0; l < LOCATIONS; l++) {
		unsigned int newest = l;

		for (unsigned int n = LOCATIONS; n < ex.nodes; n++)
			if (node_writes(n) && location_of(n) == l && ex.at[n] > ex.at[newest])
				newest = n;
		outcome = outcome << 8 | newest;
	}
	add(&of_axioms, outcome);
}

/* Each way in which node @n and those behind it may read. */
static void choose_reads(unsigned int n)
{
	if (n == ex.nodes) {
		judge();
		return;
	}
	if (!node_reads(n)) {
		choose_reads(n + 1);
		return;
	}
	for (unsigned int w = 0; w < ex.nodes; w++) {
		if (w == n || !node_writes(w) || location_of(w) != location_of(n))
			continue;
		ex.from[n] = w;
		choose_reads(n + 1);
	}
}

/* Each place that node @n may have among the writes of its location that were placed before it. */
static void choose_places(unsigned int n)
{
	unsigned int last_place = 0;

	if (n == ex.nodes) {
		choose_reads(LOCATIONS);
		return;
	}
	if (!node_writes(n)) {
		choose_places(n + 1);
		return;
	}
	for (unsigned int w = 0; w < n; w++)
		last_place += node_writes(w) && location_of(w) == location_of(n);
	for (unsigned int p = last_place; p > 0; p--) {
		for (unsigned int w = 0; w < n; w++)
			ex.at[w] +=
				node_writes(w) && location_of(w) == location_of(n) && ex.at[w] >= p;
		ex.at[n] = p;
		choose_places(n + 1);
		for (unsigned int w = 0; w < n; w++)
			ex.at[w] -=
				node_writes(w) && location_of(w) == location_of(n) && ex.at[w] > p;
	}
}

static void by_axioms(void)
{
	memset(&ex, 0, sizeof(ex));
	ex.nodes = LOCATIONS + nr_ops;
	of_axioms.count = 0;
	choose_places(LOCATIONS);
}

/* ---- */

static void say(const char *what, uint64_t outcome)
{
	static const char *const kinds[] = { "load", "store", "update", "fence" };

	printf("not ok - %s: outcome %016llx\n", what, (unsigned long long)outcome);
	for (unsigned int t = 0; t < threads; t++)
		for (unsigned int i = 0; i < nr_ops; i++)
			if (ops[i].thread == t)
				printf("    thread %u: %u %s %c %s\n", t, i, kinds[ops[i].kind],
				       "xy"[ops[i].location], order_names[ops[i].order]);
}

static bool compare(void)
{
	for (unsigned int i = 0; i < of_machine.count; i++) {
		if (!has(&of_axioms, of_machine.is[i])) {
			say("the machine alone has it", of_machine.is[i]);
			return false;
		}
	}
	for (unsigned int i = 0; i < of_axioms.count && !has_fence(true); i++) {
		if (!has(&of_machine, of_axioms.is[i])) {
			say("the machine has it not", of_axioms.is[i]);
			return false;
		}
	}
	return true;
}

bool axioms(unsigned long programs, unsigned int *passed, unsigned int *failed)
{
	unsigned long outcomes = 0;

	for (unsigned long n = 0; n < programs; n++) {
		dice = n;
		make();
		by_axioms();
		if (by_machine() && compare())
			++*passed;
		else
			++*failed;
		outcomes += of_axioms.count;
	}
	printf("%lu programs, %lu outcomes\n", programs, outcomes);
	return !*failed;
}
