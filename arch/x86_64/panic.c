// SPDX-License-Identifier: MIT
/* Saying what went wrong, and the end. */
#include "internal.h"

#define MAX_LINES 32
#define EXIT_PORT 0xf4
#define EXIT_PASS 16 /* QEMU ends with 2 n + 1 */
#define EXIT_FAIL 17
#define EXIT_PANIC 18

static _Atomic(unsigned long) panicking; /* CPU + 1 */

/* Is the page of @at mapped? @known is the last one of this walk that was, or 0: frames share their pages. */
static bool page_readable(uintptr_t at, uintptr_t *known)
{
	if ((at & -ARCH_PAGE_SIZE) != *known)
		*known = arch_is_mapped((void *)at) ? at & -ARCH_PAGE_SIZE : 0;
	return *known;
}

/* A frame is two words, its caller's further up the stack; mostly both in the page that is known. */
static inline bool frame_readable(uintptr_t frame, uintptr_t *known)
{
	if (*known && !(frame & 7) && frame - *known < ARCH_PAGE_SIZE - 8)
		return true;
	return !(frame & 7) && frame >= ARCH_DIRECT_MAP && page_readable(frame, known) &&
	       page_readable(frame + 8, known);
}

/* Is it on this CPU's interrupt stack? From there a chain goes on at any address, once. */
static bool on_interrupt_stack(uintptr_t frame)
{
	uintptr_t top = this_cpu()->interrupt_stack;

	return top - frame <= INTERRUPT_STACK_SIZE;
}

/* What @frame has as its caller's: further up, or anywhere from an interrupt stack; 0: the end. */
static inline uintptr_t caller_of(uintptr_t frame)
{
	uintptr_t next = *(const uintptr_t *)frame;

	if (!next)
		return 0;
	if (next <= frame && (!on_interrupt_stack(frame) || on_interrupt_stack(next)))
		return 0;
	return next;
}

/* The return address in *@frame, which then becomes its caller's, or 0. Return: 0: the end. */
static inline uintptr_t next_pc(uintptr_t *frame, uintptr_t *known)
{
	const uintptr_t *words = (const uintptr_t *)*frame;

	if (!frame_readable(*frame, known))
		return 0;
	*frame = caller_of(*frame);
	return words[1];
}

/*
 * The return addresses of frames that follow each other in the known page, from a readable one on: nothing else is
 * asked of them. Return: behind the last one. *@frame: the one to go on with; 0: the end.
 */
static inline uintptr_t *walk_page(uintptr_t *frame, uintptr_t known, uintptr_t *pcs,
				   const uintptr_t *end)
{
	uintptr_t last = known + ARCH_PAGE_SIZE - 16, at = *frame, next;

	for (;;) {
		*pcs = ((const uintptr_t *)at)[1];
		if (!*pcs) {
			*frame = 0;
			return pcs;
		}
		next = ((const uintptr_t *)at)[0];
		if (__builtin_expect(++pcs == end, 0))
			break;
		if (__builtin_expect(next <= at || next > last || (next & 7), 0))
			break;
		at = next;
	}
	*frame = caller_of(at);
	return pcs;
}

/* From a frame on that is in another page than @known. Return: behind the last address. */
static __attribute__((noinline)) uintptr_t *walk_pages(uintptr_t frame, uintptr_t known,
						       uintptr_t *at, const uintptr_t *end)
{
	while (at < end && frame_readable(frame, &known))
		at = walk_page(&frame, known, at, end);
	return at;
}

/* The page of this stack needs no look, and mostly has all frames that fit. */
size_t arch_backtrace(uintptr_t frame, uintptr_t *pcs, size_t max)
{
	uintptr_t known = (uintptr_t)__builtin_frame_address(0) & -ARCH_PAGE_SIZE;
	uintptr_t *at = pcs, *end = pcs + max;

	if (!frame)
		frame = *(const uintptr_t *)__builtin_frame_address(0);
	if (at != end && !(frame & 7) && frame - known < ARCH_PAGE_SIZE - 8)
		at = walk_page(&frame, known, at, end);
	if (at != end && frame)
		at = walk_pages(frame, known, at, end);
	return (size_t)(at - pcs);
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

/* A recursion's frames in a row are one line. */
void arch_print_backtrace(uintptr_t frame)
{
	uintptr_t pc, next, known = 0;
	unsigned int again;

	if (!frame)
		frame = *(const uintptr_t *)__builtin_frame_address(0);
	pc = next_pc(&frame, &known);
	for (int lines = 0; pc && lines < MAX_LINES; lines++) {
		for (again = 0; (next = next_pc(&frame, &known)) == pc; again++)
			;
		print_pc(pc, true);
		if (again)
			arch_print("    and %u times more\n", again);
		pc = next;
	}
}

/*
 * A function that calls nothing may have no frame; its caller is then where the stack ends, and not in
 * the chain of frames.
 */
static void print_hidden_caller(const struct arch_regs *regs)
{
	uintptr_t frame = regs->rbp, known = 0, pc;

	if ((regs->rsp & 7) || !arch_is_mapped((void *)regs->rsp))
		return;
	pc = *(const uintptr_t *)regs->rsp;
	if (pc < (uintptr_t)arch_text_start || pc >= (uintptr_t)arch_text_end ||
	    pc == next_pc(&frame, &known))
		return;
	arch_print("perhaps from\n");
	print_pc(pc, true);
	arch_print("and surely from\n");
}

void panic_trace(const struct arch_regs *regs)
{
	print_pc(regs->rip, false);
	print_hidden_caller(regs);
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
	for (;;)
		__asm__ volatile("cli\n\thlt");
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
	panic_trace(regs);
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
