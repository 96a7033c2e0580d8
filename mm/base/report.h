/* SPDX-License-Identifier: MIT */
/*
 * What is said to people: text without memory, and reports of misuse.
 *
 * A misuse is found with locks held and the CPU pinned; it is said when neither is: the finder fills
 * a struct mw_report on its stack, puts everything back, and calls mw_misuse().
 */
#ifndef MW_BASE_REPORT_H
#define MW_BASE_REPORT_H

#include <stdarg.h>
#include <marrow/mm.h>
#include "base.h"

/*
 * printf of a small kind, to mw_port_write(): %s %c %d %u %x %p %zu %lu %lx %llu %llx %%, with width,
 * '-' and '0'. mw_format() never writes more than @size bytes and always terminates; it returns how
 * many bytes it wrote before the terminator, so calls can be chained. A conversion that is not known
 * comes out as it stands.
 */
void mw_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
size_t mw_format(char *buf, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
size_t mw_vformat(char *buf, size_t size, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

/*
 * *n /= by, which is below 65536: 32-bit machines have no 64-bit division without a library. Return: the
 * rest.
 */
unsigned int mw_divide(uint64_t *n, unsigned int by);

/* Who called the function that says so: in a public one, its caller. */
#define MW_SITE ((uintptr_t)__builtin_return_address(0))

/*
 * Fills .here and .text (if NULL), counts it, and asks the handler. Returns if the misuse is to be
 * ignored. No lock is held. In .here.pcs[0] the finder leaves who called the public function, which a port below
 * level 3 does not tell; 0: not known.
 */
MW_NOINLINE void mw_misuse(struct mw_report *report);
unsigned long mw_misuse_count(enum mw_misuse what);

/* Where the caller is, and when. */
void mw_trace_here(struct mw_trace *trace);

#endif
