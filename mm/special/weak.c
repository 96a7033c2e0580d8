// SPDX-License-Identifier: MIT
/*
 * Weak references. One object has one, however often it is asked for; it counts its users.
 *
 * Between a mark and the sweep of the object's span, an object that is dead can still be read from the
 * reference. So who reads has the span swept first, and reads again in any case: a sweep that ends between the
 * first read and the look at the span has cleared the reference. What is read then lives.
 *
 * Only interrupts can read while a mark is under way, when nobody knows what lives. One that gets an object
 * which is not marked makes the reference MW_WEAK_GRABBED, then says so in mw_special.grabs; the collector takes
 * the word, marks such objects, and looks for the word again, until it can close it with none said. An interrupt that
 * finds it closed goes by the mark, which is final from then on: not marked is gone. It looks back afterwards:
 * if the mark is over, others may have swept what it looked at, and it asks again in the other way. All of it
 * happens pinned, so a mark may end meanwhile, and no other one begins. hosttest/test_model_weak.c has all interleavings.
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

	if (!at)
		return NULL;
	atomic_fetch_add_explicit(&weak_at(*at)->refs, 1, memory_order_relaxed);
	return weak_at(*at);
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

static void set_state(struct mw_weak *weak, unsigned int from, unsigned int to)
{
	atomic_compare_exchange_strong_explicit(&weak->state, &from, to, memory_order_seq_cst,
						memory_order_relaxed);
}

/*
 * While a mark is under way, in an interrupt; *@object was read from the reference since. It becomes NULL if it
 * is gone. Return: false: the mark is over, and nothing is known.
 */
static bool grab(struct mw_weak *weak, void **object)
{
	if (mw_object_marked(*object))
		return mw_up_marking();
	set_state(weak, MW_WEAK_PLAIN, MW_WEAK_GRABBED);
	if (!(atomic_fetch_or_explicit(&mw_special.grabs, MW_GRABS_SAID, memory_order_seq_cst) &
	      MW_GRABS_CLOSED))
		return true;
	set_state(weak, MW_WEAK_GRABBED, MW_WEAK_PLAIN);
	if (!mw_object_marked(*object))
		*object = NULL;
	return mw_up_marking();
}

/* Pinned. */
static void *get(struct mw_weak *weak)
{
	void *object, *grabbed;
	struct mw_span *span;

	while ((object = grabbed = object_of(weak)) && mw_unlikely(mw_up_marking()))
		if (grab(weak, &grabbed))
			return grabbed;
	span = object ? mw_span_of_pinned(object) : NULL;
	if (!span)
		return NULL;
	if (mw_unlikely(mw_up_span_unswept(span)))
		mw_up_span_sweep(span);
	return object_of(weak);
}

void *mw_weak_get(struct mw_weak *weak)
{
	unsigned long state;
	void *object;

	if (!weak)
		return NULL;
	state = mw_port_pin();
	object = get(weak);
	mw_port_unpin(state);
	return object;
}

static struct mw_record **find_weak(const struct mw_held *held, const struct mw_weak *weak)
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
		at = find_weak(&held, weak);
		users = leave(weak);
		if (users == 1 && at)
			mw_record_take(held.span, at);
		mw_records_release(&held);
	} else {
		users = leave(weak);
	}
	if (users == 1) {
		/* Who still has it finds no object, until the record is used again. */
		atomic_store_explicit(&weak->object, NULL, memory_order_relaxed);
		mw_record_free(MW_RECORD_WEAK, weak);
	} else if (!users) {
		mw_special_freed_twice(weak, "the weak reference was freed before");
	}
}

/* ---- a mark ---- */

void mw_weaks_open(void)
{
	mw_special.grabbed = false;
	atomic_store_explicit(&mw_special.grabs, MW_GRABS_OPEN, memory_order_seq_cst);
}

bool mw_weaks_look(void)
{
	bool said = atomic_exchange_explicit(&mw_special.grabs, MW_GRABS_OPEN,
					     memory_order_seq_cst) == MW_GRABS_SAID;

	mw_special.grabbed |= said;
	return said;
}

bool mw_weaks_close(void)
{
	unsigned long open = MW_GRABS_OPEN;

	return atomic_compare_exchange_strong_explicit(&mw_special.grabs, &open, MW_GRABS_CLOSED,
						       memory_order_seq_cst, memory_order_seq_cst);
}

/* Once it is closed, a reference whose object is not marked is one that somebody grabs in vain. */
static bool is_grabbed(struct mw_weak *weak)
{
	return state_of(weak) == MW_WEAK_GRABBED &&
	       (!(atomic_load_explicit(&mw_special.grabs, memory_order_seq_cst) & MW_GRABS_CLOSED) ||
		mw_object_marked(object_of(weak)));
}

void mw_weaks_each_grabbed(mw_record_visit_fn *visit, void *ctx)
{
	struct mw_fixed_cursor cursor = { 0 };
	struct mw_weak *weak;

	while (mw_special.grabbed && (weak = mw_fixed_next(&mw_special.pool[MW_RECORD_WEAK], &cursor)))
		if (is_grabbed(weak))
			visit(ctx, "weak reference", &weak->object, &weak->object + 1, NULL);
}

void mw_weaks_settle(void)
{
	struct mw_fixed_cursor cursor = { 0 };
	struct mw_weak *weak;

	while (mw_special.grabbed && (weak = mw_fixed_next(&mw_special.pool[MW_RECORD_WEAK], &cursor)))
		set_state(weak, MW_WEAK_GRABBED, MW_WEAK_PLAIN);
	mw_special.grabbed = false;
}

#endif
