// SPDX-License-Identifier: MIT
/* What is said when something is wrong: Marrow's own report, with names for its addresses. */
#include "kernel.h"
#include "harness.h"

static void print_trace(const char *who, const struct mw_trace *trace)
{
	char name[80];

	if (!trace || !trace->depth)
		return;
	mw_print("  %s by:\n", who);
	for (unsigned int i = 0; i < trace->depth && i < LEN(trace->pcs); i++) {
		report_name(trace->pcs[i], name, sizeof(name));
		mw_print("    %p %s\n", (void *)trace->pcs[i], name);
	}
}

void report_name(uintptr_t pc, char *text, size_t size)
{
	uintptr_t off = 0;
	const char *name = kernel_symbol(pc, &off);

	mw_format(text, size, name ? "%s+0x%lx" : "?", name, (unsigned long)off);
}

static void print(const struct mw_report *report)
{
	mw_report_print(report);
	print_trace("called", &report->here);
	print_trace("allocated", report->allocated);
	print_trace("freed", report->freed);
}

void report_and_go_on(const struct mw_report *report)
{
	print(report);
	mw_print("The call did nothing, the heap is as before.\n");
}

void report_and_panic(const struct mw_report *report)
{
	char why[80];

	print(report);
	mw_format(why, sizeof(why), "misuse of the heap: %s", mw_misuse_name(report->what));
	mw_port_panic(why);
}

/* The last words of a panic, after registers and backtraces. */
void kernel_panic_note(void)
{
	unsigned int number;
	const char *test = harness_current(&number);
	struct stop_counts stops;

	stop_counts(&stops);
	if (stop_active())
		arch_print("The world was stopped, or about to be.\n");
	arch_print("%lu stops of the world, %lu failed.\n", stops.stops, stops.failures);
	if (test)
		arch_print("In test %u, %s.\nBail out! panic\n", number, test);
}
