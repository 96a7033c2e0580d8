// SPDX-License-Identifier: MIT
/* What mm/ is today, with the face that the prototypes have: one thread that says which CPU it is. */
#include <marrow/port.h>
#include <marrow/watch.h>
#include "layouts.h"
#include "count_port.h"
#include "../../mm/base/meta.h"
#include "../../mm/gc/gc.h"
#include "../../mm/page/page.h"

#define START (LAY_PIECE * 2) /* the prototypes leave as much out */

char lay_arena[LAY_ARENA] __attribute__((aligned(1 << 21)));
__thread unsigned int count_cpu;
unsigned long lay_wrongs[LAY_NR_WRONG];

static void *const *root_words;
static size_t root_count;
static const char *mark_row;
static size_t marked;

_Noreturn void mw_port_panic(const char *why)
{
	lay_say(why, 0);
	for (;;)
		__builtin_trap();
}

void mw_port_write(const char *text, size_t len)
{
	(void)text, (void)len;
}

int mw_port_stop_world(void)
{
	return -1;
}

void mw_port_start_world(void)
{
}

void mw_port_run_stopped(void (*fn)(unsigned int worker, void *arg), void *arg)
{
	fn(0, arg);
}

/* Not the stack: a prototype's mark has the same roots and no others. */
void mw_port_scan_roots(mw_root_visit_fn *visit, void *ctx)
{
	visit(ctx, MW_ROOT_OTHER, "roots", root_words, root_words + root_count);
}

void mw_port_wake(enum mw_worker worker)
{
	(void)worker;
}

uint64_t mw_port_now(void)
{
	return 0;
}

static void wrong(const struct mw_report *report)
{
	switch (report->what) {
	case MW_DOUBLE_FREE:
	case MW_FREED_SPAN:
		lay_wrongs[LAY_DOUBLE]++;
		break;
	case MW_INNER_FREE:
		lay_wrongs[LAY_INNER]++;
		break;
	case MW_WRONG_CACHE:
		lay_wrongs[LAY_WRONG_CACHE]++;
		break;
	default:
		lay_wrongs[LAY_FOREIGN]++;
		break;
	}
}

/* The mark alone, without what stops the world and sweeps. */
static void moment(struct mw_gc_listener *self, enum mw_gc_moment what,
		   const struct mw_gc_cycle *cycle)
{
	(void)self;
	if (what == MW_GC_ROOTS_DONE)
		lay_count_begin();
	if (what == MW_GC_MARKED) {
		marked = cycle->objects_marked;
		lay_count_end(mark_row, marked);
	}
}

static struct mw_gc_listener listener = { .moment = moment };

void lay_be_cpu(unsigned int cpu)
{
	count_cpu = cpu;
}

void lay_start(bool pieces)
{
	struct mw_gc_policy policy;
	size_t step = pieces ? 2 * LAY_PIECE : LAY_ARENA,
	       len = pieces ? LAY_PIECE : LAY_ARENA - START;

	for (char *at = lay_arena + START; at + len <= lay_arena + LAY_ARENA; at += step) {
		if (!mw_region_add(at, (UINT64_C(1) << 33) + (size_t)(at - lay_arena), len))
			mw_port_panic("no region");
	}
	mw_on_misuse(wrong);
	mw_gc_policy_get(&policy);
	policy.percent = MW_GC_OFF;
	if (!mw_gc_policy_set(&policy))
		mw_port_panic("no policy");
	for (unsigned int cpu = 0; cpu < LAY_CPUS; cpu++) {
		lay_be_cpu(cpu);
		if (!mw_cpu_start())
			mw_port_panic("no CPU");
	}
	lay_be_cpu(0);
}

struct lay_cache *lay_cache_make(size_t size)
{
	const struct mw_cache_want want = { .name = "counted", .size = size };

	return mw_cache_create(&want);
}

void *lay_collected(size_t size)
{
	return mw_alloc(size, MW_COLLECTED);
}

size_t lay_mark(void **roots, size_t n, const char *row)
{
	root_words = roots;
	root_count = n;
	mark_row = row;
	mw_gc_listen(&listener);
	if (!mw_gc_collect(MW_COLLECT_MARKED))
		mw_port_panic("no collection");
	mw_gc_unlisten(&listener);
	return marked;
}

bool lay_marked(const void *object)
{
	struct mw_span *span = mw_span_of(object);
	size_t index = mw_span_index(span, object);

	return span->mark && (mw_word(&span->mark[index / MW_WORD_BITS]) & mw_bit(index));
}

/* Descriptors, bitmaps, and the page map's 8 bytes for each page of a region. */
size_t lay_metadata(void)
{
	size_t bytes = mw_word(&mw_page.spans.in_use) * mw_page.spans.size;
	struct mw_page_stats stats;

	for (unsigned int i = 0; i < MW_LEN(mw_object.bitmaps); i++)
		bytes += mw_word(&mw_object.bitmaps[i].in_use) * mw_object.bitmaps[i].size;
	mw_page_stats(&stats);
	return bytes + stats.objects * 8;
}
