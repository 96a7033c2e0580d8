// SPDX-License-Identifier: MIT
/* Commands about objects that nobody points to any more, and pointers to objects that are gone. */
#include <marrow/gc.h>
#include "../mm/object/object.h"
#include "commands.h"
#include "scratch.h"
#include "text.h"
#include "thread.h"

#if MW_GC

/* ---- leaks ---- */

struct buffer {
	struct buffer *next;
	uintptr_t older; /* of the first in a ring: as rings below */
	char bytes[232];
};

/*
 * The first buffer of the ring made last, its address turned round, so that nothing points there.
 */
static uintptr_t rings;

void commands_leaks_forget(void)
{
	rings = 0;
}

struct ring {
	uint64_t count;
	bool made;
};

static void free_ring(struct buffer *first)
{
	struct buffer *at = first ? first->next : NULL, *next;

	for (; at != first; at = next) {
		next = at->next;
		mw_free(at);
	}
	mw_free(first);
}

/* Buffers that point to each other, and nothing to them. */
static void make_ring(void *arg)
{
	struct ring *ring = arg;
	struct buffer *first = NULL, *last = NULL;

	for (; ring->count; ring->count--) {
		struct buffer *buffer = mw_alloc(sizeof(*buffer), MW_ZERO);

		if (!buffer) {
			free_ring(first);
			return;
		}
		buffer->next = first;
		first = buffer;
		if (!last)
			last = buffer;
		last->next = first;
	}
	ring->made = true;
	if (!first)
		return;
	first->older = rings;
	rings = ~(uintptr_t)first;
}

/* In a thread of its own, with which the stack goes on which an address of them may be left. */
static bool leave_ring(uint64_t count)
{
	struct ring ring = { .count = count };
	struct thread *thread = thread_create("ring", make_ring, &ring);

	if (!thread)
		return false;
	thread_join(thread);
	return ring.made;
}

static void free_rings(void)
{
	unsigned int n = 0;

	for (; rings; n++) {
		struct buffer *first = (struct buffer *)~rings;

		rings = first->older;
		free_ring(first);
	}
	mw_print("%u rings were freed.\n", n);
}

static void make_leaks(uint64_t count)
{
	if (leave_ring(count))
		mw_print("%llu objects of %zu bytes point to each other, and nothing to them: "
			 "\"leaks\" finds them, \"leaks free\" frees them.\n",
			 (unsigned long long)count, sizeof(struct buffer));
	else
		mw_print("There is not so much memory.\n");
}

static void run_leaks(size_t argc, char **argv)
{
	struct mw_leak_want want = { .most = 20 };
	uint64_t number;
	size_t found;

	if (argc > 1 && text_equal(argv[1], "make")) {
		if (number_of(argc, argv, 2, "a count of objects", NULL, &number))
			make_leaks(number);
		return;
	}
	if (argc > 1 && text_equal(argv[1], "free")) {
		free_rings();
		return;
	}
	if (argc > 1 &&
	    !number_of(argc, argv, 1, "an age in milliseconds, make or free", NULL, &number))
		return;
	if (argc > 1)
		want.min_age_ns = number * 1000000;
	found = scratch_leak_scan(&want);
	if (found == SIZE_MAX)
		mw_print("There is no memory for a scan.\n");
	else if (!found)
		mw_print("Something points to every object.\n");
}

/* ---- safe free ---- */

static void print_safe(void)
{
	struct mw_safe_stats stats;

	mw_safe_stats(&stats);
	mw_print("%zu objects of %zu bytes are held back; the last of %lu marks found pointers to "
		 "%zu bytes; %lu objects were let go.\n",
		 stats.held_objects, stats.held_bytes, stats.marks, stats.kept_bytes, stats.released);
}

static struct mw_cache *cache_named(const char *name)
{
	struct mw_cache_cursor cursor = { 0 };
	struct mw_cache *cache;

	mw_object_ready(); /* nothing may have been allocated yet */
	while ((cache = mw_cache_next(&cursor)) && !text_equal(cache->name, name))
		;
	mw_cache_leave(&cursor); /* caches of this kernel that have names stay */
	return cache;
}

static void run_safe(size_t argc, char **argv)
{
	struct mw_safe_policy policy = { .on = true };
	struct mw_cache *cache = NULL;
	bool known = true;

	if (argc < 2) {
		print_safe();
		return;
	}
	if (text_equal(argv[1], "off"))
		policy.on = false;
	else if (text_equal(argv[1], "wipe"))
		policy.wipe = true;
	else if (!text_equal(argv[1], "on"))
		known = (cache = cache_named(argv[1])) != NULL;
	if (!known)
		mw_print("There is no cache \"%s\"; \"slab\" lists all.\n", argv[1]);
	else if (!mw_safe_free(cache, &policy))
		mw_print("That cannot be done.\n");
	else if (!policy.on)
		mw_print("What is freed is freed at once again.\n");
	else
		mw_print("Freed objects%s%s are held back until nothing points to them%s.\n",
			 cache ? " of " : "", cache ? cache->name : "",
			 policy.wipe ? ", and overwritten" : "");
}

static const struct command commands[] = {
	{ "leaks", "[MS|make COUNT|free]",
	  "objects that nothing points to, at least MS old if tracked; or make a ring of them",
	  run_leaks },
	{ "safe", "[on|off|wipe|CACHE]",
	  "hold freed objects back until nothing points to them; wipe: and overwrite them", run_safe },
};

const struct command_group leak_commands = { "Leaks and dangling pointers", commands, LEN(commands) };

#endif
