/* SPDX-License-Identifier: MIT */
/*
 * Keys: for the line that is being typed, and control-C for the command that runs. What is typed
 * while a command runs is kept for the next line. All of it is the monitor's thread's.
 */
#ifndef KERNEL_KEYS_H
#define KERNEL_KEYS_H

#include <stdbool.h>

char keys_wait(void); /* the next one */

/* Commands begin: a control-C from before is not for them. */
void keys_begin(void);
/* Has control-C been typed since? Whatever takes long asks, each so many steps, and ends early. */
bool keys_stop(void);

#endif
