// SPDX-License-Identifier: MIT
/*
 * Calls that are due: the records of finalizers and cleanups themselves, first in first out, so that
 * a death needs no memory. Both queues are roots until a call is taken out; then it is on a stack.
 *
 * Finalizers go before cleanups. Calls run one after the other on each thread that runs them, with
 * nothing held: they may allocate, collect, wait, and set finalizers again.
 */
#include "special.h"

#if MW_GC

static void push_record(struct mw_call_queue *queue, struct mw_record *record)
{
	record->next = NULL;
	mw_lock_pinned(&mw_special.lock);
	if (queue->length++)
		queue->last->next = record;
	else
		queue->first = record;
	queue->last = record;
	mw_set_word(&mw_special.due, mw_word(&mw_special.due) + 1);
	mw_unlock_pinned(&mw_special.lock);
}

void mw_queue_finalizer(struct mw_finalizer *finalizer, void *object)
{
	finalizer->record.object = object;
	push_record(&mw_special.finalizers, &finalizer->record);
}

void mw_queue_cleanup(struct mw_cleanup_record *cleanup)
{
	push_record(&mw_special.cleanups, &cleanup->record);
}

bool mw_finalizer_end(struct mw_record *record, void *object, enum mw_end how)
{
	(void)how;
	mw_queue_finalizer((struct mw_finalizer *)record, object);
	return false;
}

static struct mw_record *pop_record(struct mw_call_queue *queue)
{
	struct mw_record *record = queue->first;

	if (!queue->length)
		return NULL;
	queue->first = record->next;
	queue->length--;
	mw_set_word(&mw_special.due, mw_word(&mw_special.due) - 1);
	return record;
}

/* Copied out of its record, so that it is found on the stack. */
struct call {
	enum {
		CALL_NONE,
		CALL_FINALIZER,
		CALL_CLEANUP
	} kind;
	void (*finalizer)(void *object, void *arg);
	void (*cleanup)(void *arg);
	void *object, *arg;
};

/* Pinned: no stop comes while a call is neither in a queue nor on a stack. */
static void take_call(struct call *call)
{
	struct mw_record *record;

	mw_lock_pinned(&mw_special.lock);
	record = pop_record(&mw_special.finalizers);
	if (record) {
		call->kind = CALL_FINALIZER;
	} else {
		record = pop_record(&mw_special.cleanups);
		call->kind = record ? CALL_CLEANUP : CALL_NONE;
	}
	mw_unlock_pinned(&mw_special.lock);
	if (call->kind == CALL_FINALIZER) {
		const struct mw_finalizer *due = (const struct mw_finalizer *)record;

		call->finalizer = due->fn;
		call->object = due->record.object;
		call->arg = due->arg;
		mw_record_free(MW_RECORD_FINALIZER, record);
	} else if (call->kind == CALL_CLEANUP) {
		const struct mw_cleanup_record *due = (const struct mw_cleanup_record *)record;

		call->cleanup = due->fn;
		call->arg = due->arg;
		mw_record_free(MW_RECORD_CLEANUP, record);
	}
}

static bool run_one(void)
{
	struct call call = { 0 };
	unsigned long state;

	if (!mw_word(&mw_special.due))
		return false;
	state = mw_port_pin();
	take_call(&call);
	mw_port_unpin(state);
	if (call.kind == CALL_FINALIZER)
		call.finalizer(call.object, call.arg);
	else if (call.kind == CALL_CLEANUP)
		call.cleanup(call.arg);
	return call.kind != CALL_NONE;
}

size_t mw_finalizers_run(size_t budget)
{
	size_t ran = 0;

	while (ran < budget && run_one())
		ran++;
	return ran;
}

void mw_calls_wake(void)
{
	if (mw_word(&mw_special.due))
		mw_port_wake(MW_WORKER_FINALIZE);
}

bool mw_calls_run(uint64_t budget_ns)
{
	uint64_t start = mw_port_now();

	while (run_one())
		if (mw_port_now() - start >= budget_ns)
			break;
	return mw_word(&mw_special.due) != 0;
}

#endif
