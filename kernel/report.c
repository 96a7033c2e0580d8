// SPDX-License-Identifier: MIT
/* What is said when something is wrong. */
#include "kernel.h"
#include "harness.h"
#include "thread.h"

void report_and_go_on(const struct mw_report *report)
{
	mw_report_print(report);
	mw_print("The call did nothing, the heap is as before.\n");
}

void report_and_panic(const struct mw_report *report)
{
	char why[80];

	mw_report_print(report);
	mw_format(why, sizeof(why), "misuse of the heap: %s", mw_misuse_name(report->what));
	mw_port_panic(why);
}

/* The last words of a panic, after registers and backtraces. */
void kernel_panic_note(void)
{
	unsigned int number;
	const char *test = harness_current(&number);
	const struct thread *thread = thread_current();
	struct stop_counts stops;

	if (thread)
		arch_print("Thread \"%s\", stack %p to %p.\n", thread->name, (void *)thread->stack,
			   (void *)thread->stack_end);
	stop_counts(&stops);
	if (stop_active())
		arch_print("The world was stopped, or about to be.\n");
	arch_print("%lu stops of the world, %lu failed.\n", stops.stops, stops.failures);
	if (test)
		arch_print("In test %u, %s.\nBail out! panic\n", number, test);
}
