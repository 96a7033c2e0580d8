// SPDX-License-Identifier: MIT
/*
 * Address space that ends: a limit on it is not a reason to go without the library, and the end is
 * NULL and ENOMEM, as often as it is asked for; after a free it goes on.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check_preload.h"

struct link {
	struct link *next;
};

/* The dynamic linker goes on without a library that does not fit, and says so to nobody who listens. */
static bool is_preloaded(void)
{
	const char *want = getenv("LD_PRELOAD");
	Dl_info info;

	return !want || !*want ||
	       (dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) && info.dli_fname &&
		!strcmp(info.dli_fname, want));
}

static struct link *all_there_is(size_t size, size_t *n)
{
	struct link *first = NULL, *one;

	for (*n = 0; (one = malloc(size)); ++*n) {
		memset(one, 1, size < 4096 ? size : 4096);
		one->next = first;
		first = one;
	}
	return first;
}

static void *nothing(void *arg)
{
	return arg;
}

/* Every second one is freed: half as much is there again, at least. */
static bool goes_on(struct link *first, size_t size, size_t n)
{
	struct link *one = first;
	size_t again = 0;

	while (one && one->next) {
		struct link *gone = one->next;

		one->next = gone->next;
		one = one->next;
		free(gone);
	}
	while (again < n / 2 && malloc(size))
		again++;
	return again == n / 2;
}

int until_the_end(size_t size)
{
	struct rlimit limit;
	struct link *first;
	pthread_t thread;
	size_t n;

	if (!is_preloaded())
		return 2;
	if (getrlimit(RLIMIT_AS, &limit))
		return 3;
	if (limit.rlim_cur > 30000000) {
		/* Its stack is address space as well. */
		if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
			return 4;
	}
	errno = 0;
	first = all_there_is(size, &n);
	if (errno != ENOMEM)
		return 5;
	for (unsigned int i = 0; i < 100; i++) {
		errno = 0;
		if (malloc(size < 1000000 ? 1000000 : size) || errno != ENOMEM)
			return 6;
	}
	if (n * size < limit.rlim_cur / 5)
		return 7;
	return goes_on(first, size, n) ? 0 : 8;
}

static int run_with(int what, rlim_t most, const char *size)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		struct rlimit limit = { most, most };

		if (setrlimit(what, &limit))
			_exit(what == RLIMIT_AS);
		dup2(open("/dev/null", O_WRONLY), 1);
		execl("/proc/self/exe", "check_preload", size ? "until-the-end" : "misuse",
		      size ? size : "alignment", NULL);
		_exit(9);
	}
	waitpid(child, &status, 0);
	if (status)
		printf("# %s bytes of %lu: status %x\n", size ? size : "any", (unsigned long)most,
		       (unsigned int)status);
	return status;
}

void t_out_of_memory(void)
{
	CHECK(!run_with(RLIMIT_AS, 400u << 20, "1048576"));
}

void t_little_address_space(void)
{
	static const char *const sizes[] = { "24", "500", "5000", "100000" };

	for (rlim_t most = 12000000; most < 300000000; most = most * 4 / 3 + 4096 * 77)
		for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			CHECK(!run_with(RLIMIT_AS, most, sizes[i]));
}

/* With a stack without an end, mappings begin far lower. */
void t_old_layout(void)
{
	CHECK(!run_with(RLIMIT_STACK, RLIM_INFINITY, NULL));
}

/* Address space of this process, in MiB; 0: the system does not say. */
static unsigned long space(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[256];

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmSize: %lu", &kib) == 1)
			break;
	if (status)
		fclose(status);
	return kib >> 10;
}

/* Nothing is taken for what no memory can meet, nor for what there is already. */
void t_wide_alignments(void)
{
	const size_t most = (size_t)1 << 30;
	unsigned long before = space();

	CHECK(before);
	for (unsigned int i = 0; i < 3 && is_preloaded(); i++) {
		void *p = &p;

		errno = 0;
		CHECK(!memalign(most * 2, 16) && errno == ENOMEM);
		errno = 0;
		CHECK(!aligned_alloc(most << 10, 0) && errno == ENOMEM);
		CHECK(posix_memalign(&p, most * 4, 100) == ENOMEM && p == &p);
		CHECK(space() == before);
	}
	for (unsigned int i = 0; i < 2; i++) {
		void *p = memalign(most, 100);

		CHECK(p && (uintptr_t)p % most == 0);
	}
	if (is_preloaded())
		CHECK(space() == before);
}
