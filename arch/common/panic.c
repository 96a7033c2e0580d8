// SPDX-License-Identifier: MIT
/* Saying what went wrong, and the end. */
#include "internal.h"

/* QEMU's exit codes; 0 and 1 are also its own. */
#define EXIT_PASS 33
#define EXIT_FAIL 35
#define EXIT_PANIC 37

static _Atomic(unsigned long) panicking; /* CPU + 1 */

static _Noreturn void end(unsigned int code)
{
	console_flush();
	machine_exit(code);
	arch_print("(halted: the machine has no device to leave by)\n");
	console_flush();
	machine_halt();
}

bool panic_begun(void)
{
	return atomic_load_explicit(&panicking, memory_order_relaxed);
}

/*
 * One CPU says its piece; the others are halted, or halt when they come here. A panic within a panic
 * ends at once. Return: the CPUs whose registers were captured.
 */
static arch_cpus_t begin(const char *why)
{
	unsigned long me = arch_cpu_id() + 1ul, none = 0;
	arch_cpus_t answered = 0;

	arch_irq_off();
	if (atomic_compare_exchange_strong(&panicking, &none, me)) {
		if (arch_cpu_count() > 1)
			answered = ipi_capture_others();
		console_take_over();
		arch_print("\npanic on CPU %lu: %s\n", me - 1, why);
		return answered;
	}
	if (none == me) {
		arch_print("\npanic within a panic: %s\n", why);
		end(EXIT_PANIC);
	}
	machine_halt();
}

static _Noreturn void finish(arch_cpus_t answered)
{
	if (arch_cpu_count() > 1)
		ipi_print_captured(answered, arch_cpus_others());
	if (kernel_panic_note)
		kernel_panic_note();
	end(EXIT_PANIC);
}

_Noreturn void panic_regs(const char *why, const struct arch_regs *regs)
{
	arch_cpus_t answered = begin(why);

	arch_print_regs(regs);
	arch_print_trace(regs);
	finish(answered);
}

_Noreturn void arch_panic(const char *why)
{
	arch_cpus_t answered = begin(why);

	arch_print_backtrace(0);
	finish(answered);
}

_Noreturn void arch_exit(bool pass)
{
	arch_irq_off();
	end(pass ? EXIT_PASS : EXIT_FAIL);
}

_Noreturn void arch_reboot(void)
{
	console_flush();
	arch_irq_off();
	machine_reboot();
}
