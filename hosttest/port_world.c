// SPDX-License-Identifier: MIT
/*
 * Stopping the world on Linux.
 *
 * A request has a number. The one who stops sets PORT_PENDING_STOP in every other thread's word,
 * then sends it a signal. A thread answers in the signal if it is not pinned, else when it unpins:
 * it leaves its stack pointer and registers, stores the number in `answered`, and sleeps until
 * `world.open` has that number. A bit that is gone when the signal comes was answered before.
 *
 *   world.lock     the list of threads; held from stop to start, so nobody joins or leaves meanwhile
 *   world.request  number of the last request
 *   world.open     number of the last request that is over; == request: the world runs
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <marrow/mm.h>
#include "port_hosted.h"

#define STOP_SIGNAL (SIGRTMIN + 4)
#define MOST_WORKERS 16 /* more would not help a mark on any machine that runs the tests */
#define MOST_RANGES 64
#define AGAIN 64 /* turns of waiting before a thread is asked once more */

static struct {
	atomic_uint lock; /* 0 free, 1 taken */
	struct port_thread *_Atomic threads[MW_MAX_CPUS]; /* by slot */
	atomic_uint request, open;
	atomic_uint event; /* counts up at every change that a stopped thread waits for */
	/* What run_stopped() gives out: valid while `job` is odd. */
	atomic_uint job;
	void (*fn)(unsigned int worker, void *arg);
	void *arg;
	atomic_uint left; /* workers that have not returned */
	unsigned int workers;
	struct port_thread *stopper;
	unsigned int limit_s;
	struct {
		uintptr_t lo, hi;
	} data[MOST_RANGES];
	unsigned int nr_data;
} world = { .limit_s = 2 };

bool port_shows_roots = true;

static void event_wait(unsigned int seen)
{
	syscall(SYS_futex, &world.event, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void event_tell(void)
{
	atomic_fetch_add_explicit(&world.event, 1, memory_order_release);
	syscall(SYS_futex, &world.event, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/*
 * Taken by threads that join, leave, or stop the world. Who waits here is outside of Marrow, so it
 * answers requests even if it counts as pinned.
 */
static void world_lock(void)
{
	unsigned int zero = 0;

	while (!atomic_compare_exchange_weak_explicit(&world.lock, &zero, 1, memory_order_acquire,
						      memory_order_relaxed)) {
		zero = 0;
		if (atomic_load(&port_cpu.pending) & PORT_PENDING_STOP) {
			unsigned long depth = port_cpu.depth;

			port_cpu.depth = depth + 1;
			atomic_signal_fence(memory_order_seq_cst);
			port_world_answer();
			atomic_signal_fence(memory_order_seq_cst);
			port_cpu.depth = depth;
		}
		sched_yield();
	}
}

static void world_unlock(void)
{
	atomic_store_explicit(&world.lock, 0, memory_order_release);
}

/* ---- the stopped side ---- */

static void stopped_work(struct port_thread *self, unsigned int *job)
{
	unsigned int now = atomic_load_explicit(&world.job, memory_order_acquire);

	if (!(now & 1) || now == *job)
		return;
	*job = now;
	if (!self->worker)
		return;
	world.fn(self->worker, world.arg);
	atomic_fetch_sub_explicit(&world.left, 1, memory_order_acq_rel);
}

/*
 * Interrupts come here, as they do on a stopped CPU, but between two pieces of work; not if the thread is pinned
 * by what waits in world_lock(). One that unpins may find the next request, and be stopped there.
 */
static void stopped_rest(unsigned int seen)
{
	unsigned long depth = port_cpu.depth;

	if (depth == 1)
		mw_port_unpin(0);
	event_wait(seen);
	port_cpu.depth = depth;
	atomic_signal_fence(memory_order_seq_cst);
}

static void stopped_wait(struct port_thread *self)
{
	unsigned int request, job = 0;

	/* First the bit, then the number: a request that comes between is answered by this answer. */
	atomic_fetch_and(&port_cpu.pending, ~PORT_PENDING_STOP);
	request = atomic_load(&world.request);
	atomic_store_explicit(&self->answered, request, memory_order_release);
	for (;;) {
		unsigned int seen = atomic_load_explicit(&world.event, memory_order_acquire);

		if ((int)(atomic_load_explicit(&world.open, memory_order_acquire) - request) >= 0)
			return;
		stopped_work(self, &job);
		stopped_rest(seen);
	}
}

/* Pinned once, in a place where the thread is outside of Marrow. */
__attribute__((noinline)) void port_world_answer(void)
{
	struct port_thread *self = port_self();
	ucontext_t context = { 0 };

	getcontext(&context);
	self->registers = &context.uc_mcontext.gregs;
	self->registers_len = sizeof(context.uc_mcontext.gregs);
	self->stack_at = (uintptr_t)__builtin_frame_address(0);
	stopped_wait(self);
}

static void on_stop_signal(int signal, siginfo_t *info, void *context)
{
	struct port_thread *self;
	int error = errno;

	(void)signal, (void)info;
	if (port_cpu.depth || !(atomic_load(&port_cpu.pending) & PORT_PENDING_STOP))
		return;
	port_cpu.depth = 1;
	atomic_signal_fence(memory_order_seq_cst);
	self = port_self();
	self->registers = &((ucontext_t *)context)->uc_mcontext.gregs;
	self->registers_len = sizeof(((ucontext_t *)context)->uc_mcontext.gregs);
	self->stack_at = (uintptr_t)__builtin_frame_address(0);
	stopped_wait(self);
	mw_port_unpin(0);
	errno = error;
}

/* ---- the stopping side ---- */

static void for_each_other(struct port_thread *self, bool (*fn)(struct port_thread *thread))
{
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
		struct port_thread *thread =
			atomic_load_explicit(&world.threads[i], memory_order_relaxed);

		if (thread && thread != self && !fn(thread))
			return;
	}
}

/* What a thread has had of processors. Its clock has a number that clock_getcpuclockid() makes for processes only. */
static uint64_t cpu_ns(const struct port_thread *thread)
{
	struct timespec t = { 0 };

	if (clock_gettime((clockid_t)(~(unsigned int)thread->tid << 3 | 6), &t))
		return UINT64_MAX / 2; /* gone */
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool ask(struct port_thread *thread)
{
	thread->worker = ++world.workers < MOST_WORKERS ? world.workers : 0;
	atomic_fetch_or(&thread->cpu->pending, PORT_PENDING_STOP);
	syscall(SYS_tgkill, getpid(), thread->tid, STOP_SIGNAL);
	return true;
}

static bool take_back(struct port_thread *thread)
{
	atomic_fetch_and(&thread->cpu->pending, ~PORT_PENDING_STOP);
	return true;
}

static bool has_answered(struct port_thread *thread)
{
	return atomic_load_explicit(&thread->answered, memory_order_acquire) ==
	       atomic_load_explicit(&world.request, memory_order_relaxed);
}

/*
 * Its time is over by the clock. If it has not had a tenth of that on a processor, others have had it, and it is
 * given ten times as long.
 */
static bool is_late(const struct port_thread *thread, uint64_t until)
{
	uint64_t limit = world.limit_s * UINT64_C(1000000000);

	return mw_port_now() > until + 9 * limit ||
	       cpu_ns(thread) - thread->asked_cpu_ns > limit / 10;
}

/* The slot of a thread that has not answered by @until, or -1. */
static int wait_for_all(struct port_thread *self, uint64_t until)
{
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
		struct port_thread *thread =
			atomic_load_explicit(&world.threads[i], memory_order_relaxed);

		if (!thread || thread == self)
			continue;
		thread->asked_cpu_ns = has_answered(thread) ? 0 : cpu_ns(thread);
		for (unsigned int turn = 1; !has_answered(thread); turn++) {
			if (mw_port_now() > until && is_late(thread, until))
				return (int)i;
			/* A port may leave to us what came while the thread was pinned. */
			if (turn % AGAIN == 0)
				syscall(SYS_tgkill, getpid(), thread->tid, STOP_SIGNAL);
			sched_yield();
		}
	}
	return -1;
}

void port_world_set_limit(unsigned int seconds)
{
	world.limit_s = seconds;
}

bool port_world_is_stopped(void)
{
	return world.stopper;
}

int mw_port_stop_world(void)
{
	struct port_thread *self = port_self();
	int culprit;

	while (port_other_is_pinned && port_other_is_pinned())
		mw_port_yield();
	world_lock();
	world.stopper = self;
	world.workers = 0;
	atomic_fetch_add(&world.request, 1);
	for_each_other(self, ask);
	culprit = wait_for_all(self, mw_port_now() + world.limit_s * UINT64_C(1000000000));
	if (culprit >= 0) {
		for_each_other(self, take_back);
		mw_port_start_world();
	}
	return culprit;
}

void mw_port_start_world(void)
{
	world.stopper = NULL;
	atomic_store_explicit(&world.open, atomic_load(&world.request), memory_order_release);
	event_tell();
	world_unlock();
}

void mw_port_run_stopped(void (*fn)(unsigned int worker, void *arg), void *arg)
{
	unsigned int helpers = world.workers < MOST_WORKERS ? world.workers : MOST_WORKERS - 1;

	/* The other CPU that this thread plays, if it is in the middle of a handler. */
	while (port_other_is_pinned && port_other_is_pinned())
		port_yield();
	world.fn = fn;
	world.arg = arg;
	atomic_store(&world.left, helpers);
	atomic_fetch_add_explicit(&world.job, 1, memory_order_release);
	event_tell();
	fn(0, arg);
	while (atomic_load_explicit(&world.left, memory_order_acquire))
		sched_yield();
	atomic_fetch_add_explicit(&world.job, 1, memory_order_release);
}

/* ---- threads come and go ---- */

void port_world_join(struct port_thread *thread)
{
	world_lock();
	atomic_store_explicit(&world.threads[thread->slot], thread, memory_order_relaxed);
	world_unlock();
}

void port_world_leave(struct port_thread *thread)
{
	unsigned long state = mw_port_pin();

	world_lock();
	atomic_store_explicit(&world.threads[thread->slot], NULL, memory_order_relaxed);
	world_unlock();
	mw_port_unpin(state);
}

/* What is read of the others lies in their thread-local words, which were copied with all else. */
void port_world_alone(bool gone[MW_MAX_CPUS])
{
	struct port_thread *self = port_self();

	self->tid = (int)syscall(SYS_gettid);
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
		struct port_thread *thread =
			atomic_load_explicit(&world.threads[i], memory_order_relaxed);

		gone[i] = thread && thread != self && !thread->cpu->depth;
		if (gone[i])
			atomic_store_explicit(&world.threads[i], NULL, memory_order_relaxed);
	}
	atomic_store(&world.open, atomic_load(&world.request));
	world_unlock();
}

/* ---- roots ---- */

static void note_range(uintptr_t lo, size_t bytes)
{
	if (world.nr_data == MOST_RANGES)
		return;
	world.data[world.nr_data].lo = (lo + sizeof(lo) - 1) & ~(sizeof(lo) - 1);
	world.data[world.nr_data++].hi = (lo + bytes) & ~(sizeof(lo) - 1);
}

static int note_data(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	for (unsigned int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && (p->p_flags & PF_W))
			note_range(info->dlpi_addr + p->p_vaddr, p->p_memsz);
	}
	return 0;
}

/* Thread-local words of the thread that starts the program lie apart from its stack, unlike others': see stack_end(). */
static int note_tls(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	for (unsigned int i = 0; info->dlpi_tls_data && i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_TLS)
			note_range((uintptr_t)info->dlpi_tls_data, info->dlpi_phdr[i].p_memsz);
	}
	return 0;
}

/*
 * The list of loaded objects is under the loader's lock, which a stopped thread may hold: it is read
 * once, here. What is loaded later is registered with mw_gc_root_add() by who loads it.
 */
__attribute__((constructor)) static void world_set_up(void)
{
	struct sigaction action = { .sa_sigaction = on_stop_signal,
				    .sa_flags = SA_SIGINFO | SA_RESTART };

	sigfillset(&action.sa_mask);
	sigdelset(&action.sa_mask, SIGSEGV);
	sigdelset(&action.sa_mask, SIGALRM);
	sigdelset(&action.sa_mask, PORT_INTERRUPT_SIGNAL);
	if (sigaction(STOP_SIGNAL, &action, NULL))
		abort();
	dl_iterate_phdr(note_data, NULL);
	dl_iterate_phdr(note_tls, NULL); /* constructors run in the thread that starts the program */
}

static void scan_stack(mw_root_visit_fn *visit, void *ctx, uintptr_t at, uintptr_t end)
{
	at &= ~(sizeof(at) - 1);
	end &= ~(sizeof(end) - 1);
	if (at < end)
		visit(ctx, MW_ROOT_STACK, "thread", (void *)at, (void *)end);
}

/* The signal frame, vector registers included, lies above stack_at: the stack alone has it all. */
static void scan_others(mw_root_visit_fn *visit, void *ctx)
{
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
		struct port_thread *thread =
			atomic_load_explicit(&world.threads[i], memory_order_relaxed);

		if (!thread || thread == world.stopper)
			continue;
		visit(ctx, MW_ROOT_REGISTERS, "registers", thread->registers,
		      (const char *)thread->registers + thread->registers_len);
		scan_stack(visit, ctx, thread->stack_at, thread->stack_end);
	}
}

__attribute__((noinline)) void mw_port_scan_roots(mw_root_visit_fn *visit, void *ctx)
{
	if (!port_shows_roots)
		return;
	scan_others(visit, ctx);
	scan_stack(visit, ctx, (uintptr_t)__builtin_frame_address(0), port_self()->stack_end);
	if (port_on_scan)
		port_on_scan(visit, ctx);
	for (unsigned int i = 0; i < world.nr_data; i++)
		visit(ctx, MW_ROOT_DATA, "data", (void *)world.data[i].lo, (void *)world.data[i].hi);
}
