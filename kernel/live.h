/* SPDX-License-Identifier: MIT */
/*
 * The live line: the last line of the console while somebody types at the prompt, or a storm tells
 * how it goes. What anybody else says meanwhile goes above it, and the line is drawn again below.
 */
#ifndef KERNEL_LIVE_H
#define KERNEL_LIVE_H

#include <stddef.h>

#define LIVE_SIZE 128

/* Make @text the live line, its cursor at character @at, in place of the one before. irq: any. */
void live_show(const char *text, size_t at);
/* It becomes an ordinary line, and ends. */
void live_end(void);

/*
 * For who draws it without help: between the two nobody else writes, the cursor is where
 * live_leave() said that it is or in the first column of an empty line, and live_raw() writes.
 * live_leave() says what stands there now, in the last line. Interrupts are off in between.
 */
unsigned long live_take(void);
void live_raw(const char *text, size_t len);
void live_leave(unsigned long state, const char *text,
		size_t at); /* @text NULL: there is none any more */

/* All that mw_port_write() is given. irq: any, NMI included. */
void live_write(const char *text, size_t len);

#endif
