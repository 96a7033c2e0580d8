// SPDX-License-Identifier: MIT
/*
 * C++: operator new and delete, all twenty. The C++ library's own would come to malloc() and free() as
 * well, but it drops the size that a delete brings; here a wrong one is a misuse.
 *
 * The defaults of most of them are to call another one: delete with a size the one without, for arrays
 * the one for single objects. A program may replace any, and counts on that. So these only do
 * something where every one of them, and malloc and free, lead here; else they hand on to the C++
 * library's, as they do when there is no memory: it knows the new-handler and how to throw.
 *
 * Names that the program may replace are looked up by the dynamic linker: this file is built so that the
 * compiler does not take them for its own.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <marrow/port.h>
#include "preload_fast.h"

/* Of 32 bits, size_t is another letter in their names: there C++ comes by malloc() and free(). */
#if __SIZEOF_SIZE_T__ == 8 && !defined(__APPLE__)

typedef void any_function(void);
typedef const void *tag_t; /* a reference to std::nothrow */

static _Atomic(unsigned char) known; /* what look() found out; 0: nobody has asked yet */
#define OURS 1
#define OTHERS 2

static MW_NOINLINE bool look(void);

static inline bool all_ours(void)
{
	return mw_likely(atomic_load_explicit(&known, memory_order_relaxed) == OURS) || look();
}

static MW_NOINLINE any_function *next(const char *name)
{
	any_function *found;
	void *library;

	*(void **)&found = dlsym(RTLD_NEXT, name);
	if (found)
		return found;
	/* It came later, by dlopen(), and not for everybody. */
	library = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_NOLOAD);
	if (!library)
		library = dlopen("libc++.so.1", RTLD_NOW | RTLD_NOLOAD);
	if (library)
		*(void **)&found = dlsym(library, name);
	if (!found)
		mw_port_panic("no C++ library to fail by");
	return found;
}

static inline void *take(size_t size, size_t align)
{
	if (align <= MIN_ALIGN) {
		struct mw_cpu *cpu = preload_self.cpu;
		void *p = quick_alloc(size, cpu);

		return mw_likely(p) ? p : preload_other_alloc(size, cpu);
	}
	return mw_is_pow2(align) ? preload_own_memalign(align, size) : NULL;
}

#define NEW(name, params, args, align)                                                             \
	PRELOAD_API void *name params;                                                             \
	PRELOAD_OWN(name)                                                                          \
	PRELOAD_API void *name params                                                              \
	{                                                                                          \
		void *p = mw_likely(all_ours()) ? take(size, align) : NULL;                        \
                                                                                                   \
		return mw_likely(p) ? p : ((void *(*)params)next(#name))args;                      \
	}

#define DELETE(name, params, args, how)                                                            \
	PRELOAD_API void name params;                                                              \
	PRELOAD_OWN(name)                                                                          \
	PRELOAD_API void name params                                                               \
	{                                                                                          \
		if (mw_likely(all_ours()))                                                         \
			how;                                                                       \
		else                                                                               \
			((void(*) params)next(#name)) args;                                        \
	}

/* clang-format off */
#define PAIR(MACRO, one, array, ...) MACRO(one, __VA_ARGS__) MACRO(array, __VA_ARGS__)
PAIR(NEW, _Znwm, _Znam, (size_t size), (size), 0)
PAIR(NEW, _ZnwmRKSt9nothrow_t, _ZnamRKSt9nothrow_t, (size_t size, tag_t tag), (size, tag), 0)
PAIR(NEW, _ZnwmSt11align_val_t, _ZnamSt11align_val_t, (size_t size, size_t align), (size, align), align)
PAIR(NEW, _ZnwmSt11align_val_tRKSt9nothrow_t, _ZnamSt11align_val_tRKSt9nothrow_t,
     (size_t size, size_t align, tag_t tag), (size, align, tag), align)

PAIR(DELETE, _ZdlPv, _ZdaPv, (void *p), (p), preload_own_free(p))
PAIR(DELETE, _ZdlPvm, _ZdaPvm, (void *p, size_t size), (p, size), preload_own_free_sized(p, size))
PAIR(DELETE, _ZdlPvRKSt9nothrow_t, _ZdaPvRKSt9nothrow_t, (void *p, tag_t tag), (p, tag), preload_own_free(p))
PAIR(DELETE, _ZdlPvSt11align_val_t, _ZdaPvSt11align_val_t, (void *p, size_t align), (p, align), preload_own_free(p))
PAIR(DELETE, _ZdlPvmSt11align_val_t, _ZdaPvmSt11align_val_t, (void *p, size_t size, size_t align),
     (p, size, align), preload_own_free_aligned_sized(p, align, size))
PAIR(DELETE, _ZdlPvSt11align_val_tRKSt9nothrow_t, _ZdaPvSt11align_val_tRKSt9nothrow_t,
     (void *p, size_t align, tag_t tag), (p, align, tag), preload_own_free(p))

/* Where the dynamic linker leads, and where it should: those that others are defined by. */
#define BASE(name) { (any_function *)name, (any_function *)preload_own_##name }
static const volatile struct {
	any_function *seen, *own;
} bases[] = {
	BASE(malloc), BASE(free),
	BASE(_Znwm), BASE(_Znam), BASE(_ZnwmSt11align_val_t), BASE(_ZnamSt11align_val_t),
	BASE(_ZdlPv), BASE(_ZdaPv), BASE(_ZdlPvSt11align_val_t), BASE(_ZdaPvSt11align_val_t),
};
/* clang-format on */

static MW_NOINLINE bool look(void)
{
	unsigned char answer = atomic_load_explicit(&known, memory_order_relaxed);

	if (!answer) {
		answer = OURS;
		for (size_t i = 0; i < MW_LEN(bases); i++)
			answer = bases[i].seen == bases[i].own ? answer : OTHERS;
		atomic_store_explicit(&known, answer, memory_order_relaxed);
	}
	return answer == OURS;
}

#endif
