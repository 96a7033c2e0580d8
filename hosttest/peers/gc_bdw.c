// SPDX-License-Identifier: MIT
/* The collector's benchmarks: bdwgc, conservative, with its defaults. */
#include <stdio.h>
#include <stdlib.h>
#include <gc/gc.h>
#include "../bench_gc.h"

static size_t node_size;

void gc_start(unsigned int markers, size_t size)
{
	char text[16];

	node_size = size;
	snprintf(text, sizeof(text), "%u", markers);
	setenv("GC_MARKERS", text, 1);
	GC_INIT();
	GC_set_finalize_on_demand(1);
}

void *gc_plain(size_t size)
{
	return GC_MALLOC(size);
}

struct node *gc_node(void)
{
	return GC_MALLOC(node_size);
}

void *gc_array(size_t n)
{
	return GC_MALLOC(n * sizeof(void *));
}

void gc_collect(void)
{
	GC_gcollect();
}

void gc_sweep(void)
{
}

void gc_collect_by_itself(bool on)
{
	if (on)
		GC_enable();
	else
		GC_disable();
}

void gc_workers(void)
{
}

static void finalized(void *object, void *arg)
{
	(void)object, (void)arg;
	gc_finalized();
}

bool gc_set_finalizer(void *object)
{
	GC_REGISTER_FINALIZER_NO_ORDER(object, finalized, NULL, NULL, NULL);
	return true;
}

void gc_clear_finalizer(void *object)
{
	GC_REGISTER_FINALIZER_NO_ORDER(object, NULL, NULL, NULL, NULL);
}

void gc_finalize(void)
{
	GC_invoke_finalizers();
}
