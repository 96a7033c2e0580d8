// SPDX-License-Identifier: MIT
/* The collector's benchmarks: Marrow. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <marrow/gc.h>
#include <marrow/mm.h>
#include "bench_gc.h"
#include "port_hosted.h"

#define GIB ((size_t)1 << 30)
#define REGION (4 * GIB)

static struct mw_field node_fields[] = { { "links", MW_FIELD_POINTER, 0, 2, NULL, 0, 0 } };
static struct mw_type node_type = { .name = "node", .fields = node_fields, .field_count = 1 };
static struct mw_field one_pointer[] = { { "[]", MW_FIELD_POINTER, 0, 1, NULL, 0, 0 } };
static struct mw_type pointer_type = {
	.name = "pointers",
	.size = sizeof(void *),
	.fields = one_pointer,
	.field_count = 1,
};
static pthread_barrier_t helpers_ready;

/* A thread that is stopped with the world, and marks. */
static void *helper(void *arg)
{
	(void)arg;
	port_thread_begin();
	(void)mw_cpu_start();
	pthread_barrier_wait(&helpers_ready);
	for (;;)
		pause();
	return NULL;
}

static void start_helpers(unsigned int markers)
{
	pthread_barrier_init(&helpers_ready, NULL, markers);
	for (unsigned int i = 1; i < markers; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, helper, NULL))
			exit(2);
	}
	pthread_barrier_wait(&helpers_ready);
}

void gc_start(unsigned int markers, size_t node_size)
{
	char *memory = mmap(NULL, REGION + GIB, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct mw_gc_policy policy;

	port_thread_begin();
	if (memory == MAP_FAILED)
		exit(2);
	memory = (char *)(((uintptr_t)memory + GIB - 1) & ~(GIB - 1));
	if (!mw_region_add_zeroed(memory, REGION, REGION))
		exit(2);
	node_type.size = node_size;
	mw_gc_policy_get(&policy);
	policy.markers = markers;
	if (!mw_gc_policy_set(&policy) || !mw_cpu_start())
		exit(2);
	mw_gc_trace(getenv("TRACE") != NULL);
	start_helpers(markers);
}

void *gc_plain(size_t size)
{
	return mw_alloc(size, MW_COLLECTED);
}

struct node *gc_node(void)
{
	return mw_new(&node_type, MW_NORMAL);
}

void *gc_array(size_t n)
{
	return mw_new_array(&pointer_type, n, MW_NORMAL);
}

void gc_collect(void)
{
	if (!mw_gc_collect(MW_COLLECT_MARKED))
		exit(2);
}

void gc_sweep(void)
{
	while (mw_worker_run(MW_WORKER_SWEEP, UINT64_MAX))
		;
}

void gc_collect_by_itself(bool on)
{
	struct mw_gc_policy policy;

	mw_gc_policy_get(&policy);
	policy.percent = on ? 100 : MW_GC_OFF;
	(void)mw_gc_policy_set(&policy);
}

void gc_workers(void)
{
	if (!port_workers_start())
		exit(2);
}

static void finalized(void *object, void *arg)
{
	(void)object, (void)arg;
	gc_finalized();
}

bool gc_set_finalizer(void *object)
{
	return mw_finalizer_set(object, finalized, NULL);
}

void gc_clear_finalizer(void *object)
{
	(void)mw_finalizer_clear(object);
}

void gc_finalize(void)
{
	while (mw_finalizers_run(SIZE_MAX))
		;
}
