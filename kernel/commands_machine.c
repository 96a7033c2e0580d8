// SPDX-License-Identifier: MIT
/* Commands about the machine: CPUs, the end, and its accidents. */
#include "commands.h"
#include "text.h"
#include "thread.h"

static void run_cpus(size_t argc, char **argv)
{
	struct stop_counts stops;

	(void)argc, (void)argv;
	stop_counts(&stops);
	mw_print("%u CPUs run, clock %llu MHz, up %llu ms\n", arch_cpu_count(),
		 (unsigned long long)arch_clock_hz() / 1000000,
		 (unsigned long long)arch_now() / 1000000);
	for (unsigned int cpu = 0; cpu < arch_cpu_count(); cpu++) {
		void *lo, *hi;

		(void)arch_cpu_stack(cpu, 0, &lo, &hi);
		mw_print("  CPU %-2u %s, stack %p to %p\n", cpu,
			 cpu == arch_cpu_id() ? "this one" : "idle    ", lo, hi);
	}
	mw_print("World stopped %lu times, longest wait for the last CPU %llu us; failed %lu "
		 "times\n",
		 stops.stops, (unsigned long long)stops.longest_ns / 1000, stops.failures);
}

static void print_thread(const struct thread *thread, void *arg)
{
	static const char *const states[] = {
		[THREAD_READY] = "ready",
		[THREAD_RUNNING] = "running",
		[THREAD_WAITING] = "waiting",
		[THREAD_DEAD] = "dead",
	};

	(void)arg;
	mw_print("  %-12s %-8s CPU %-2u ran %8llu ms in %lu turns\n", thread->name,
		 states[thread->state], thread->cpu, (unsigned long long)thread->ran_ns / 1000000,
		 thread->switches);
}

static void run_ps(size_t argc, char **argv)
{
	unsigned long state = sched_lock();

	(void)argc, (void)argv;
	thread_for_each(print_thread, NULL);
	sched_unlock(state);
}

static void run_regs(size_t argc, char **argv)
{
	(void)argc, (void)argv;
	arch_dump_cpus();
}

static void run_stop(size_t argc, char **argv)
{
	uint64_t start = arch_now();
	int stuck = mw_port_stop_world();

	(void)argc, (void)argv;
	if (stuck >= 0) {
		mw_print("CPU %d did not answer.\n", stuck);
		return;
	}
	mw_port_start_world();
	mw_print("All CPUs stopped and started again in %llu us.\n",
		 (unsigned long long)(arch_now() - start) / 1000);
}

static void run_panic(size_t argc, char **argv)
{
	char why[120] = "because you asked for it";
	size_t n = 0;

	for (size_t i = 1; i < argc; i++)
		n += mw_format(why + n, sizeof(why) - n, "%s%s", i > 1 ? " " : "", argv[i]);
	mw_port_panic(why);
}

static void run_halt(size_t argc, char **argv)
{
	(void)argc, (void)argv;
	mw_print("Good bye.\n");
	arch_exit(monitor_well());
}

static void run_reboot(size_t argc, char **argv)
{
	(void)argc, (void)argv;
	arch_reboot();
}

static const struct command commands[] = {
	{ "cpus", "", "the CPUs, and how the world was stopped", run_cpus },
	{ "ps", "", "the threads", run_ps },
	{ "regs", "", "registers and backtrace of every CPU, as they are now", run_regs },
	{ "stop", "", "stop the world and start it again", run_stop },
	{ "panic", "[WHY...]", "the end, with all that is known", run_panic },
	{ "reboot", "", "start the machine again", run_reboot },
	{ "halt", "", "leave QEMU; without it, halt all CPUs", run_halt },
	{ "exit", "", "the same", run_halt },
};

const struct command_group machine_commands = { "The machine", commands, LEN(commands) };
