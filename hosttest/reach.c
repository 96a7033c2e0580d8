// SPDX-License-Identifier: MIT
/*
 * Which code of mm/ a test reaches: scripts/reach.py makes a map of it.
 *
 * In the build host-reach the compiler puts a call of __sanitizer_cov_trace_pc() at the head of
 * each basic block of mm/. It sets a byte for where it was called from, in the file that $REACH
 * names. The file is mapped, so nothing is lost when a test ends the process.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern const char __executable_start[], etext[];

void __sanitizer_cov_trace_pc(void);

static volatile char *reached;

__attribute__((constructor)) static void reach_begin(void)
{
	const char *path = getenv("REACH");
	int file = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;
	size_t size = (size_t)(etext - __executable_start);
	void *at = MAP_FAILED;

	if (file >= 0 && !ftruncate(file, (off_t)size))
		at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (file >= 0)
		close(file);
	if (at != MAP_FAILED)
		reached = at;
}

void __sanitizer_cov_trace_pc(void)
{
	if (reached)
		reached[(const char *)__builtin_return_address(0) - __executable_start] = 1;
}
