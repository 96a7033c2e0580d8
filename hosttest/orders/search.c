// SPDX-License-Identifier: MIT
/* The search over all that the machine allows: see orders.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "orders.h"

#define MOST_STATES (1u << 23)
#define SLOTS (1u << 24)
#define ARENA ((size_t)4 << 30) /* addresses; memory is taken as it is used */
#define STATE_BYTES (sizeof(struct state))

/* A state that was met, and how. */
struct node {
	uint32_t parent, slot;
	uint64_t at; /* in the arena */
	uint16_t bytes;
	uint8_t thread, choice, way;
};

static struct node *nodes; /* in the order in which they were met; the first is none */
static uint32_t *slots;
static unsigned char *arena;
static uint32_t count;
static uint64_t used;
static struct node end; /* the step that went wrong */

/* ---- states as bytes ---- */

static void forget_messages(unsigned int location, unsigned int n)
{
	struct state *s = &machine.state;
	struct view *view;

	s->count[location] -= (unsigned char)n;
	memmove(&s->message[location][0], &s->message[location][n],
		s->count[location] * sizeof(struct message));
	s->message[location][0].joined = 0;
#define LOWER(at_) ((at_) = (unsigned char)((at_) > n ? (at_)-n : 0))
	for (unsigned int t = 0; t < machine.threads; t++) {
		LOWER(s->thread[t].now.at[location]);
		LOWER(s->thread[t].acquired.at[location]);
		LOWER(s->thread[t].released.at[location]);
	}
	for (unsigned int l = 0; l < machine.locations; l++) {
		for (unsigned int i = 0; i < s->count[l]; i++) {
			view = &s->message[l][i].view;
			LOWER(view->at[location]);
		}
	}
	LOWER(s->fenced[location]);
	LOWER(s->touched[location]);
#undef LOWER
}

/* Messages that nobody can read any more go; so do those who have ended. */
static void settle(void)
{
	struct state *s = &machine.state;

	for (unsigned int t = 0; t < machine.threads; t++)
		if (s->thread[t].ended)
			s->thread[t] = (struct thread_state){ .ended = 1 };
	for (unsigned int l = 0; l < machine.locations; l++) {
		unsigned int oldest = s->count[l] - 1u;

		for (unsigned int t = 0; t < machine.threads; t++)
			if (!s->thread[t].ended && s->thread[t].now.at[l] < oldest)
				oldest = s->thread[t].now.at[l];
		if (oldest)
			forget_messages(l, oldest);
		agree_forget(l, oldest);
	}
	agree_sort();
}

static unsigned char *walk_at;
static bool walk_out; /* to the bytes, or from them */

static void walk(void *at, size_t bytes)
{
	if (walk_out)
		memcpy(walk_at, at, bytes);
	else
		memcpy(at, walk_at, bytes);
	walk_at += bytes;
}

static void walk_view(struct view *view)
{
	walk(view->at, machine.locations);
	walk(view->knows, machine.plains);
	if (machine.agrees)
		walk(&view->before, sizeof(view->before));
}

static void walk_agreement(struct agreement *a)
{
	walk(&a->events, 1);
	walk(a->event, a->events * sizeof(a->event[0]));
	walk(a->gone, machine.locations * sizeof(a->gone[0]));
	walk(a->gone_reads, machine.locations * sizeof(a->gone_reads[0]));
	walk(&a->fenced, sizeof(a->fenced));
}

static void walk_thread(struct thread_state *thread)
{
	walk(&thread->ended, 1);
	if (thread->ended)
		return;
	walk(&thread->part, 1);
	walk(&thread->steps, 1);
	walk(thread->seen, thread->steps);
	walk_view(&thread->now);
	if (machine.fences) {
		walk_view(&thread->acquired);
		walk_view(&thread->released);
	}
}

/* Return: how many bytes. */
static size_t walk_state(unsigned char *bytes, bool out)
{
	struct state *s = &machine.state;

	walk_at = bytes;
	walk_out = out;
	for (unsigned int t = 0; t < machine.threads; t++)
		walk_thread(&s->thread[t]);
	for (unsigned int l = 0; l < machine.locations; l++) {
		walk(&s->count[l], 1);
		for (unsigned int i = 0; i < s->count[l]; i++) {
			walk(&s->message[l][i].value, 1);
			walk(&s->message[l][i].joined, 1);
			walk_view(&s->message[l][i].view);
		}
	}
	if (machine.agrees)
		walk_agreement(&s->agreement);
	if (machine.fences) {
		walk(s->fenced, machine.locations);
		walk(s->touched, machine.locations);
	}
	walk(s->plain, machine.plains);
	walk(s->ghost, MOST_GHOSTS);
	return (size_t)(walk_at - bytes);
}

/* ---- what was met ---- */

static void *addresses(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return at;
}

static void forget_all(void)
{
	if (!nodes) {
		nodes = addresses((MOST_STATES + 1) * sizeof(*nodes));
		slots = addresses(SLOTS * sizeof(*slots));
		arena = addresses(ARENA);
	}
	for (uint32_t n = 1; n <= count; n++)
		slots[nodes[n].slot] = 0;
	count = 0;
	used = 0;
}

static uint64_t hash(const unsigned char *bytes, size_t n)
{
	uint64_t h = n * UINT64_C(0x9e3779b97f4a7c15), word;

	for (; n >= 8; bytes += 8, n -= 8) {
		memcpy(&word, bytes, 8);
		h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
		h ^= h >> 32;
	}
	word = 0;
	memcpy(&word, bytes, n);
	h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
	return h ^ h >> 29;
}

/* The machine's state, unless it was met before. Return: false: there is no more room. */
static bool meet(struct node node)
{
	unsigned char *bytes = arena + used;
	size_t n;
	uint32_t slot, other;

	settle();
	n = walk_state(bytes, true);
	for (slot = hash(bytes, n) % SLOTS; (other = slots[slot]); slot = (slot + 1) % SLOTS)
		if (nodes[other].bytes == n && nodes[other].way == node.way &&
		    !memcmp(arena + nodes[other].at, bytes, n))
			return true;
	if (count == MOST_STATES || used + 2 * STATE_BYTES > ARENA)
		return false;
	slots[slot] = ++count;
	node.slot = slot;
	node.at = used;
	node.bytes = (uint16_t)n;
	nodes[count] = node;
	used += n;
	return true;
}

static void recall(uint32_t n)
{
	static const struct state none;

	for (unsigned int t = 0; t < machine.threads; t++)
		machine.state.thread[t] = none.thread[t];
	way = nodes[n].way;
	walk_state(arena + nodes[n].at, false);
}

/* ---- the search ---- */

static bool all_ended(void)
{
	for (unsigned int t = 0; t < machine.threads; t++)
		if (!machine.state.thread[t].ended)
			return false;
	return true;
}

/* Return: what is wrong with the step that was just made, or NULL. */
static const char *judge(void)
{
	if (machine.wrong)
		return machine.wrong;
	return all_ended() && machine.protocol->wrong ? machine.protocol->wrong() : NULL;
}

/* All steps from a state that was met. Return: false: there is no more room. */
static bool expand(uint32_t n, const char **found)
{
	bool moved = false, over;

	recall(n);
	over = all_ended();
	for (unsigned int t = 0; t < machine.threads; t++) {
		unsigned int choice = 0;

		do {
			recall(n);
			if (machine.state.thread[t].ended || !machine_step(t, choice))
				continue;
			moved = true;
			end = (struct node){ .parent = n,
					     .thread = (uint8_t)t,
					     .choice = (uint8_t)choice,
					     .way = (uint8_t)way };
			*found = judge();
			if (*found)
				return true;
			if (!meet(end))
				return false;
		} while (++choice < machine.options);
	}
	if (!over && !moved) {
		end = nodes[n];
		*found = "stuck: all wait";
	}
	return true;
}

static unsigned int steps_to(uint32_t n)
{
	unsigned int steps = 0;

	for (; nodes[n].parent; n = nodes[n].parent)
		steps++;
	return steps;
}

struct found search(bool brief)
{
	const struct protocol *protocol = machine.protocol;
	unsigned int ways = brief && protocol->short_ways ? protocol->short_ways : protocol->ways;
	struct found found = { .exhausted = true };

	forget_all();
	for (unsigned int w = 0; w < (ways ? ways : 1); w++) {
		machine_start(w);
		(void)meet((struct node){ .way = (uint8_t)w });
	}
	for (uint32_t n = 1; n <= count && !found.wrong && found.exhausted; n++)
		found.exhausted = expand(n, &found.wrong);
	found.states = count;
	if (found.wrong)
		found.steps = end.parent ? steps_to(end.parent) + 1 : 0;
	return found;
}

static void trace_to(uint32_t n)
{
	if (!nodes[n].parent)
		return;
	trace_to(nodes[n].parent);
	recall(nodes[n].parent);
	(void)machine_step(nodes[n].thread, nodes[n].choice);
}

void search_trace(void)
{
	machine.traced = true;
	if (end.parent) {
		trace_to(end.parent);
		recall(end.parent);
		(void)machine_step(end.thread, end.choice);
	}
	machine.traced = false;
}
