// SPDX-License-Identifier: MIT
/*
 * Mistakes that people make, each made on purpose, to read what is said about it: here those with
 * the machine.
 */
#include "commands.h"
#include "landing.h"
#include "poke.h"
#include "text.h"
#include "thread.h"

void poke_no_memory(void)
{
	mw_print("There is no memory to make this mistake with.\n");
}

static void null_write(void *arg)
{
	static volatile int *volatile null;

	(void)arg;
	*null = 1;
}

static void text_write(void *arg)
{
	(void)arg;
	*(volatile char *)arch_text_start = 0;
}

static void data_call(void *arg)
{
	static unsigned char code[] = { 0xc3 };

	(void)arg;
	((void (*)(void))(uintptr_t)code)();
}

static __attribute__((noinline)) unsigned long deep(volatile unsigned long *levels)
{
	volatile char room[256];

	room[0] = 1;
	return *levels ? deep(levels) + (unsigned long)room[0] : 0;
}

void poke_overflow(void *arg)
{
	volatile unsigned long levels = 1;

	(void)arg;
	(void)deep(&levels);
}

static void hang(void *arg)
{
	(void)arg;
	(void)arch_irq_save();
	for (;;)
		arch_relax();
}

static void overflow_in_thread(void *arg)
{
	struct thread *thread = thread_create("deep", poke_overflow, NULL);

	(void)arg;
	if (thread)
		thread_join(thread);
	else
		poke_no_memory();
}

/* Run @fn in a timer's interrupt, and wait for longer than it takes. */
static void interrupt_with(arch_timer_fn *fn)
{
	arch_timer_oneshot(ARCH_TIMER_STORM, 1000, fn, NULL);
	arch_delay(100000000);
}

static void invalid_in_handler(struct arch_regs *regs, void *arg)
{
	(void)regs, (void)arg;
	arch_invalid_instruction();
}

static void overflow_in_handler(struct arch_regs *regs, void *arg)
{
	(void)regs;
	poke_overflow(arg);
}

static void interrupt_fault(void *arg)
{
	(void)arg;
	interrupt_with(invalid_in_handler);
}

static void interrupt_stack(void *arg)
{
	(void)arg;
	interrupt_with(overflow_in_handler);
}

/* In a handler on another CPU: interrupts are off for longer than a stop of the world waits. */
static void be_deaf(struct arch_regs *regs, void *arg)
{
	(void)regs, (void)arg;
	arch_delay(STOP_LIMIT_NS + STOP_LIMIT_NS / 4);
}

static void stop_the_deaf(void *arg)
{
	static struct arch_call call;
	unsigned int cpu = (arch_cpu_id() + 1) % arch_cpu_count();
	int stuck;

	(void)arg;
	if (arch_cpu_count() < 2) {
		mw_print("This needs a second CPU.\n");
		return;
	}
	(void)arch_call_post(cpu, &call, be_deaf, NULL);
	arch_delay(10000000);
	stuck = mw_port_stop_world();
	mw_print("CPU %u was deaf; the stop says that CPU %d did not answer.\n", cpu, stuck);
	while (arch_call_pending(&call))
		arch_relax();
	stuck = mw_port_stop_world();
	if (stuck < 0)
		mw_port_start_world();
	mw_print("Now that it hears again: %s.\n", stuck < 0 ? "all stopped" : "still stuck");
}

static void triple_fault(void *arg)
{
	(void)arg;
	arch_triple_fault();
}

static const struct mistake mistakes[] = {
	{ "null", "write through a null pointer", null_write },
	{ "text", "write to the kernel's code", text_write },
	{ "data", "call data as a function", data_call },
	{ "stack", "recurse until the stack's guard page", poke_overflow },
	{ "thread-stack", "the same in a thread, which nobody catches", overflow_in_thread },
	{ "irq-fault", "an invalid instruction in an interrupt handler", interrupt_fault },
	{ "irq-stack", "recurse in an interrupt handler", interrupt_stack },
	{ "deaf", "stop the world while a CPU has interrupts off", stop_the_deaf },
	{ "hang", "wait for ever, interrupts off", hang },
	{ "triple-fault", "an exception that nobody can handle", triple_fault },
};

static const struct mistake *nth_mistake(size_t n)
{
	size_t of_heap = 0;

	while (of_heap < n && poke_heap_mistake(of_heap))
		of_heap++;
	if (poke_heap_mistake(of_heap))
		return poke_heap_mistake(of_heap);
	return n - of_heap < LEN(mistakes) ? &mistakes[n - of_heap] : NULL;
}

const char *poke_word(size_t n)
{
	const struct mistake *mistake = nth_mistake(n);

	return mistake ? mistake->name : NULL;
}

void poke_try(void (*make)(void *arg), void *arg)
{
	struct fault fault = landing_try(make, arg);
	char name[80] = "?";

	if (!fault.came)
		return;
	(void)mw_port_symbol(fault.pc, name, sizeof(name));
	mw_print("exception %lu (%s), address 0x%lx, at %s\n", fault.number,
		 arch_fault_name(fault.what), (unsigned long)fault.address, name);
	mw_print("The monitor caught it; anywhere else it would have been a panic.\n");
}

void poke(size_t argc, char **argv)
{
	const struct mistake *mistake;

	for (size_t i = 0; argc > 1 && (mistake = nth_mistake(i)); i++)
		if (text_equal(argv[1], mistake->name)) {
			poke_try(mistake->make, NULL);
			return;
		}
	if (argc > 1)
		unknown_word("poke", argv[1]);
	for (size_t i = 0; (mistake = nth_mistake(i)); i++)
		mw_print("  poke %-14s %s\n", mistake->name, mistake->what);
}
