// SPDX-License-Identifier: MIT
/*
 * Serial line and screen as one. The lock belongs to a CPU, not to a call: who comes again on the same
 * CPU, from an NMI or an exception, goes ahead; and who has waited for too long takes it, because the
 * owner may be dead and what is to be said may be why.
 */
#include "internal.h"
#include "../../mm/base/report.h"

#define PATIENCE 20000000
#define RING 256
#define DRAW_CELLS 400
#define DRAW_EVERY_NS 30000000ul

static _Atomic(unsigned long) owner; /* CPU + 1 */
static uint64_t drawn; /* when the screen was last drawn */

static struct {
	struct spin lock;
	unsigned int head, tail; /* characters are from tail up to head, modulo RING */
	uint8_t buf[RING];
} ring;

static bool serial_off;
static void (*input_fn)(void);

static bool try_lock(void)
{
	unsigned long none = 0;

	return atomic_compare_exchange_strong_explicit(&owner, &none, arch_cpu_id() + 1ul,
						       memory_order_acquire, memory_order_relaxed);
}

/* "console=serial" or "console=screen" leaves the other one alone, if there is a screen. */
void console_init(void)
{
	char value[8] = "";

	(void)arch_param("console", value, sizeof(value));
	if (memcmp(value, "serial", 7))
		screen_init();
	serial_off = boot_info.fb.phys && !memcmp(value, "screen", 7);
}

/*
 * Return: whether the lock is to be given back. Interrupts are off. A late owner that gives back what
 * was taken from it lets two write at once, no worse.
 */
static bool lock(void)
{
	unsigned long me = arch_cpu_id() + 1ul;

	for (int i = 0; i < PATIENCE; i++) {
		if (try_lock())
			return true;
		if (atomic_load_explicit(&owner, memory_order_relaxed) == me)
			return false;
		arch_relax();
	}
	atomic_store_explicit(&owner, me, memory_order_relaxed);
	return true;
}

/* For a panic: whoever had the lock has been halted. */
void console_take_over(void)
{
	atomic_store_explicit(&owner, arch_cpu_id() + 1ul, memory_order_relaxed);
}

static void unlock(void)
{
	atomic_store_explicit(&owner, 0, memory_order_release);
}

/* Now if it is time, else by the timer; a part at a time. */
static void draw_if_due(void)
{
	uint64_t now = arch_now();
	bool more = screen_draw(0);

	if (more && now - drawn >= DRAW_EVERY_NS) {
		more = screen_draw(DRAW_CELLS);
		drawn = now;
	}
	if (more)
		timer_draw_later(DRAW_EVERY_NS);
}

void arch_console_write(const char *text, size_t len)
{
	unsigned long state = arch_irq_save();
	bool locked = lock();

	if (!serial_off)
		serial_write(text, len);
	screen_write(text, len);
	if (locked) {
		draw_if_due();
		unlock();
	}
	arch_irq_restore(state);
}

void arch_print(const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	mw_vformat(text, sizeof(text), format, args);
	va_end(args);
	for (size_t n = 0;; n++) {
		if (text[n])
			continue;
		arch_console_write(text, n);
		return;
	}
}

/* From the timer. Whoever has the lock just now will draw, or ask for the timer again. */
void console_draw(void)
{
	if (!try_lock())
		return;
	draw_if_due();
	unlock();
}

/* Draw all that is to be seen; the last thing before the end. */
void console_flush(void)
{
	bool locked = lock();

	(void)screen_draw(SIZE_MAX);
	if (locked)
		unlock();
}

/* What does not fit is lost. */
void console_input(int c)
{
	unsigned long state = spin_lock(&ring.lock);

	if (ring.head - ring.tail < RING)
		ring.buf[ring.head++ % RING] = (uint8_t)c;
	spin_unlock(&ring.lock, state);
	if (input_fn)
		input_fn();
}

int arch_console_read(void)
{
	unsigned long state = spin_lock(&ring.lock);
	int c = -1;

	if (ring.head != ring.tail)
		c = ring.buf[ring.tail++ % RING];
	else
		c = serial_read();
	spin_unlock(&ring.lock, state);
	return c;
}

void arch_on_input(void (*fn)(void))
{
	input_fn = fn;
}
