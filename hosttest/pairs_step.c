// SPDX-License-Identifier: MIT
/*
 * Instructions of a call: recorded once, then stopped at. See pairs.h.
 *
 * scripts/pairs_asm.py has put a place before each instruction of Marrow that touches memory: five
 * bytes that do nothing. A jump to pairs_hook() stands there while a call is recorded; later only
 * at the place where it is to stop. So nothing of this takes a signal or a system call.
 *
 * A moment is before an instruction that touches what Marrow shares, and before a pin if the CPU was not pinned
 * since the last moment: what lies between two moments is seen by nobody else. Of an instruction that is passed often
 * the first passes and the last one are moments, and one between that the seed draws.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "pairs.h"

#define PLACE_BYTES 5
#define JUMP 0xe9
#define MOST_STEPS 8000000u
#define MOST_PLACES (1u << 16)
#define FIRST_PASSES 2u
#define HOOK_STACK ((size_t)64 << 10)
#define STUBS ((unsigned char *)0x40000000ul)
#define STUB_BYTES 16

enum {
	TOUCHES = 1,
	UNPINNED = 2,
	INSIDE = 4
};

struct steps {
	bool running; /* the call that is recorded */
	unsigned int most, count, moments,
		now; /* @now: the step that who stands there is about to do */
	enum who who; /* whose instructions these are */
	bool fresh; /* it has not begun */
	uint16_t place[MOST_STEPS];
	uint8_t what[MOST_STEPS];
	struct moment moment[MOST_STEPS];
	unsigned int passes[MOST_PLACES], chosen[MOST_PLACES];
};

extern const uintptr_t __start_pairs_places[], __stop_pairs_places[];
extern char __executable_start[], etext[];
extern char pairs_hook[];

/* Mapped, so that it is not put back with the rest. */
OWN static struct stops {
	struct steps *now, *of[2]; /* of A, and of B */
	enum {
		IDLE,
		RECORDS,
		STOPS
	} mode;
	unsigned int countdown; /* passes until it stops */
	unsigned int places;
	uint8_t byte[MOST_PLACES][PLACE_BYTES]; /* what stands there else */
} * stops;

#define steps (stops->now)
#define place_at(i) (__start_pairs_places[i])

static void *fresh(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		abort();
	return at;
}

void step_use(enum who who)
{
	stops->now = stops->of[who == CO_B];
}

/* ---- places ---- */

static void plant(unsigned int place)
{
	unsigned char *at = (unsigned char *)place_at(place);
	int32_t far = (int32_t)(STUBS + place * STUB_BYTES - (at + PLACE_BYTES));

	*at = JUMP;
	memcpy(at + 1, &far, sizeof(far));
}

static void clear(unsigned int place)
{
	memcpy((char *)place_at(place), stops->byte[place], PLACE_BYTES);
}

/*
 * A stub for each place says which one it is. pairs_hook() leaves the stack of who runs as it is,
 * so that what lies there is the same whether somebody looks or not; step_hook() has a stack of its
 * own. No flags change until they are kept.
 */
OWN struct registers pairs_kept;
OWN unsigned int pairs_place;
OWN char *pairs_hook_stack;

static void make_stub(unsigned int place)
{
	/* movl $place, pairs_place; jmp pairs_hook */
	unsigned char *at = STUBS + place * STUB_BYTES;
	uint32_t where = (uint32_t)(uintptr_t)&pairs_place;
	int32_t far = (int32_t)(pairs_hook - (char *)(at + STUB_BYTES));

	at[0] = 0xc7;
	at[1] = 0x04;
	at[2] = 0x25;
	memcpy(at + 3, &where, 4);
	memcpy(at + 7, &place, 4);
	at[11] = JUMP;
	memcpy(at + 12, &far, 4);
}

#define AT "pairs_kept"
__asm__(".pushsection .text\n"
	".globl pairs_hook, step_switch\n"
	".type pairs_hook, @function\n"
	".type step_switch, @function\n"
	"pairs_hook:\n"
	"	movq %rax, " AT "+512\n"
	"	lahf\n"
	"	seto %al\n"
	"	movq %rax, " AT "+640\n"
	"	movq %rcx, " AT "+520\n	movq %rdx, " AT "+528\n	movq %rbx, " AT "+536\n"
	"	movq %rsp, " AT "+544\n	movq %rbp, " AT "+552\n	movq %rsi, " AT "+560\n"
	"	movq %rdi, " AT "+568\n	movq %r8, " AT "+576\n	movq %r9, " AT "+584\n"
	"	movq %r10, " AT "+592\n	movq %r11, " AT "+600\n	movq %r12, " AT "+608\n"
	"	movq %r13, " AT "+616\n	movq %r14, " AT "+624\n	movq %r15, " AT "+632\n"
	"	fxsave64 " AT "\n"
	"	movq pairs_hook_stack, %rsp\n"
	"	call step_hook\n"
	"	movq $" AT ", %rsi\n"
	"	jmp 1f\n"
	/* %rsi: whose registers they are to be. */
	"step_switch:\n"
	"	pushq %rbp\n	pushq %rbx\n	pushq %r12\n	pushq %r13\n	pushq %r14\n	"
	"pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"1:	fxrstor64 (%rsi)\n"
	"	movq 648(%rsi), %rax\n"
	"	movq %rax, pairs_next\n"
	"	movq 640(%rsi), %rax\n"
	"	addb $0x7f, %al\n" /* overflow again, where it was 1 */
	"	sahf\n"
	"	movq 512(%rsi), %rax\n	movq 520(%rsi), %rcx\n	movq 528(%rsi), %rdx\n"
	"	movq 536(%rsi), %rbx\n	movq 544(%rsi), %rsp\n	movq 552(%rsi), %rbp\n"
	"	movq 568(%rsi), %rdi\n	movq 576(%rsi), %r8\n	movq 584(%rsi), %r9\n"
	"	movq 592(%rsi), %r10\n	movq 600(%rsi), %r11\n	movq 608(%rsi), %r12\n"
	"	movq 616(%rsi), %r13\n	movq 624(%rsi), %r14\n	movq 632(%rsi), %r15\n"
	"	movq 560(%rsi), %rsi\n"
	"	jmp *pairs_next\n"
	".popsection\n");
OWN uintptr_t pairs_next;
_Static_assert(offsetof(struct registers, general) == 512 &&
		       offsetof(struct registers, flags) == 640 &&
		       offsetof(struct registers, ip) == 648,
	       "as the lines above have it");

void step_set_up(void)
{
	uintptr_t code = (uintptr_t)__executable_start & ~4095ul;

	stops = fresh(sizeof(*stops));
	for (unsigned int i = 0; i < 2; i++) {
		stops->of[i] = fresh(sizeof(*steps));
		stops->of[i]->who = i ? CO_B : CO_A;
	}
	stops->now = stops->of[0];
	stops->places = (unsigned int)(__stop_pairs_places - __start_pairs_places);
	pairs_hook_stack = (char *)fresh(HOOK_STACK) + HOOK_STACK;
	if (stops->places > MOST_PLACES ||
	    mmap(STUBS, stops->places * STUB_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)STUBS ||
	    mprotect((void *)code, (uintptr_t)etext - code, PROT_READ | PROT_WRITE | PROT_EXEC))
		abort();
	for (unsigned int i = 0; i < stops->places; i++) {
		memcpy(stops->byte[i], (const void *)place_at(i), PLACE_BYTES);
		make_stub(i);
	}
}

/* ---- the record ---- */

/* What runs behind the call has no part in it. */
static void end_record(void)
{
	if (stops->mode != RECORDS)
		return;
	stops->mode = IDLE;
	steps->running = false;
	for (unsigned int i = 0; i < stops->places; i++)
		clear(i);
}

void step_call_begins(void)
{
	if (stops->mode == RECORDS && machine->now == steps->who)
		steps->running = true;
}

void step_call_ends(void)
{
	if (stops->mode == RECORDS && machine->now == steps->who)
		end_record();
}

static void record(unsigned int place, const struct registers *registers)
{
	/* Behind the place, and behind what marks the page that it writes. */
	const uint8_t *code = (const uint8_t *)place_at(place) + stops->byte[place][PLACE_BYTES - 1];
	uint8_t what = port_cpu.depth ? 0 : UNPINNED;
	uintptr_t at;

	if (steps->count == steps->most)
		machine_fail(V_LONG, place_at(place), "more than %u accesses", steps->most);
	if (steps->count % 1024 == 0)
		machine_goes_on();
	if (machine->inside)
		what |= INSIDE;
	else if (decode_touches(code, registers->general, &at) && memory_shared(at))
		what |= TOUCHES;
	steps->place[steps->count] = (uint16_t)place;
	steps->what[steps->count++] = what;
}

void step_hook(void);
void step_hook(void)
{
	pairs_kept.ip = place_at(pairs_place) + PLACE_BYTES;
	/* Who goes on while this one waits has no part in it. */
	if (machine->now != steps->who && machine->now != CO_WORKER)
		return;
	if (stops->mode == RECORDS) {
		if (steps->running)
			record(pairs_place, &pairs_kept);
	} else if (stops->mode == STOPS && !--stops->countdown) {
		step_end();
		machine_stopped_here(&pairs_kept);
	}
}

static bool is_moment(unsigned int step, bool touched)
{
	uint8_t what = steps->what[step];

	if (what & INSIDE)
		return false;
	if (what & TOUCHES)
		return true;
	return touched && (what & UNPINNED) && step + 1 < steps->count &&
	       !(steps->what[step + 1] & UNPINNED);
}

static void add_moment(unsigned int step)
{
	steps->moment[steps->moments++] =
		(struct moment){ .step = step, .ip = place_at(steps->place[step]) };
}

/* Does this pass of a place count? */
static bool is_chosen(unsigned int place)
{
	unsigned int pass = steps->chosen[place], all = steps->passes[place];
	uint64_t drawn = (loop->seed + place) * UINT64_C(0x9e3779b97f4a7c15);

	if (pass <= FIRST_PASSES || pass == all)
		return true;
	drawn = (drawn ^ drawn >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 32;
	return pass == FIRST_PASSES + 1 + drawn % (all - FIRST_PASSES);
}

/* Which passes count can be said when all are known. */
static void choose(void)
{
	bool touched = false;

	memset(steps->passes, 0, sizeof(steps->passes));
	memset(steps->chosen, 0, sizeof(steps->chosen));
	for (unsigned int i = 0; i < steps->count; i++)
		steps->passes[steps->place[i]]++;
	steps->moments = 0;
	for (unsigned int i = 0; i < steps->count; i++) {
		bool good = is_moment(i, touched);

		steps->chosen[steps->place[i]]++;
		if (good && is_chosen(steps->place[i]))
			add_moment(i);
		if (good)
			touched = steps->what[i] & TOUCHES;
	}
	/* A call that shares nothing has one, somewhere. */
	if (!steps->moments && steps->count)
		add_moment(steps->count / 2);
}

static void run_recorded(void *arg)
{
	(void)arg;
	machine_run(steps->who);
}

unsigned int step_record(unsigned int most)
{
	bool fine;

	steps->count = 0;
	steps->running = false;
	steps->most = most && most < MOST_STEPS ? most : MOST_STEPS;
	for (unsigned int i = 0; i < stops->places; i++)
		plant(i);
	stops->mode = RECORDS;
	fine = machine_try(run_recorded, NULL);
	end_record();
	if (!fine)
		return 0;
	choose();
	steps->fresh = true;
	return steps->moments;
}

unsigned int step_moments(const struct moment **moments)
{
	*moments = steps->moment;
	return steps->moments;
}

unsigned int step_accesses(void)
{
	return steps->count;
}

/* ---- stops ---- */

OWN static unsigned int planted;

void step_end(void)
{
	if (stops->mode == STOPS)
		clear(planted);
	stops->mode = IDLE;
}

static void go(void *arg)
{
	(void)arg;
	machine_run(steps->fresh ? steps->who : machine->now);
}

bool step_to(unsigned int m)
{
	unsigned int to = steps->moment[m].step, passes = 0;
	bool fine;

	if (!steps->fresh && steps->now == to)
		return true;
	for (unsigned int i = steps->fresh ? 0 : steps->now + 1; i <= to; i++)
		passes += steps->place[i] == steps->place[to];
	planted = steps->place[to];
	stops->countdown = passes;
	stops->mode = STOPS;
	plant(planted);
	fine = machine_try(go, NULL);
	steps->fresh = false;
	step_end();
	if (fine && machine->now != CO_WORKER && machine->now != steps->who) {
		failure->verdict = V_ENGINE;
		failure->ip = place_at(planted);
		snprintf(failure->text, sizeof(failure->text),
			 "it goes another way before access %u", to);
		fine = false;
	}
	steps->now = to;
	return fine;
}

void step_stands_at(unsigned int m)
{
	steps->now = steps->moment[m].step;
	steps->fresh = false;
}
