// SPDX-License-Identifier: MIT
/*
 * Reports of misuse: a head line, then one `key: value` a line, only what is known. The form is
 * fixed, so that a script can read it out of a console log.
 */
#include "level.h"
#include "state.h"

static const struct mw_misuse_words {
	const char *name, *text;
} mw_misuse_words[MW_NR_MISUSES] = {
	[MW_MISUSE_NONE] = { "none", "nothing is wrong" },
	[MW_DOUBLE_FREE] = { "double-free",
			     "the object is free: it was freed before, or never handed out" },
	[MW_FOREIGN_FREE] = { "foreign-free", "the address belongs to no object of this heap" },
	[MW_INNER_FREE] = { "inner-free", "the address is inside an object, not its beginning" },
	[MW_FREED_SPAN] = { "freed-span", "the memory went back to the page heap" },
	[MW_WRONG_SIZE] = { "wrong-size", "the size given is not the one allocated" },
	[MW_WRONG_CACHE] = { "wrong-cache", "the object belongs to another cache" },
	[MW_WRONG_KIND] = { "wrong-kind", "pages freed as an object, or an object as pages" },
	[MW_CACHE_LIVE] = { "cache-live", "the cache still has live objects" },
	[MW_OVERRUN] = { "overrun", "bytes outside of the object were written" },
	[MW_USE_AFTER_FREE] = { "use-after-free", "the object was written after its free" },
	[MW_BAD_REGION] = { "bad-region", "the region cannot be used" },
	[MW_BAD_REQUEST] = { "bad-request", "the arguments contradict each other" },
	[MW_BAD_POINTER] = { "bad-pointer", "a typed pointer leads to no object" },
	[MW_HAS_FINALIZER] = { "has-finalizer", "freed by hand with a finalizer set" },
	[MW_STUCK_CPU] = { "stuck-cpu", "a CPU did not answer the request to stop" },
};

static const struct mw_misuse_words *mw_misuse_look(enum mw_misuse what)
{
	static const struct mw_misuse_words unknown = { "unknown", "a misuse without a name" };

	return (unsigned int)what < MW_NR_MISUSES ? &mw_misuse_words[what] : &unknown;
}

const char *mw_misuse_name(enum mw_misuse what)
{
	return mw_misuse_look(what)->name;
}

/* Milliseconds from @then to @now; shifts instead of a 64-bit division: within 1 % is enough. */
static unsigned long mw_age_ms(uint64_t then, uint64_t now)
{
	uint64_t ns = now > then ? now - then : 0;

	return (unsigned long)((ns >> 20) + (ns >> 25) + (ns >> 26));
}

static void mw_print_pc(unsigned int number, uintptr_t pc)
{
	char name[80];

	if (mw_port_symbol(pc, name, sizeof(name)))
		mw_print("    #%u %p %s\n", number, (void *)pc, name);
	else
		mw_print("    #%u %p\n", number, (void *)pc);
}

static void mw_print_trace(const char *who, const struct mw_trace *trace, uint64_t now)
{
	unsigned int depth = (unsigned int)mw_min(trace->depth, MW_LEN(trace->pcs));

	mw_print("  %s: cpu %u", who, trace->cpu);
	if (trace->when && now)
		mw_print(", %lu ms before", mw_age_ms(trace->when, now));
	mw_print("\n");
	for (unsigned int i = 0; i < depth; i++)
		mw_print_pc(i, trace->pcs[i]);
}

static void mw_print_cache(const struct mw_report *report)
{
	if (report->cache)
		mw_print("  cache: %s\n", report->cache);
	if (report->given_cache)
		mw_print("  given-cache: %s\n", report->given_cache);
}

void mw_report_print(const struct mw_report *report)
{
	const struct mw_misuse_words *words = mw_misuse_look(report->what);

	mw_print("marrow: %s: %s\n", words->name, report->text ? report->text : words->text);
	if (report->address)
		mw_print("  address: %p\n", report->address);
	if (report->object)
		mw_print("  object: %p\n", report->object);
	if (report->object && (uintptr_t)report->address > (uintptr_t)report->object)
		mw_print("  offset: %zu\n",
			 (size_t)((uintptr_t)report->address - (uintptr_t)report->object));
	if (report->size)
		mw_print("  size: %zu\n", report->size);
	if (report->given)
		mw_print("  given: %zu\n", report->given);
	if (report->span)
		mw_print("  span: %p, %zu pages\n", report->span, report->span_pages);
	mw_print_cache(report);
	mw_print_trace("here", &report->here, 0);
	if (report->allocated)
		mw_print_trace("allocated", report->allocated, report->here.when);
	if (report->freed)
		mw_print_trace("freed", report->freed, report->here.when);
}

__attribute__((noinline)) void mw_trace_here(struct mw_trace *trace)
{
	unsigned long state = mw_port_pin();

	trace->cpu = mw_port_cpu();
	mw_port_unpin(state);
	trace->when = mw_port_now();
	trace->depth = (unsigned int)mw_port_backtrace(trace->pcs, MW_LEN(trace->pcs));
}

/* Let the trace begin with @site: the frames below are our own. A port that knows of none may leave it out. */
static void mw_trace_from(struct mw_trace *trace, uintptr_t site)
{
	unsigned int from = 0, kept;

	while (from < trace->depth && trace->pcs[from] != site)
		from++;
	if (from < trace->depth) {
		trace->depth -= from;
		for (kept = 0; kept < trace->depth; kept++)
			trace->pcs[kept] = trace->pcs[kept + from];
		return;
	}
	trace->depth = (unsigned int)mw_min(trace->depth + 1, MW_LEN(trace->pcs));
	for (kept = trace->depth - 1; kept; kept--)
		trace->pcs[kept] = trace->pcs[kept - 1];
	trace->pcs[0] = site;
}

MW_NOINLINE void mw_misuse(struct mw_report *report)
{
	uintptr_t site = report->here.pcs[0];
	mw_misuse_fn *handler = atomic_load_explicit(&mw_base.on_misuse, memory_order_acquire);

	if (!report->text)
		report->text = mw_misuse_look(report->what)->text;
	mw_trace_here(&report->here);
	if (site)
		mw_trace_from(&report->here, site);
	if ((unsigned int)report->what < MW_NR_MISUSES)
		atomic_fetch_add_explicit(&mw_base.misuses[report->what], 1, memory_order_relaxed);
	if (handler) {
		handler(report);
		return;
	}
	mw_report_print(report);
	/* Late is not wrong: what needed the stop is given up, and says so. */
	if (report->what != MW_STUCK_CPU)
		mw_port_panic(mw_misuse_name(report->what));
}

unsigned long mw_misuse_count(enum mw_misuse what)
{
	if ((unsigned int)what >= MW_NR_MISUSES)
		return 0;
	return atomic_load_explicit(&mw_base.misuses[what], memory_order_relaxed);
}

mw_misuse_fn *mw_on_misuse(mw_misuse_fn *handler)
{
	return atomic_exchange_explicit(&mw_base.on_misuse, handler, memory_order_acq_rel);
}

void mw_ignore_misuse(const struct mw_report *report)
{
	mw_report_print(report);
}
