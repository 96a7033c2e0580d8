// SPDX-License-Identifier: MIT
/*
 * The machine that pairs run on: contexts with stacks of their own, CPUs, and the port. See pairs.h.
 *
 * Nothing here happens by itself. Who spins lets the other one go on; who may not go on (stopped, or below a
 * handler) is left out; if that is everybody, who spins does so for ever, and the case has failed. The clock counts
 * how often it is asked.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>
#include "pairs.h"

#define STACK ((size_t)256 << 10)
#define GUARD ((size_t)64 << 10)
#define TICK_US 20000
#define MOST_TICKS 12 /* of processor time for one case: hundreds of times more than the longest */
#define SAID 512

__thread struct port_cpu port_cpu = { .slot = -1 };

/* Put back with Marrow's own data. */
static struct machine the_machine;
OWN struct machine *machine = &the_machine;
OWN struct failure *failure;

const char *const way_names[NR_WAYS] = { "cpu", "handler", "stopped", "stopper" };
const char *const verdict_names[NR_VERDICTS] = { "passed", "crash", "hang",   "panic", "check",
						 "order",  "lost",  "engine", "long" };

/* Not put back. */
OWN static struct host {
	void *main; /* its stack pointer while others run */
	sigjmp_buf out;
	bool trying;
	volatile unsigned int ticks;
	char *stacks[NR_CO];
	char said[SAID];
	size_t said_len;
} * host;

/* ---- who runs ---- */

unsigned int machine_cpu_of(enum who who)
{
	return who == CO_NOBODY ? 2 : machine->co[who].cpu;
}

static void cpu_leave(unsigned int cpu)
{
	machine->cpu[cpu].depth = port_cpu.depth;
	machine->cpu[cpu].pending = atomic_load_explicit(&port_cpu.pending, memory_order_relaxed);
}

static void cpu_enter(unsigned int cpu)
{
	port_cpu.slot = (int)cpu;
	port_cpu.depth = machine->cpu[cpu].depth;
	port_cpu.relaxed = 63; /* the next turn of a spin loop yields */
	atomic_store_explicit(&port_cpu.pending, machine->cpu[cpu].pending, memory_order_relaxed);
}

unsigned int machine_as(unsigned int cpu)
{
	unsigned int before = (unsigned int)port_cpu.slot;

	cpu_leave(before);
	cpu_enter(cpu);
	return before;
}

unsigned long machine_depth_of(enum who who)
{
	unsigned int cpu = machine_cpu_of(who);

	return (int)cpu == port_cpu.slot ? port_cpu.depth : machine->cpu[cpu].depth;
}

static bool below_a_handler(enum who who)
{
	for (enum who above = CO_A; above <= CO_B; above++) {
		const struct co *co = &machine->co[above];

		if (above != who && co->handler && co->started && !co->ended &&
		    co->cpu == machine->co[who].cpu)
			return true;
	}
	return false;
}

static bool is_halted(enum who who)
{
	return machine->stopper != CO_NOBODY && machine->stopper != who && who != CO_WORKER &&
	       !machine->co[who].handler;
}

bool machine_may_run(enum who who)
{
	const struct co *co = &machine->co[who];

	return co->started && !co->ended && !below_a_handler(who) && !is_halted(who);
}

char *machine_stack_top(enum who who)
{
	return host->stacks[who] + STACK;
}

char *machine_stack_low(enum who who)
{
	return host->stacks[who];
}

/* Leave what runs at *@from, and go on with what was left at @to. */
void machine_switch(void **from, void *to);
__asm__(".pushsection .text\n"
	".type machine_switch, @function\n"
	"machine_switch:\n"
	"	pushq %rbp\n	pushq %rbx\n	pushq %r12\n	pushq %r13\n	pushq %r14\n	"
	"pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n	popq %r14\n	popq %r13\n	popq %r12\n	popq %rbx\n	"
	"popq %rbp\n"
	"	ret\n"
	".popsection\n");

/* Whoever runs now comes back when somebody changes to it. */
static void change_from(void **mine, enum who to)
{
	struct co *co = &machine->co[to];

	cpu_leave((unsigned int)port_cpu.slot);
	machine->now = to;
	cpu_enter(co->cpu);
	if (!co->at_moment) {
		machine_switch(mine, co->sp);
		return;
	}
	co->at_moment = false;
	step_switch(mine, &co->registers);
}

/* To who called machine_run(). */
static void change_to_main(void **mine)
{
	cpu_leave((unsigned int)port_cpu.slot);
	cpu_enter(2);
	machine_switch(mine, host->main);
}

void machine_change(enum who to)
{
	change_from(&machine->co[machine->now].sp, to);
}

/* The next one after @who that may run; or CO_NOBODY. */
static enum who other_than(enum who who)
{
	for (unsigned int i = 1; i < NR_CO; i++) {
		enum who to = (enum who)((who + i) % NR_CO);

		if (who == CO_NOBODY)
			to = (enum who)(i - 1);
		if (machine_may_run(to))
			return to;
	}
	return CO_NOBODY;
}

/* Somebody spins. */
void machine_yield(void)
{
	enum who to;

	if (++machine->yields > MACHINE_YIELDS)
		machine_fail(V_HANG, (uintptr_t)__builtin_return_address(0),
			     "%s spins and nobody can help",
			     machine->now == CO_NOBODY ? "who looks afterwards"
			     : machine->now == CO_A    ? "A"
			     : machine->now == CO_B    ? "B"
						       : "the worker");
	if (machine->now == CO_NOBODY)
		return;
	to = other_than(machine->now);
	if (to != CO_NOBODY)
		machine_change(to);
}

static void co_main(void)
{
	enum who who = machine->now, to;
	struct co *co = &machine->co[who];

	machine->inside = false;
	for (unsigned int i = 0; i < co->times; i++)
		form_run(co->form, who);
	if (co->handler)
		mw_port_unpin(port_cpu.depth - 1);
	machine->inside = true;
	co->ended = true;
	to = other_than(who);
	if (to != CO_NOBODY)
		machine_change(to);
	machine->now = CO_NOBODY;
	change_to_main(&co->sp);
}

void machine_co_begin(enum who who, unsigned int cpu, void (*fn)(void))
{
	struct co *co = &machine->co[who];

	uintptr_t *sp = (uintptr_t *)machine_stack_top(who) - 1;

	/* What earlier cases left there is no root. */
	memset(machine_stack_top(who) - STACK_SCANNED, 0, STACK_SCANNED);
	co->started = true;
	co->ended = false;
	co->at_moment = false;
	co->cpu = cpu;
	*sp-- = 0; /* as if somebody had called it */
	*sp-- = (uintptr_t)fn;
	for (unsigned int i = 0; i < 5; i++)
		*sp-- = 0;
	*sp = 0;
	co->sp = sp;
}

void machine_begin(enum who who, const struct form *form, unsigned int times, unsigned int cpu,
		   bool handler)
{
	struct co *co = &machine->co[who];

	machine_co_begin(who, cpu, co_main);
	co->form = form;
	co->times = times;
	co->handler = handler;
	if (handler)
		machine->cpu[cpu].depth++; /* interrupts are off in it */
	machine->mine[who].flags = handler ? MW_ATOMIC : MW_NORMAL;
}

void machine_run(enum who who)
{
	change_from(&host->main, who);
}

_Noreturn void machine_stopped_here(const struct registers *registers)
{
	struct co *co = &machine->co[machine->now];
	void *none;

	co->registers = *registers;
	co->at_moment = true;
	change_to_main(&none);
	abort();
}

void machine_clear(void)
{
	memset(machine, 0, sizeof(*machine));
	machine->now = machine->stopper = CO_NOBODY;
	port_cpu = (struct port_cpu){ .slot = 2, .relaxed = 63 };
}

/* B has stopped the world, and that is where it is to be held. */
void machine_hold(void)
{
	machine->hold = false;
	machine->now = CO_NOBODY;
	change_to_main(&machine->co[CO_B].sp);
}

/* ---- failures ---- */

bool machine_try(void (*fn)(void *arg), void *arg)
{
	host->ticks = 0;
	host->said_len = 0;
	failure->verdict = V_PASSED;
	failure->text[0] = '\0';
	host->trying = true;
	if (!sigsetjmp(host->out, 0))
		fn(arg);
	host->trying = false;
	return failure->verdict == V_PASSED;
}

static void leave(void)
{
	if (!host->trying) {
		fprintf(stderr, "pairs: %s outside of any case: %s at %#lx\n",
			verdict_names[failure->verdict], failure->text, (unsigned long)failure->ip);
		_exit(70);
	}
	siglongjmp(host->out, 1);
}

_Noreturn void machine_fail(enum verdict verdict, uintptr_t ip, const char *format, ...)
{
	va_list args;

	failure->verdict = verdict;
	failure->ip = ip;
	va_start(args, format);
	vsnprintf(failure->text, sizeof(failure->text), format, args);
	va_end(args);
	leave();
	abort();
}

const char *machine_now_name(void)
{
	static const char *const names[] = { "A", "B", "the worker", "who looks afterwards" };

	return names[machine->now];
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	uintptr_t ip = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	if (signal == SIGSEGV && memory_touched((uintptr_t)info->si_addr))
		return;
	machine_fail(V_CRASH, ip, "signal %d at %p in %s", signal, info->si_addr, machine_now_name());
}

static void on_tick(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	if (host->trying && ++host->ticks > MOST_TICKS)
		machine_fail(V_HANG, (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP],
			     "%s goes on without end", machine_now_name());
}

void machine_goes_on(void)
{
	host->ticks = 0;
}

const char *machine_said(void)
{
	host->said[host->said_len] = '\0';
	for (char *c = host->said; *c; c++)
		*c = *c == '\n' ? ' ' : *c;
	return host->said;
}

void machine_listen(void)
{
	host->said_len = 0;
}

void mw_port_write(const char *text, size_t len)
{
	size_t room = SAID - 1 - host->said_len;

	len = len > room ? room : len;
	memcpy(host->said + host->said_len, text, len);
	host->said_len += len;
}

/* ---- setting up ---- */

static void *fresh(size_t bytes)
{
	char *at = mmap(NULL, bytes + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || mprotect(at + GUARD, bytes, PROT_READ | PROT_WRITE))
		abort();
	return at + GUARD;
}

static void catch (int signal, void (*fn)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = fn,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	if (sigaction(signal, &action, NULL))
		abort();
}

void machine_set_up(void)
{
	const struct itimerval tick = { { 0, TICK_US }, { 0, TICK_US } };
	stack_t stack = { .ss_size = STACK };

	host = fresh(sizeof(*host));
	failure = fresh(4096);
	for (unsigned int i = 0; i < NR_CO; i++)
		host->stacks[i] = fresh(STACK);
	stack.ss_sp = fresh(STACK);
	if (sigaltstack(&stack, NULL))
		abort();
	port_cpu.slot = 2;
	catch (SIGSEGV, on_fault);
	catch (SIGBUS, on_fault);
	catch (SIGILL, on_fault);
	catch (SIGFPE, on_fault);
	catch (SIGTRAP, on_fault);
	catch (SIGVTALRM, on_tick);
	setitimer(ITIMER_VIRTUAL, &tick, NULL);
}
