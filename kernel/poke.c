// SPDX-License-Identifier: MIT
/* Mistakes that people make, each made on purpose, to read what is said about it. */
#include "commands.h"
#include "landing.h"
#include "text.h"
#include "thread.h"

struct mistake {
	const char *name, *what;
	void (*make)(void *arg);
};

/* After the last call, so that it is no jump, and the culprit is in the backtrace. */
static inline void stay(void)
{
	__asm__ volatile("");
}

/* For those that need something to make them with. */
static void no_memory(void)
{
	mw_print("There is no memory to make this mistake with.\n");
}

static void double_free(void *arg)
{
	void *object = mw_alloc(100, MW_NORMAL);

	(void)arg;
	if (!object) {
		no_memory();
		return;
	}
	mw_free(object);
	mw_free(object);
	stay();
}

static void inner_free(void *arg)
{
	char *object = mw_alloc(100, MW_NORMAL);

	(void)arg;
	if (!object) {
		no_memory();
		return;
	}
	mw_free(object + 24);
	mw_free(object);
}

static void wrong_size(void *arg)
{
	void *object = mw_alloc(100, MW_NORMAL);

	(void)arg;
	if (!object) {
		no_memory();
		return;
	}
	mw_free_sized(object, 300);
	mw_free(object);
}

static void wrong_count(void *arg)
{
	void *pages = mw_pages_alloc(4, MW_NORMAL);

	(void)arg;
	if (!pages) {
		no_memory();
		return;
	}
	mw_pages_free(pages, 3);
	mw_pages_free(pages, 4);
}

static void wrong_kind(void *arg)
{
	void *pages = mw_pages_alloc(1, MW_NORMAL);

	(void)arg;
	if (!pages) {
		no_memory();
		return;
	}
	mw_free(pages);
	mw_pages_free(pages, 1);
}

static void foreign_free(void *arg)
{
	int variable = 1;

	(void)arg;
	mw_free(&variable);
	stay();
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
		no_memory();
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
	{ "double-free", "free an object twice", double_free },
	{ "inner-free", "free an address inside an object", inner_free },
	{ "foreign-free", "free a local variable", foreign_free },
	{ "wrong-size", "tell mw_free_sized() another size", wrong_size },
	{ "wrong-count", "free 3 pages of 4", wrong_count },
	{ "wrong-kind", "free pages as an object", wrong_kind },
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

const char *poke_word(size_t n)
{
	return n < LEN(mistakes) ? mistakes[n].name : NULL;
}

static void make(const struct mistake *mistake)
{
	struct fault fault = landing_try(mistake->make, NULL);
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
	for (size_t i = 0; i < LEN(mistakes); i++)
		if (argc > 1 && text_equal(argv[1], mistakes[i].name)) {
			make(&mistakes[i]);
			return;
		}
	if (argc > 1)
		unknown_word("poke", argv[1]);
	for (size_t i = 0; i < LEN(mistakes); i++)
		mw_print("  poke %-14s %s\n", mistakes[i].name, mistakes[i].what);
}
