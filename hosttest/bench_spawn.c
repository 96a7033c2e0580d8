// SPDX-License-Identifier: MIT
/*
 * bench_spawn LIBRARY PROGRAM ... - runs it with the library preloaded ("-": none), and prints the
 * peak resident KiB of it and its children, and the seconds of processor time that they took, on the last
 * line of standard error.
 *
 * A program of its own because a child's peak begins with what its parent had, which is little here.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static double seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	int status = 0;
	pid_t child;

	if (argc < 3)
		return 2;
	child = fork();
	if (child == 0) {
		if (strcmp(argv[1], "-"))
			setenv("LD_PRELOAD", argv[1], 1);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 2;
	getrusage(RUSAGE_CHILDREN, &usage);
	fprintf(stderr, "\n%ld %.3f\n", usage.ru_maxrss,
		seconds(&usage.ru_utime) + seconds(&usage.ru_stime));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
