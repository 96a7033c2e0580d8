// SPDX-License-Identifier: MIT
/*
 * The kernel's backend of the test harness (hosttest/harness.h).
 *
 * Tests run on CPU 0 with interrupts on and the heap closed: its memory is theirs. Other CPUs sleep
 * until test_parallel() wants them. With seed= on the command line each CPU is preempted there at
 * moments that the seed decides, which under -icount replays one interleaving of the CPUs exactly.
 */
#include <stdatomic.h>
#include "kernel.h"
#include "harness.h"
#include "keys.h"
#include "landing.h"
#include "text.h"
#include "thread.h"

#define TEST_CPU 0
#define INTERRUPT_GAP_NS 20000 /* longest time between two interrupts for a test */

static bool running;

bool test_running(void)
{
	return running;
}

static unsigned int worker[MW_MAX_CPUS];

/* ---- console, time ---- */

void backend_write(const char *text, size_t len)
{
	arch_console_write(text, len);
}

uint64_t backend_now(void)
{
	return arch_now();
}

/* For a loop of two instructions a turn. */
static __attribute__((noinline)) uint64_t cycles_of_loop(unsigned long turns)
{
	uint64_t start = arch_cycles();

	arch_count_down(turns);
	return arch_cycles() - start;
}

/* Under -icount shift=0 the counter counts instructions, and nothing else does so exactly. */
static bool cycles_are_instructions(void)
{
	unsigned long state = arch_irq_save();
	bool exact = true;

	for (unsigned long i = 1; i <= 3; i++)
		exact &= cycles_of_loop(3000 * i) - cycles_of_loop(1000 * i) == 4000 * i;
	arch_irq_restore(state);
	return exact;
}

uint64_t backend_instructions(void)
{
	static int exact = -1;

	if (exact < 0)
		exact = cycles_are_instructions();
	return exact ? arch_cycles() : 0;
}

/* ---- memory: the longest run of it, from the bottom up ---- */

static size_t memory_used;

void *backend_memory(size_t bytes, uint64_t *phys)
{
	size_t len;
	char *spare = memory_spare(&len);
	char *memory = spare + memory_used;

	bytes = (bytes + MW_PAGE_SIZE - 1) & ~(MW_PAGE_SIZE - 1);
	if (bytes > len - memory_used)
		return NULL;
	memory_used += bytes;
	/* Pages of an earlier heap whose debug aids had made them fault. */
	if (port_has_protected() && !arch_page_protect(memory, bytes, ARCH_PROT_WRITE))
		return NULL;
	if (shadow_forget)
		shadow_forget(memory, bytes);
	memset(memory, 0, bytes);
	*phys = arch_phys(memory);
	return memory;
}

/*
 * Every suite is in this one image, so what a test leaves in its variables would be roots for the
 * heaps of all later tests, which lie at the same addresses. Nobody has a heap now: a word in data or
 * bss that leads into the tests' memory dangles.
 */
static void forget_pointers(void)
{
	size_t len;
	uintptr_t spare = (uintptr_t)memory_spare(&len);

	for (uintptr_t *word = (uintptr_t *)arch_data_start; word < (uintptr_t *)arch_bss_end; word++)
		if (*word - spare < len)
			*word = 0;
}

void backend_memory_reset(void)
{
	memory_used = 0;
	forget_pointers();
}

/* ---- CPUs ---- */

struct parallel {
	void (*fn)(unsigned int i, void *arg);
	void *arg;
	atomic_bool left; /* somebody gave up */
};

struct part {
	struct parallel *whole;
	unsigned int i;
};

static void run_part(void *arg)
{
	struct part *part = arg;

	part->whole->fn(part->i, part->whole->arg);
}

static void run_on_cpu(unsigned int cpu, void *arg)
{
	struct part part = { arg, cpu };

	worker[cpu] = cpu;
	if (options.seeded)
		arch_preempt_start(options.seed, options.gap);
	if (!landing_call(run_part, &part)) {
		harness_worker_left();
		atomic_store(&part.whole->left, true);
	}
	if (options.seeded)
		(void)arch_preempt_stop();
	worker[cpu] = 0;
}

unsigned int backend_cpus(void)
{
	return arch_cpu_count();
}

void backend_parallel(unsigned int n, void (*fn)(unsigned int i, void *arg), void *arg)
{
	struct parallel whole = { .fn = fn, .arg = arg };

	arch_run_on_cpus(arch_cpus_all() & (~(arch_cpus_t)0 >> (64 - n)), run_on_cpu, &whole);
	if (atomic_load(&whole.left))
		backend_leave();
}

unsigned int backend_worker(void)
{
	return worker[arch_cpu_id()];
}

bool backend_workers(bool on)
{
	if (on)
		return workers_start();
	workers_stop();
	return true;
}

static bool own_roots;

void backend_own_roots(bool on)
{
	own_roots = on;
}

bool test_has_own_roots(void)
{
	return own_roots;
}

/* ---- interrupts ---- */

static struct interrupts {
	void (*fn)(void *arg);
	void *arg;
	unsigned long count;
	uint64_t random;
} interrupts[MW_MAX_CPUS];

static void call_interrupt(void *arg)
{
	struct interrupts *mine = arg;

	mine->fn(mine->arg);
}

static void arm(struct interrupts *mine, arch_timer_fn *fn)
{
	mine->random = mine->random * 6364136223846793005u + 1442695040888963407u;
	arch_timer_oneshot(ARCH_TIMER_STORM, 1 + (mine->random >> 33) % INTERRUPT_GAP_NS, fn, mine);
}

/*
 * On a CPU that is stopped too, where handlers may call Marrow. A test that gives up in its handler ends the
 * handler only: the failure has been noted.
 */
static void on_timer(struct arch_regs *regs, void *arg)
{
	struct interrupts *mine = arg;

	(void)regs;
	mine->count++;
	(void)landing_call(call_interrupt, mine);
	if (mine->fn)
		arm(mine, on_timer);
}

bool backend_interrupts_on(void (*fn)(void *arg), void *arg)
{
	unsigned long state = arch_irq_save();
	struct interrupts *mine = &interrupts[arch_cpu_id()];

	*mine = (struct interrupts){ .fn = fn, .arg = arg, .random = test_seed };
	arm(mine, on_timer);
	arch_irq_restore(state);
	return true;
}

/* On a busy host the first one may be late. */
static void wait_for_interrupt(const struct interrupts *mine)
{
	uint64_t until = arch_now() + FIRST_INTERRUPT_NS;

	while (mine->fn && !__atomic_load_n(&mine->count, __ATOMIC_RELAXED) && arch_now() < until)
		arch_relax();
}

unsigned long backend_interrupts_off(void)
{
	unsigned long state, count;
	struct interrupts *mine;

	wait_for_interrupt(&interrupts[arch_cpu_id()]);
	state = arch_irq_save();
	mine = &interrupts[arch_cpu_id()];
	count = mine->count;
	mine->fn = NULL;
	mine->count = 0;
	arch_timer_stop(ARCH_TIMER_STORM);
	arch_irq_restore(state);
	return count;
}

/* ---- leaving ---- */

bool backend_try(void (*fn)(void *arg), void *arg)
{
	return landing_call(fn, arg);
}

_Noreturn void backend_leave(void)
{
	landing_leave();
}

void tests_panicked(const char *why)
{
	if (running && arch_cpu_id() == TEST_CPU && landing_any() && !arch_in_interrupt())
		harness_panicked(why);
	else if (running && harness_last_words)
		harness_last_words();
}

static void panicked(void *arg)
{
	harness_panicked(arg);
}

/* An exception in a test ends the test, in an interrupt or on another CPU the machine. */
static bool on_exception(const struct arch_regs *regs, uintptr_t address)
{
	char why[160], name[80] = "?";

	if (!running || arch_cpu_id() != TEST_CPU)
		return false;
	(void)mw_port_symbol(arch_pc(regs), name, sizeof(name));
	mw_format(why, sizeof(why), "exception %lu (%s), address 0x%lx, at %s",
		  arch_fault_number(regs), arch_fault_name(arch_fault_of(regs)),
		  (unsigned long)address, name);
	arch_print_regs(regs);
	arch_print_trace(regs);
	return !landing_call(panicked, why);
}

/* ---- the run ---- */

void backend_test_begin(const char *name)
{
	unsigned int number = 0;

	(void)name;
	if (options.seeded && seams_start) {
		(void)harness_current(&number);
		seams_start(options.seed, number);
	}
	/* Where time is counted in instructions, two seconds of waiting would be minutes. */
	stop_set_limit(options.seeded ? STOP_LIMIT_NS / 100 : STOP_LIMIT_NS);
}

void backend_test_end(void)
{
	if (seams_stop)
		seams_stop();
	thread_take_reschedules();
}

static const char *names(const char *which)
{
	return text_equal(which, "all") ? NULL : which;
}

bool tests_known(const char *which)
{
	const struct harness_want want = { .names = names(which) };
	bool known = harness_plan(&want);

	if (!known)
		mw_print("There is no test \"%s\"; \"tests\" lists all.\n", which);
	return known;
}

bool tests_run(const char *which, bool list)
{
	struct harness_want want = { .names = names(which),
				     .flags = options.long_tests ? TEST_LONG : 0,
				     .only = options.counted_tests ? TEST_COUNTED : 0,
				     .seed = options.seed,
				     .percent = (unsigned int)options.rounds,
				     .list = list,
				     .stop = keys_stop };
	mw_misuse_fn *handler = mw_on_misuse(NULL);
	unsigned int failed;

	memory_close();
	landing_init(on_exception);
	running = true;
	failed = harness_run(&want);
	running = false;
	mw_on_misuse(handler);
	if (options.seeded && seams_report)
		seams_report();
	if (pinned_report)
		pinned_report();
	if (!list)
		mw_print("# marrow: tests done\n");
	return !failed;
}
