// SPDX-License-Identifier: MIT
/*
 * Exceptions and interrupts. All gates turn interrupts off. Handlers of interrupts run on the CPU's
 * interrupt stack, those that interrupt another handler further down on it; double fault, NMI and page
 * fault on their own ones, so that a stack that has run into its guard page can still be spoken of.
 */
#include "x86.h"

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

void machine_entry(struct arch_regs *regs);

const char *machine_fault_name(const struct arch_regs *regs)
{
	if (regs->vector == VEC_PAGE_FAULT)
		return regs->error & 8 ? "page fault: reserved bit in the page tables" : NULL;
	return names[regs->vector] ? names[regs->vector] : "exception";
}

/* The interrupted code's stack, or an exception's own. */
void machine_entry(struct arch_regs *regs)
{
	bool addressed = regs->vector == VEC_PAGE_FAULT || regs->vector == VEC_DOUBLE_FAULT;

	if (regs->vector == VEC_NMI) {
		trap_nmi(regs);
		return;
	}
	/* Nothing can go on behind a double fault, so nobody is asked. */
	if (regs->vector == VEC_DOUBLE_FAULT)
		this_cpu()->in_exception++;
	trap_exception(regs, addressed ? read_cr2() : 0);
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
