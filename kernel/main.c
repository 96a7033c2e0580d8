// SPDX-License-Identifier: MIT
/*
 * The demo kernel's beginning. arch/ has the machine ready: page tables, consoles, timer, all CPUs.
 * Memory goes either to the tests or to the heap; what follows is the monitor.
 */
#include "commands.h"
#include "landing.h"
#include "thread.h"

static void say_hello(const struct arch_boot_info *info)
{
	mw_print("\nMarrow demo kernel, " ARCH_NAME ": page frames and kernel objects\n"
		 "booted by %s%s in %llu ms; %u of %u CPUs, %llu MiB of memory\n",
		 info->loader, info->uefi ? " (UEFI)" : "", (unsigned long long)arch_now() / 1000000,
		 info->cpus, info->cpus_found, (unsigned long long)memory_total() >> 20);
	options_complain();
}

static void say_what_to_try(void)
{
	mw_print("Try:\n"
		 "  tour               ten minutes with all of this, step by step\n"
		 "  storm fs 5         files made, moved, removed by all CPUs at once\n"
		 "  poke double-free   make a mistake, and read the report\n"
		 "  mem                where the memory is, and who has it\n"
		 "help lists everything; tab completes.\n\n");
}

static void run_tests(void)
{
	bool passed = tests_run(options.test, false);

	if (!options.exit_given || options.exit)
		arch_exit(passed);
}

static void run_commands(void)
{
	monitor_run(options.run);
	if (options.exit)
		arch_exit(monitor_well());
}

void kernel_main(const struct arch_boot_info *info)
{
	thread_init();
	options_read(info->cmdline);
	memory_init(info);
	landing_init(NULL);
	mw_on_misuse(report_and_panic);
	arch_irq_on();

	say_hello(info);
	if (options.test)
		run_tests();
	memory_open();
	mw_on_misuse(report_and_go_on);
	if (options.run)
		run_commands();
	say_what_to_try();
	monitor_loop();
}

/* CPU 0's boot thread is the monitor; the others' run what there is. */
void kernel_ap_main(unsigned int cpu)
{
	(void)cpu;
	thread_init_cpu();
	thread_idle_loop();
}
