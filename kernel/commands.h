/* SPDX-License-Identifier: MIT */
/* What the files with commands of the monitor share. */
#ifndef KERNEL_COMMANDS_H
#define KERNEL_COMMANDS_H

#include "kernel.h"

/* Are there so many words, with the command's name; else its help is printed. */
bool need(size_t argc, size_t least, const char *name);
/* A line about a word that command @name has no use for, and its help. */
void unknown_word(const char *name, const char *word);
/*
 * The number in word @i, which has a name for people; @otherwise if there is no such word and it is
 * not NULL. Return: false after a line that says what is wrong.
 */
bool number_of(size_t argc, char **argv, size_t i, const char *what, const uint64_t *otherwise,
	       uint64_t *number);

/* What was asked for went wrong: `exit` says so to who started the machine. */
void monitor_failed(void);
bool monitor_well(void);

/*
 * The n-th command's name, and the n-th word that may come first behind one; NULL: there are not so
 * many.
 */
const char *command_word(size_t n);
const char *gc_word(size_t n);
const char *poke_word(size_t n);
const char *storm_word(size_t n);
const char *world_word(size_t n);

/* The heap is gone, and with it what commands keep from one call to the next. */
void commands_forget(void);
void commands_fs_forget(void);
void commands_leaks_forget(void) __attribute__((weak)); /* these two only with a collector */
void graph_forget(void) __attribute__((weak));

#endif
