// SPDX-License-Identifier: MIT
/*
 * What an address is: the object it is in, whose that is, who had it, and which roots lead to it.
 */
#include <marrow/gc.h>
#include "../mm/object/inside.h"
#include "../mm/page/up.h"
#include "commands.h"
#include "look.h"

#define HOLDERS 8u

/* ---- who had it ---- */

static void print_trace(const char *what, const struct mw_trace *trace)
{
	char name[64];

	if (!trace)
		return;
	mw_print("  %s on CPU %u, %llu ms after the start, from:\n", what, trace->cpu,
		 (unsigned long long)trace->when / 1000000);
	for (unsigned int i = 0; i < trace->depth; i++) {
		if (!mw_port_symbol(trace->pcs[i], name, sizeof(name)))
			mw_format(name, sizeof(name), "%p", (void *)trace->pcs[i]);
		mw_print("    %s\n", name);
	}
}

static void print_owner(const struct mw_span *span, size_t index)
{
	struct mw_report report = { 0 };

	mw_print("  %s%s, %s", span->cache ? "cache " : "", span->cache ? span->cache->name : "large",
		 span->flags & MW_SPAN_COLLECTED ? "collected" : "freed by hand");
#if MW_GC
	if (span->type)
		mw_print(", type %s", span->type->name);
#endif
	mw_print("\n");
	mw_aid_traces(span, index, &report);
	print_trace("allocated", report.allocated);
	print_trace("freed", report.freed);
}

/* ---- which roots lead to it ---- */

struct search {
	uintptr_t lo, hi;
	unsigned int n;
	struct {
		const char *name;
		const uintptr_t *at;
	} found[HOLDERS];
};

__attribute__((no_sanitize_address)) static void
note_holders(void *ctx, enum mw_root_kind kind, const char *name, const void *lo, const void *hi)
{
	struct search *search = ctx;

	(void)kind;
	for (const uintptr_t *at = lo; at < (const uintptr_t *)hi && search->n < HOLDERS; at++)
		if (*at >= search->lo && *at < search->hi) {
			search->found[search->n].name = name;
			search->found[search->n++].at = at;
		}
}

/* What this thread holds below the monitor's own frame is about the search itself. */
static void print_holders(const void *object, size_t size)
{
	struct search search = { .lo = (uintptr_t)object, .hi = (uintptr_t)object + size };
	char name[64];

	if (mw_port_stop_world() >= 0)
		return;
	mw_port_scan_roots(note_holders, &search);
	mw_port_start_world();
	for (unsigned int i = 0; i < search.n; i++) {
		const uintptr_t *at = search.found[i].at;

		if ((const char *)at >= (char *)&search && (const char *)at < (char *)(&search + 1))
			continue;
		if (!mw_port_symbol((uintptr_t)at, name, sizeof(name)))
			mw_format(name, sizeof(name), "%p", (const void *)at);
		mw_print("  a word of %s leads to it, at %s\n", search.found[i].name, name);
	}
}

/* ---- all of it ---- */

static void print_object(const struct mw_place *place, const void *address)
{
	struct mw_span *span = mw_span_of(address);
	size_t offset = (size_t)((const char *)address - (const char *)place->base);

	mw_print("%s: %p, %zu bytes",
		 place->kind == MW_KIND_OBJECT ? "in a live object"
					       : "where an object could be, but none is",
		 place->base, place->size);
	if (offset)
		mw_print(", %zu bytes behind its beginning", offset);
	mw_print("\n");
	if (span)
		print_owner(span, mw_span_index(span, address));
	if (place->kind == MW_KIND_OBJECT)
		print_holders(place->base, place->size);
}

static void print_other(const void *address)
{
	struct mw_report report = { 0 };

	mw_page_stray(address, &report);
	mw_print("nothing that could be freed: %s", report.text);
	if (report.span)
		mw_print(": %zu pages from %p", report.span_pages, report.span);
	mw_print("\n");
}

void look_at(const void *address)
{
	struct mw_place place = { 0 };

	(void)mw_lookup(address, &place);
	if (place.kind == MW_KIND_PAGES)
		mw_print("the first page of a run: %p, %zu bytes\n", place.base, place.size);
	else if (place.kind != MW_KIND_NONE)
		print_object(&place, address);
	else
		print_other(address);
}
