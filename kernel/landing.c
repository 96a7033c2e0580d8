// SPDX-License-Identifier: MIT
#include "landing.h"
#include "thread.h"

/* As __builtin_setjmp() fills it: gcc and clang agree on the first three. */
struct jump {
	void *frame, *pc, *stack, *spare[2];
};

struct landing {
	struct jump jump;
	struct landing *outer;
	struct fault *fault; /* NULL: exceptions are not for this one */
	unsigned int depth; /* of interrupt handlers */
};

static bool (*ask_last)(const struct arch_regs *regs, uintptr_t address);

/* Of the thread that runs, or that a handler interrupted: handlers leave only to landings of their own. */
static struct landing **my_landing(void)
{
	return &thread_current()->landing;
}

static __attribute__((noinline)) bool call(struct landing *landing, void (*fn)(void *arg), void *arg)
{
	unsigned long state = arch_irq_save();
	struct landing **mine = my_landing();
	bool left = __builtin_setjmp((void **)&landing->jump);

	if (!left) {
		landing->outer = *mine;
		landing->depth = arch_interrupt_depth();
		*mine = landing;
		arch_irq_restore(state);
		fn(arg);
	}
	arch_irq_off();
	*my_landing() = landing->outer;
	arch_irq_restore(state);
	return !left;
}

bool landing_call(void (*fn)(void *arg), void *arg)
{
	struct landing landing = { .fault = NULL };

	return call(&landing, fn, arg);
}

struct fault landing_try(void (*fn)(void *arg), void *arg)
{
	struct fault fault = { 0 };
	struct landing landing = { .fault = &fault };

	(void)call(&landing, fn, arg);
	return fault;
}

bool landing_any(void)
{
	return *my_landing();
}

_Noreturn void landing_leave(void)
{
	if (!*my_landing())
		arch_panic("nowhere to leave to");
	if (shadow_stack_left)
		shadow_stack_left((*my_landing())->jump.stack);
	__builtin_longjmp((void **)&(*my_landing())->jump, 1);
}

/* In the exception's handler, on its stack: make its end the jump. */
static bool on_fault(struct arch_regs *regs, uintptr_t address)
{
	struct landing *landing = thread_current() ? *my_landing() : NULL;

	/* One that an interrupt handler did not make itself is not for its exceptions. */
	if (!landing || landing->depth != arch_interrupt_depth())
		return false;
	if (landing->fault)
		*landing->fault = (struct fault){ .came = true,
						  .what = arch_fault_of(regs),
						  .number = arch_fault_number(regs),
						  .address = address,
						  .pc = arch_pc(regs) };
	else if (!ask_last || !ask_last(regs, address))
		return false;
	if (shadow_stack_left)
		shadow_stack_left(landing->jump.stack);
	arch_set_place(regs, (uintptr_t)landing->jump.pc, (uintptr_t)landing->jump.stack,
		       (uintptr_t)landing->jump.frame);
	return true;
}

void landing_init(bool (*last)(const struct arch_regs *regs, uintptr_t address))
{
	ask_last = last;
	arch_on_fault(on_fault);
}
