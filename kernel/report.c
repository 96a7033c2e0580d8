// SPDX-License-Identifier: MIT
/* What is said when something is wrong. */
#include "../mm/page/page.h"
#include "kernel.h"
#include "harness.h"
#include "thread.h"

/* The last one that a handler here was told, for a panic. Its address is no reference. */
static struct {
	enum mw_misuse what;
	const void *address;
	uint64_t when;
} last ARCH_PLAIN;

static void say(const struct mw_report *report)
{
	mw_report_print(report);
	last.what = report->what;
	last.address = report->address;
	last.when = arch_now();
}

void report_and_go_on(const struct mw_report *report)
{
	say(report);
	mw_print("The call did nothing, the heap is as before.\n");
}

void report_and_panic(const struct mw_report *report)
{
	char why[80];

	say(report);
	mw_format(why, sizeof(why), "misuse of the heap: %s", mw_misuse_name(report->what));
	mw_port_panic(why);
}

static unsigned long misuses(void)
{
	unsigned long sum = 0;

	for (unsigned int i = 1; i < MW_NR_MISUSES; i++)
		sum += mw_misuse_count((enum mw_misuse)i);
	return sum;
}

/* No lock is taken: whoever has it may have been halted. So the figures need not fit together. */
size_t report_heap(char *text, size_t size)
{
	size_t n = mw_format(text, size,
			     "The heap: %u regions, %zu pages handed out, %zu of objects; %lu "
			     "requests for pages failed; its lock is %s.\n",
			     (unsigned int)mw_page.nr_regions, (size_t)mw_page.raw,
			     (size_t)mw_page.objects, (unsigned long)mw_page.failures,
			     mw_lock_held(&mw_page.heap) ? "HELD" : "free");

	n += mw_format(text + n, size - n, "%lu misuses so far", misuses());
	if (last.what)
		n += mw_format(text + n, size - n, "; the last, %s of %p, was %llu ms ago",
			       mw_misuse_name(last.what), last.address,
			       (unsigned long long)(arch_now() - last.when) / 1000000);
	return n + mw_format(text + n, size - n, ".\n");
}

/* The last words of a panic, after registers and backtraces. */
void kernel_panic_note(void)
{
	unsigned int number;
	const char *test = harness_current(&number);
	const struct thread *thread = thread_current();
	struct stop_counts stops;
	char heap[400];

	if (thread)
		arch_print("Thread \"%s\", stack %p to %p.\n", thread->name, (void *)thread->stack,
			   (void *)thread->stack_end);
	stop_counts(&stops);
	if (stop_active())
		arch_print("The world was stopped, or about to be.\n");
	arch_print("%lu stops of the world, %lu failed.\n", stops.stops, stops.failures);
	arch_console_write(heap, report_heap(heap, sizeof(heap)));
	if (test)
		arch_print("In test %u, %s.\nBail out! panic\n", number, test);
}
