// SPDX-License-Identifier: MIT
/*
 * The mode of safe free comes and goes while the world is stopped, and interrupts on the stopped CPUs allocate, and
 * free what other CPUs allocated: nothing is lost that was freed in between.
 */
#include <marrow/gc.h>
#include "test.h"
#include "../mm/object/inside.h"

#if MW_GC

#define HEAP ((size_t)64 << 20)
#define MOST_CPUS 8u
#define LOOKS 20000u
#define SHARED                                                                                     \
	4096u /* so many spans that a change takes longer than from one interrupt to the next */

static void **_Atomic shared[SHARED];
static mw_atomic_t wrong;

/* Each object has its own address in it as long as it is live. */
static void exchange_one(unsigned long *at)
{
	static const size_t sizes[] = { 24, 64, 96, 1024, 6000, 512, 64, 24 };
	unsigned long n = (*at)++;
	void **object = mw_alloc(sizes[n % MW_LEN(sizes)], MW_ATOMIC);

	if (object)
		*object = (void *)object;
	object = atomic_exchange(&shared[n * 7 % SHARED], object);
	if (object && *object != (void *)object)
		atomic_fetch_add(&wrong, 1);
	mw_free(object);
}

/* What this CPU owns nobody else changes while it is pinned, as here: it may be about to free into it. */
static void look_at_own_span(void)
{
	struct mw_cpu *cpu = mw_cpu_here();
	struct mw_slot *slot = cpu ? cpu->slot[mw_class_cache(MW_POLICY_HAND, 64)->id] : NULL;
	struct mw_span *span = slot ? slot->span : NULL;
	unsigned char flags = span ? span->flags : 0;

	for (unsigned int i = 0; span && i < LOOKS; i++) {
		if (*(volatile unsigned char *)&span->flags == flags)
			continue;
		atomic_fetch_add(&wrong, 1);
		return;
	}
}

static void strike(void *arg)
{
	for (unsigned int i = 0; i < 4; i++)
		exchange_one(arg);
	look_at_own_span();
}

static void change(void)
{
	static const struct mw_safe_policy on = { .on = true }, off = { 0 };

	NEED(mw_safe_free(NULL, &on));
	NEED(mw_safe_free(NULL, &off));
}

static void change_or_be_struck(unsigned int i, void *arg)
{
	unsigned long strikes = i * 37, mine = i * 101;
	bool on = test_interrupts_on(strike, &strikes);

	(void)arg;
	for (unsigned long n = test_rounds(200); n; n--) {
		for (unsigned int k = 0; k < 400; k++)
			exchange_one(&mine);
		if (!i)
			change();
	}
	test_barrier();
	if (on)
		CHECK(test_interrupts_off() > 0);
}

TEST(interrupts_while_the_mode_changes)
{
	unsigned int cpus = mw_min(test_cpus(), MOST_CPUS);

	NEED(test_heap(HEAP));
	atomic_store(&wrong, 0);
	test_parallel(cpus, change_or_be_struck, NULL);
	for (unsigned int i = 0; i < SHARED; i++)
		mw_free(atomic_exchange(&shared[i], NULL));
	CHECK_EQ(mw_word(&wrong), 0);
	CHECK_EQ(mw_object_live_bytes(), 0);
	CHECK(mw_object_check());
}

#endif
