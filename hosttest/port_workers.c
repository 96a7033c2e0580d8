// SPDX-License-Identifier: MIT
/* The threads that serve mw_port_wake(). Not started unless asked for: until then a wake is noted. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <marrow/gc.h>
#include "port_hosted.h"

#define BUDGET_NS 2000000u

__attribute__((weak)) bool mw_worker_run(enum mw_worker worker, uint64_t budget_ns);

static struct worker {
	pthread_t thread;
	sem_t work;
	atomic_bool wanted, end;
	bool runs;
} workers[MW_NR_WORKERS];

/* sem_post() may be called from signals and with locks held; only the first of many does. */
void mw_port_wake(enum mw_worker worker)
{
	struct worker *w = &workers[worker];

	if (!atomic_exchange_explicit(&w->wanted, true, memory_order_acq_rel))
		sem_post(&w->work);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	port_thread_begin();
	while (!atomic_load(&w->end)) {
		if (sem_wait(&w->work) && errno == EINTR)
			continue;
		if (!atomic_exchange_explicit(&w->wanted, false, memory_order_acq_rel))
			continue;
		while (!atomic_load(&w->end) && mw_worker_run &&
		       mw_worker_run((enum mw_worker)(w - workers), BUDGET_NS))
			;
	}
	return NULL;
}

__attribute__((constructor)) static void workers_set_up(void)
{
	for (unsigned int i = 0; i < MW_NR_WORKERS; i++)
		sem_init(&workers[i].work, 0, 0);
}

bool port_workers_start(void)
{
	for (unsigned int i = 0; i < MW_NR_WORKERS; i++) {
		struct worker *w = &workers[i];

		if (w->runs)
			continue;
		atomic_store(&w->end, false);
		w->runs = !pthread_create(&w->thread, NULL, worker_main, w);
		if (!w->runs)
			return false;
	}
	return true;
}

void port_workers_stop(void)
{
	for (unsigned int i = 0; i < MW_NR_WORKERS; i++) {
		struct worker *w = &workers[i];

		if (!w->runs)
			continue;
		atomic_store(&w->end, true);
		sem_post(&w->work);
		pthread_join(w->thread, NULL);
		w->runs = false;
		atomic_store(&w->wanted, false);
	}
}
