// SPDX-License-Identifier: MIT
/*
 * A switch between two CPUs at a chosen instruction, for Linux on x86: one thread plays both.
 *
 * The trap flag stops @a before each of its instructions. When it is the one, the signal handler goes over to
 * @b, which has a stack of its own and is another CPU to the heap: pins and number in port_cpu are changed with
 * the stacks. Whoever then turns in a spin loop lets the other one go on, as it waits for that one. So it is the
 * same every time, and no scheduler has a say in it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>
#include <marrow/port.h>
#include "harness.h"
#include "port_hosted.h"

#define TRAP_FLAG 0x100ul
#define OTHER (MW_MAX_CPUS - 1) /* numbers that no thread gets: there are not so many */
#define THIRD (MW_MAX_CPUS - 2)

static struct {
	ucontext_t first, second;
	void (*fn)(void *arg);
	void *arg;
	unsigned long left; /* instructions until the switch */
	volatile bool stepping; /* it has not come yet */
	bool second_runs, second_ended;
	struct {
		unsigned long depth;
		int slot;
	} waits; /* of who does not run */
	_Alignas(16) char stack[(size_t)256 << 10];
} step;
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
	change_cpu(&step.waits.depth, &step.waits.slot);
	step.second_runs = !step.second_runs;
	if (step.second_runs)
		swapcontext(&step.first, &step.second);
	else
		swapcontext(&step.second, &step.first);
}

static void second_main(void)
{
	step.fn(step.arg);
	step.second_ended = true;
	change();
}

/* Who spins waits for the other one, if that has begun and goes on. */
static bool on_yield(void)
{
	if (!steps_here || step.stepping || step.second_ended)
		return false;
	change();
	return true;
}

#if defined(__x86_64__) || defined(__i386__)

#ifdef __x86_64__
#define FLAGS REG_EFL
#define read_flags() __builtin_ia32_readeflags_u64()
#define write_flags(flags) __builtin_ia32_writeeflags_u64(flags)
#else
#define FLAGS REG_EFL
#define read_flags() __builtin_ia32_readeflags_u32()
#define write_flags(flags) __builtin_ia32_writeeflags_u32(flags)
#endif

static void on_step(int signal, siginfo_t *info, void *context)
{
	ucontext_t *at = context;

	(void)signal, (void)info;
	if (step.stepping && step.left--)
		return;
	at->uc_mcontext.gregs[FLAGS] &= ~(greg_t)TRAP_FLAG;
	if (!step.stepping)
		return;
	step.stepping = false;
	change();
}

static void run_stepped(void (*a)(void *arg), void *arg)
{
	write_flags(read_flags() | TRAP_FLAG);
	a(arg);
	write_flags(read_flags() & ~TRAP_FLAG);
}

bool backend_steps(void)
{
	return !backend_sanitized() && backend_cpus() > 1;
}

#else

static void on_step(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info, (void)context;
}

static void run_stepped(void (*a)(void *arg), void *arg)
{
	a(arg);
}

bool backend_steps(void)
{
	return false;
}

#endif

bool backend_step(void (*a)(void *arg), void (*b)(void *arg), void *arg, unsigned long at)
{
	struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO }, before;
	bool came;

	if (sigaction(SIGTRAP, &action, &before) || getcontext(&step.second))
		abort();
	step.second.uc_stack.ss_sp = step.stack;
	step.second.uc_stack.ss_size = sizeof(step.stack);
	makecontext(&step.second, second_main, 0);
	step.fn = b;
	step.arg = arg;
	step.left = at;
	step.second_runs = step.second_ended = false;
	step.waits.depth = 0;
	step.waits.slot = OTHER;
	port_on_yield = on_yield;
	steps_here = step.stepping = true;
	run_stepped(a, arg);
	came = !step.stepping;
	step.stepping = false;
	while (!step.second_ended)
		change();
	steps_here = false;
	port_on_yield = NULL;
	sigaction(SIGTRAP, &before, NULL);
	return came;
}

void backend_elsewhere(void (*fn)(void *arg), void *arg)
{
	unsigned long depth = 0;
	int slot = THIRD;

	change_cpu(&depth, &slot);
	fn(arg);
	change_cpu(&depth, &slot);
}
