// SPDX-License-Identifier: MIT
/*
 * build/libmarrow-safe.so: what safe free costs real programs. MARROW_SAFE=on or =wipe, and a number of
 * bytes to hold behind a comma if it should be another one than Marrow's own.
 *
 * The world of a program can be stopped here only as long as it has one thread; marks are refused after
 * that, so what is freed then is held for ever. Roots are all mappings that the program may write but
 * the heap, as the kernel lists them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <marrow/gc.h>
#include <marrow/port.h>
#include <marrow/watch.h>
#include "preload.h"
#include "../mm/base/report.h"

#if MW_GC

/* Of a file in /proc, which is read a piece at a time. */
struct reader {
	int fd;
	size_t at, len;
	char bytes[4096];
};

static struct reader reader;

static int next_byte(void)
{
	if (reader.at == reader.len) {
		ssize_t n = read(reader.fd, reader.bytes, sizeof(reader.bytes));

		reader.at = 0;
		reader.len = n > 0 ? (size_t)n : 0;
	}
	return reader.at < reader.len ? (unsigned char)reader.bytes[reader.at++] : -1;
}

static bool next_line(char *line, size_t size)
{
	size_t n = 0;
	int c;

	while ((c = next_byte()) >= 0 && c != '\n')
		if (n + 1 < size)
			line[n++] = (char)c;
	line[n] = '\0';
	return n || c >= 0;
}

static bool open_proc(const char *path)
{
	reader.fd = open(path, O_RDONLY | O_CLOEXEC);
	reader.at = reader.len = 0;
	return reader.fd >= 0;
}

static bool one_thread(void)
{
	char line[160];
	bool one = false;

	if (!open_proc("/proc/self/status"))
		return false;
	while (next_line(line, sizeof(line)))
		if (!strncmp(line, "Threads:", 8))
			one = strtoul(line + 8, NULL, 10) == 1;
	close(reader.fd);
	return one;
}

int mw_port_stop_world(void)
{
	return one_thread() ? -1 : 0;
}

void mw_port_start_world(void)
{
}

void mw_port_run_stopped(void (*fn)(unsigned int worker, void *arg), void *arg)
{
	fn(0, arg);
}

void mw_port_wake(enum mw_worker worker)
{
	(void)worker;
}

/* The first region that ends behind @at. Return: false: there is none. */
static bool next_region(uintptr_t at, uintptr_t *lo, uintptr_t *hi)
{
	struct mw_region_stats stats;

	for (size_t i = 0; mw_region_stats(i, &stats); i++) {
		*lo = (uintptr_t)stats.base;
		*hi = *lo + (stats.pages << MW_PAGE_SHIFT);
		if (*hi > at)
			return true;
	}
	return false;
}

/* All of a mapping but the heap: the system counts what lies side by side as one, the first thread's words too. */
static void visit_around(mw_root_visit_fn *visit, void *ctx, enum mw_root_kind kind, uintptr_t lo,
			 uintptr_t hi)
{
	while (lo < hi) {
		uintptr_t from, to, end = hi;
		bool region = next_region(lo, &from, &to);

		if (region && from < hi)
			end = mw_max(from, lo);
		if (end > lo)
			visit(ctx, kind, "mapping", (void *)lo, (void *)end);
		lo = end < hi ? to : hi;
	}
}

/* Registers are in this frame or above: the caller has spilled them. */
static MW_NOINLINE void scan_maps(mw_root_visit_fn *visit, void *ctx, uintptr_t sp)
{
	char line[160];

	if (!open_proc("/proc/self/maps"))
		return;
	while (next_line(line, sizeof(line))) {
		char *end;
		uintptr_t lo = strtoull(line, &end, 16), hi = strtoull(end + 1, &end, 16);

		bool mine;

		if (end[1] != 'r' || end[2] != 'w' || end[4] != 'p')
			continue;
		mine = lo <= sp && sp < hi;
		if (mine)
			lo = sp & -sizeof(void *);
		visit_around(visit, ctx, mine ? MW_ROOT_STACK : MW_ROOT_DATA, lo, hi);
	}
	close(reader.fd);
}

void mw_port_scan_roots(mw_root_visit_fn *visit, void *ctx)
{
	__builtin_unwind_init();
	scan_maps(visit, ctx, (uintptr_t)__builtin_frame_address(0) - 512);
}

/* Of a program with threads no mark is made; that is no reason to end it. */
static void on_misuse(const struct mw_report *report)
{
	if (report->what == MW_STUCK_CPU)
		return;
	mw_report_print(report);
	mw_port_panic(mw_misuse_name(report->what));
}

static __attribute__((constructor)) void set_up(void)
{
	const char *want = getenv("MARROW_SAFE"), *comma;
	struct mw_safe_policy policy = { .on = true };
	bool borrowed;

	if (!want)
		return;
	comma = strchr(want, ',');
	policy.wipe = !strncmp(want, "wipe", 4);
	policy.hold = comma ? strtoul(comma + 1, (char **)&comma, 0) : 0;
	policy.percent = comma && *comma == ',' ? (unsigned int)strtoul(comma + 1, NULL, 0) : 0;
	borrowed = preload_begin();
	(void)mw_on_misuse(on_misuse);
	(void)mw_safe_free(NULL, &policy);
	preload_end(borrowed);
}

static __attribute__((destructor)) void say(void)
{
	struct mw_safe_stats stats;
	char text[160];
	size_t len;

	if (!getenv("MARROW_SAFE_STATS"))
		return;
	mw_safe_stats(&stats);
	len = mw_format(text, sizeof(text),
			"safe: %lu marks, %lu released, %zu bytes held, %zu kept\n", stats.marks,
			stats.released, stats.held_bytes, stats.kept_bytes);
	mw_port_write(text, len);
}

#endif
