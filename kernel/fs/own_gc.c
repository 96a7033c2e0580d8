// SPDX-License-Identifier: MIT
/* Objects of a collected world: where their pointers are, and nothing about their ends. */
#include <marrow/gc.h>
#include "fs.h"

#if MW_GC

static struct mw_type types[NR_KINDS] = {
	[KIND_INODE] = MW_TYPE(struct inode, MW_PTR(struct inode, data),
			       MW_PTR(struct inode, entries), MW_PTR(struct inode, parent),
			       MW_PTR(struct inode, mounted), MW_PTR(struct inode, device)),
	[KIND_DATA] = MW_TYPE(struct data, MW_FLEX_PTRS(struct data, block)),
	[KIND_ENTRY] = MW_TYPE(struct entry, MW_PTR(struct entry, next), MW_PTR(struct entry, dir),
			       MW_PTR(struct entry, inode)),
	[KIND_FILE] = MW_TYPE(struct file, MW_PTR(struct file, inode), MW_PTR(struct file, entry),
			      MW_PTR(struct file, owner)),
	[KIND_TASK] = MW_TYPE(struct task, MW_PTR(struct task, cwd), MW_PTRS(struct task, files),
			      MW_PTR(struct task, next)),
	[KIND_PIPE] = MW_TYPE_PLAIN(struct pipe),
	[KIND_PORT] = MW_TYPE(struct port, MW_PTR(struct port, first), MW_PTR(struct port, last)),
	[KIND_LETTER] =
		MW_TYPE(struct letter, MW_PTR(struct letter, next), MW_PTR(struct letter, message)),
	[KIND_MESSAGE] = MW_TYPE(struct message, MW_PTRS(struct message, refs)),
};

static void *make(enum kind kind, size_t extra)
{
	struct object *object = extra ? mw_new_flex(&types[kind], extra, MW_NORMAL)
				      : mw_new(&types[kind], MW_NORMAL);

	if (object)
		object->kind = kind;
	return object;
}

static void *bytes_new(size_t size)
{
	return mw_alloc(size, MW_NOSCAN);
}

static bool at_end(struct object *object, void (*fn)(void *arg), void *arg)
{
	return mw_cleanup_add(object, fn, arg);
}

static void *weak_new(struct object *object)
{
	return mw_weak_new(object);
}

static void *weak_get(void *weak)
{
	return mw_weak_get(weak);
}

static void weak_free(void *weak)
{
	if (weak)
		mw_weak_free(weak);
}

static void free_early(void *bytes)
{
	(void)bytes;
}

static void settle(void)
{
	(void)mw_gc_collect(MW_COLLECT_SWEPT);
	(void)mw_finalizers_run(SIZE_MAX);
}

static const struct owner collected = {
	.name = "collected",
	.make = make,
	.bytes_new = bytes_new,
	.bytes_free = free_early,
	.at_end = at_end,
	.weak_new = weak_new,
	.weak_get = weak_get,
	.weak_free = weak_free,
	.settle = settle,
};

const struct owner *const own_gc = &collected;

#else

const struct owner *const own_gc = NULL;

#endif
