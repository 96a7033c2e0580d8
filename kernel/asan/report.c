// SPDX-License-Identifier: MIT
/* Whose memory it was, as a report of misuse: an object of the heap, or a variable on a stack. */
#include "../../mm/object/inside.h"
#include "../text.h"
#include "../thread.h"
#include "asan.h"

/* Of each CPU: what it is writing a report of, and whether it is. */
static struct {
	bool busy;
	char text[160];
} reporting[ARCH_MAX_CPUS];

/* As gcc lays out a frame: this, then the variables between zones. */
struct frame {
	uint64_t magic; /* FRAME_MAGIC */
	const char *variables; /* "count offset size length name ..." */
	uintptr_t function;
};

#define FRAME_MAGIC 0x41b58ab3
#define FRAME_REACH (16ul << 10) /* bytes looked through for its beginning */

struct variable {
	uint64_t offset, size;
	char name[40];
};

/* ---- stacks ---- */

static const struct frame *frame_around(uintptr_t at)
{
	uintptr_t word = at & ~7ul, from = word;

	for (; from - word < FRAME_REACH && asan_is_real(word); word -= 8) {
		const struct frame *frame = (const struct frame *)word;

		if (*asan_shadow(word) == ASAN_STACK_LEFT && frame->magic == FRAME_MAGIC)
			return frame;
	}
	return NULL;
}

static uint64_t number(const char **text)
{
	uint64_t n = 0;

	while (**text == ' ')
		++*text;
	for (; **text >= '0' && **text <= '9'; ++*text)
		n = n * 10 + (uint64_t)(**text - '0');
	return n;
}

/* The next one of the list; the name ends with a line number. */
static void next_variable(const char **text, struct variable *variable)
{
	uint64_t length, i;

	variable->offset = number(text);
	variable->size = number(text);
	length = number(text);
	++*text;
	for (i = 0; i < length && (*text)[i]; i++)
		if (i < sizeof(variable->name) - 1)
			variable->name[i] = (*text)[i];
	variable->name[i < sizeof(variable->name) ? i : sizeof(variable->name) - 1] = '\0';
	*text += i;
	for (char *colon = variable->name; *colon; colon++)
		if (*colon == ':')
			*colon = '\0';
}

/* The variable that @offset is in, or the last one that begins before it. */
static bool find_variable(const struct frame *frame, uint64_t offset, struct variable *found)
{
	const char *text = frame->variables;
	bool any = false;

	for (uint64_t n = number(&text); n; n--) {
		struct variable variable;

		next_variable(&text, &variable);
		if (any && variable.offset > offset)
			break;
		*found = variable;
		any = true;
	}
	return any;
}

static void describe_stack(struct mw_report *report, char *text, size_t room, uintptr_t bad)
{
	const struct frame *frame = frame_around(bad);
	struct variable variable;
	char function[60] = "?";

	report->what = *asan_shadow(bad) == ASAN_SCOPE ? MW_USE_AFTER_FREE : MW_OVERRUN;
	if (!frame || !find_variable(frame, bad - (uintptr_t)frame, &variable)) {
		mw_format(text, room, "a stack, beside its variables");
		return;
	}
	(void)mw_port_symbol(frame->function, function, sizeof(function));
	report->object = (const char *)frame + variable.offset;
	report->size = variable.size;
	mw_format(text, room, "variable %s of %s, %s", variable.name, function,
		  report->what == MW_OVERRUN ? "beside it" : "out of its scope");
}

/* ---- the heap ---- */

/* The object that @bad is in, or behind, or just before: red zones are those of the nearer one. */
static size_t object_near(const struct mw_span *span, uintptr_t bad)
{
	uintptr_t base = (uintptr_t)span->base;
	size_t index = bad < base ? 0 : (bad - base) / span->stride;
	size_t into = bad < base ? 0 : (bad - base) % span->stride;

	if (index + 1 < span->count && into >= span->size &&
	    span->stride - into < into - span->size + 1)
		return index + 1;
	return index < span->count ? index : span->count - 1;
}

static void describe_object(struct mw_report *report, const struct mw_span *span, char *text,
			    size_t room, uintptr_t bad)
{
	size_t index = object_near(span, bad);
	uintptr_t object = (uintptr_t)mw_span_object(span, index);
	const char *where = "behind its beginning";

	report->object = (void *)object;
	report->size = span->size;
	report->span = (const void *)mw_round_down((uintptr_t)span->base, MW_PAGE_SIZE);
	report->span_pages = span->pages;
	report->cache = span->cache ? span->cache->name : "large";
	mw_aid_traces(span, index, report);
	report->what = mw_span_live(span, index) ? MW_OVERRUN : MW_USE_AFTER_FREE;
	if (bad < object)
		where = "before it";
	mw_format(text, room, "%s object, byte %zu %s",
		  report->what == MW_OVERRUN ? "outside of what was asked for of an" : "a free",
		  bad < object ? (size_t)(object - bad) : (size_t)(bad - object), where);
}

static void describe(struct mw_report *report, char *text, size_t room, uintptr_t bad)
{
	uint8_t why = *asan_shadow(bad), next = *asan_shadow(bad + 8);
	const struct mw_span *span = mw_span_of((void *)bad);

	if (why < 8)
		why = next;
	if (why == ASAN_STACK_LEFT || why == ASAN_STACK_MIDDLE || why == ASAN_STACK_RIGHT ||
	    why == ASAN_SCOPE) {
		describe_stack(report, text, room, bad);
	} else if (span) {
		describe_object(report, span, text, room, bad);
	} else {
		report->what = MW_USE_AFTER_FREE;
		report->span = (const void *)(bad & ~(MW_PAGE_SIZE - 1));
		mw_format(text, room, "pages that are free");
	}
}

void asan_report(uintptr_t at, size_t size, bool write, uintptr_t bad)
{
	unsigned long state = arch_irq_save();
	unsigned int cpu = arch_cpu_id();
	struct mw_report report = { .address = (void *)at, .given = size };
	char *text = reporting[cpu].text;
	size_t room = sizeof(reporting[cpu].text), len;
	bool first = !reporting[cpu].busy;

	reporting[cpu].busy = true;
	arch_irq_restore(state);
	if (!first)
		return;
	len = mw_format(text, room, "%s of ", write ? "write" : "read");
	describe(&report, text + len, room - len, bad);
	report.text = text;
	mw_misuse(&report);
	reporting[cpu].busy = false;
}
