// SPDX-License-Identifier: MIT
/*
 * The machine that the harness has on Linux: reserved addresses for memory, threads for CPUs, timer signals for
 * interrupts, clock and counters.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "harness.h"
#include "port_hosted.h"

#define INTERRUPT_NS 151000 /* not a round number: drifts against everything periodic */
#define MOST_CPUS 8
#define MOST_MAPPINGS 256
#define GUARD (64u << 10)

/* ---- memory ---- */

static struct {
	void *at;
	size_t len;
} mappings[MOST_MAPPINGS];
static unsigned int nr_mappings;
static uint64_t next_phys;

/* Virtual and physical addresses agree up to the alignment of the largest page that fits. */
static size_t memory_align(size_t bytes)
{
	if (bytes >= (size_t)1 << 30 && sizeof(size_t) == 8)
		return (size_t)1 << 30;
	return bytes >= (size_t)1 << 21 ? (size_t)1 << 21 : GUARD;
}

void *backend_memory(size_t bytes, uint64_t *phys)
{
	size_t align = memory_align(bytes), len = bytes + align + 2 * (size_t)GUARD;
	uintptr_t at;
	void *map;

	if (len < bytes || nr_mappings == MOST_MAPPINGS)
		return NULL;
	map = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	mappings[nr_mappings].at = map;
	mappings[nr_mappings++].len = len;
	at = ((uintptr_t)map + GUARD + align - 1) & ~(uintptr_t)(align - 1);
	/* What is before and behind faults. */
	if (mprotect((void *)at, bytes, PROT_READ | PROT_WRITE))
		return NULL;
	*phys = (next_phys + align - 1) & ~(uint64_t)(align - 1);
	next_phys = *phys + bytes + GUARD;
	return (void *)at;
}

void backend_memory_reset(void)
{
	while (nr_mappings) {
		nr_mappings--;
		munmap(mappings[nr_mappings].at, mappings[nr_mappings].len);
		mappings[nr_mappings].at = NULL; /* it would point into the next test's heap */
	}
	next_phys = 1u << 20;
}

/* ---- threads ---- */

static __thread unsigned int worker_number;

struct parallel {
	void (*fn)(unsigned int i, void *arg);
	void *arg;
	unsigned int n;
	atomic_uint ready;
};

struct parallel_thread {
	struct parallel *parallel;
	unsigned int number;
	pthread_t thread;
};

unsigned int backend_cpus(void)
{
	return MW_MAX_CPUS > MOST_CPUS + MW_NR_WORKERS ? MOST_CPUS : 1;
}

unsigned int backend_worker(void)
{
	return worker_number;
}

static void parallel_call(void *arg)
{
	struct parallel_thread *t = arg;

	t->parallel->fn(t->number, t->parallel->arg);
}

static bool parallel_run(struct parallel_thread *t)
{
	struct parallel *parallel = t->parallel;

	atomic_fetch_add(&parallel->ready, 1);
	while (atomic_load(&parallel->ready) != parallel->n)
		mw_port_relax();
	if (backend_try(parallel_call, t))
		return true;
	harness_worker_left();
	return false;
}

static void *parallel_main(void *arg)
{
	struct parallel_thread *t = arg;

	worker_number = t->number;
	port_thread_begin();
	(void)parallel_run(t);
	return NULL;
}

void backend_parallel(unsigned int n, void (*fn)(unsigned int i, void *arg), void *arg)
{
	struct parallel parallel = { .fn = fn, .arg = arg, .n = n };
	struct parallel_thread threads[MOST_CPUS];
	bool done;

	for (unsigned int i = 0; i < n; i++) {
		threads[i] = (struct parallel_thread){ .parallel = &parallel, .number = i };
		if (i && pthread_create(&threads[i].thread, NULL, parallel_main, &threads[i]))
			abort();
	}
	done = parallel_run(&threads[0]);
	for (unsigned int i = 1; i < n; i++)
		pthread_join(threads[i].thread, NULL);
	if (!done)
		backend_leave();
}

bool backend_workers(bool on)
{
	if (on)
		return port_workers_start();
	port_workers_stop();
	return true;
}

void backend_own_roots(bool on)
{
	port_shows_roots = !on;
}

/* ---- interrupts ---- */

static __thread timer_t interrupt_timer;
static __thread bool interrupt_on;

static void on_interrupt(int signal)
{
	(void)signal;
	port_interrupt();
}

static void interrupt_arm(long ns)
{
	struct itimerspec when = { .it_interval.tv_nsec = ns, .it_value.tv_nsec = ns };

	timer_settime(interrupt_timer, 0, &when, NULL);
}

bool backend_interrupts_on(void (*fn)(void *arg), void *arg)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
				  .sigev_signo = PORT_INTERRUPT_SIGNAL };
	struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = SA_RESTART };

	sigfillset(&action.sa_mask);
	sigdelset(&action.sa_mask, SIGSEGV);
	sigaction(PORT_INTERRUPT_SIGNAL, &action, NULL);
	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	port_interrupt_set(fn, arg);
	if (timer_create(CLOCK_MONOTONIC, &event, &interrupt_timer))
		return false;
	interrupt_on = true;
	interrupt_arm(INTERRUPT_NS);
	return true;
}

unsigned long backend_interrupts_off(void)
{
	uint64_t until = mw_port_now() + FIRST_INTERRUPT_NS;
	unsigned long taken;

	if (!interrupt_on)
		return 0;
	/* On a busy machine the first one may be late. */
	while (!port_interrupts_taken() && mw_port_now() < until)
		mw_port_relax();
	timer_delete(interrupt_timer);
	interrupt_on = false;
	taken = port_interrupts_taken();
	port_interrupt_set(NULL, NULL);
	return taken;
}

/* ---- time ---- */

uint64_t backend_now(void)
{
	return mw_port_now();
}

uint64_t backend_instructions(void)
{
	static int fd = -2;
	uint64_t count = 0;

	if (fd == -2) {
		struct perf_event_attr attr = { .type = PERF_TYPE_HARDWARE,
						.size = sizeof(attr),
						.config = PERF_COUNT_HW_INSTRUCTIONS,
						.exclude_kernel = 1 };

		fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	}
	if (fd < 0 || read(fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}
