// SPDX-License-Identifier: MIT
/*
 * A port to begin with: compiles at every MW_PORT_LEVEL, links, and panics with a name at the first
 * function that is still missing.
 *
 * Copy it, set MW_PORT_LEVEL as you want, fill in from the top. <marrow/port.h> is the contract.
 * Above each function here: when Marrow calls it, and what to try when it is written. Where a body
 * does something else than panic, what it does is right, only not all that could be done.
 */
#include <marrow/mm.h>
#include <marrow/port.h>

#define TODO(name) mw_port_panic(#name ": not ported")

/* ---- level 0: any kernel ---- */

/*
 * When: an invariant of the heap is broken, or a misuse was found and mw_on_misuse() was not told
 * otherwise. From anywhere: interrupts, locks held, other CPUs running.
 * Do: print @why without locks that could be held already, stop the other CPUs, halt.
 * Test: free one object twice with no handler set. The report and @why must come out, from a thread
 * and from an interrupt handler.
 */
_Noreturn void mw_port_panic(const char *why)
{
	(void)why;
	for (;;)
		;
}

/*
 * When: reports of misuse and tables that were asked for, never in normal work.
 * Do: put the bytes on the console that works earliest, a serial port by polling. No allocating.
 * Test: mw_report_print() of a report of your own, before interrupts are set up, and in a handler.
 */
void mw_port_write(const char *text, size_t len)
{
	(void)text, (void)len; /* silence is allowed, but you will want the reports */
}

#ifndef MW_PORT_INLINE_GIVEN
/*
 * When: around each step of an allocation or a free that touches what belongs to this CPU.
 * Do: if interrupt handlers call Marrow, save the interrupt flag and clear it; else turn preemption
 * off and count. Return the old state: calls nest, and an inner unpin must not let go.
 * Test: pin twice, unpin once, and see that a timer interrupt still does not come; allocate from
 * a timer handler while a thread allocates in a loop, with MW_DEBUG=1.
 */
unsigned long mw_port_pin(void)
{
	TODO(mw_port_pin);
}

void mw_port_unpin(unsigned long state)
{
	(void)state;
	TODO(mw_port_unpin);
}
#endif

/* ---- level 1: many CPUs ---- */

#if MW_PORT_LEVEL >= 1 && !defined(MW_PORT_INLINE_GIVEN)
/*
 * When: pinned, before each access to a CPU's cache. It stands on the fastest paths: one load
 * from a per-CPU register, and rather in a header named by MW_PORT_INLINE_H than here.
 * Test: two CPUs print it at the same time; it never changes between a pin and its unpin; each
 * is below MW_MAX_CPUS.
 */
unsigned int mw_port_cpu(void)
{
	TODO(mw_port_cpu);
}

/*
 * When: in each turn of a spin loop. The CPU's hint for that (pause, yield); a scheduler's yield
 * where a CPU is a thread in truth. Test: four CPUs allocate from one cache for a minute.
 *
 * Optional beside it, see <marrow/port.h>: mw_port_yield(), a turn of waiting for another thread,
 * which kernels with strict priorities need; mw_port_pinned(), with which MW_DEBUG asserts what
 * must be pinned.
 */
void mw_port_relax(void)
{
}
#endif

/* ---- level 2: the collector ---- */

#if MW_PORT_LEVEL >= 2
/*
 * When: twice or so a collection, from a thread, no lock of Marrow's held.
 * Do: send an interrupt to each other CPU and wait until each has answered from a handler that
 * saved all registers where mw_port_scan_roots() finds them. A CPU that is pinned with
 * interrupts off answers by itself when it unpins; if pinning is by preemption only, the handler
 * must put the answer off until the unpin. Give up after a second.
 * Test: count in a loop on each other CPU and see the counts stand still; stop from two CPUs at
 * once; leave one CPU with interrupts off for ever and see its number come back.
 */
int mw_port_stop_world(void)
{
	TODO(mw_port_stop_world);
}

/* When: after mw_port_stop_world() returned -1. Test: the counts go on. */
void mw_port_start_world(void)
{
	TODO(mw_port_start_world);
}

/*
 * When: between stop and start, for work that is shared. To hand it to stopped CPUs is faster; to
 * do all of it here is right. Test: each number from 0 without holes comes once.
 */
void mw_port_run_stopped(void (*fn)(unsigned int worker, void *arg), void *arg)
{
	fn(0, arg);
}

/*
 * When: with the world stopped, twice or so a collection. What is not shown here is freed under its
 * owner's feet, so this is the function to be careful with.
 * Do: for each thread that does not run, its stack from the saved stack pointer up and its saved
 * registers if they are not on that stack; for each stopped CPU the same from its handler's
 * frame; this CPU from here up, after setjmp() or the like; interrupt stacks; .data and .bss.
 * Test: one object each that is held only by a callee-saved register of another CPU, only by
 * a sleeping thread's stack, only by a variable in .bss, only by a frame below an interrupt. All
 * must live through mw_gc_collect(), and be gone after the holder is cleared.
 */
void mw_port_scan_roots(mw_root_visit_fn *visit, void *ctx)
{
	(void)visit, (void)ctx;
	TODO(mw_port_scan_roots);
}

/*
 * When: the heap reached its goal, there is something to sweep, or a finalizer is due; from
 * anywhere, pinned, with locks. Do: note it and make a thread that waits for it runnable; it calls
 * mw_worker_run(). Doing nothing is right too: then allocations sweep, and you call
 * mw_gc_collect() yourself. Test: fill the heap with garbage in a loop; it must not grow for ever.
 */
void mw_port_wake(enum mw_worker worker)
{
	(void)worker;
}

/*
 * When: reports, pacing, time limits; from anywhere. A clock that all CPUs agree on.
 * Test: read it on each CPU in turn, a million times, handing over a flag: never backwards.
 */
uint64_t mw_port_now(void)
{
	return 0; /* times in reports are 0 then */
}
#endif

/* ---- level 3: extras, each of which may stay as it is here ---- */

#if MW_PORT_LEVEL >= 3
/*
 * When: a misuse is reported, an object is tracked, a profile takes a sample. Frame pointers are
 * the easy way: build with -fno-omit-frame-pointer, check each frame against the stack's bounds.
 * Test: the names of a known chain of calls, also inside an interrupt handler.
 */
size_t mw_port_backtrace(uintptr_t *pcs, size_t max)
{
	(void)pcs, (void)max;
	return 0;
}

/*
 * When: a report prints addresses of code. Look it up in a table of functions, if you have one.
 * Test: the first and the last function of the table, and an address in neither.
 */
bool mw_port_symbol(uintptr_t pc, char *text, size_t size)
{
	(void)pc, (void)text, (void)size;
	return false;
}

/*
 * When: the debug mode that faults on use after free, at each free. Clear the present bit of the
 * pages' entries and flush them on all CPUs; needs a direct map with small pages there.
 * Test: mw_debug_set("G"), free an object, read it: your page fault handler sees the address.
 */
bool mw_port_protect(void *page, size_t len, bool fault)
{
	(void)page, (void)len, (void)fault;
	return false;
}

/*
 * When: mw_scavenge(), with pages that have been free for long. A balloon driver's inflate.
 * Test: write a pattern, free, scavenge, allocate all: what you answered about zeroes holds.
 */
bool mw_port_release(void *page, size_t len)
{
	(void)page, (void)len;
	return false;
}

/* When: before released pages are used again. */
bool mw_port_reclaim(void *page, size_t len)
{
	(void)page, (void)len;
	return true;
}

/*
 * When: at the beginning of a mark. Clear the dirty bits of the direct map there, flush.
 * Test: start, write one byte in the last page, ask from the first one.
 */
bool mw_port_dirty_start(void *page, size_t len)
{
	(void)page, (void)len;
	return false; /* a mark stops the world as a whole then */
}

void *mw_port_dirty_next(void *from, void *end)
{
	(void)from, (void)end;
	return NULL;
}
#endif
