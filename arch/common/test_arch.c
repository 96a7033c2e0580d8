// SPDX-License-Identifier: MIT
/* Calls between CPUs, timer, registers, threads. */
#include "internal.h"
#include "landing.h"
#include "test.h"

static _Atomic(unsigned long) hits, wrong;

static bool in_text(uintptr_t pc)
{
	return pc >= (uintptr_t)arch_text_start && pc < (uintptr_t)arch_text_end;
}

/* ---- calls ---- */

static void hit(struct arch_regs *regs, void *arg)
{
	if (!in_text(arch_pc(regs)) || !arch_in_interrupt() || arch_irq_enabled() || arg != &hits)
		wrong++;
	hits++;
}

TEST(calls_run_on_each_other_cpu)
{
	hits = wrong = 0;
	arch_ipi_call(arch_cpus_all(), hit, &hits);
	CHECK_EQ(hits, arch_cpu_count() - 1);
	CHECK_EQ(wrong, 0);
	CHECK(!arch_in_interrupt());
}

static void call_all(unsigned int i, void *arg)
{
	(void)i, (void)arg;
	for (int k = 0; k < 20; k++)
		arch_ipi_call(arch_cpus_all(), hit, &hits);
}

TEST(calls_from_all_cpus_at_once)
{
	unsigned int n = test_cpus();

	hits = wrong = 0;
	test_parallel(n, call_all, NULL);
	CHECK_EQ(hits, 20 * n * (n - 1));
	CHECK_EQ(wrong, 0);
}

/* All push onto CPU 0's list as fast as they can, while it takes calls off. */
static struct arch_call many[ARCH_MAX_CPUS][16];
static _Atomic(unsigned long) posted;

static bool all_done(const struct arch_call *calls)
{
	for (unsigned int k = 0; k < 16; k++)
		if (arch_call_pending(&calls[k]))
			return false;
	return true;
}

static void post_many(unsigned int i, void *arg)
{
	uint64_t start;

	(void)arg;
	test_barrier();
	if (!i)
		return;
	start = arch_now();
	for (unsigned int k = 0, n = 0; n < 500 && arch_now() - start < 20000000000; k++) {
		if (arch_call_post(0, &many[i][k % 16], hit, &hits))
			n++, posted++;
		else
			arch_relax();
	}
	for (start = arch_now(); !all_done(many[i]) && arch_now() - start < 5000000000;)
		arch_relax();
	wrong += !all_done(many[i]);
}

TEST(no_call_is_lost_or_run_twice)
{
	if (test_cpus() < 2)
		test_skip("one CPU");
	hits = wrong = posted = 0;
	memset(many, 0, sizeof(many));
	test_parallel(test_cpus(), post_many, NULL);
	CHECK_EQ(posted, 500 * (test_cpus() - 1));
	CHECK_EQ(hits, posted);
	CHECK_EQ(wrong, 0);
}

/* The list alone, as fast as it goes: several push, one takes; nothing is lost, nothing comes twice. */
#define PUSHES 20000

static struct arch_call *_Atomic pushed;
static struct arch_call nodes[ARCH_MAX_CPUS][64];
static _Atomic(unsigned long) pushers;
static _Atomic(unsigned long) taken;

static void take_all(void)
{
	struct arch_call *call, *next;

	for (call = calls_take(&pushed); call; call = next) {
		next = call->next;
		taken++;
		atomic_store_explicit(&call->pending, 0, memory_order_release);
	}
}

#define STUCK_NS 20000000000 /* in which nothing was taken: on a busy host all take long */

/* Return: false: nothing has been taken for long, and @call neither. */
static bool taken_in_time(struct arch_call *call)
{
	uint64_t since = arch_now();
	unsigned long seen = taken;

	while (arch_call_pending(call)) {
		if (seen != taken) {
			seen = taken;
			since = arch_now();
		}
		if (arch_now() - since > STUCK_NS)
			return false;
		arch_relax();
	}
	return true;
}

static void push_or_take(unsigned int i, void *arg)
{
	(void)arg;
	test_barrier();
	if (!i) {
		while (pushers) {
			take_all();
			arch_relax();
		}
		take_all();
		return;
	}
	for (unsigned int n = 0; n < PUSHES; n++) {
		struct arch_call *call = &nodes[i][n % 64];

		if (!taken_in_time(call))
			break; /* it was lost; pushed twice it would be a ring */
		atomic_store_explicit(&call->pending, 1, memory_order_relaxed);
		(void)calls_push(&pushed, call);
	}
	pushers--;
}

TEST(pushes_of_all_arrive_once)
{
	if (test_cpus() < 2)
		test_skip("one CPU");
	memset(nodes, 0, sizeof(nodes));
	pushed = NULL;
	taken = 0;
	pushers = test_cpus() - 1;
	test_parallel(test_cpus(), push_or_take, NULL);
	CHECK_EQ(pushers, 0);
	CHECK_EQ(taken, PUSHES * (test_cpus() - 1));
}

static unsigned int order[8], nr_order;

static void note_order(struct arch_regs *regs, void *arg)
{
	(void)regs;
	order[nr_order++] = (unsigned int)(uintptr_t)arg;
}

static void stay(unsigned int i, void *arg)
{
	unsigned long state = arch_irq_save();

	(void)arg;
	test_barrier();
	/* CPU 0 posts while CPU 1 has interrupts off. */
	if (i == 0) {
		static struct arch_call calls[8];

		for (uintptr_t k = 0; k < 8; k++)
			if (!arch_call_post(1, &calls[k], note_order, (void *)k) ||
			    arch_call_post(1, &calls[k], note_order, (void *)k))
				wrong++;
	}
	test_barrier();
	if (i == 1 && nr_order)
		wrong++;
	arch_irq_restore(state);
	test_barrier();
}

TEST(calls_wait_for_interrupts_and_keep_their_order)
{
	if (test_cpus() < 2)
		test_skip("one CPU");
	wrong = nr_order = 0;
	test_parallel(2, stay, NULL);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(nr_order, 8);
	for (unsigned int k = 0; k < 8; k++)
		CHECK_EQ(order[k], k);
}

/* To relax may need an interrupt of this CPU's own: what others asked for meanwhile is not forgotten. */
TEST(to_relax_loses_no_call)
{
	static struct arch_call call;
	unsigned long state = arch_irq_save();
	uint64_t start = arch_now();

	hits = wrong = 0;
	CHECK(arch_call_post(arch_cpu_id(), &call, hit, &hits));
	for (int i = 0; i < 10; i++)
		arch_relax();
	CHECK_EQ(hits, 0);
	arch_irq_restore(state);
	while (arch_call_pending(&call) && arch_now() - start < 5000000000)
		arch_relax();
	CHECK_EQ(hits, 1);
	CHECK_EQ(wrong, 0);
}

static void note_cpu(unsigned int cpu, void *arg)
{
	_Atomic(unsigned long) *seen = arg;

	if (cpu != arch_cpu_id() || !arch_irq_enabled() || arch_in_interrupt())
		wrong++;
	atomic_fetch_or(seen, 1ul << cpu);
}

TEST(functions_run_on_chosen_cpus)
{
	for (arch_cpus_t cpus = 1; cpus <= arch_cpus_all() && cpus < 64; cpus++) {
		_Atomic(unsigned long) seen = 0;

		wrong = 0;
		arch_run_on_cpus(cpus, note_cpu, &seen);
		CHECK_EQ(seen, cpus & arch_cpus_all());
		CHECK_EQ(wrong, 0);
	}
}

static struct arch_regs captured[ARCH_MAX_CPUS];

static void be_captured(unsigned int i, void *arg)
{
	unsigned long state = arch_irq_save();

	test_barrier();
	if (i == 0)
		*(arch_cpus_t *)arg = arch_capture(captured);
	test_barrier();
	arch_irq_restore(state);
}

TEST(capture_reaches_cpus_with_interrupts_off)
{
	arch_cpus_t answered = 0;
	uintptr_t pcs[16];

	if (!ARCH_HAS_NMI)
		test_skip("this machine has no NMIs");
	test_parallel(test_cpus(), be_captured, &answered);
	CHECK_EQ(answered, arch_cpus_all());
	for (unsigned int i = 0; i < test_cpus(); i++) {
		CHECK(in_text(arch_pc(&captured[i])));
		CHECK(arch_backtrace(arch_fp(&captured[i]), pcs, 16) > 0);
	}
}

static unsigned long rescheduled;

static void on_reschedule(struct arch_regs *regs)
{
	(void)regs;
	rescheduled += !arch_in_interrupt();
}

static void ask_from_timer(struct arch_regs *regs, void *arg)
{
	(void)regs, (void)arg;
	arch_ipi_reschedule(arch_cpu_id());
	hits += rescheduled ? 0 : 1;
}

TEST(reschedule_comes_after_the_handler)
{
	uint64_t start = arch_now();

	rescheduled = 0;
	hits = 0;
	arch_on_reschedule(on_reschedule);
	arch_timer_oneshot(ARCH_TIMER_STORM, 1000, ask_from_timer, NULL);
	while (!*(volatile unsigned long *)&rescheduled && arch_now() - start < 5000000000)
		arch_relax();
	arch_on_reschedule(NULL);
	CHECK_EQ(rescheduled, 1);
	CHECK_EQ(hits, 1);
}

/* ---- time ---- */

static void tick(struct arch_regs *regs, void *arg)
{
	(void)arg;
	wrong += !in_text(arch_pc(regs)) || !arch_in_interrupt();
	hits++;
}

static void wait_hits(unsigned long n)
{
	uint64_t start = arch_now();

	while (hits < n && arch_now() - start < 5000000000)
		arch_relax();
}

TEST(timer_comes_once_or_again_and_again)
{
	uint64_t start;

	hits = wrong = 0;
	start = arch_now();
	arch_timer_oneshot(ARCH_TIMER_STORM, 1000000, tick, NULL);
	wait_hits(1);
	CHECK(arch_now() - start >= 1000000);
	arch_delay(5000000);
	CHECK_EQ(hits, 1);
	hits = 0;
	start = arch_now();
	arch_timer_periodic(ARCH_TIMER_STORM, 1000000, tick, NULL);
	wait_hits(5);
	CHECK(arch_now() - start >= 5000000);
	arch_timer_stop(ARCH_TIMER_STORM);
	hits = 0;
	arch_delay(5000000);
	CHECK_EQ(hits, 0);
	CHECK_EQ(wrong, 0);
}

/* A busy host loses most of the interrupts, but not all. */
TEST(preemption_happens_and_ends)
{
	uint64_t count = 0, start = arch_now();

	while (count < 5 && arch_now() - start < 5000000000) {
		arch_preempt_start(1, 2000);
		arch_delay(1000000);
		count += arch_preempt_stop();
	}
	CHECK(count >= 5);
	count = arch_preempt_stop();
	arch_delay(1000000);
	CHECK_EQ(arch_preempt_stop(), count);
}

/* ---- threads ---- */

static uintptr_t main_sp, other_sp;

static void other_thread(void *arg)
{
	for (unsigned long i = 0;; i++) {
		*(unsigned long *)arg = i;
		arch_switch(&other_sp, main_sp);
	}
}

TEST(threads_switch)
{
	unsigned long seen = 99;
	char *stack = test_memory(4 * ARCH_PAGE_SIZE);
	unsigned long state = arch_irq_save();

	wrong = 0;
	other_sp = arch_stack_init(stack + 4 * ARCH_PAGE_SIZE, other_thread, &seen);
	for (unsigned long i = 0; i < 100; i++) {
		arch_switch(&main_sp, other_sp);
		wrong += seen != i;
	}
	arch_irq_restore(state);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(seen, 99);
}

/* The frame pointer for a frame of these two words. */
static uintptr_t frame_at(const uintptr_t *words)
{
	return (uintptr_t)words + ARCH_FRAME;
}

TEST(backtrace_survives_bad_frames)
{
	uintptr_t pcs[8], words[2] = { 0, 0 };
	static const uintptr_t bad[] = { 8,
					 1,
					 0x1000,
					 0x7fffffffffff8,
					 ~7ul,
					 ARCH_DIRECT_MAP - 8,
					 ARCH_DIRECT_MAP + (1ul << 45),
					 ARCH_KERNEL_BASE };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(arch_backtrace(bad[i], pcs, 8), 0);
	words[0] = frame_at(words); /* a ring */
	words[1] = (uintptr_t)arch_text_start;
	CHECK_EQ(arch_backtrace(frame_at(words), pcs, 8), 1);
	words[0] = 0x1000;
	CHECK_EQ(arch_backtrace(frame_at(words), pcs, 8), 1);
	CHECK(arch_backtrace(0, pcs, 8) > 1);
	CHECK_EQ(arch_backtrace(0, pcs, 1), 1);
}

/* Frames at these words of two pages: side by side, one in both pages, and one that the chain ends at. */
TEST(backtrace_goes_from_page_to_page)
{
	static _Alignas(ARCH_PAGE_SIZE) uintptr_t stack[2 * ARCH_PAGE_SIZE / 8];
	static const size_t at[] = { 0, 2, 300, 509, 511, 513, 700, 1022 };
	const size_t frames = sizeof(at) / sizeof(at[0]);
	uintptr_t pcs[16];

	for (size_t i = 0; i < frames; i++) {
		stack[at[i]] = i + 1 < frames ? frame_at(&stack[at[i + 1]]) : 0;
		stack[at[i] + 1] = 100 + i;
	}
	for (size_t first = 0; first < frames; first++) {
		for (size_t max = 1; max < 16; max++) {
			size_t want = max < frames - first ? max : frames - first;

			CHECK_EQ(arch_backtrace(frame_at(&stack[at[first]]), pcs, max), want);
			for (size_t i = 0; i < want; i++)
				CHECK_EQ(pcs[i], 100 + first + i);
		}
	}
	stack[at[3] + 1] = 0; /* no address to return to; what @pcs had before is no sign of that */
	CHECK_EQ(arch_backtrace(frame_at(stack), pcs, 16), 3);
	stack[at[1]] |= 1;
	CHECK_EQ(arch_backtrace(frame_at(stack), pcs, 16), 2);
}

/* ---- small things ---- */

TEST(interrupt_state_nests)
{
	unsigned long outer = arch_irq_save(), inner = arch_irq_save();

	arch_irq_restore(inner);
	CHECK(!arch_irq_enabled());
	arch_irq_restore(outer);
	CHECK(arch_irq_enabled());
}
