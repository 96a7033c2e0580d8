/* SPDX-License-Identifier: MIT */
/*
 * What is set in the heap by words of the boot loader and commands of the monitor, and holds for
 * each heap that is opened: debug aids, the collector's goal, its trace and verification, the
 * profile's rate.
 */
#ifndef KERNEL_SETTINGS_H
#define KERNEL_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Each sets it now, and for later. Return: false: not a value that it can have; nothing has
 * changed.
 */
bool settings_debug(const char *spec); /* as mw_debug_set() reads it */
bool settings_goal(const char *percent); /* a number, or "off" */
bool settings_gc_debug(const char *words); /* of pointers, poison, check, every=N, with ','; or "off" */
bool settings_gc_trace(const char *on); /* "0" or "1" */
bool settings_profile(const char *bytes);

/* A heap is open, or somebody used the debug aids for an end of his own: as they were set. */
void settings_apply(void);
void settings_forget(void); /* as if nothing had been set */

#endif
