// SPDX-License-Identifier: MIT
/* mw_debug_set(): which caches have which debug aids. */
#include "inside.h"

static unsigned int mw_rule_flag(char letter)
{
	switch (letter) {
	case 'F':
		return MW_DEBUG_CHECKS;
	case 'Z':
		return MW_DEBUG_REDZONE;
	case 'P':
		return MW_DEBUG_POISON;
	case 'U':
		return MW_DEBUG_TRACK;
	case 'G':
		return MW_DEBUG_FAULT;
	default:
		return 0;
	}
}

/* One rule up to ';' or the end. Return: what follows, or NULL: cannot be read. */
static const char *mw_rule_read(const char *spec, struct mw_debug_rule *rule)
{
	size_t n = 0;

	*rule = (struct mw_debug_rule){ 0 };
	if (*spec == '-') {
		spec++;
	} else {
		for (; *spec && *spec != ',' && *spec != ';'; spec++) {
			if (!mw_rule_flag(*spec))
				return NULL;
			rule->flags |= mw_rule_flag(*spec);
		}
		if (!rule->flags)
			return NULL;
	}
	if (*spec == ',') {
		for (spec++; *spec && *spec != ';'; spec++) {
			if (n + 1 >= sizeof(rule->name))
				return NULL;
			rule->name[n++] = *spec;
		}
		if (!n)
			return NULL;
	} else {
		rule->name[0] = '*';
	}
	return !*spec ? spec : *spec == ';' && spec[1] ? spec + 1 : NULL;
}

static bool mw_rule_matches(const struct mw_debug_rule *rule, const char *name)
{
	const char *want = rule->name;

	for (; *want && *want != '*'; want++, name++) {
		if (*want != *name)
			return false;
	}
	return *want == '*' || !*name;
}

unsigned int mw_debug_flags_of(const char *name)
{
	unsigned int flags = 0;

	for (unsigned int i = 0; i < mw_object.rule_count; i++) {
		if (mw_rule_matches(&mw_object.rules[i], name))
			flags = mw_object.rules[i].flags;
	}
	return flags;
}

/* Caches that follow the rules with the lock held once. */
#define MW_RULES_STEP 4u

/* By the rules that there are: of two calls at once, both apply those of the later one. */
static void mw_rules_apply_to(unsigned int first)
{
	unsigned int end = mw_min(first + MW_RULES_STEP, MW_MAX_CACHES);
	unsigned long state = mw_lock(&mw_object.lock);

	for (unsigned int id = first; id < end; id++) {
		struct mw_cache *cache = mw_cache_by_id_locked(id);

		if (cache && !(cache->span_flags & MW_SPAN_COLLECTED))
			atomic_store_explicit(&cache->debug, mw_debug_flags_for(cache),
					      memory_order_relaxed);
	}
	mw_unlock(&mw_object.lock, state);
}

/* A rule for all caches replaces the ones before it. */
static bool mw_rule_add(const struct mw_debug_rule *rule)
{
	if (rule->name[0] == '*')
		mw_object.rule_count = 0;
	if (mw_object.rule_count == MW_LEN(mw_object.rules))
		return false;
	mw_object.rules[mw_object.rule_count++] = *rule;
	return true;
}

/* Size classes that have no aids any more keep no empty spans that have. */
static void mw_rules_shrink(void)
{
	for (unsigned int i = 0; i < MW_NR_BUILTIN && mw_object.ready; i++) {
		struct mw_cache *cache = &mw_object.builtin[i];

		if (cache->live && !mw_word(&cache->debug))
			(void)mw_debug_shrink(cache);
	}
}

bool mw_debug_set(const char *spec)
{
	struct mw_debug_rule rule;
	unsigned long state;
	const char *at = spec;
	bool ok = true;

	do {
		at = mw_rule_read(at, &rule);
	} while (at && *at);
	if (!at)
		return false;
	state = mw_lock(&mw_object.lock);
	for (at = spec; ok && *at;) {
		at = mw_rule_read(at, &rule);
		ok = mw_rule_add(&rule);
	}
	mw_unlock(&mw_object.lock, state);
	for (unsigned int id = 0; id < MW_MAX_CACHES; id += MW_RULES_STEP)
		mw_rules_apply_to(id);
	mw_rules_shrink();
	return ok;
}
