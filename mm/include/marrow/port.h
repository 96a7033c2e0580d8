/* SPDX-License-Identifier: MIT */
/*
 * What Marrow asks of the kernel that it lives in.
 *
 * Link-time names, in levels; MW_PORT_LEVEL says up to which level they exist, and nothing above
 * it is ever referenced. The common contract of all of them:
 *
 * - They are called from any CPU, from interrupt context too where "interrupt: yes" is said.
 * - They must not call back into Marrow unless it is said that they may.
 * - "locks" says which of Marrow's own locks the caller may be holding: none, or any. A function
 *   called with any lock held must not wait for another CPU that may be inside Marrow.
 * - They cannot fail unless an answer for it is described.
 *
 * Levels 0 and 1 are the floor of every allocation; level 2 exists for the collector; level 3 are
 * extras, each of which may do nothing. docs/PORTING.md goes through them with examples.
 */
#ifndef MARROW_PORT_H
#define MARROW_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <marrow/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- level 0: any kernel ---- */

/**
 * mw_port_panic - the kernel cannot go on
 * @why: one line without a newline; the details were written before
 *
 * Called when an invariant is broken, or for a misuse when no handler said otherwise.
 * interrupt: yes. locks: any. Must not return, must not allocate.
 */
__attribute__((noreturn)) void mw_port_panic(const char *why);

/**
 * mw_port_write - text for the person at the console
 * @text: bytes, not terminated; lines end with '\n'
 * @len: how many
 *
 * Reports and tables come out here. interrupt: yes. locks: any. Lines of two CPUs may mix unless
 * the port takes a lock of its own.
 */
void mw_port_write(const char *text, size_t len);

#ifndef MW_PORT_INLINE_GIVEN
/**
 * mw_port_pin - stay on this CPU, alone
 *
 * Until the matching mw_port_unpin() nothing else on this CPU may call Marrow: neither another
 * thread nor, if interrupt handlers allocate or free, an interrupt handler. Interrupts off does
 * both; preemption off is enough where handlers never call Marrow. Nests. interrupt: yes.
 * Marrow keeps a CPU pinned for a bounded number of instructions of its own, stated in docs/PORTING.md. Where it
 * needs a lock that another CPU has, it waits besides, pinned. Each time that other CPU has it for such a stretch
 * only; but locks are not fair, so how often others are quicker has no bound.
 *
 * Return: what mw_port_unpin() needs to put things back.
 */
unsigned long mw_port_pin(void);
void mw_port_unpin(unsigned long state);
#endif

#if defined(MW_PORT_YIELD_GIVEN) && !defined(MW_PORT_INLINE_GIVEN)
/**
 * mw_port_yield - one turn of waiting for another thread
 *
 * Optional; who has it defines MW_PORT_YIELD_GIVEN. Called not pinned, with no lock, by calls that "wait", while
 * another thread collects, asks shrinkers or scavenges. It must let that thread run, whatever its priority: a
 * kernel with strict priorities sleeps here for a tick, for a thread that turns above another one on its CPU turns for
 * ever. Without it mw_port_relax() is called, which is right where every thread gets its turn by itself.
 */
void mw_port_yield(void);
#endif

#if defined(MW_PORT_PINNED_GIVEN) && !defined(MW_PORT_INLINE_GIVEN)
/**
 * mw_port_pinned - is this CPU pinned, by mw_port_pin() or by other means as good?
 *
 * Optional; who has it defines MW_PORT_PINNED_GIVEN. Builds with MW_DEBUG assert by it what must be
 * pinned. interrupt: yes. locks: any.
 */
bool mw_port_pinned(void);
#endif

/* ---- level 1: many CPUs ---- */

#if MW_PORT_LEVEL >= 1 && !defined(MW_PORT_INLINE_GIVEN)
/**
 * mw_port_cpu - which CPU is this, from 0 to MW_MAX_CPUS - 1
 *
 * Called pinned. The same number must not be given to two CPUs that run at once.
 */
unsigned int mw_port_cpu(void);

/** mw_port_relax - one turn of a spin loop: pause, wfe, or yield. Called pinned or not. */
void mw_port_relax(void);
#endif

/* ---- level 2: the collector ---- */

#if MW_PORT_LEVEL >= 2
/**
 * mw_port_stop_world - bring every other CPU to a halt outside Marrow
 *
 * When it returns, every other CPU has answered: it is not pinned, its registers can be seen by
 * mw_port_scan_roots(), and it waits, with interrupts as the port likes, to run what
 * mw_port_run_stopped() gives it, or to be started. A CPU that is pinned answers when it
 * unpins. locks: none. The caller may be interrupted but not moved to another CPU until
 * mw_port_start_world(). Two CPUs may ask at once: one of them wins, the other one stops first and
 * has its turn later.
 *
 * Return: -1, or the number of a CPU that did not answer within the port's time limit (a second
 * is reasonable); then the world runs as before.
 */
int mw_port_stop_world(void);
void mw_port_start_world(void);

/**
 * mw_port_run_stopped - run a function on every stopped CPU and on this one
 * @fn: gets a number, 0 on the caller, 1, 2, … without holes on the others, and @arg
 *
 * Only between stop and start. Returns when every call has returned. On a CPU where an interrupt handler runs the
 * call begins when that has returned: Marrow relies on it to know that handlers which began before have ended. A port
 * may use this CPU alone: then interrupt handlers of stopped CPUs must not call Marrow, nor use references
 * to collected objects, before mw_port_start_world(). Where the function does run on every stopped CPU, they
 * may, between its steps and at any other time, as <marrow/gc.h> says.
 */
void mw_port_run_stopped(void (*fn)(unsigned int worker, void *arg), void *arg);

/** enum mw_root_kind - where a range of possible pointers comes from */
enum mw_root_kind {
	MW_ROOT_REGISTERS,
	MW_ROOT_STACK,
	MW_ROOT_DATA,
	MW_ROOT_OTHER,
};

/**
 * mw_port_scan_roots - show every place of the kernel that may hold pointers to objects
 * @visit: to call for each range [@lo, @hi), both multiples of the word size
 * @ctx: to hand on
 *
 * The live part of each thread's stack, the caller's too; the saved registers of each other thread and
 * CPU (the caller's own were spilled to its stack before it came here, and its frames since then are left
 * out); interrupt stacks; data and bss if they are not registered with mw_gc_root_add(). @name is for dumps and may be NULL. Called with the world stopped.
 */
typedef void mw_root_visit_fn(void *ctx, enum mw_root_kind kind, const char *name, const void *lo,
			      const void *hi);
void mw_port_scan_roots(mw_root_visit_fn *visit, void *ctx);

/** enum mw_worker - the threads that Marrow would like to have */
enum mw_worker {
	MW_WORKER_COLLECT, /* runs a cycle when the heap has grown to its goal */
	MW_WORKER_SWEEP, /* sweeps in the background, then scavenges */
	MW_WORKER_FINALIZE, /* runs finalizers and cleanups */
	MW_NR_WORKERS,
};

/**
 * mw_port_wake - there is work for a worker
 *
 * The port's thread for it should call mw_worker_run() soon, from a context that may wait. A port
 * without threads may note it and call mw_worker_run() from its idle loop, or never.
 * interrupt: yes. locks: any. Spurious and repeated calls are normal.
 */
void mw_port_wake(enum mw_worker worker);

/** mw_port_now - nanoseconds since some moment, never going back. interrupt: yes. locks: any. */
uint64_t mw_port_now(void);
#endif

/* ---- level 3: extras ---- */

#if MW_PORT_LEVEL >= 3
/**
 * mw_port_backtrace - the return addresses above the caller
 * @pcs: innermost first
 * @max: room in @pcs
 *
 * interrupt: yes. locks: any. Return: how many were stored; 0 is fine.
 */
size_t mw_port_backtrace(uintptr_t *pcs, size_t max);

/**
 * mw_port_symbol - what people call an address of code, for reports
 * @pc: for instance a return address
 * @text: gets "function+0x12" or the like, terminated
 * @size: bytes at @text
 *
 * interrupt: yes. locks: any. Return: false if there is no name for it; @text is as before then.
 */
bool mw_port_symbol(uintptr_t pc, char *text, size_t size);

/**
 * mw_port_protect - make whole pages fault, or work again
 *
 * For the debug mode that faults on use after free. Return: false where it cannot be done.
 * locks: none.
 */
bool mw_port_protect(void *page, size_t len, bool fault);

/**
 * mw_port_release - the contents of these free pages are not needed
 *
 * Give the frames to the hypervisor or the system underneath. They stay mapped or not as the port
 * likes; nothing touches them until mw_port_reclaim(). locks: none of the page heap's.
 *
 * Return: true if the pages will read as zero after mw_port_reclaim().
 */
bool mw_port_release(void *page, size_t len);

/**
 * mw_port_reclaim - pages that were released are wanted again
 *
 * Return: false if they are lost: nobody gets them any more, nor the rest of the run that was to be handed out.
 */
bool mw_port_reclaim(void *page, size_t len);

/**
 * mw_port_dirty_start - begin to note which pages of [@page, @page + @len) are written
 * mw_port_dirty_next - the first page at or after @from, below @end, written since; NULL if none
 *
 * Return of start: false where it cannot be done; a mark then stops the world as a whole.
 */
bool mw_port_dirty_start(void *page, size_t len);
void *mw_port_dirty_next(void *from, void *end);
#endif

#ifdef __cplusplus
}
#endif

#endif
