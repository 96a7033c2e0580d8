// SPDX-License-Identifier: MIT
/*
 * Weak references. One object has one, however often it is asked for; it counts its users.
 *
 * Between a mark and the sweep of the object's span, an object that is dead can still be read from the
 * reference. So who reads has the span swept first, and reads again: what is left lives.
 *
 * Only interrupts can read while a mark is under way, when nobody knows what lives. One that gets an
 * object then says so, and the object is marked at the end; from the moment when that is done (decided)
 * the mark bit itself is the answer. The store to state and the load of decided in get(), the store
 * of decided and the load of grabs in mw_weaks_decide() are sequentially consistent: an interrupt
 * that sees nothing decided is seen.
 */
#include "special.h"

#if MW_GC

static struct mw_weak *weak_at(struct mw_record *record)
{
	return (struct mw_weak *)record;
}

static unsigned int state_of(struct mw_weak *weak)
{
	return atomic_load_explicit(&weak->state, memory_order_seq_cst);
}

static void *object_of(struct mw_weak *weak)
{
	return atomic_load_explicit(&weak->object, memory_order_acquire);
}

bool mw_weak_end(struct mw_record *record, void *object, enum mw_end how)
{
	(void)object, (void)how;
	atomic_store_explicit(&weak_at(record)->object, NULL, memory_order_release);
	return false; /* its users have it */
}

/* One more user of the reference that the held object has; NULL: it has none. */
static struct mw_weak *share(const struct mw_held *held)
{
	struct mw_record **at = mw_record_find(held, MW_RECORD_WEAK);

	for (struct mw_record *r = at ? *at : NULL; r; r = r->next) {
		struct mw_weak *weak = weak_at(r);

		if (r->offset != held->offset || r->kind != MW_RECORD_WEAK)
			return NULL;
		if (state_of(weak) == MW_WEAK_GONE)
			continue;
		atomic_fetch_add_explicit(&weak->refs, 1, memory_order_relaxed);
		return weak;
	}
	return NULL;
}

struct mw_weak *mw_weak_new(void *object)
{
	struct mw_weak *weak;
	struct mw_held held;

	if (!mw_records_hold(&held, object, true))
		return NULL;
	weak = share(&held);
	mw_records_release(&held);
	if (weak)
		return weak;
	weak = mw_record_new(MW_RECORD_WEAK);
	if (!weak)
		return NULL;
	atomic_store_explicit(&weak->object, object, memory_order_relaxed);
	atomic_store_explicit(&weak->refs, 1, memory_order_relaxed);
	atomic_store_explicit(&weak->state, MW_WEAK_PLAIN, memory_order_relaxed);
	if (mw_record_attach(object, &weak->record, true))
		return weak;
	mw_record_free(MW_RECORD_WEAK, weak);
	return NULL;
}

/* While a mark is under way, in an interrupt. */
static void *grab(struct mw_weak *weak, void *object)
{
	unsigned int plain = MW_WEAK_PLAIN;

	if (!object || mw_object_marked(object))
		return object;
	atomic_compare_exchange_strong_explicit(&weak->state, &plain, MW_WEAK_GRABBED,
						memory_order_seq_cst, memory_order_seq_cst);
	atomic_store_explicit(&mw_special.grabs, 1, memory_order_seq_cst);
	if (!atomic_load_explicit(&mw_special.decided, memory_order_seq_cst))
		return object;
	/* Too late to keep it, too early to know who did. */
	atomic_store_explicit(&weak->state, MW_WEAK_GONE, memory_order_seq_cst);
	return NULL;
}

void *mw_weak_get(struct mw_weak *weak)
{
	unsigned long state = mw_port_pin();
	void *object = object_of(weak);
	struct mw_span *span = object ? mw_span_of_pinned(object) : NULL;

	if (state_of(weak) == MW_WEAK_GONE) {
		object = NULL;
	} else if (mw_unlikely(mw_up_marking())) {
		object = grab(weak, object);
	} else if (span && mw_unlikely(mw_up_span_unswept(span))) {
		mw_up_span_sweep(span);
		object = object_of(weak);
	}
	mw_port_unpin(state);
	return object;
}

static struct mw_record **find(const struct mw_held *held, const struct mw_weak *weak)
{
	struct mw_record **at = mw_record_find(held, MW_RECORD_WEAK);

	while (at && *at && *at != &weak->record)
		at = &(*at)->next;
	return at && *at ? at : NULL;
}

/* One user less. Return: how many there were; 0: none, and so it stays. */
static unsigned int leave(struct mw_weak *weak)
{
	unsigned int refs = atomic_load_explicit(&weak->refs, memory_order_relaxed);

	while (refs &&
	       !atomic_compare_exchange_weak_explicit(&weak->refs, &refs, refs - 1,
						      memory_order_acq_rel, memory_order_relaxed))
		;
	return refs;
}

void mw_weak_free(struct mw_weak *weak)
{
	struct mw_record **at;
	struct mw_held held;
	unsigned int users;
	void *object;

	if (!weak)
		return;
	object = object_of(weak);
	/* With the object's lock nobody else becomes a user; without an object nobody can. */
	if (object && mw_records_hold(&held, object, true)) {
		at = find(&held, weak);
		users = leave(weak);
		if (users == 1 && at)
			mw_record_take(held.span, at);
		mw_records_release(&held);
	} else {
		users = leave(weak);
	}
	if (users == 1)
		mw_record_free(MW_RECORD_WEAK, weak);
	else if (!users)
		mw_special_freed_twice(weak, "the weak reference was freed before");
}

/* ---- the end of a mark ---- */

bool mw_weaks_decide(void)
{
	atomic_store_explicit(&mw_special.decided, 1, memory_order_seq_cst);
	return atomic_load_explicit(&mw_special.grabs, memory_order_seq_cst);
}

static void each_grabbed(mw_record_visit_fn *visit, void *ctx, bool settle)
{
	struct mw_fixed_cursor cursor = { 0 };
	struct mw_weak *weak;

	if (!atomic_load_explicit(&mw_special.grabs, memory_order_seq_cst))
		return;
	while ((weak = mw_fixed_next(&mw_special.pool[MW_RECORD_WEAK], &cursor))) {
		if (state_of(weak) != MW_WEAK_GRABBED)
			continue;
		if (settle)
			atomic_store_explicit(&weak->state, MW_WEAK_PLAIN, memory_order_seq_cst);
		else
			visit(ctx, "weak reference", &weak->object, &weak->object + 1, NULL);
	}
}

void mw_weaks_each_grabbed(mw_record_visit_fn *visit, void *ctx)
{
	each_grabbed(visit, ctx, false);
}

/* Spans are unswept from now on: they tell. */
void mw_weaks_decided(void)
{
	each_grabbed(NULL, NULL, true);
	atomic_store_explicit(&mw_special.grabs, 0, memory_order_relaxed);
	atomic_store_explicit(&mw_special.decided, 0, memory_order_seq_cst);
}

#endif
