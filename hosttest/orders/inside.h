/* SPDX-License-Identifier: MIT */
/* What the files of the machine share. */
#ifndef HOSTTEST_ORDERS_INSIDE_H
#define HOSTTEST_ORDERS_INSIDE_H

#include "orders.h"

enum turn {
	BEFORE, /* the access was made in an earlier step */
	NOW,
	BEHIND, /* nothing happens any more */
};

/* @free: an access that belongs to the step of the one before it. */
enum turn turn(bool free);
/* BEFORE: what it has read. NOW: it has read @value; 0, if it reads nothing. Return: that. */
unsigned int seen(void);
unsigned int note(unsigned int value);
/* There are so many options. Return: whether this step's choice is one. */
bool choose(unsigned int options);

struct thread_state *self(void);
void die(const char *why);
void join(struct view *to, const struct view *from);
void each_view(void (*fn)(struct view *view, unsigned int a, unsigned int b), unsigned int a,
	       unsigned int b);
void set_known(struct view *view, unsigned int plain, unsigned int bits);
void trace(const char *function, const char *what, const char *how, const char *value);

#endif
