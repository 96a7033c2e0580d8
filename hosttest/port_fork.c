// SPDX-License-Identifier: MIT
/*
 * A fork copies one thread. The child sees how the others stood: who was not pinned held no lock and had
 * nothing half done, so the child gives up for it what it had. Who was pinned stays in the list of
 * threads, and the child's next attempt to stop the world names it.
 *
 * Nobody is stopped for a fork: a thread that stands still in malloc() has a lock that fork() takes.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <marrow/mm.h>
#include "port_hosted.h"

#define LIMIT_NS 2000000000u

__attribute__((weak)) bool mw_half_done(void);

/* A collection by another thread would never end in the child. Whoever forks in the midst of his own does not wait long. */
static void before_fork(void)
{
	uint64_t until = mw_port_now() + LIMIT_NS;

	port_thread_begin();
	while (mw_half_done && mw_half_done() && mw_port_now() < until)
		mw_port_relax();
}

static void in_child(void)
{
	bool gone[MW_MAX_CPUS] = { false };

	port_world_alone(gone);
	for (unsigned int i = 0; i < MW_MAX_CPUS; i++) {
		if (gone[i])
			port_end_for(i);
	}
}

__attribute__((constructor)) static void fork_set_up(void)
{
	if (pthread_atfork(before_fork, NULL, in_child))
		abort();
}
