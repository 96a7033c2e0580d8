// SPDX-License-Identifier: MIT
/*
 * Instructions of a call: recorded once under the trap flag, then stopped at by breakpoints. See pairs.h.
 *
 * A moment is before an instruction that touches what Marrow shares, and before a pin if the CPU was not pinned
 * since the last moment: what lies between two moments is seen by nobody else. Of an instruction that is passed often
 * the first passes and the last one are moments.
 *
 * Who stands at a moment is there as the frame that its signal left; to go on is to return from that signal.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "pairs.h"

#define TRAP_FLAG 0x100ul
#define BREAKPOINT 0xcc
#define MOST_STEPS 8000000u
#define PLACES (1u << 20) /* of code, hashed: more than there are instructions */
#define FIRST_PASSES 2u
#define FRAME ((size_t)16 << 10)
#define KERNEL_CONTEXT (offsetof(ucontext_t, uc_sigmask) + 8) /* what the kernel reads of one */

enum {
	TOUCHES = 1,
	UNPINNED = 2,
	INSIDE = 4
};

struct steps {
	enum {
		IDLE,
		RECORDS,
		BREAKS
	} mode;
	unsigned int most, count, moments,
		now; /* @now: the step that who stands there is about to do */
	uintptr_t at; /* of the breakpoint */
	uint8_t byte; /* what stands there */
	int memory;
	enum who who; /* whose instructions these are */
	bool fresh; /* it has not begun */
	uintptr_t ip[MOST_STEPS];
	uint8_t what[MOST_STEPS];
	struct moment moment[MOST_STEPS];
	struct place {
		uintptr_t ip;
		unsigned int passes, chosen;
	} place[PLACES];
};

/* Mapped, so that it is not put back with the rest. */
OWN static struct frames {
	struct steps *now, *of[2]; /* of A, and of B */
	/* Of each that stands at a moment. */
	_Alignas(64) char frame[NR_CO][FRAME];
	size_t used[NR_CO];
} * frames;

#define steps (frames->now)

static void *fresh(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		abort();
	return at;
}

void step_set_up(void)
{
	int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	if (memory < 0)
		abort();
	frames = fresh(sizeof(*frames));
	for (unsigned int i = 0; i < 2; i++) {
		frames->of[i] = fresh(sizeof(*steps));
		frames->of[i]->memory = memory;
		frames->of[i]->who = i ? CO_B : CO_A;
	}
	frames->now = frames->of[0];
}

void step_use(enum who who)
{
	frames->now = frames->of[who == CO_B];
}

/* ---- the record ---- */

#define read_flags() __builtin_ia32_readeflags_u64()
#define write_flags(flags) __builtin_ia32_writeeflags_u64(flags)

void step_call_begins(void)
{
	if (steps->mode == RECORDS && machine->now == steps->who)
		write_flags(read_flags() | TRAP_FLAG);
}

void step_call_ends(void)
{
	if (steps->mode == RECORDS && machine->now == steps->who)
		write_flags(read_flags() & ~TRAP_FLAG);
}

static void record(const greg_t *registers)
{
	uintptr_t ip = (uintptr_t)registers[REG_RIP], at;
	uint8_t what = port_cpu.depth ? 0 : UNPINNED;

	/* What repeats itself (rep), or comes again after its page was given to it. */
	if (steps->count && steps->ip[steps->count - 1] == ip)
		return;
	if (steps->count == steps->most)
		machine_fail(V_LONG, ip, "more than %u instructions", steps->most);
	if (steps->count % 1024 == 0)
		machine_goes_on();
	if (machine->inside)
		what |= INSIDE;
	else if (decode_touches((const uint8_t *)ip, registers, &at) && memory_shared(at))
		what |= TOUCHES;
	steps->ip[steps->count] = ip;
	steps->what[steps->count++] = what;
}

static struct place *place_of(uintptr_t ip)
{
	for (size_t i = ip * 0x9e3779b97f4a7c15ul >> 44;; i = (i + 1) % PLACES) {
		struct place *place = &steps->place[i];

		if (place->ip == ip || !place->ip) {
			place->ip = ip;
			return place;
		}
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

/* Which passes count can be said when all are known. */
static void choose(void)
{
	bool touched = false;

	memset(steps->place, 0, sizeof(steps->place));
	for (unsigned int i = 0; i < steps->count; i++)
		place_of(steps->ip[i])->passes++;
	steps->moments = 0;
	for (unsigned int i = 0; i < steps->count; i++) {
		struct place *place = place_of(steps->ip[i]);
		bool good = is_moment(i, touched);

		place->chosen++;
		if (good && (place->chosen <= FIRST_PASSES || place->chosen == place->passes))
			steps->moment[steps->moments++] =
				(struct moment){ .step = i, .ip = steps->ip[i] };
		if (good)
			touched = steps->what[i] & TOUCHES;
	}
	/* A call that shares nothing has one, somewhere. */
	if (!steps->moments && steps->count)
		steps->moment[steps->moments++] =
			(struct moment){ .step = steps->count / 2, .ip = steps->ip[steps->count / 2] };
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
	steps->most = most && most < MOST_STEPS ? most : MOST_STEPS;
	steps->mode = RECORDS;
	fine = machine_try(run_recorded, NULL);
	steps->mode = IDLE;
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

unsigned int step_instructions(void)
{
	return steps->count;
}

/* ---- breakpoints ---- */

static void write_code(uintptr_t at, uint8_t byte)
{
	if (pwrite(steps->memory, &byte, 1, (off_t)at) != 1)
		abort();
}

static void plant(uintptr_t at)
{
	steps->at = at;
	steps->byte = *(const uint8_t *)at;
	write_code(at, BREAKPOINT);
	steps->mode = BREAKS;
}

void step_end(void)
{
	if (steps->mode == BREAKS)
		write_code(steps->at, steps->byte);
	steps->mode = IDLE;
}

/* The signal's frame, to be returned from later: the vectors lie apart, and must be where it says. */
static void keep_frame(ucontext_t *context)
{
	char *frame = frames->frame[machine->now];
	const struct _libc_fpstate *state = context->uc_mcontext.fpregs;
	const uint32_t *software = (const uint32_t *)((const char *)state + 464);
	/* Linux says there how long it is, if it is longer than the oldest form. */
	size_t len = software[0] == 0x46505853 ? software[1] : 512;
	ucontext_t *mine = (ucontext_t *)frame;
	size_t at = (KERNEL_CONTEXT + 63) & ~(size_t)63;

	if (at + len > FRAME)
		abort();
	memcpy(mine, context, KERNEL_CONTEXT);
	memcpy(frame + at, state, len);
	frames->used[machine->now] = at + len;
	mine->uc_mcontext.fpregs = (fpregset_t)(frame + at);
	memcpy(&machine->co[machine->now].context.uc_mcontext.gregs, &context->uc_mcontext.gregs,
	       sizeof(gregset_t));
}

void step_on_trap(ucontext_t *context)
{
	greg_t *registers = context->uc_mcontext.gregs;

	if (steps->mode == RECORDS) {
		record(registers);
		return;
	}
	if (steps->mode != BREAKS || (uintptr_t)registers[REG_RIP] != steps->at + 1)
		machine_fail(V_CRASH, (uintptr_t)registers[REG_RIP], "a trap");
	step_end();
	registers[REG_RIP] = (greg_t)steps->at;
	keep_frame(context);
	machine_stopped_here();
}

_Noreturn void step_go_on(void)
{
	__asm__ volatile(
		"mov %0, %%rsp\n\tmov $15, %%eax\n\tsyscall" ::"r"(frames->frame[machine->now])
		: "memory");
	__builtin_unreachable();
}

uintptr_t step_stack_at(enum who who)
{
	return (uintptr_t)((const ucontext_t *)frames->frame[who])->uc_mcontext.gregs[REG_RSP];
}

size_t step_frame_size(void)
{
	return sizeof(*frames);
}

static void copy_frames(struct frames *to, const struct frames *from)
{
	for (enum who who = CO_A; who < NR_CO; who++) {
		to->used[who] = from->used[who];
		memcpy(to->frame[who], from->frame[who], from->used[who]);
	}
}

void step_frame_get(void *to)
{
	copy_frames(to, frames);
}

void step_frame_put(const void *from)
{
	copy_frames(frames, from);
}

static void go(void *arg)
{
	(void)arg;
	machine_run(steps->fresh ? steps->who : machine->now);
}

/* To step @to, which is the next time that its instruction comes. */
static bool hop(unsigned int to)
{
	bool fine;

	plant(steps->ip[to]);
	fine = machine_try(go, NULL);
	steps->fresh = false;
	step_end();
	if (fine && machine->now != CO_WORKER && machine->now != steps->who) {
		failure->verdict = V_ENGINE;
		failure->ip = steps->ip[to];
		snprintf(failure->text, sizeof(failure->text), "it goes another way before step %u",
			 to);
		fine = false;
	}
	steps->now = to;
	return fine;
}

bool step_to(unsigned int m)
{
	unsigned int target = steps->moment[m].step, next;
	bool fine = true;

	if (steps->fresh) {
		for (next = 0; steps->ip[next] != steps->ip[target]; next++)
			;
		fine = hop(next);
	}
	while (fine && steps->now != target) {
		next = steps->now + 1;
		while (steps->ip[steps->now] != steps->ip[target] &&
		       steps->ip[next] != steps->ip[target])
			next++;
		fine = hop(next);
	}
	return fine;
}

void step_stands_at(unsigned int m)
{
	steps->now = steps->moment[m].step;
	steps->fresh = false;
}
