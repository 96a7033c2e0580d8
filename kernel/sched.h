/* SPDX-License-Identifier: MIT */
/* Between sched.c and thread.c. */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H

#include "thread.h"

void sched_init(void);
/* With the lock held: a thread that waits in no queue can run. */
void sched_make_ready(struct thread *thread);
/* With the lock held: the current thread is dead, its stack free once the lock is. */
_Noreturn void sched_leave(void);

#endif
