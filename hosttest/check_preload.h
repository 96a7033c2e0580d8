/* SPDX-License-Identifier: MIT */
/* What the files of check_preload share: check_preload.c single calls, _threads.c, _misuse.c,
 * _limits.c. */
#ifndef HOSTTEST_CHECK_PRELOAD_H
#define HOSTTEST_CHECK_PRELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

extern unsigned int checks, failures;

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		__atomic_add_fetch(&checks, 1, __ATOMIC_RELAXED);                                  \
		if (!(cond)) {                                                                     \
			__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);                        \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond);                        \
		}                                                                                  \
	} while (0)

bool all_zero(const unsigned char *p, size_t n);
unsigned long resident_kib(void);

void t_threads_come_and_go(void);
void t_crowd(void);
void t_one_way(void);
void t_fork_among_threads(void);
void t_fork_chain(void);
void t_fork_while_threads_end(void);
void t_misuse(void);
void t_out_of_memory(void);
void t_little_address_space(void);
void t_old_layout(void);
void t_wide_alignments(void);

/* What this program does as a child with the argument "until-the-end". Return: its status. */
int until_the_end(size_t size);

#endif
