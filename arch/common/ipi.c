// SPDX-License-Identifier: MIT
/*
 * CPUs interrupting each other.
 *
 * Calls: each CPU has a list, newest first, to which anyone pushes; the handler takes the whole list,
 * turns it round, and runs it. A call belongs to the poster again once pending is 0, which is the
 * last that the handler does with it. Captures: by NMI where there is one, so that they reach CPUs with interrupts off.
 */
#include "internal.h"

#define ANSWER_NS 10000000000ul
/* By NMI; an ordinary interrupt has to wait for who has them off, too. */
#define CAPTURE_NS (ARCH_HAS_NMI ? 1000000000ul : 4000000000ul)

enum capture_state {
	CAPTURE_NONE,
	CAPTURE_WANTED,
	CAPTURE_DONE
};

static void (*reschedule_fn)(struct arch_regs *regs);

bool arch_call_pending(const struct arch_call *call)
{
	return atomic_load_explicit(&((struct arch_call *)call)->pending, memory_order_acquire);
}

bool calls_push(struct arch_call *_Atomic *list, struct arch_call *call)
{
	struct arch_call *head = atomic_load_explicit(list, memory_order_relaxed);

	do
		call->next = head;
	while (!atomic_compare_exchange_weak_explicit(list, &head, call, memory_order_release,
						      memory_order_relaxed));
	return !head;
}

struct arch_call *calls_take(struct arch_call *_Atomic *list)
{
	struct arch_call *call = atomic_exchange_explicit(list, NULL, memory_order_acquire);
	struct arch_call *oldest = NULL, *next;

	for (; call; call = next) {
		next = call->next;
		call->next = oldest;
		oldest = call;
	}
	return oldest;
}

bool arch_call_post(unsigned int number, struct arch_call *call, arch_call_fn *fn, void *arg)
{
	struct arch_percpu *to = arch_cpu_by_number[number];
	unsigned long idle = 0, state;

	if (!atomic_compare_exchange_strong_explicit(&call->pending, &idle, 1, memory_order_acquire,
						     memory_order_relaxed))
		return false;
	call->fn = fn;
	call->arg = arg;
	state = arch_irq_save();
	/* Whoever pushed onto an empty list interrupts; the handler takes later ones along. */
	if (calls_push(&to->calls, call))
		machine_send(to, MESSAGE_CALL);
	arch_irq_restore(state);
	return true;
}

void ipi_run_calls(struct arch_regs *regs)
{
	struct arch_call *call, *next;

	for (call = calls_take(&this_cpu()->calls); call; call = next) {
		next = call->next;
		call->fn(regs, call->arg);
		atomic_store_explicit(&call->pending, 0, memory_order_release);
	}
}

void arch_ipi_call(arch_cpus_t cpus, arch_call_fn *fn, void *arg)
{
	struct arch_call calls[ARCH_MAX_CPUS] = { 0 };
	unsigned long state;
	uint64_t start = arch_now();

	if (!arch_irq_enabled())
		arch_panic("arch_ipi_call with interrupts off");
	state = arch_irq_save();
	cpus &= arch_cpus_others();
	for (unsigned int i = 0; i < arch_cpu_count(); i++)
		if (cpus >> i & 1)
			arch_call_post(i, &calls[i], fn, arg);
	arch_irq_restore(state);
	for (unsigned int i = 0; i < arch_cpu_count(); i++) {
		while (arch_call_pending(&calls[i])) {
			arch_relax();
			if (arch_now() - start > ANSWER_NS)
				arch_panic("a CPU does not answer a call");
		}
	}
}

void arch_on_reschedule(void (*fn)(struct arch_regs *regs))
{
	reschedule_fn = fn;
}

void ipi_run_reschedule(struct arch_regs *regs)
{
	if (reschedule_fn)
		reschedule_fn(regs);
}

void arch_ipi_reschedule(unsigned int number)
{
	unsigned long state = arch_irq_save();
	struct arch_percpu *cpu = arch_cpu_by_number[number];

	if (cpu == this_cpu() && cpu->depth)
		cpu->resched = true;
	else
		machine_send(cpu, MESSAGE_RESCHEDULE);
	arch_irq_restore(state);
}

/*
 * In the NMI handler, where a panic keeps the CPU. Return: false if nobody in here asked for this NMI.
 */
bool ipi_answer_capture(struct arch_regs *regs)
{
	struct arch_percpu *cpu = this_cpu();

	if (atomic_load_explicit(&cpu->capture, memory_order_relaxed) != CAPTURE_WANTED)
		return false;
	cpu->captured = *regs;
	atomic_store_explicit(&cpu->capture, CAPTURE_DONE, memory_order_release);
	if (panic_begun())
		machine_halt();
	return true;
}

/* Two who ask at once share the answers. An answer that comes too late is still a capture. */
arch_cpus_t ipi_capture_others(void)
{
	arch_cpus_t waiting = arch_cpus_others(), answered = 0;
	uint64_t start = arch_now();

	for (unsigned int i = 0; i < arch_cpu_count(); i++) {
		if (!(waiting >> i & 1))
			continue;
		atomic_store_explicit(&arch_cpu_by_number[i]->capture, CAPTURE_WANTED,
				      memory_order_release);
		machine_send(arch_cpu_by_number[i], MESSAGE_CAPTURE);
	}
	while (answered != waiting && arch_now() - start < CAPTURE_NS) {
		for (unsigned int i = 0; i < arch_cpu_count(); i++)
			if ((waiting >> i & 1) &&
			    atomic_load_explicit(&arch_cpu_by_number[i]->capture,
						 memory_order_acquire) == CAPTURE_DONE)
				answered |= 1ul << i;
		arch_relax();
	}
	return answered;
}

/* Enough to begin a backtrace at the caller. */
static __attribute__((noinline)) void capture_here(struct arch_regs *regs)
{
	const uintptr_t *frame = __builtin_frame_address(0), *words = frame - ARCH_FRAME / 8;

	*regs = (struct arch_regs){ 0 };
	machine_regs_here(regs);
	arch_set_place(regs, words[1], (uintptr_t)(words + 2), words[0]);
}

arch_cpus_t arch_capture(struct arch_regs regs[ARCH_MAX_CPUS])
{
	arch_cpus_t answered = ipi_capture_others();

	for (unsigned int i = 0; i < arch_cpu_count(); i++)
		if (answered >> i & 1)
			regs[i] = arch_cpu_by_number[i]->captured;
	capture_here(&regs[arch_cpu_id()]);
	return answered | 1ul << arch_cpu_id();
}

void ipi_print_captured(arch_cpus_t answered, arch_cpus_t which)
{
	for (unsigned int i = 0; i < arch_cpu_count(); i++) {
		struct arch_percpu *cpu = arch_cpu_by_number[i];

		if (!(which >> i & 1))
			continue;
		if (!(answered >> i & 1)) {
			arch_print("CPU %u did not answer\n", i);
			continue;
		}
		arch_print("CPU %u%s:\n", i, cpu == this_cpu() ? ", which asks" : "");
		arch_print_regs(&cpu->captured);
		arch_print_trace(&cpu->captured);
	}
}

void arch_dump_cpus(void)
{
	arch_cpus_t answered = ipi_capture_others();

	if (!this_cpu()->in_exception)
		capture_here(&this_cpu()->captured);
	ipi_print_captured(answered | 1ul << arch_cpu_id(), arch_cpus_all());
}
