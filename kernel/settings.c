// SPDX-License-Identifier: MIT
#include <marrow/gc.h>
#include "kernel.h"
#include "settings.h"
#include "text.h"

#define SPEC_SIZE 64u

static struct {
	char debug[SPEC_SIZE]; /* "": nothing was set */
	bool has_goal, trace;
	int goal;
	unsigned int aids;
	uint64_t every, rate; /* rate 0: off */
} set;

/* ---- objects ---- */

/* Rules add up: the ones before go first. */
static bool apply_debug(const char *spec)
{
	(void)mw_debug_set(shadow_forget ? "ZU" : "-");
	return !*spec || mw_debug_set(spec);
}

bool settings_debug(const char *spec)
{
	if (text_length(spec) >= SPEC_SIZE || !apply_debug(spec)) {
		(void)apply_debug(set.debug);
		return false;
	}
	mw_format(set.debug, sizeof(set.debug), "%s", spec);
	return true;
}

/* ---- the collector ---- */

#if MW_GC

static bool apply_goal(int percent)
{
	struct mw_gc_policy policy;

	mw_gc_policy_get(&policy);
	policy.percent = percent;
	return mw_gc_policy_set(&policy);
}

bool settings_goal(const char *percent)
{
	bool off = text_equal(percent, "off");
	uint64_t n = 0;

	if ((!off && (!text_number(percent, &n) || n > INT32_MAX)) ||
	    !apply_goal(off ? MW_GC_OFF : (int)n))
		return false;
	set.goal = off ? MW_GC_OFF : (int)n;
	set.has_goal = true;
	return true;
}

/* One of @words, up to ',' or the end. Return: what follows; NULL: nobody knows it. */
static const char *take_aid(const char *words, unsigned int *aids, uint64_t *every)
{
	static const struct {
		const char *name;
		unsigned int aid;
	} known[] = { { "pointers", MW_GC_DEBUG_POINTERS },
		      { "poison", MW_GC_DEBUG_POISON },
		      { "check", MW_GC_DEBUG_CHECK } };
	char word[24];
	size_t n = 0;

	while (*words && *words != ',' && n + 1 < sizeof(word))
		word[n++] = *words++;
	word[n] = '\0';
	for (size_t i = 0; i < LEN(known); i++)
		if (text_equal(word, known[i].name)) {
			*aids |= known[i].aid;
			return words;
		}
	return text_after(word, "every=") && text_number(text_after(word, "every="), every) ? words
											    : NULL;
}

bool settings_gc_debug(const char *words)
{
	unsigned int aids = 0;
	uint64_t every = 0;

	while (!text_equal(words, "off") && *words) {
		words = take_aid(words, &aids, &every);
		if (!words)
			return false;
		words += *words == ',';
	}
	set.aids = aids;
	set.every = every;
	mw_gc_debug(aids, every);
	return true;
}

bool settings_gc_trace(const char *on)
{
	if (!text_equal(on, "0") && !text_equal(on, "1"))
		return false;
	set.trace = *on == '1';
	mw_gc_trace(set.trace);
	return true;
}

static void apply_collector(void)
{
	if (set.has_goal)
		(void)apply_goal(set.goal);
	mw_gc_debug(set.aids, set.every);
	mw_gc_trace(set.trace);
}

#else

bool settings_goal(const char *percent)
{
	(void)percent;
	return false;
}

bool settings_gc_debug(const char *words)
{
	(void)words;
	return false;
}

bool settings_gc_trace(const char *on)
{
	(void)on;
	return false;
}

static void apply_collector(void)
{
}

#endif

/* ---- the profile ---- */

bool settings_profile(const char *bytes)
{
	uint64_t rate;

	if (!text_number(bytes, &rate))
		return false;
	set.rate = rate;
	return mw_profile_rate(rate);
}

/* ---- all ---- */

void settings_apply(void)
{
	(void)apply_debug(set.debug);
	apply_collector();
	if (set.rate)
		(void)mw_profile_rate(set.rate);
}

void settings_forget(void)
{
	memset(&set, 0, sizeof(set));
}
