// SPDX-License-Identifier: MIT
/*
 * What the demo kernel provides to Marrow, but for stopping the world (stop.c), its roots (roots.c),
 * its workers (workers.c), and the four short functions that arch/ gives as a header.
 */
#include <stdatomic.h>
#include <marrow/port.h>
#include "kernel.h"
#include "live.h"
#include "thread.h"

static struct {
	_Atomic(unsigned long) released, reported, reclaimed; /* bytes */
	atomic_bool protected;
} counts;

/* ---- level 0 ---- */

_Noreturn void mw_port_panic(const char *why)
{
	tests_panicked(why);
	arch_panic(why);
}

static const struct thread *_Atomic mute;

void port_mute(bool on)
{
	atomic_store_explicit(&mute, on ? thread_current() : NULL, memory_order_relaxed);
}

void mw_port_write(const char *text, size_t len)
{
	const struct thread *silent = atomic_load_explicit(&mute, memory_order_relaxed);

	if (!silent || silent != thread_current() || arch_in_interrupt())
		live_write(text, len);
}

/* ---- level 2 ---- */

uint64_t mw_port_now(void)
{
	return arch_now();
}

/* ---- level 3 ---- */

size_t mw_port_backtrace(uintptr_t *pcs, size_t max)
{
	size_t n = arch_backtrace((uintptr_t)__builtin_frame_address(0), pcs, max);

	__asm__ volatile(""
			 :
			 :
			 : "memory"); /* no tail call: this frame is the first of the chain */
	return n;
}

bool mw_port_symbol(uintptr_t pc, char *text, size_t size)
{
	uintptr_t off;
	const char *name = kernel_symbol(pc, &off);

	if (name)
		mw_format(text, size, "%s+0x%lx", name, (unsigned long)off);
	return name;
}

bool mw_port_protect(void *page, size_t len, bool fault)
{
	if (fault)
		atomic_store_explicit(&counts.protected, true, memory_order_relaxed);
	return arch_page_protect(page, len, fault ? ARCH_PROT_NONE : ARCH_PROT_WRITE);
}

/*
 * To the host, if it takes them. When that returns it is done with them: no later access can lose anything,
 * and wanting them back takes no more than touching them. They need not be zeros then.
 */
bool mw_port_release(void *page, size_t len)
{
	if (arch_report_free(page, len))
		atomic_fetch_add_explicit(&counts.reported, len, memory_order_relaxed);
	atomic_fetch_add_explicit(&counts.released, len, memory_order_relaxed);
	return false;
}

bool mw_port_reclaim(void *page, size_t len)
{
	(void)page;
	atomic_fetch_add_explicit(&counts.reclaimed, len, memory_order_relaxed);
	return true;
}

bool mw_port_dirty_start(void *page, size_t len)
{
	return arch_dirty_start(page, len);
}

void *mw_port_dirty_next(void *from, void *end)
{
	return arch_dirty_next(from, end);
}

bool port_has_protected(void)
{
	return atomic_load_explicit(&counts.protected, memory_order_relaxed);
}

void port_counts(struct port_counts *out)
{
	out->released = atomic_load_explicit(&counts.released, memory_order_relaxed);
	out->reported = atomic_load_explicit(&counts.reported, memory_order_relaxed);
	out->reclaimed = atomic_load_explicit(&counts.reclaimed, memory_order_relaxed);
}
