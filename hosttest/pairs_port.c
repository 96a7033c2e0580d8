// SPDX-License-Identifier: MIT
/* The port of the machine that pairs run on: see pairs.h and pairs_run.c. */
#define _GNU_SOURCE
#include <string.h>
#include "pairs.h"

int port_take_slot(void)
{
	return port_cpu.slot;
}

/* The last unpin of who was asked to stop: it has stopped. */
void port_do_pending(void)
{
	bool inside = machine->inside;

	machine->inside = true;
	atomic_store_explicit(&port_cpu.pending, 0, memory_order_relaxed);
	if (machine->now != CO_NOBODY)
		machine_yield();
	machine->inside = inside;
}

void port_yield(void)
{
	bool inside = machine->inside;

	machine->inside = true;
	port_cpu.relaxed = 63;
	if (!port_cpu.depth && atomic_load_explicit(&port_cpu.pending, memory_order_relaxed))
		port_do_pending();
	else
		machine_yield();
	machine->inside = inside;
}

void mw_port_yield(void)
{
	port_yield();
}

/* Until @who is not pinned; it runs meanwhile, and is asked to let go of the CPU. */
static void wait_for(enum who who)
{
	while (machine->co[who].started && !machine->co[who].ended && machine_depth_of(who)) {
		machine->cpu[machine_cpu_of(who)].pending = PORT_PENDING_STOP;
		if (++machine->yields > MACHINE_YIELDS)
			machine_fail(V_HANG, 0, "%s stays pinned while the world is to stop",
				     who == CO_A ? "A" : "B");
		machine->stopper = CO_NOBODY;
		machine_change(who);
		machine->stopper = machine->now;
	}
}

int mw_port_stop_world(void)
{
	if (machine->now == CO_NOBODY)
		return -1;
	machine->inside = true;
	while (machine->stopper != CO_NOBODY)
		machine_yield();
	machine->stopper = machine->now;
	for (enum who who = CO_A; who <= CO_B; who++) {
		if (who != machine->now)
			wait_for(who);
	}
	if (machine->hold && machine->now == CO_B)
		machine_hold();
	machine->inside = false;
	return -1;
}

void mw_port_start_world(void)
{
	machine->stopper = CO_NOBODY;
}

static void worker_main(void)
{
	machine->inside = false;
	machine->worker_fn(1, machine->worker_arg);
	machine->inside = true;
	machine->co[CO_WORKER].ended = true;
	machine_change(machine->stopper);
	__builtin_unreachable();
}

void mw_port_run_stopped(void (*fn)(unsigned int worker, void *arg), void *arg)
{
	machine->inside = true;
	if (machine->now != CO_NOBODY) {
		machine->worker_fn = fn;
		machine->worker_arg = arg;
		machine_co_begin(CO_WORKER, 1 - machine_cpu_of(machine->now), worker_main);
		if (machine_may_run(CO_WORKER))
			machine_change(CO_WORKER);
	}
	machine->inside = false;
	fn(0, arg);
	machine->inside = true;
	while (machine->now != CO_NOBODY && !machine->co[CO_WORKER].ended)
		machine_yield();
	machine->inside = false;
}

static void show_stack(mw_root_visit_fn *visit, void *ctx, enum who who, const void *from)
{
	visit(ctx, MW_ROOT_STACK, "stack", (const void *)((uintptr_t)from & ~(sizeof(from) - 1)),
	      machine_stack_top(who));
}

/* Who stands at a moment, as it was there; who has let others go on, as it called that. */
static void show(mw_root_visit_fn *visit, void *ctx, enum who who)
{
	const struct co *co = &machine->co[who];
	const uintptr_t *general = co->registers.general;

	if (!co->at_moment) {
		show_stack(visit, ctx, who, co->sp);
		return;
	}
	visit(ctx, MW_ROOT_REGISTERS, "registers", general, general + 16);
	show_stack(visit, ctx, who, (const void *)general[4]);
}

__attribute__((noinline)) void mw_port_scan_roots(mw_root_visit_fn *visit, void *ctx)
{
	uintptr_t kept[6];

	/* What the callee keeps. */
	__asm__ volatile("movq %%rbx, 0(%0)\n\tmovq %%rbp, 8(%0)\n\tmovq %%r12, 16(%0)\n\t"
			 "movq %%r13, 24(%0)\n\tmovq %%r14, 32(%0)\n\tmovq %%r15, 40(%0)" ::"r"(kept)
			 : "memory");
	for (enum who who = CO_A; who < NR_CO; who++) {
		if (!machine->co[who].started || machine->co[who].ended)
			continue;
		if (who != machine->now) {
			show(visit, ctx, who);
			continue;
		}
		visit(ctx, MW_ROOT_REGISTERS, "registers", kept, kept + 6);
		show_stack(visit, ctx, who, __builtin_frame_address(0));
	}
}

_Noreturn void mw_port_panic(const char *why)
{
	machine_fail(V_PANIC, (uintptr_t)__builtin_return_address(0), "%s: %s in %s", why,
		     machine_said(), machine_now_name());
}

void mw_port_wake(enum mw_worker worker)
{
	(void)worker;
}

uint64_t mw_port_now(void)
{
	return machine->clock += 1000;
}

size_t mw_port_backtrace(uintptr_t *pcs, size_t max)
{
	if (max)
		pcs[0] = (uintptr_t)__builtin_return_address(0);
	return max ? 1 : 0;
}

bool mw_port_symbol(uintptr_t pc, char *text, size_t size)
{
	(void)pc, (void)text, (void)size;
	return false;
}

bool mw_port_protect(void *page, size_t len, bool fault)
{
	memory_forbid(page, len, fault);
	return true;
}

bool mw_port_release(void *page, size_t len)
{
	memset(page, 0, len);
	return true;
}

bool mw_port_reclaim(void *page, size_t len)
{
	(void)page, (void)len;
	return true;
}

bool mw_port_dirty_start(void *page, size_t len)
{
	(void)page, (void)len;
	return false;
}

void *mw_port_dirty_next(void *from, void *end)
{
	(void)from, (void)end;
	return NULL;
}
