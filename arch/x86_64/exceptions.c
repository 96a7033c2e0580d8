// SPDX-License-Identifier: MIT
/*
 * Exceptions and interrupts. All gates turn interrupts off. Handlers of interrupts run on the CPU's
 * interrupt stack, those that interrupt another handler further down on it; double fault, NMI and page
 * fault on their own ones, so that a stack that has run into its guard page can still be spoken of.
 *
 * A page fault begins at the top of its stack, wherever it comes. So while one may come in the
 * handler of another this top is moved: by an NMI to a stack of its own, by a page fault that is no
 * first write to a page of a snapshot to what it leaves of the same one. First writes themselves
 * cannot fault.
 */
#include "x86.h"

#define FIRST_WRITE_STACK 2048ul /* ample for first writes, in the handlers of other page faults */

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};

static struct gate idt[256];
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
	uintptr_t stub = vector == VEC_PAGE_FAULT ? (uintptr_t)trap_page_fault
						  : (uintptr_t)trap_stubs + vector * 16;

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

void machine_entry(struct arch_regs *regs);

const char *machine_fault_name(const struct arch_regs *regs)
{
	if (regs->vector == VEC_PAGE_FAULT)
		return regs->error & 8 ? "page fault: reserved bit in the page tables" : NULL;
	return names[regs->vector] ? names[regs->vector] : "exception";
}

/* Where this CPU's next page fault begins. Return: where it did before. */
static uint64_t move_page_faults(uint64_t top)
{
	volatile struct tss *tss = &this_cpu()->machine.tss;
	uint64_t before = tss->ist[STACK_PAGE_FAULT - 1];

	tss->ist[STACK_PAGE_FAULT - 1] = top;
	return before;
}

static void nmi(struct arch_regs *regs)
{
	struct arch_percpu *cpu = this_cpu();
	uint64_t top = move_page_faults(cpu->stack_top[STACK_NMI_FAULT]);

	cpu->in_nmi = 1;
	trap_nmi(regs);
	cpu->in_nmi = 0;
	(void)move_page_faults(top);
}

/*
 * One in its handler that is no first write again begins where the first one in it did, to say so.
 */
static void page_fault(struct arch_regs *regs)
{
	const struct arch_percpu *cpu = this_cpu();
	uint64_t address = read_cr2(), top = cpu->machine.tss.ist[STACK_PAGE_FAULT - 1];

	if (top == cpu->stack_top[STACK_PAGE_FAULT] || top == cpu->stack_top[STACK_NMI_FAULT])
		(void)move_page_faults(top - EXCEPTION_STACK_SIZE + FIRST_WRITE_STACK);
	trap_exception(regs, address);
	(void)move_page_faults(top);
}

/* The interrupted code's stack, or an exception's own. */
void machine_entry(struct arch_regs *regs)
{
	switch (regs->vector) {
	case VEC_NMI:
		nmi(regs);
		break;
	case VEC_PAGE_FAULT:
		page_fault(regs);
		break;
	case VEC_DOUBLE_FAULT:
		/* Nothing can go on behind it, so nobody is asked. */
		this_cpu()->in_exception++;
		trap_exception(regs, read_cr2());
		break;
	default:
		trap_exception(regs, 0);
	}
}

void machine_interrupt(struct arch_regs *regs)
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
		trap_not_asked_for((unsigned int)regs->vector);
	}
}

void arch_print_regs(const struct arch_regs *regs)
{
	arch_print("  rip %016lx  rsp %016lx  rflags %08lx  vector %lu error %lx\n", regs->rip,
		   regs->rsp, regs->rflags, regs->vector, regs->error);
	arch_print("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", regs->rax, regs->rbx,
		   regs->rcx, regs->rdx);
	arch_print("  rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx\n", regs->rsi, regs->rdi,
		   regs->rbp, regs->r8);
	arch_print("  r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n", regs->r9, regs->r10,
		   regs->r11, regs->r12);
	arch_print("  r13 %016lx  r14 %016lx  r15 %016lx  cr2 %016lx\n", regs->r13, regs->r14,
		   regs->r15, read_cr2());
}

/* Where the stack ends. */
uintptr_t machine_return_address(const struct arch_regs *regs, uintptr_t *frame)
{
	(void)frame;
	return !(regs->rsp & 7) && arch_is_mapped((void *)regs->rsp) ? *(const uintptr_t *)regs->rsp
								     : 0;
}
