// SPDX-License-Identifier: MIT
/*
 * See live.h. The lock belongs to a CPU: who comes again on the same one, from an NMI, and who has
 * waited for too long, writes as if there were no live line.
 */
#include <stdatomic.h>
#include "harness.h"
#include "kernel.h"
#include "live.h"
#include "text.h"

#define PATIENCE 1000000

static _Atomic(unsigned long) owner; /* CPU + 1 */

/* The owner's. */
static struct {
	bool on;
	bool covered; /* others' text stands in its place, and has not ended its line yet */
	size_t len, at;
	char text[LIVE_SIZE];
} live;

static bool try_lock(void)
{
	unsigned long me = arch_cpu_id() + 1ul, none;

	for (int i = 0; i < PATIENCE; i++) {
		none = 0;
		if (atomic_compare_exchange_strong_explicit(&owner, &none, me, memory_order_acquire,
							    memory_order_relaxed))
			return true;
		if (none == me)
			break;
		arch_relax();
	}
	return false;
}

static void unlock(void)
{
	atomic_store_explicit(&owner, 0, memory_order_release);
}

static void write(const char *text, size_t len)
{
	if (len && !harness_swallow(text, len))
		arch_console_write(text, len);
}

static void repeat(char c, size_t n)
{
	char many[LIVE_SIZE];

	memset(many, c, n);
	write(many, n);
}

/* To the first column, and nothing is left of it. */
static void rub_out(void)
{
	write("\r", 1);
	repeat(' ', live.len);
	write("\r", 1);
}

static void draw(void)
{
	write(live.text, live.len);
	repeat('\b', live.len - live.at);
}

static void write_above(const char *text, size_t len)
{
	if (!live.covered)
		rub_out();
	write(text, len);
	live.covered = text[len - 1] != '\n';
	if (!live.covered)
		draw();
}

void live_write(const char *text, size_t len)
{
	unsigned long state = arch_irq_save();
	bool mine = try_lock();

	if (mine && live.on && len)
		write_above(text, len);
	else
		write(text, len);
	if (mine)
		unlock();
	arch_irq_restore(state);
}

/* Below what others have said, and drawn. */
static void uncover(void)
{
	if (live.on && live.covered) {
		write("\n", 1);
		draw();
	}
	live.covered = false;
}

unsigned long live_take(void)
{
	unsigned long state = arch_irq_save();

	/* Who cannot have it in time has a dead CPU beside it. */
	if (!try_lock())
		atomic_store_explicit(&owner, arch_cpu_id() + 1ul, memory_order_relaxed);
	uncover();
	return state;
}

void live_raw(const char *text, size_t len)
{
	write(text, len);
}

static void note(const char *text, size_t at)
{
	size_t len = text ? text_length(text) : 0;

	live.on = text != NULL;
	live.len = len < LIVE_SIZE ? len : LIVE_SIZE;
	live.at = at < live.len ? at : live.len;
	memcpy(live.text, text ? text : "", live.len);
}

void live_leave(unsigned long state, const char *text, size_t at)
{
	note(text, at);
	unlock();
	arch_irq_restore(state);
}

/*
 * From the first character that is another one, so that a line which grows is not drawn as a whole.
 */
static void change(const char *text, size_t len, size_t at)
{
	size_t same = 0, before = live.len;

	while (same < len && same < before && text[same] == live.text[same])
		same++;
	if (live.at >= same) {
		repeat('\b', live.at - same);
		write(text + same, len - same);
	} else {
		write(text + live.at, len - live.at);
	}
	if (before > len) {
		repeat(' ', before - len);
		repeat('\b', before - len);
	}
	repeat('\b', len - at);
}

void live_show(const char *text, size_t at)
{
	unsigned long state = live_take();
	size_t len = text_length(text);

	if (len > LIVE_SIZE)
		len = LIVE_SIZE;
	change(text, len, at < len ? at : len);
	live_leave(state, text, at);
}

void live_end(void)
{
	unsigned long state = live_take();

	if (live.on) {
		write(live.text + live.at, live.len - live.at);
		write("\n", 1);
	}
	live_leave(state, NULL, 0);
}
