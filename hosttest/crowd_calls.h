/* SPDX-License-Identifier: MIT */
/* Which call of a crowd comes next, and what has to be there for it. See crowd.h. */
#ifndef HOSTTEST_CROWD_CALLS_H
#define HOSTTEST_CROWD_CALLS_H

#include "crowd_model.h"

#define FULL_PRICE 4u /* times the mean: what a call may cost and come in every turn */
#define RAREST 256u /* turns; what costs however much comes once in so many */
#define DEBUG_CALLS 6u /* with a collection at every second allocation */

static const struct {
	const char *call, *other;
} crowd_apart[] = {
#define APART(call_, other_, sentence_) { #call_, #other_ },
#include "api.def"
};

/* ---- what a form names ---- */

static bool is_of_a_name(char c)
{
	return (c >= 'a' && c <= 'z') || c == '_';
}

static bool begins(const char *text, const char *word)
{
	while (*word && *text == *word)
		text++, word++;
	return !*word && !is_of_a_name(*text);
}

/* Things behind "me->" or "us->", as bits. */
static unsigned int words_behind(const char *text, const char *owner)
{
	unsigned int words = 0;

	while ((text = test_has(text, owner))) {
		text += 4;
		for (unsigned int i = 0; i < NR_THINGS; i++)
			words |= begins(text, name_of[i]) ? 1u << i : 0;
	}
	return words;
}

/* For all that calls it: nobody may be beside it, ever. */
static bool is_alone(const struct form *form)
{
	for (unsigned int i = 0; i < sizeof(crowd_apart) / sizeof(crowd_apart[0]); i++) {
		if (crowd_same(crowd_apart[i].call, form->call) &&
		    crowd_same(crowd_apart[i].other, "ANY"))
			return true;
	}
	return false;
}

static bool is_apart(const struct form *form)
{
	for (unsigned int i = 0; i < sizeof(crowd_apart) / sizeof(crowd_apart[0]); i++) {
		if (crowd_same(crowd_apart[i].call, form->call) ||
		    crowd_same(crowd_apart[i].other, form->call))
			return true;
	}
	return false;
}

static bool is_switch(const struct form *form)
{
	static const char *const switches[] = { "mw_debug_set", "mw_gc_debug",	"mw_profile_rate",
						"mw_trace_on",	"mw_safe_free", "mw_site_note" };

	for (unsigned int i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		if (crowd_same(form->call, switches[i]))
			return !crowd_same(form->tag, "off");
	}
	return false;
}

/* To reduce what fails: CROWD_ONLY=call,call.tag has the thread call no other ones, CROWD_HANDLER the handler. */
__attribute__((weak)) char *getenv(const char *name);

static bool is_wanted(const struct form *form, const char *variable)
{
	const char *only = getenv ? getenv(variable) : NULL;

	if (!only)
		return true;
	for (;; only++) {
		const char *a = only, *b = form->call;

		while (*b && *a == *b)
			a++, b++;
		if (!*b && *a == '.')
			for (a++, b = form->tag; *b && *a == *b; a++, b++)
				;
		if (!*b && (!*a || *a == ','))
			return true;
		while (*only && *only != ',')
			only++;
		if (!*only)
			return false;
	}
}

/* A second mark counts on objects that nobody frees and on references that nobody takes away meanwhile. */
static bool is_a_second_mark(const struct form *form)
{
	return crowd_same(form->call, "mw_gc_check") || is(form, "mw_gc_debug", "on");
}

/*
 * Calls that look at all spans read descriptors that become those of other spans meanwhile, word by word, and say
 * what was right at some moment: no use to a sanitizer of threads. Nor is a flag that is set for all caches.
 */
static bool is_no_use_here(const struct form *form)
{
#ifdef __SANITIZE_THREAD__
	static const char *const calls[] = {
		"mw_stats",	 "mw_cache_stats",   "mw_print_meminfo", "mw_print_slabinfo",
		"mw_print_map",	 "mw_picture_write", "mw_gc_trace",	 "mw_leak_scan",
		"mw_safe_stats", "mw_safe_free",     "mw_dump_write"
	};

	for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (crowd_same(form->call, calls[i]))
			return true;
	}
#endif
	(void)form;
	return false;
}

static void choose_forms(const struct crowd_want *want)
{
	NEED(nr_forms <= MOST_FORMS);
	for (unsigned int i = 0; i < nr_forms; i++) {
		const struct form *form = &forms[i];

		crowd.words_of_me[i] = words_behind(form->text, "me->");
		crowd.words_of_us[i] = words_behind(form->text, "us->");
		if (form->effect == ENDS && form->thing < NR_THINGS)
			crowd.words_of_me[i] |= 1u << form->thing;
		crowd.chosen[i] = !is_alone(form) && (want->switches || !is_switch(form)) &&
				  (want->fails || !is(form, "mw_fail_set", "on")) &&
				  (!want->interrupts || !is_a_second_mark(form)) &&
				  !is_no_use_here(form);
	}
}

static bool for_handlers(const struct form *form)
{
	return form->words & (IRQ | ATOMIC);
}

/* ---- what is needed ---- */

#define GONE_BYTE 0x1e /* in memory that is no region */

static bool spare_is_free(struct actor *a, const struct form *form)
{
	unsigned int i = crowd_same(form->call, "mw_region_add_zeroed");
	unsigned int number = 2 * a->cpu + i + 1;

	if (a->region_on[i] && mw_region_remove(a->spare[i]))
		a->region_on[i] = false;
	if (a->region_on[i])
		return false;
	a->me.spare = a->spare[i];
	a->me.spare_phys = REGION_PHYS + number * SPARE_BYTES;
	crowd_fill(a->me.spare, SPARE_BYTES, GONE_BYTE);
	if (i)
		__builtin_memset(a->me.spare, 0, SPARE_BYTES);
	return true;
}

static bool is_ready(struct actor *a, unsigned int i)
{
	const struct form *form = &forms[i];

	for (enum thing thing = 0; thing < NR_THINGS; thing++) {
		if (crowd.words_of_me[i] & 1u << thing) {
			if (thing_is_added(thing))
				thing_end(a, thing);
			else if (!thing_make(a, thing))
				return false;
			thing_look(a, thing);
		}
		if (crowd.words_of_us[i] & 1u << thing && goes_round(thing) && !transit_take(a, thing))
			return false;
	}
	if (form->effect == ENDS && form->thing == THING_collected && a->collected_finalized) {
		if (mw_finalizer_clear(a->me.collected))
			atomic_fetch_add(&crowd.clears, 1);
		a->collected_finalized = false;
	}
	return form->kind != REGION || spare_is_free(a, form);
}

/* ---- a region of all ---- */

void forms_region_gone(const struct things *us)
{
	crowd_fill(us->region, SPARE_BYTES, GONE_BYTE);
}

static void add_region(const struct actor *a)
{
	CROWD_CHECK(a, crowd_holds(crowd.us.region, SPARE_BYTES, GONE_BYTE),
		    "written to when it was gone:", "region");
	crowd.region_off = !mw_region_add(crowd.us.region, REGION_PHYS, SPARE_BYTES);
}

/* ---- a call ---- */

static struct things *us_for(struct actor *a, unsigned int i)
{
	const char *text = forms[i].text;
	bool own = crowd_names(text, "dead");

	for (enum thing thing = 0; thing < NR_THINGS; thing++)
		own |= goes_round(thing) && crowd.words_of_us[i] & 1u << thing;
	return own ? &a->us : &crowd.us;
}

static mw_flags_t some_flags(const struct actor *a, const struct form *form)
{
	mw_flags_t flags = test_below(3) ? 0 : MW_ATOMIC;

	if (!test_below(8))
		flags |= MW_RESERVE;
	if (!test_below(4) && !crowd_same(form->call, "mw_alloc_fine"))
		flags |= MW_ZERO;
	return a->is_handler ? flags | MW_ATOMIC : flags;
}

static void note_cost(struct actor *a, unsigned int i, uint64_t ns)
{
	a->cost[i] = a->cost[i] ? (a->cost[i] * 3 + ns) / 4 : ns + 1;
	a->mean = (a->mean * 63 + ns) / 64;
}

static void note_last(struct actor *a, const struct form *form)
{
	a->last[a->told % LAST_CALLS] = (struct last){ .form = form, .flags = a->me.flags };
	a->told++;
}

static bool call(struct actor *a, unsigned int i)
{
	const struct form *form = &forms[i];
	unsigned int told = a->told;
	uint64_t from = mw_port_now();
	uintptr_t result;

	if (!is_ready(a, i)) {
		a->left[i]++;
		note_cost(a, i, mw_port_now() - from);
		return false;
	}
	a->me.flags = some_flags(a, form);
	note_last(a, form);
	result = form->run(&a->me, us_for(a, i));
	a->last[told % LAST_CALLS].result = result;
	a->calls[i]++;
	crowd_after(a, form, result);
	note_cost(a, i, mw_port_now() - from);
	return true;
}

/* What is apart from others by one lock, tried. */
static bool call_apart(struct actor *a, unsigned int i, atomic_bool *lock)
{
	bool did;

	if (atomic_exchange(lock, true))
		return false;
	if (lock == &crowd.region_taken && crowd.region_off)
		add_region(a);
	did = (lock != &crowd.region_taken || !crowd.region_off) && call(a, i);
	if (did && lock == &crowd.region_taken && a->last[(a->told - 1) % LAST_CALLS].result)
		add_region(a);
	atomic_store(lock, false);
	return did;
}

static void call_by_number(struct actor *a, unsigned int i)
{
	const struct form *form = &forms[i];

	if (form->effect == ENDS && form->thing == THING_shared_region)
		(void)call_apart(a, i, &crowd.region_taken);
	else if (is_apart(form))
		(void)call_apart(a, i, &crowd.resizing);
	else
		(void)call(a, i);
	if (is(form, "mw_gc_debug", "on"))
		a->debug_calls = DEBUG_CALLS;
	else if (a->debug_calls && !--a->debug_calls)
		mw_gc_debug(0, 0);
	/* The last of its calls until it starts again. */
	if (crowd_same(form->call, "mw_cpu_stop"))
		for (unsigned int n = 0; n < 8 && !mw_cpu_start(); n++)
			;
}

/* ---- the deck: each call comes once before any comes again ---- */

static void deal(struct actor *a)
{
	a->cards = a->card = 0;
	for (unsigned int i = 0; i < nr_forms; i++) {
		if (crowd.chosen[i] && (!a->is_handler || for_handlers(&forms[i])) &&
		    is_wanted(&forms[i], a->is_handler ? "CROWD_HANDLER" : "CROWD_ONLY"))
			a->deck[a->cards++] = (unsigned short)i;
	}
	for (unsigned int n = a->cards; n > 1; n--) {
		unsigned int k = (unsigned int)test_below(n);
		unsigned short card = a->deck[k];

		a->deck[k] = a->deck[n - 1];
		a->deck[n - 1] = card;
	}
}

/* What is dear comes the less often. */
static bool is_worth_it(const struct actor *a, unsigned int i)
{
	uint64_t price = a->cost[i] / (FULL_PRICE * a->mean + 1);

	return price < 1 || !test_below(price < RAREST ? price : RAREST);
}

static void call_next(struct actor *a)
{
	unsigned int i;

	do {
		if (a->card == a->cards)
			deal(a);
		i = a->deck[a->card++];
	} while (!is_worth_it(a, i));
	call_by_number(a, i);
}

#endif
