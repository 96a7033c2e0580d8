// SPDX-License-Identifier: MIT
/* Wrong frees: the program must end with a report that names them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check_preload.h"

static void double_free(void)
{
	void *p = malloc(50);

	free(p);
	free(p);
}

static void late_double_free(void)
{
	void *p = malloc(50), *q[1000];

	free(p);
	for (unsigned int i = 0; i < 1000; i++)
		q[i] = malloc(50 + i);
	for (unsigned int i = 0; i < 1000; i++)
		free(q[i]);
	free(p);
}

static void *free_it(void *p)
{
	free(p);
	return NULL;
}

static void double_free_by_another(void)
{
	void *p = malloc(50);
	pthread_t thread;

	pthread_create(&thread, NULL, free_it, p);
	pthread_join(thread, NULL);
	free(p);
}

static void double_large_free(void)
{
	void *p = malloc(1000000);

	free(p);
	free(p);
}

static void inner_free(void)
{
	free((char *)malloc(100) + 16);
}

static void large_inner_free(void)
{
	free((char *)malloc(500000) + 4096);
}

static void stack_free(void)
{
	volatile char on_stack[64];

	free((char *)&on_stack[16]);
}

static void static_free(void)
{
	static char object[64];

	free(object);
}

static void garbage_free(void)
{
	free((void *)0x1234567890abcdef);
}

static void garbage_realloc(void)
{
	static char object[64];

	if (realloc(object, 100))
		_exit(0);
}

/* A delete as a compiler of C++ writes it; 0: of no alignment. */
static void delete_wrong(void *object, size_t size, size_t align)
{
	void (*plain)(void *object, size_t size);
	void (*aligned)(void *object, size_t size, size_t align);

	*(void **)&plain = dlsym(RTLD_DEFAULT, "_ZdaPvm");
	*(void **)&aligned = dlsym(RTLD_DEFAULT, "_ZdlPvmSt11align_val_t");
	if (!plain || !aligned)
		_exit(0);
	if (align)
		aligned(object, size, align);
	else
		plain(object, size);
}

static void delete_larger(void)
{
	delete_wrong(malloc(100), 200, 0);
}

static void delete_smaller(void)
{
	delete_wrong(malloc(140), 40, 0);
}

static void delete_next_class(void)
{
	delete_wrong(malloc(17), 16, 0);
}

static void delete_large_as_small(void)
{
	delete_wrong(malloc(50000), 500, 0);
}

static void delete_large_smaller(void)
{
	delete_wrong(malloc(500000), 250000, 0);
}

static void delete_larger_aligned(void)
{
	delete_wrong(aligned_alloc(64, 100), 1000, 64);
}

static void delete_wide_larger(void)
{
	delete_wrong(aligned_alloc(8192, 8192), 90000, 8192);
}

static void *delete_it(void *p)
{
	delete_wrong(p, 300, 0);
	return NULL;
}

static void delete_by_another(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, delete_it, malloc(100));
	pthread_join(thread, NULL);
}

static void delete_twice(void)
{
	void *p = malloc(100);

	delete_wrong(p, 100, 0);
	delete_wrong(p, 100, 0);
}

static void must_abort(const char *name, void (*wrong)(void), const char *text)
{
	char said[4096];
	int ends[2], status = 0;
	size_t n = 0;
	ssize_t got;
	pid_t child;

	if (pipe(ends))
		abort();
	child = fork();
	if (child == 0) {
		dup2(ends[1], 2);
		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		wrong();
		_exit(0);
	}
	close(ends[1]);
	while (n < sizeof(said) - 1 && (got = read(ends[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = '\0';
	close(ends[0]);
	waitpid(child, &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(said, text))
		printf("# %s: status %x, said: %s\n", name, status, said);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(said, text));
}

void t_misuse(void)
{
	must_abort("double", double_free, "double-free");
	must_abort("late double", late_double_free, "double-free");
	must_abort("double, two threads", double_free_by_another, "double-free");
	must_abort("double, large", double_large_free, "free");
	must_abort("inner", inner_free, "inner-free");
	must_abort("inner, large", large_inner_free, "inner-free");
	must_abort("stack", stack_free, "foreign-free");
	must_abort("static", static_free, "foreign-free");
	must_abort("garbage", garbage_free, "foreign-free");
	must_abort("delete, larger", delete_larger, "wrong-size");
	must_abort("delete, smaller", delete_smaller, "wrong-size");
	must_abort("delete, next class", delete_next_class, "wrong-size");
	must_abort("delete, large", delete_large_as_small, "wrong-size");
	must_abort("delete, large, smaller", delete_large_smaller, "wrong-size");
	must_abort("delete, aligned", delete_larger_aligned, "wrong-size");
	must_abort("delete, wide", delete_wide_larger, "wrong-size");
	must_abort("delete, two threads", delete_by_another, "wrong-size");
	must_abort("delete, twice", delete_twice, "double-free");
	must_abort("realloc", garbage_realloc, "foreign-free");
}
