// SPDX-License-Identifier: MIT
/*
 * Exceptions and interrupts. All gates turn interrupts off. Handlers of interrupts run on the CPU's
 * interrupt stack, those that interrupt another handler further down on it; double fault, NMI and page
 * fault on their own ones, so that a stack that has run into its guard page can still be spoken of.
 */
#include "internal.h"

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};

static struct gate idt[256];
static bool (*fault_fn)(struct arch_regs *regs, uintptr_t address);

static const char *const names[32] = {
	"divide error",
	"debug",
	"NMI",
	"breakpoint",
	"overflow",
	"bound",
	"invalid instruction",
	"no FPU",
	"double fault (a stack overflow?)",
	"coprocessor overrun",
	"invalid TSS",
	"segment not present",
	"stack segment fault",
	"general protection fault",
	NULL,
	"reserved",
	"FPU error",
	"alignment check",
	"machine check",
	"SIMD error",
	"virtualisation",
	"control protection",
};

static void set_gate(unsigned int vector, unsigned int ist)
{
	uintptr_t stub = (uintptr_t)trap_stubs + vector * 16;

	idt[vector] = (struct gate){
		.offset_low = (uint16_t)stub,
		.selector = SEL_CODE,
		.ist = (uint8_t)ist,
		.type = 0x8e,
		.offset_mid = (uint16_t)(stub >> 16),
		.offset_high = (uint32_t)(stub >> 32),
	};
}

/* Before the stacks exist every gate uses the current one; called again when they do. */
void trap_init(void)
{
	bool stacks = arch_slots[0].stack_top[STACK_NMI];

	for (unsigned int i = 0; i < 256; i++)
		set_gate(i, 0);
	if (stacks) {
		set_gate(VEC_DOUBLE_FAULT, STACK_DOUBLE_FAULT);
		set_gate(VEC_NMI, STACK_NMI);
		set_gate(VEC_PAGE_FAULT, STACK_PAGE_FAULT);
	}
}

void trap_load(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (uintptr_t)idt };

	__asm__ volatile("lidt %0" : : "m"(idtr));
}

void arch_on_fault(bool (*fn)(struct arch_regs *regs, uintptr_t address))
{
	fault_fn = fn;
}

/* What a page fault was about, in words. */
static const char *page_fault_kind(const struct arch_regs *regs, uintptr_t address)
{
	unsigned int level;

	if (regs->error & 8)
		return "page fault: reserved bit in the page tables";
	if (regs->error & 16)
		return "page fault: execution of what is not code";
	if (regs->error & 1)
		return "page fault: write to read-only memory";
	if (arch_stack_guard(address))
		return "page fault: stack overflow into the guard page";
	if (!(*paging_walk(address, &level) & PTE_KEPT))
		return regs->error & 2 ? "page fault: write to nowhere"
				       : "page fault: read from nowhere";
	if (address - regs->rsp + 2 * ARCH_PAGE_SIZE < 3 * ARCH_PAGE_SIZE)
		return "page fault: stack overflow into the guard page";
	return "page fault: access to a page that was made to fault";
}

static const char *exception_name(const struct arch_regs *regs, uintptr_t address)
{
	if (regs->vector == VEC_PAGE_FAULT)
		return page_fault_kind(regs, address);
	return names[regs->vector] ? names[regs->vector] : "exception";
}

static void exception(struct arch_regs *regs)
{
	struct arch_percpu *cpu = this_cpu();
	uintptr_t address =
		regs->vector == VEC_PAGE_FAULT || regs->vector == VEC_DOUBLE_FAULT ? read_cr2() : 0;

	if (cpu->in_exception++ == 0 && fault_fn && regs->vector != VEC_DOUBLE_FAULT &&
	    fault_fn(regs, address)) {
		cpu->in_exception--;
		return;
	}
	panic_regs(exception_name(regs, address), regs);
}

/* Asked for by another CPU, or from outside: someone wants to know why nothing happens. */
static void nmi(struct arch_regs *regs)
{
	struct arch_percpu *cpu = this_cpu();

	if (ipi_answer_capture(regs))
		return;
	cpu->in_exception++;
	arch_print("\nNMI: registers of all CPUs\n");
	cpu->captured = *regs;
	arch_dump_cpus();
	cpu->in_exception--;
}

/* Said when it comes the 1st, 2nd, 4th, 8th, ... time: a flood of them is not one of lines. */
static void not_asked_for(unsigned int vector)
{
	static _Atomic(unsigned long) times[256];
	unsigned long n = atomic_fetch_add_explicit(&times[vector], 1, memory_order_relaxed) + 1;

	if (!(n & (n - 1)))
		arch_print("interrupt %u that nobody asked for, %lu times so far\n", vector, n);
}

static void interrupt(struct arch_regs *regs)
{
	if (regs->vector >= VEC_PIC && regs->vector < VEC_PIC + 16)
		return;
	if (regs->vector == VEC_SPURIOUS)
		return;
	apic_eoi();
	switch (regs->vector) {
	case VEC_TIMER:
		timer_interrupt(regs);
		break;
	case VEC_CALL:
		ipi_run_calls(regs);
		break;
	case VEC_RESCHEDULE:
		this_cpu()->resched = true;
		break;
	case VEC_SERIAL:
		serial_interrupt();
		break;
	case VEC_KEYBOARD:
		keyboard_interrupt();
		break;
	default:
		not_asked_for((unsigned int)regs->vector);
	}
}

/* The interrupted code's stack, or an exception's own. */
void trap_exception(struct arch_regs *regs)
{
	if (regs->vector == VEC_NMI)
		nmi(regs);
	else
		exception(regs);
}

/* On the interrupt stack. */
void trap_interrupt(struct arch_regs *regs)
{
	struct arch_percpu *cpu = this_cpu();

	cpu->depth++;
	interrupt(regs);
	cpu->depth--;
}

/* Again on the stack that was interrupted, which may be left for another thread's. */
void trap_leave(struct arch_regs *regs)
{
	struct arch_percpu *cpu = this_cpu();

	if (!cpu->depth && cpu->resched) {
		cpu->resched = false;
		ipi_run_reschedule(regs);
	}
}
