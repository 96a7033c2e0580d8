// SPDX-License-Identifier: MIT
/*
 * What a test may expect to happen, the same on Linux and in the demo kernel: text on the console, a panic, a
 * misuse. What comes unexpected fails the test.
 */
#include <stdatomic.h>
#include "harness.h"
#include "../mm/base/report.h"

/* ---- console capture ---- */

static struct {
	atomic_flag busy;
	atomic_bool on;
	size_t len;
	char text[4096];
} capture;

bool harness_swallow(const char *text, size_t len)
{
	size_t room;

	if (!atomic_load_explicit(&capture.on, memory_order_acquire))
		return false;
	/* Whoever finds it busy may be an interrupt above the owner: its text is dropped. */
	if (atomic_flag_test_and_set_explicit(&capture.busy, memory_order_acquire))
		return true;
	room = sizeof(capture.text) - 1 - capture.len;
	if (len > room)
		len = room;
	for (size_t i = 0; i < len; i++)
		capture.text[capture.len++] = text[i];
	capture.text[capture.len] = '\0';
	atomic_flag_clear_explicit(&capture.busy, memory_order_release);
	return true;
}

void test_capture(void)
{
	capture.len = 0;
	capture.text[0] = '\0';
	atomic_store_explicit(&capture.on, true, memory_order_release);
}

const char *test_captured(void)
{
	atomic_store_explicit(&capture.on, false, memory_order_release);
	return capture.text;
}

const char *test_has(const char *text, const char *part)
{
	for (; *text; text++) {
		size_t i = 0;

		while (part[i] && text[i] == part[i])
			i++;
		if (!part[i])
			return text;
	}
	return NULL;
}

/* ---- panics ---- */

static const char *panic_why; /* set by harness_panicked() for test_panics() */
static char panic_text[160];
static bool panic_expected;

void (*harness_last_words)(void);

void harness_panicked(const char *why)
{
	unsigned int number;

	if (!harness_current(&number))
		return;
	if (harness_last_words && !panic_expected)
		harness_last_words();
	if (backend_worker())
		return;
	if (panic_expected) {
		mw_format(panic_text, sizeof(panic_text), "%s", why);
		panic_why = panic_text;
		backend_leave();
	}
	test_captured();
	(void)test_check(false, harness_suite(), 0, "panic: %s", why);
	backend_leave();
}

const char *test_panics(void (*fn)(void *arg), void *arg)
{
	panic_why = NULL;
	panic_expected = true;
	test_capture();
	(void)backend_try(fn, arg);
	(void)test_captured();
	panic_expected = false;
	return panic_why;
}

/* ---- misuse ---- */

static struct {
	atomic_flag busy;
	enum mw_misuse expected;
	unsigned int came;
	struct mw_report report;
	char text[160];
	struct mw_trace allocated, freed;
} misuse;

static void misuse_keep(const struct mw_report *report)
{
	misuse.report = *report;
	mw_format(misuse.text, sizeof(misuse.text), "%s", report->text);
	misuse.report.text = misuse.text;
	if (report->allocated) {
		misuse.allocated = *report->allocated;
		misuse.report.allocated = &misuse.allocated;
	}
	if (report->freed) {
		misuse.freed = *report->freed;
		misuse.report.freed = &misuse.freed;
	}
}

void harness_misused(const struct mw_report *report)
{
	unsigned long state = mw_port_pin();
	bool wanted;

	while (atomic_flag_test_and_set_explicit(&misuse.busy, memory_order_acquire))
		mw_port_relax();
	wanted = misuse.expected == report->what;
	if (wanted) {
		misuse_keep(report);
		misuse.came++;
	}
	atomic_flag_clear_explicit(&misuse.busy, memory_order_release);
	mw_port_unpin(state);
	if (wanted)
		return;
	mw_report_print(report);
	(void)test_check(false, harness_suite(), 0, "unexpected misuse: %s",
			 mw_misuse_name(report->what));
}

void test_expect_misuse(enum mw_misuse what)
{
	misuse.came = 0;
	misuse.expected = what;
	misuse.report = (struct mw_report){ 0 };
}

const struct mw_report *test_misuse_came(void)
{
	(void)test_check(misuse.came == 1, harness_suite(), 0, "expected one %s, %u came",
			 mw_misuse_name(misuse.expected), misuse.came);
	misuse.expected = MW_MISUSE_NONE;
	return &misuse.report;
}

void harness_expect_came(void)
{
	if (misuse.expected && !misuse.came)
		(void)test_misuse_came();
}

void harness_expect_end(void)
{
	(void)test_captured();
	panic_expected = false;
	harness_last_words = NULL;
}
