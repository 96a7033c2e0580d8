// SPDX-License-Identifier: MIT
/*
 * The same work on one CPU, on two, on four at once: how much more is done in the same time. Each is the least of
 * some rounds, as the host has other things to do, and more of them the more CPUs are wanted.
 */
#include "bench.h"
#include "keys.h"

#define COUNT 200000u
#define ROUNDS 15u
#define HANDED 50u /* batches */

static struct run {
	bench_fn *fn;
	size_t arg;
	atomic_uint waiting;
	unsigned int n;
	uint64_t begin[4], end[4];
	void *live[4][BENCH_LIVE];
} run;

static void meet(void)
{
	atomic_fetch_add(&run.waiting, 1);
	while (atomic_load(&run.waiting) < run.n)
		mw_port_relax();
}

static void work(unsigned int cpu, void *unused)
{
	(void)unused;
	run.fn(COUNT / 10, run.arg, run.live[cpu]);
	meet();
	run.begin[cpu] = arch_now();
	run.fn(COUNT, run.arg, run.live[cpu]);
	run.end[cpu] = arch_now();
}

/* Nanoseconds from the first that began to the last that ended. */
static uint64_t together(unsigned int n)
{
	uint64_t begin = UINT64_MAX, end = 0;

	run.n = n;
	atomic_store(&run.waiting, 0);
	arch_run_on_cpus(arch_cpus_all() & (~(arch_cpus_t)0 >> (64 - n)), work, NULL);
	for (unsigned int i = 0; i < n; i++) {
		begin = run.begin[i] < begin ? run.begin[i] : begin;
		end = run.end[i] > end ? run.end[i] : end;
	}
	return end > begin ? end - begin : 1;
}

static void scale(const char *name, bench_fn *fn, size_t arg, const char *goal)
{
	uint64_t least[] = { UINT64_MAX, UINT64_MAX, UINT64_MAX };

	run.fn = fn;
	run.arg = arg;
	bench_short = false;
	mw_print("%-24s", name);
	for (unsigned int round = 0; round < ROUNDS && !bench_short && !keys_stop(); round++) {
		for (unsigned int i = 0; i < 3 && 1u << i <= arch_cpu_count(); i++) {
			uint64_t ns = together(1u << i);

			least[i] = ns < least[i] ? ns : least[i];
		}
	}
	if (bench_short || keys_stop()) {
		mw_print("  %s\n", bench_short ? "there is not so much memory" : "ended");
		return;
	}
	for (unsigned int i = 0; i < 3 && 1u << i <= arch_cpu_count(); i++) {
		uint64_t times = (100 << i) * least[0] / least[i];

		mw_print("  %3llu.%02llu", (unsigned long long)times / 100,
			 (unsigned long long)times % 100);
	}
	mw_print("   %s\n", goal);
}

/* CPU 0 allocates; another one frees. */
static void drop_handed(unsigned int cpu, void *unused)
{
	(void)cpu, (void)unused;
	run.begin[0] = arch_now();
	bench_drop(BENCH_LIVE, run.live[0]);
	run.end[0] = arch_now();
}

static uint64_t handed_over(unsigned int to)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < HANDED && !bench_short && !keys_stop(); i++) {
		uint64_t ns;

		(void)bench_fill(BENCH_LIVE, 64, run.live[0]);
		arch_run_on_cpus((arch_cpus_t)1 << to, drop_handed, NULL);
		ns = run.end[0] - run.begin[0];
		least = ns < least ? ns : least;
	}
	return least / (BENCH_LIVE / 10);
}

static void print_handed_over(void)
{
	uint64_t here, there;

	bench_short = false;
	here = handed_over(0);
	there = handed_over(1);
	if (bench_short)
		mw_print("There is not so much memory for what CPUs hand over.\n");
	else
		mw_print("A free of what another CPU allocated: %llu.%llu ns, of its own: "
			 "%llu.%llu ns\n",
			 (unsigned long long)there / 10, (unsigned long long)there % 10,
			 (unsigned long long)here / 10, (unsigned long long)here % 10);
}

void bench_cpus(void)
{
	mw_print("%-24s  %6s  %6s  %6s   %s\n", "Times the work of one", "1 CPU", "2", "4",
		 "goal for 2");
	scale("private pairs 64", bench_pairs, 64, "1.95");
	scale("random 16 to 1024", bench_random, 0, "1.90");
	scale("pages, order 0", bench_pages, 0, "1.95");
	if (arch_cpu_count() > 1 && !keys_stop())
		print_handed_over();
}
