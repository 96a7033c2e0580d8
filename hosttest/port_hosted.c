// SPDX-License-Identifier: MIT
/* The port for Linux: slots, interrupts, console, pages. Stopping the world is in port_world.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <marrow/mm.h>
#include "port_hosted.h"

__thread struct port_cpu port_cpu = { .slot = -1 };

static __thread struct port_thread self;
static __thread struct {
	void (*fn)(void *arg);
	void *arg;
	unsigned long taken;
} interrupt;

void (*port_on_panic)(const char *why);
bool (*port_on_write)(const char *text, size_t len);
bool (*port_on_yield)(void);
bool (*port_other_is_pinned)(void);
void (*port_on_scan)(mw_root_visit_fn *visit, void *ctx);
bool port_strict;

extern void *__libc_stack_end;

__attribute__((weak)) void mw_cpu_stop(void);

/* ---- slots ---- */

static atomic_bool slot_taken[MW_MAX_CPUS];
static pthread_key_t slot_key;
static pthread_once_t slot_once = PTHREAD_ONCE_INIT;

static void slot_thread_ends(void *arg)
{
	(void)arg;
	port_thread_end();
}

static void slot_make_key(void)
{
	if (pthread_key_create(&slot_key, slot_thread_ends))
		mw_port_panic("no pthread key");
}

/*
 * glibc puts a thread's descriptor, which pthread_self() is the address of, above its stack, with
 * the thread-local storage between: one range has both. Asking pthread_getattr_np() would allocate.
 */
static uintptr_t stack_end(int tid)
{
	return tid == getpid() ? (uintptr_t)__libc_stack_end : (uintptr_t)pthread_self();
}

static int slot_find(void)
{
	for (int i = 0; i < MW_MAX_CPUS; i++) {
		if (!atomic_load_explicit(&slot_taken[i], memory_order_relaxed) &&
		    !atomic_exchange_explicit(&slot_taken[i], true, memory_order_acquire))
			return i;
	}
	mw_port_panic("more threads than MW_MAX_CPUS");
}

/* Pinned or not: a signal that comes in between finds the thread pinned. */
int port_take_slot(void)
{
	unsigned long depth = port_cpu.depth;

	port_cpu.depth = depth + 1;
	pthread_once(&slot_once, slot_make_key);
	port_cpu.slot = slot_find();
	self.cpu = &port_cpu;
	self.slot = (unsigned int)port_cpu.slot;
	self.tid = (int)syscall(SYS_gettid);
	self.stack_end = stack_end(self.tid);
	pthread_setspecific(slot_key, &self);
	port_world_join(&self);
	mw_port_unpin(depth);
	return port_cpu.slot;
}

void port_thread_begin(void)
{
	if (port_cpu.slot < 0)
		port_take_slot();
}

void port_thread_end(void)
{
	if (port_cpu.slot < 0)
		return;
	if (mw_cpu_stop)
		mw_cpu_stop();
	port_world_leave(&self);
	pthread_setspecific(slot_key, NULL);
	port_cpu.slot = -1;
	atomic_store_explicit(&slot_taken[self.slot], false, memory_order_release);
}

void port_end_for(unsigned int slot)
{
	int own = port_cpu.slot;

	port_cpu.slot = (int)slot;
	if (mw_cpu_stop)
		mw_cpu_stop();
	port_cpu.slot = own;
	atomic_store_explicit(&slot_taken[slot], false, memory_order_release);
}

struct port_thread *port_self(void)
{
	port_thread_begin();
	return &self;
}

/* ---- pinning's slow half ---- */

void port_interrupt_set(void (*fn)(void *arg), void *arg)
{
	unsigned long state = mw_port_pin();

	interrupt.fn = fn;
	interrupt.arg = arg;
	interrupt.taken = 0;
	atomic_fetch_and(&port_cpu.pending, ~PORT_PENDING_INTERRUPT);
	mw_port_unpin(state);
}

unsigned long port_interrupts_taken(void)
{
	return interrupt.taken;
}

/* The calling thread is pinned once, by its caller. */
static void interrupt_run(void)
{
	if (!interrupt.fn)
		return;
	interrupt.taken++;
	interrupt.fn(interrupt.arg);
}

void port_interrupt(void)
{
	int error = errno;

	if (port_cpu.depth) {
		atomic_fetch_or(&port_cpu.pending, PORT_PENDING_INTERRUPT);
		return;
	}
	port_cpu.depth = 1;
	atomic_signal_fence(memory_order_seq_cst);
	interrupt_run();
	mw_port_unpin(0);
	errno = error;
}

static __thread bool at_each_unpin;

void port_interrupt_each(bool on)
{
	at_each_unpin = on;
	if (on)
		atomic_fetch_or(&port_cpu.pending, PORT_PENDING_INTERRUPT);
}

/* Unpinned. Each turn acts pinned, and looks again unpinned, as mw_port_unpin() does. */
void port_do_pending(void)
{
	int error = errno;

	while (atomic_load_explicit(&port_cpu.pending, memory_order_relaxed)) {
		port_cpu.depth = 1;
		atomic_signal_fence(memory_order_seq_cst);
		if (atomic_fetch_and(&port_cpu.pending, ~PORT_PENDING_INTERRUPT) &
		    PORT_PENDING_INTERRUPT)
			interrupt_run();
		if (atomic_load(&port_cpu.pending) & PORT_PENDING_STOP)
			port_world_answer();
		atomic_signal_fence(memory_order_seq_cst);
		port_cpu.depth = 0;
		atomic_signal_fence(memory_order_seq_cst);
	}
	if (at_each_unpin)
		atomic_fetch_or(&port_cpu.pending, PORT_PENDING_INTERRUPT);
	errno = error;
}

static void yield(bool others)
{
	int error = errno;

	if (!port_cpu.depth && atomic_load_explicit(&port_cpu.pending, memory_order_relaxed))
		port_do_pending();
	if (!others || !port_on_yield || !port_on_yield())
		sched_yield();
	errno = error;
}

void port_yield(void)
{
	yield(port_cpu.depth || !port_strict);
}

void mw_port_yield(void)
{
	yield(true);
}

unsigned int port_turns(void)
{
	return port_cpu.relaxed;
}

/* ---- console, panic, time ---- */

void mw_port_write(const char *text, size_t len)
{
	if (port_on_write && port_on_write(text, len))
		return;
	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno != EINTR)
			return;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

_Noreturn void mw_port_panic(const char *why)
{
	if (port_on_panic)
		port_on_panic(why);
	mw_port_write("panic: ", 7);
	mw_port_write(why, strlen(why));
	mw_port_write("\n", 1);
	abort();
}

uint64_t mw_port_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- backtrace ---- */

/*
 * Frame pointers: each must lie above the one before and inside this thread's stack, so that code
 * built without them ends the walk instead of the process. Reads other functions' frames on purpose.
 */
__attribute__((no_sanitize("address", "thread", "undefined"), noinline)) size_t
mw_port_backtrace(uintptr_t *pcs, size_t max)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0), end = port_self()->stack_end;
	size_t n = 0;

	while (n < max && frame % sizeof(uintptr_t) == 0 && frame < end &&
	       end - frame > 2 * sizeof(uintptr_t)) {
		const uintptr_t *at = (const uintptr_t *)frame;

		if (!at[1])
			break;
		pcs[n++] = at[1];
		if (at[0] <= frame)
			break;
		frame = at[0];
	}
	return n;
}

/* ---- pages ---- */

bool mw_port_protect(void *page, size_t len, bool fault)
{
	return !mprotect(page, len, fault ? PROT_NONE : PROT_READ | PROT_WRITE);
}

static bool (*on_release)(void *page, size_t len);
static bool (*on_reclaim)(void *page, size_t len);

bool port_memory_at(void *at, size_t bytes)
{
	return mmap(at, bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) == at;
}

void port_pages_are(bool (*release)(void *page, size_t len), bool (*reclaim)(void *page, size_t len))
{
	on_release = release;
	on_reclaim = reclaim;
}

/* Anonymous memory reads as zero afterwards, and comes back by itself when touched. */
bool mw_port_release(void *page, size_t len)
{
	if (on_release)
		return on_release(page, len);
	return !madvise(page, len, MADV_DONTNEED);
}

bool mw_port_reclaim(void *page, size_t len)
{
	return !on_reclaim || on_reclaim(page, len);
}

/* Soft-dirty bits need a file of /proc that many machines do not have: a mark stops the world. */
bool mw_port_symbol(uintptr_t pc, char *text, size_t size)
{
	(void)pc, (void)text, (void)size;
	return false;
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
