// SPDX-License-Identifier: MIT
/*
 * A switch between two CPUs at a chosen instruction, for Linux on x86: one thread plays both.
 *
 * The trap flag shows which instructions @a is made of, in one run. In a later one there is a breakpoint on one
 * of them, which may be passed some times before; then the signal handler goes over to @b, which has a stack of
 * its own and is another CPU to the heap: pins and number in port_cpu are changed with the stacks. Whoever then
 * turns in a spin loop lets the other one go on, as it waits for that one. So it is the same every time, and no
 * scheduler has a say in it.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64 /* of /proc/self/mem */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <marrow/port.h>
#include "harness.h"
#include "port_hosted.h"

#if defined(__x86_64__) || defined(__i386__)

#ifdef __x86_64__
#define STACK_POINTER REG_RSP
#else
#define STACK_POINTER REG_ESP
#endif
#define TRAP_FLAG 0x100ul
#define BREAKPOINT 0xcc
#define MOST_STEPS (1u << 20) /* more than that fails the test */
#define PLACES (1u << 18) /* of code, hashed: more than there are in any test */
#define MOST_TURNS 16u
#define VDSO_BYTES 0x8000u
#define OTHER (MW_MAX_CPUS - 1) /* numbers that no thread gets: there are not so many */
#define THIRD (MW_MAX_CPUS - 2)

/* Not in the program's data, which is a root: what lies on that stack must not keep anything. */
static struct step {
	ucontext_t first, second;
	void (*fn)(void *arg);
	void *arg;
	enum test_way way;
	uintptr_t seen[MOST_STEPS]; /* where @a's instructions are */
	unsigned long count;
	bool full; /* there were more */
	struct {
		uintptr_t at;
		unsigned int turns; /* how often it is in @seen */
	} place[PLACES];
	uintptr_t at; /* of the breakpoint */
	unsigned long passes; /* how often it is passed before it counts */
	unsigned char byte; /* what stands there */
	volatile enum {
		RUNS,
		RECORDS,
		BREAKS,
		PASSES
	} mode; /* RUNS: nothing stops @a, or not any more */
	bool second_runs, second_began, second_ended;
	struct {
		unsigned long depth;
		int slot;
		uintptr_t stack_end;
	} waits; /* of who does not run */
	_Alignas(16) char stack[(size_t)256 << 10];
} * step;
static __thread bool steps_here;

static void change_cpu(unsigned long *depth, int *slot)
{
	unsigned long mine = port_cpu.depth;
	int number = port_cpu.slot;

	port_cpu.depth = *depth;
	port_cpu.slot = *slot;
	*depth = mine;
	*slot = number;
}

static void change(void)
{
	uintptr_t stack_end = port_self()->stack_end;

	port_self()->stack_end = step->waits.stack_end;
	step->waits.stack_end = stack_end;
	change_cpu(&step->waits.depth, &step->waits.slot);
	step->second_runs = !step->second_runs;
	step->second_began = true;
	if (step->second_runs)
		swapcontext(&step->first, &step->second);
	else
		swapcontext(&step->second, &step->first);
}

static void second_main(void)
{
	step->fn(step->arg);
	step->second_ended = true;
	change();
}

/* Who spins waits for the other one, if that has begun and goes on. */
static bool on_yield(void)
{
	if (!steps_here || step->mode != RUNS || step->second_ended ||
	    (!step->second_began && step->way != TEST_CPU))
		return false;
	change();
	return true;
}

static bool other_is_pinned(void)
{
	return steps_here && step->waits.depth;
}

/* The stack and the registers of who does not run are roots as well. */
static void scan_other(mw_root_visit_fn *visit, void *ctx)
{
	const ucontext_t *other = step->second_runs ? &step->first : &step->second;
	uintptr_t at = (uintptr_t)other->uc_mcontext.gregs[STACK_POINTER] & ~(sizeof(at) - 1);

	if (!steps_here || !step->second_began || step->second_ended)
		return;
	visit(ctx, MW_ROOT_REGISTERS, "registers", &other->uc_mcontext.gregs,
	      &other->uc_mcontext.gregs + 1);
	visit(ctx, MW_ROOT_STACK, "thread", (void *)at,
	      (void *)(step->waits.stack_end & ~(sizeof(at) - 1)));
}

#ifdef __x86_64__
#define WHERE REG_RIP
#define read_flags() __builtin_ia32_readeflags_u64()
#define write_flags(flags) __builtin_ia32_writeeflags_u64(flags)
#else
#define WHERE REG_EIP
#define read_flags() __builtin_ia32_readeflags_u32()
#define write_flags(flags) __builtin_ia32_writeeflags_u32(flags)
#endif

static int memory(void)
{
	static int file = -1;

	if (file < 0)
		file = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	return file;
}

static bool plant(void)
{
	const unsigned char breakpoint = BREAKPOINT;

	return pread(memory(), &step->byte, 1, (off_t)step->at) == 1 &&
	       pwrite(memory(), &breakpoint, 1, (off_t)step->at) == 1;
}

static void take_back(void)
{
	if (pwrite(memory(), &step->byte, 1, (off_t)step->at) != 1)
		abort();
}

/* The functions of two instructions by which 32-bit code learns where it is: the signal handler calls them too. */
static bool is_thunk(uintptr_t at)
{
	const unsigned char *code = (const unsigned char *)at;

	code -= *code == 0xc3 ? 3 : 0; /* ret */
	return sizeof(at) == 4 && code[0] == 0x8b && code[2] == 0x24 && code[3] == 0xc3;
}

/* What the kernel maps: 32-bit code makes its system calls there, the signal handler's too. */
static bool is_of_kernel(uintptr_t at)
{
	return at - (uintptr_t)getauxval(AT_SYSINFO_EHDR) < VDSO_BYTES;
}

/* NULL: there is no room for it. */
static unsigned int *turns_of(uintptr_t at)
{
	size_t i = (uint32_t)at * 0x9e3779b1u >> 14;

	for (size_t tries = 0; tries < PLACES; tries++, i = (i + 1) % PLACES) {
		if (!step->place[i].at)
			step->place[i].at = at;
		if (step->place[i].at == at)
			return &step->place[i].turns;
	}
	return NULL;
}

/* Of what is repeated the first turns stand for the others. */
static void record(uintptr_t at)
{
	unsigned int *turns;

	if ((step->count && step->seen[step->count - 1] == at) || is_of_kernel(at) || is_thunk(at))
		return;
	turns = turns_of(at);
	if (!turns || step->count == MOST_STEPS)
		step->full = true;
	else if (*turns != MOST_TURNS) {
		++*turns;
		step->seen[step->count++] = at;
	}
}

/* B begins; with interrupts off, if it is a handler. */
static void begin_second(void)
{
	step->waits.depth = step->way == TEST_STOPPED;
	change();
}

/*
 * B, where A is now. An interrupt that finds the CPU pinned comes at its last unpin, as any does; a handler of the other
 * CPU, which is stopped, comes if the world is, or else when A has ended.
 */
static void come(void)
{
	if (step->way == TEST_INTERRUPT)
		port_interrupt();
	else if (step->way == TEST_CPU || port_world_is_stopped())
		begin_second();
}

static void on_break(greg_t *registers)
{
	take_back();
	registers[WHERE] = (greg_t)step->at;
	if (step->passes--) {
		step->mode = PASSES;
		registers[REG_EFL] |= (greg_t)TRAP_FLAG;
	} else {
		step->mode = RUNS;
		come();
	}
}

static void on_trap(int signal, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)signal, (void)info;
	if (step->mode == RECORDS) {
		record((uintptr_t)registers[WHERE]);
		return;
	}
	registers[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	if (step->mode == BREAKS && (uintptr_t)registers[WHERE] == step->at + 1)
		on_break(registers);
	else if (step->mode == PASSES)
		step->mode = plant() ? BREAKS : RUNS;
}

static void run_recorded(void (*a)(void *arg), void *arg)
{
	step->count = 0;
	step->full = false;
	memset(step->place, 0, sizeof(step->place));
	step->mode = RECORDS;
	write_flags(read_flags() | TRAP_FLAG);
	a(arg);
	write_flags(read_flags() & ~TRAP_FLAG);
	step->mode = RUNS;
	if (step->full)
		(void)test_check(false, __FILE__, __LINE__, "more than %u instructions", MOST_STEPS);
}

bool backend_steps(void)
{
	return !backend_sanitized() && backend_cpus() > 1;
}

static void run_to_break(void (*a)(void *arg), void *arg, unsigned long at)
{
	step->at = step->seen[at];
	step->passes = 0;
	for (unsigned long i = 0; i < at; i++)
		step->passes += step->seen[i] == step->at;
	step->mode = BREAKS;
	if (!plant())
		step->mode = RUNS;
	a(arg);
	if (step->mode != RUNS)
		take_back();
	step->mode = RUNS;
}

/* What has not come on the way comes afterwards. */
static void come_at_last(void)
{
	step->mode = RUNS;
	if (step->way == TEST_INTERRUPT) {
		if (!port_interrupts_taken())
			port_interrupt();
		port_interrupt_set(NULL, NULL);
		return;
	}
	if (!step->second_began)
		begin_second();
	while (!step->second_ended)
		change();
}

bool backend_step(enum test_way way, void (*a)(void *arg), void (*b)(void *arg), void *arg,
		  unsigned long at)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO }, before;

	if (!step)
		step = mmap(NULL, sizeof(*step), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (step == MAP_FAILED)
		abort();
	if (sigaction(SIGTRAP, &action, &before) || getcontext(&step->second))
		abort();
	step->second.uc_stack.ss_sp = step->stack;
	step->second.uc_stack.ss_size = sizeof(step->stack);
	makecontext(&step->second, second_main, 0);
	step->fn = b;
	step->arg = arg;
	step->second_runs = step->second_began = step->second_ended = false;
	step->way = way;
	step->waits.depth = 0;
	step->waits.slot = OTHER;
	step->waits.stack_end = (uintptr_t)step->stack + sizeof(step->stack);
	step->mode = BREAKS; /* who yields until the switch has nobody to yield to */
	port_on_yield = on_yield;
	port_other_is_pinned = other_is_pinned;
	port_on_scan = scan_other;
	steps_here = true;
	if (way == TEST_INTERRUPT)
		port_interrupt_set(b, arg);
	if (!at)
		a(arg);
	else if (at == 1)
		run_recorded(a, arg);
	else
		run_to_break(a, arg, at - 2);
	come_at_last();
	steps_here = false;
	port_on_yield = NULL;
	port_other_is_pinned = NULL;
	port_on_scan = NULL;
	sigaction(SIGTRAP, &before, NULL);
	return !at || at - 1 < step->count;
}

void backend_elsewhere(void (*fn)(void *arg), void *arg)
{
	unsigned long depth = 0;
	int slot = THIRD;

	change_cpu(&depth, &slot);
	fn(arg);
	change_cpu(&depth, &slot);
}

#endif
