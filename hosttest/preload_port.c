// SPDX-License-Identifier: MIT
/* The port for a preloaded malloc. Nothing here allocates, and errno is as it was before. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>
#include <marrow/port.h>
#include "preload.h"
#include "../mm/base/report.h"

_Noreturn void mw_port_panic(const char *why)
{
	static const char who[] = "marrow: ";

	mw_port_write(who, sizeof(who) - 1);
	mw_port_write(why, strlen(why));
	mw_port_write("\n", 1);
	abort();
}

void mw_port_write(const char *text, size_t len)
{
	int saved = errno;

	while (len) {
		ssize_t n = write(STDERR_FILENO, text, len);

		if (n <= 0 && errno != EINTR)
			break;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	errno = saved;
}

/* A spin loop's turn: mostly a pause; now and then the processor goes to whom we may be waiting for. */
void preload_yield(void)
{
	static __thread unsigned int turns __attribute__((tls_model("initial-exec")));

#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
	if (!(++turns & 63))
		sched_yield();
}

#if !MW_GC
/*
 * There is no way to stop other threads between two of their calls without a cost on each call, so
 * the answer is always that somebody did not stop.
 */
int mw_port_stop_world(void)
{
	return 0;
}

void mw_port_start_world(void)
{
}

void mw_port_run_stopped(void (*fn)(unsigned int worker, void *arg), void *arg)
{
	fn(0, arg);
}

void mw_port_scan_roots(mw_root_visit_fn *visit, void *ctx)
{
	(void)visit, (void)ctx;
}

void mw_port_wake(enum mw_worker worker)
{
	(void)worker;
}
#endif

uint64_t mw_port_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct walk {
	uintptr_t *pcs;
	size_t n, max;
};

static _Unwind_Reason_Code walk_step(struct _Unwind_Context *frame, void *arg)
{
	struct walk *walk = arg;

	if (walk->n == walk->max)
		return _URC_END_OF_STACK;
	walk->pcs[walk->n++] = _Unwind_GetIP(frame);
	return _URC_NO_REASON;
}

size_t mw_port_backtrace(uintptr_t *pcs, size_t max)
{
	struct walk walk = { .pcs = pcs, .max = max };

	_Unwind_Backtrace(walk_step, &walk);
	return walk.n;
}

/* The function if its library exports it, else the library and the offset that addr2line wants. */
bool mw_port_symbol(uintptr_t pc, char *text, size_t size)
{
	const char *name, *slash;
	Dl_info info;
	bool named;

	if (!dladdr((void *)pc, &info) || !info.dli_fname)
		return false;
	named = info.dli_sname;
	slash = strrchr(info.dli_fname, '/');
	name = named ? info.dli_sname : slash ? slash + 1 : info.dli_fname;
	mw_format(text, size, "%s+0x%lx", name,
		  (unsigned long)(pc - (uintptr_t)(named ? info.dli_saddr : info.dli_fbase)));
	return true;
}

bool mw_port_protect(void *page, size_t len, bool fault)
{
	int saved = errno;
	bool done = !mprotect(page, len, fault ? PROT_NONE : PROT_READ | PROT_WRITE);

	errno = saved;
	return done;
}

bool mw_port_release(void *page, size_t len)
{
	int saved = errno;
	bool done = !madvise(page, len, MADV_DONTNEED);

	errno = saved;
	return done;
}

bool mw_port_reclaim(void *page, size_t len)
{
	(void)page, (void)len;
	return true;
}

bool mw_port_dirty_start(void *page, size_t len)
{
	(void)page, (void)len;
	return false;
}

void *mw_port_dirty_next(void *from, void *end)
{
	(void)from, (void)end;
	return NULL;
}
