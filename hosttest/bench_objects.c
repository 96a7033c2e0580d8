// SPDX-License-Identifier: MIT
/*
 * bench_objects LOAD COUNT [ARG [THREADS [FILE]]]
 *
 * Prints one line: nanoseconds for one allocation and its free, allocations made, peak resident KiB,
 * bytes requested, bytes resident. Times include the load's own loop, which is the same for all.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "bench_objects.h"

/*
 * With one thread its own processor time, which is the same on a busy machine; with more, where
 * waiting for each other is part of the matter, real time.
 */
static clockid_t bench_clock = CLOCK_MONOTONIC;

uint64_t bench_now(void)
{
	struct timespec t;

	clock_gettime(bench_clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

_Noreturn void bench_die(const char *why)
{
	fprintf(stderr, "bench_objects: %s\n", why);
	_exit(2);
}

void *bench_alloc(size_t size)
{
	void *p = malloc(size);

	if (__builtin_expect(!p, 0))
		bench_die("out of memory");
	return p;
}

void *bench_map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bench_die("mmap failed");
	return p;
}

void bench_yield(void)
{
#ifdef __x86_64__
	long answer;

	__asm__ volatile("syscall"
			 : "=a"(answer)
			 : "a"(24L /* sched_yield */)
			 : "rcx", "r11", "memory");
#else
	sched_yield();
#endif
}

struct job {
	void (*fn)(unsigned int i, void *arg);
	void *arg;
	unsigned int i;
	pthread_t thread;
};

static void *run_job(void *arg)
{
	struct job *job = arg;

	job->fn(job->i, job->arg);
	return NULL;
}

void bench_threads(unsigned int n, void (*fn)(unsigned int i, void *arg), void *arg)
{
	static struct job jobs[256];

	if (n > sizeof(jobs) / sizeof(jobs[0]))
		bench_die("too many threads");
	for (unsigned int i = 0; i < n; i++) {
		jobs[i] = (struct job){ .fn = fn, .arg = arg, .i = i };
		if (pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]))
			bench_die("pthread_create failed");
	}
	for (unsigned int i = 0; i < n; i++)
		pthread_join(jobs[i].thread, NULL);
}

static const struct bench_load *find(const char *name)
{
	const struct bench_load *const tables[] = { bench_basic_loads, bench_field_loads,
						    bench_thread_loads, bench_memory_loads,
						    bench_trace_loads };

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct bench_load *load = tables[t]; load->name; load++)
			if (!strcmp(load->name, name))
				return load;
	return NULL;
}

/* Of this program alone: what getrusage() says begins with what its parent had. */
static unsigned long peak_kib(void)
{
	char line[256];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %lu kB", &kib) == 1)
			break;
	if (!kib)
		bench_die("/proc/self/status");
	fclose(f);
	return kib;
}

int main(int argc, char **argv)
{
	struct bench_run run = { .count = 0, .arg = 64, .threads = 2 };
	const struct bench_load *load = argc > 2 ? find(argv[1]) : NULL;
	uint64_t begin;

	if (!load)
		bench_die("usage: bench_objects LOAD COUNT [ARG [THREADS [FILE]]]");
	run.count = strtoul(argv[2], NULL, 0);
	if (argc > 3)
		run.arg = strtoul(argv[3], NULL, 0);
	if (argc > 4)
		run.threads = (unsigned int)strtoul(argv[4], NULL, 0);
	if (argc > 5)
		run.file = argv[5];
	if (run.threads == 1)
		bench_clock = CLOCK_PROCESS_CPUTIME_ID;
	begin = bench_now();
	load->run(&run);
	if (!run.ns)
		run.ns = bench_now() - begin;
	printf("%.3f %lu %lu %lu %lu\n", (double)run.ns / (double)(run.done ? run.done : 1),
	       run.done, peak_kib(), run.requested, run.resident);
	return 0;
}
