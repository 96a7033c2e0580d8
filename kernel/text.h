/* SPDX-License-Identifier: MIT */
/* Words and numbers in text: for the command line of the boot loader and that of the monitor. */
#ifndef KERNEL_TEXT_H
#define KERNEL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t text_length(const char *text);
bool text_equal(const char *a, const char *b);
/* Return: what follows @prefix in @text, or NULL if @text does not begin with it. */
const char *text_after(const char *text, const char *prefix);

/* Decimal or 0x…, with K, M, G or T behind it. Return: false if it is not that, or too large. */
bool text_number(const char *text, uint64_t *number);

/*
 * Split in place at blanks; a part in "…" or '…' keeps its blanks and loses the quotes. Return: how
 * many words; those past @max stay together in the last one.
 */
size_t text_split(char *text, char **words, size_t max);

#endif
