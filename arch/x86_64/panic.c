// SPDX-License-Identifier: MIT
/* Saying what went wrong, and the end. */
#include "internal.h"

#define MAX_FRAMES 32
#define EXIT_PORT 0xf4
#define EXIT_PASS 16 /* QEMU ends with 2 n + 1 */
#define EXIT_FAIL 17
#define EXIT_PANIC 18

static _Atomic(unsigned long) panicking; /* CPU + 1 */

/* A frame is two words, its caller's further up the stack. */
static bool frame_readable(uintptr_t frame)
{
	return !(frame & 7) && frame >= ARCH_DIRECT_MAP && arch_is_mapped((void *)frame) &&
	       arch_is_mapped((void *)(frame + 8));
}

size_t arch_backtrace(uintptr_t frame, uintptr_t *pcs, size_t max)
{
	size_t n = 0;

	if (!frame)
		frame = *(const uintptr_t *)__builtin_frame_address(0);
	while (n < max && frame_readable(frame)) {
		const uintptr_t *words = (const uintptr_t *)frame;

		if (!words[1])
			break;
		pcs[n++] = words[1];
		if (words[0] <= frame)
			break;
		frame = words[0];
	}
	return n;
}

static void print_pc(uintptr_t pc, bool is_return)
{
	uintptr_t off = 0;
	const char *name = kernel_symbol ? kernel_symbol(pc - is_return, &off) : NULL;

	if (name)
		arch_print("  %016lx  %s+0x%lx\n", pc, name, off + is_return);
	else
		arch_print("  %016lx\n", pc);
}

void arch_print_backtrace(uintptr_t frame)
{
	uintptr_t pcs[MAX_FRAMES];
	size_t n;

	if (!frame)
		frame = *(const uintptr_t *)__builtin_frame_address(0);
	n = arch_backtrace(frame, pcs, MAX_FRAMES);
	for (size_t i = 0; i < n; i++)
		print_pc(pcs[i], true);
}

void panic_trace(const struct arch_regs *regs)
{
	print_pc(regs->rip, false);
	arch_print_backtrace(regs->rbp ? regs->rbp : 8);
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

static _Noreturn void end(uint8_t code)
{
	console_flush();
	outb(EXIT_PORT, code);
	arch_print("(halted: there is no isa-debug-exit)\n");
	console_flush();
	for (;;)
		__asm__ volatile("cli\n\thlt");
}

/* One CPU says its piece. A panic within a panic ends at once; other CPUs wait to be captured. */
static void begin(const char *why)
{
	unsigned long me = arch_cpu_id() + 1ul, none = 0;

	arch_irq_off();
	if (atomic_compare_exchange_strong(&panicking, &none, me)) {
		arch_print("\npanic on CPU %lu: %s\n", me - 1, why);
		return;
	}
	if (none == me) {
		arch_print("\npanic within a panic: %s\n", why);
		end(EXIT_PANIC);
	}
	for (;;)
		__asm__ volatile("cli\n\thlt");
}

static _Noreturn void finish(void)
{
	if (arch_cpu_count() > 1)
		arch_dump_cpus();
	if (kernel_panic_note)
		kernel_panic_note();
	end(EXIT_PANIC);
}

_Noreturn void panic_regs(const char *why, const struct arch_regs *regs)
{
	begin(why);
	this_cpu()->captured = *regs;
	arch_print_regs(regs);
	panic_trace(regs);
	finish();
}

_Noreturn void arch_panic(const char *why)
{
	begin(why);
	arch_print_backtrace(0);
	finish();
}

_Noreturn void arch_exit(bool pass)
{
	arch_irq_off();
	end(pass ? EXIT_PASS : EXIT_FAIL);
}

_Noreturn void arch_reboot(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	console_flush();
	arch_irq_off();
	outb(0x64, 0xfe);
	for (int i = 0; i < 10000; i++)
		arch_relax();
	__asm__ volatile("lidt %0\n\tint3" : : "m"(none));
	for (;;)
		__asm__ volatile("cli\n\thlt");
}
