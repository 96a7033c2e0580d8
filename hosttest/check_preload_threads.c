// SPDX-License-Identifier: MIT
/* Threads that come, go, crowd and hand over; forks in the midst of them. */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check_preload.h"

static pthread_key_t key;
static unsigned int destroyed;

/* Allocates when the thread is nearly gone, and again in the next rounds. */
static void late(void *arg)
{
	free(arg);
	free(malloc(100000));
	if (__atomic_add_fetch(&destroyed, 1, __ATOMIC_RELAXED) % 3)
		pthread_setspecific(key, malloc(33));
}

static void *short_life(void *arg)
{
	void *objects[50];

	for (unsigned int i = 0; i < 50; i++)
		objects[i] = malloc(i * 40);
	for (unsigned int i = 1; i < 50; i++)
		free(objects[i]);
	pthread_setspecific(key, malloc(77));
	(void)arg;
	return objects[0];
}

void t_threads_come_and_go(void)
{
	unsigned long after = 0;

	pthread_key_create(&key, late);
	for (unsigned int i = 0; i < 4000; i++) {
		pthread_t thread;
		void *left;

		CHECK(!pthread_create(&thread, NULL, short_life, NULL));
		pthread_join(thread, &left);
		free(left);
		if (i == 1000)
			after = resident_kib();
	}
	CHECK(resident_kib() < after + 2000);
	CHECK(destroyed >= 4000);
}

static pthread_barrier_t barrier;

static void *crowd_member(void *arg)
{
	unsigned char *mine[20];
	unsigned char id = (unsigned char)(uintptr_t)arg;

	for (unsigned int i = 0; i < 20; i++) {
		mine[i] = malloc(100 + i);
		memset(mine[i], id, 100 + i);
	}
	pthread_barrier_wait(&barrier);
	for (unsigned int i = 0; i < 20; i++) {
		CHECK(mine[i][0] == id && mine[i][99 + i] == id);
		free(mine[i]);
	}
	pthread_barrier_wait(&barrier);
	return NULL;
}

/* More threads at once than any table of slots would have. */
void t_crowd(void)
{
	enum {
		N = 1500
	};
	static pthread_t threads[N];
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	pthread_barrier_init(&barrier, NULL, N);
	for (uintptr_t i = 0; i < N; i++)
		if (pthread_create(&threads[i], &attr, crowd_member, (void *)i)) {
			printf("Bail out! no %lu threads here\n", (unsigned long)i);
			exit(1);
		}
	for (unsigned int i = 0; i < N; i++)
		pthread_join(threads[i], NULL);
	CHECK(1);
}

/* One thread allocates, the other frees: the heap must not grow. */
#define RING 512u
static struct {
	void *objects[RING];
	unsigned long head, tail;
} ring;

static void *produce(void *arg)
{
	for (unsigned long i = 0; i < 3000000; i++) {
		unsigned char *p = malloc(16 + i % 2000);

		*p = 1;
		while (i - __atomic_load_n(&ring.tail, __ATOMIC_ACQUIRE) == RING)
			sched_yield();
		ring.objects[i % RING] = p;
		__atomic_store_n(&ring.head, i + 1, __ATOMIC_RELEASE);
	}
	return arg;
}

void t_one_way(void)
{
	unsigned long early = 0;
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, produce, NULL));
	for (unsigned long i = 0; i < 3000000; i++) {
		while (__atomic_load_n(&ring.head, __ATOMIC_ACQUIRE) == i)
			sched_yield();
		free(ring.objects[i % RING]);
		__atomic_store_n(&ring.tail, i + 1, __ATOMIC_RELEASE);
		if (i == 500000)
			early = resident_kib();
	}
	pthread_join(thread, NULL);
	CHECK(resident_kib() < early + 3000);
}

/* ---- forks ---- */

static bool stop;

static void *churn(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	void *objects[200] = { 0 };

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		seed = seed * 1103515245 + 12345;
		free(objects[(seed >> 8) % 200]);
		objects[(seed >> 8) % 200] = malloc((seed >> 16) % 70000);
	}
	for (unsigned int i = 0; i < 200; i++)
		free(objects[i]);
	return NULL;
}

/* Ten seconds of a processor, which is forever; by the clock only what sleeps is stopped. */
static void limit_time(void)
{
	setrlimit(RLIMIT_CPU, &(struct rlimit){ 10, 10 });
	alarm(600);
}

static int in_child(void)
{
	pthread_t thread;
	void *end;

	limit_time();
	for (unsigned int i = 0; i < 2000; i++) {
		char *p = malloc(i * 17), *q = calloc(i, 3);

		if (!p || !q || !all_zero((unsigned char *)q, i * 3))
			return 1;
		memset(p, 1, i * 17);
		free(p);
		free(q);
	}
	if (pthread_create(&thread, NULL, short_life, NULL) || pthread_join(thread, &end))
		return 2;
	free(end);
	return 0;
}

void t_fork_among_threads(void)
{
	pthread_t threads[3];

	for (uintptr_t i = 0; i < 3; i++)
		CHECK(!pthread_create(&threads[i], NULL, churn, (void *)(i + 1)));
	for (unsigned int i = 0; i < 100; i++) {
		void *before = malloc(i);
		pid_t child = fork();
		int status = -1;

		if (child == 0) {
			free(before);
			_exit(in_child());
		}
		CHECK(waitpid(child, &status, 0) == child && status == 0);
		free(before);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

/* A child of a child of a child ..., each with a thread that is gone in the next. */
void t_fork_chain(void)
{
	unsigned int depth = 0;
	int status = -1;
	pid_t child;

	stop = false;
	do {
		pthread_t thread;

		pthread_create(&thread, NULL, churn, (void *)7);
		usleep(1000);
		child = fork();
	} while (child == 0 && ++depth < 20);
	if (child == 0)
		_exit(in_child());
	waitpid(child, &status, 0);
	if (depth)
		_exit(status ? 1 : 0);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	CHECK(status == 0);
}

/* ---- forks while threads end, and free what others allocated ---- */

enum {
	LEFT = 400
};
static void *left[LEFT];

/* Leaves objects of many sizes behind, and has a little of each to give up when it ends. */
static void *leaves_objects(void *arg)
{
	for (unsigned int i = 0; i < LEFT; i++) {
		void *gone = malloc(i * 8);

		__atomic_store_n(&left[i], malloc(i * 8), __ATOMIC_RELEASE);
		free(gone);
	}
	return arg;
}

static void *frees_left(void *arg)
{
	for (unsigned int i = 0; i < LEFT; i++)
		free(__atomic_exchange_n(&left[i], NULL, __ATOMIC_ACQ_REL));
	return arg;
}

static void *many_ends(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, leaves_objects, NULL))
			break;
		pthread_join(thread, NULL);
		if (pthread_create(&thread, NULL, frees_left, NULL))
			break;
		pthread_join(thread, NULL);
	}
	return arg;
}

/* Wherever the others were caught, what they had allocated can be freed, and memory can run out and be given back. */
static int uses_what_is_left(void)
{
	limit_time();
	(void)frees_left(NULL);
	(void)leaves_objects(NULL);
	(void)frees_left(NULL);
	malloc_trim(0);
	return in_child();
}

void t_fork_while_threads_end(void)
{
	pthread_t threads[2];

	stop = false;
	for (unsigned int i = 0; i < 2; i++)
		CHECK(!pthread_create(&threads[i], NULL, many_ends, NULL));
	for (unsigned int i = 0; i < 300; i++) {
		pid_t child = fork();
		int status = -1;

		if (child == 0)
			_exit(uses_what_is_left());
		CHECK(waitpid(child, &status, 0) == child);
		if (status) {
			printf("# fork %u: status %x\n", i, (unsigned int)status);
			CHECK(!status);
			break;
		}
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}
