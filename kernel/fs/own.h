/* SPDX-License-Identifier: MIT */
/*
 * Who ends an object of the file system: the collector, or the last of its holders.
 *
 * Both ways are linked, and each world (fs.h) takes one when it begins. The code above is the same
 * for both and follows the rules of the stricter one:
 *
 *	- what a function returns, or stores in an object, is held: hold() when a reference is
 *	  copied, drop() when it ends; make() gives the first one
 *	- what must not be held, or it would be a ring that never ends (a directory's "..", an
 *	  entry's directory), is looked at with fs_tree held, and taken by hold_living()
 *	- rings that cannot be avoided are broken by hand when their user says so
 *
 * In a collected world hold() and drop() look at one byte and do nothing, rings are of no concern, and
 * what is forgotten is swept. own_gc.c and own_refs.c are the two.
 */
#ifndef KERNEL_FS_OWN_H
#define KERNEL_FS_OWN_H

#include "kernel.h"

enum kind {
	KIND_INODE,
	KIND_DATA,
	KIND_ENTRY,
	KIND_FILE,
	KIND_TASK,
	KIND_PIPE,
	KIND_PORT,
	KIND_LETTER,
	KIND_MESSAGE,
	NR_KINDS,
};

/* The first thing in each of them. */
struct object {
	uint8_t kind; /* enum kind */
	bool counted; /* by its holders; else collected */
	atomic_bool watched; /* counted, and weak references know it */
};

struct owner {
	const char *name;
	/* Zeroed, with @extra bytes behind what the kind has. NULL: no memory. */
	void *(*make)(enum kind kind, size_t extra);
	/* Memory without pointers, not zeroed, of one object alone. */
	void *(*bytes_new)(size_t size);
	void (*bytes_free)(void *bytes); /* early; it would end with the object */
	/* Call fn(arg) when the object is gone, if its release does not do it. False: no memory. */
	bool (*at_end)(struct object *object, void (*fn)(void *arg), void *arg);
	/* References that do not keep their object. NULL: no memory. */
	void *(*weak_new)(struct object *object);
	void *(*weak_get)(void *weak); /* held, or NULL: it is gone; does not wait */
	void (*weak_free)(void *weak); /* NULL does nothing */
	/* All that nobody holds is gone when it returns. */
	void (*settle)(void);
};

extern const struct owner own_refs;
extern const struct owner *const own_gc; /* NULL without a collector */

void counted_hold(struct object *object);
bool counted_hold_living(struct object *object);
void counted_drop(struct object *object);

/* NULL is allowed in all of them. Return: @pointer. */
static inline void *hold(void *pointer)
{
	struct object *object = pointer;

	if (object && object->counted)
		counted_hold(object);
	return pointer;
}

/* The same for an object that may have lost its last holder already: NULL then. */
static inline void *hold_living(void *pointer)
{
	struct object *object = pointer;

	return object && object->counted && !counted_hold_living(object) ? NULL : pointer;
}

static inline void drop(void *pointer)
{
	struct object *object = pointer;

	if (object && object->counted)
		counted_drop(object);
}

/* Store a reference that is held already, and drop what was there. */
#define REPLACE(place, pointer)                                                                    \
	do {                                                                                       \
		void *replaced_ = (place);                                                         \
		(place) = (pointer);                                                               \
		drop(replaced_);                                                                   \
	} while (0)

#endif
