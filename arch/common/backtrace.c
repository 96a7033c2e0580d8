// SPDX-License-Identifier: MIT
/*
 * Who called whom, by the chain of frames. A frame is two words, the caller's frame and where it returns to;
 * they lie ARCH_FRAME bytes below what the frame pointer says, and in here an address of a frame is theirs.
 */
#include "internal.h"

#define MAX_LINES 32
#define FRAME_OF_CALLER (*(const uintptr_t *)((uintptr_t)__builtin_frame_address(0) - ARCH_FRAME))

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
	next -= ARCH_FRAME;
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
		next = ((const uintptr_t *)at)[0] - ARCH_FRAME;
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
		frame = FRAME_OF_CALLER;
	frame -= ARCH_FRAME;
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
		frame = FRAME_OF_CALLER;
	frame -= ARCH_FRAME;
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

static bool is_code(uintptr_t pc)
{
	return pc >= (uintptr_t)arch_text_start && pc < (uintptr_t)arch_text_end;
}

/*
 * A function that calls nothing may have no frame; its caller is then where the machine leaves return
 * addresses first, and not in the chain of frames.
 */
static void print_hidden_caller(uintptr_t frame, uintptr_t pc)
{
	uintptr_t known = 0;

	frame -= ARCH_FRAME;
	if (!is_code(pc) || pc == next_pc(&frame, &known))
		return;
	arch_print("perhaps from\n");
	print_pc(pc, true);
	arch_print("and surely from\n");
}

void arch_print_trace(const struct arch_regs *regs)
{
	uintptr_t frame = arch_fp(regs), caller = machine_return_address(regs, &frame);

	print_pc(arch_pc(regs), false);
	print_hidden_caller(frame, caller);
	arch_print_backtrace(frame ? frame : 8);
}
