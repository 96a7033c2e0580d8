/* SPDX-License-Identifier: MIT */
/*
 * Where an object's pointers are, as the marker, the dump and the checks read it.
 *
 * A struct mw_type lists fields by name; a layout is what is made of it once: a program of a few
 * steps, however long its arrays are, and, for most types, one word of mask that says it all.
 * Layouts live for ever; a type points to its layout from the first use on.
 */
#ifndef MW_GC_LAYOUT_H
#define MW_GC_LAYOUT_H

#include <marrow/gc.h>
#include "../base/assert.h"
#include "../base/base.h"

#if MW_GC

#define MW_LAYOUT_DEPTH 8 /* arrays of structures inside each other */

enum mw_op {
	MW_OP_POINTERS, /* count words that are pointers or NULL */
	MW_OP_WORDS, /* count words that may be pointers */
	MW_OP_TAGGED, /* count pairs of words */
	MW_OP_LOOP, /* the steps up to the matching next, count times, stride bytes apart */
	MW_OP_NEXT,
	MW_OP_END,
};

struct mw_step {
	enum mw_op op;
	size_t offset; /* bytes, from the beginning of the innermost loop's turn */
	size_t count;
	union {
		size_t stride; /* of MW_OP_LOOP */
		struct {
			uintptr_t mask, match;
		} tag;
	};
};

struct mw_layout {
	const struct mw_type *type;
	size_t size; /* of the fixed part, a multiple of the word size */
	size_t flex; /* offset of the flexible array; SIZE_MAX: none */
	size_t flex_stride;
	bool plain; /* no pointers at all */
	bool by_mask; /* mask tells everything of the fixed part, and there is no flexible one */
	bool dense; /* and every word of it is a pointer */
	bool flex_dense; /* every word of the flexible array is one */
	unsigned long mask; /* bit i: word i is a pointer */
	unsigned int flex_step; /* where its steps begin */
	unsigned int steps; /* with both MW_OP_ENDs */
	struct mw_step step[];
};

/* Every type that has a layout, newest first; only grows. */
struct mw_type *mw_layout_types(void);
/* For mw_reset(): all types are as if never used. */
void mw_layout_reset(void);

/* The layout of @type, made if need be. NULL: reported, or no memory. Not pinned, no locks. */
const struct mw_layout *mw_layout_of(struct mw_type *type);

/* Does an object of @type end in a flexible array? */
bool mw_type_is_flexible(const struct mw_type *type);

/* The name of the field at an offset in an object of @type, "" if there is none. */
const char *mw_field_name(const struct mw_type *type, size_t offset);

/*
 * Forced inline, so that a constant visitor costs no calls; and without a sanitizer, as what it is part
 * of: marks of scopes from here would stay behind in frames that nobody cleans.
 */
#define MW_SCAN_INLINE                                                                             \
	__attribute__((always_inline, no_sanitize("address"), no_sanitize("thread"))) static inline

/* What a scan sees: the address of a word, and whether it must be a pointer. */
typedef void mw_word_fn(void *ctx, uintptr_t *word, bool sure);

/*
 * Run the steps from @at over one turn that begins at @base.
 */
MW_SCAN_INLINE void mw_layout_run(const struct mw_step *at, char *base, mw_word_fn *visit, void *ctx)
{
	struct {
		const struct mw_step *body;
		size_t left, stride;
		char *base;
	} loop[MW_LAYOUT_DEPTH];
	unsigned int depth = 0;

	for (; at->op != MW_OP_END; at++) {
		uintptr_t *word = (uintptr_t *)(base + at->offset);

		if (at->op == MW_OP_LOOP) {
			loop[depth].body = at;
			loop[depth].left = at->count;
			loop[depth].stride = at->stride;
			loop[depth++].base = base;
			base += at->offset;
		} else if (at->op == MW_OP_NEXT) {
			if (--loop[depth - 1].left) {
				base += loop[depth - 1].stride;
				at = loop[depth - 1].body;
			} else {
				base = loop[--depth].base;
			}
		} else if (at->op == MW_OP_TAGGED) {
			for (size_t i = 0; i < at->count; i++)
				if ((word[2 * i] & at->tag.mask) == at->tag.match)
					visit(ctx, &word[2 * i + 1], true);
		} else {
			for (size_t i = 0; i < at->count; i++)
				visit(ctx, &word[i], at->op == MW_OP_POINTERS);
		}
	}
}

/* Is it one object with a flexible array, whose fixed part is all there; or whole objects, one behind the other? */
static inline bool mw_layout_fits(const struct mw_layout *layout, size_t bytes)
{
	if (layout->flex != SIZE_MAX)
		return bytes >= layout->size;
	return !layout->size || bytes % layout->size == 0;
}

/*
 * Every word of [@base, @base + @bytes) that is or may be a pointer: one object, not shorter than its type;
 * or an array of as many whole ones as there is room for.
 */
MW_SCAN_INLINE void mw_layout_each(const struct mw_layout *layout, void *base, size_t bytes,
				   mw_word_fn *visit, void *ctx)
{
	char *at = base, *end = at + bytes;

	if (layout->plain)
		return;
	if (layout->flex != SIZE_MAX) {
		MW_DASSERT(mw_layout_fits(layout, bytes));
		mw_layout_run(layout->step, at, visit, ctx);
		for (at += layout->flex; (size_t)(end - at) >= layout->flex_stride;
		     at += layout->flex_stride)
			mw_layout_run(&layout->step[layout->flex_step], at, visit, ctx);
		return;
	}
	for (; (size_t)(end - at) >= layout->size; at += layout->size) {
		if (!layout->by_mask) {
			mw_layout_run(layout->step, at, visit, ctx);
			continue;
		}
		for (unsigned long mask = layout->mask; mask; mask &= mask - 1)
			visit(ctx, (uintptr_t *)at + mw_lowest_bit(mask), true);
	}
}

#endif
#endif
