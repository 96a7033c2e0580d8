/* SPDX-License-Identifier: MIT */
/*
 * From a type's fields to its layout: see layout.h.
 *
 * The fields are walked twice by the same code, once to count the steps and once to write them, with
 * a stack of fixed depth instead of recursion. Two CPUs may make the same layout at once; the first to
 * store it wins, and the other one's bytes are lost, which happens at most once for each pair.
 */
#include "layout.h"

#if MW_GC

#include "../base/meta.h"
#include "../base/report.h"
#include "../object/up.h"

#define WORD sizeof(uintptr_t)

static struct mw_type *_Atomic types;

struct builder {
	struct mw_step *step; /* NULL while counting */
	unsigned int steps;
	const char *wrong; /* the first thing that cannot be, and where */
	const char *wrong_field;
};

static void emit(struct builder *b, struct mw_step step)
{
	if (b->step)
		b->step[b->steps] = step;
	b->steps++;
}

static bool refuse(struct builder *b, const struct mw_field *f, const char *why)
{
	b->wrong = why;
	b->wrong_field = f->name;
	return false;
}

/* Bytes that a field takes; 0 if it is empty or they overflow. */
static size_t field_bytes(const struct mw_field *f)
{
	size_t each = f->kind == MW_FIELD_STRUCT   ? f->type->size
		      : f->kind == MW_FIELD_TAGGED ? 2 * WORD
						   : WORD;
	size_t bytes;

	return mw_mul_overflows(each, f->count, &bytes) ? 0 : bytes;
}

static bool field_fits(struct builder *b, const struct mw_type *type, const struct mw_field *f)
{
	bool repeats = f->kind == MW_FIELD_FLEX || f->count > 1;
	size_t bytes;

	if (f->offset % WORD)
		return refuse(b, f, "is not aligned to words");
	if (f->kind == MW_FIELD_STRUCT && !f->type)
		return refuse(b, f, "is a structure without a type");
	if (f->type && repeats && (!f->type->size || f->type->size % WORD))
		return refuse(b, f, "repeats a type that is not whole words");
	bytes = f->kind == MW_FIELD_FLEX ? 0 : field_bytes(f);
	if (f->kind != MW_FIELD_FLEX && !bytes)
		return refuse(b, f, "has no size, or one that overflows");
	if (f->offset > type->size || bytes > type->size - f->offset)
		return refuse(b, f, "ends behind its type");
	return true;
}

struct frame {
	const struct mw_type *type;
	size_t field;
	size_t base; /* added to its fields' offsets */
	bool looped;
};

/* Go into a structure; an array of them is a loop, whose turns count offsets from their own start. */
static bool enter(struct builder *b, struct frame *stack, unsigned int *depth,
		  const struct mw_field *f)
{
	size_t base = stack[*depth].base + f->offset;

	if (*depth == MW_LAYOUT_DEPTH)
		return refuse(b, f, "is nested too deep");
	if (f->count > 1)
		emit(b, (struct mw_step){
				.op = MW_OP_LOOP,
				.offset = base,
				.count = f->count,
				.stride = f->type->size,
			});
	stack[++*depth] = (struct frame){
		.type = f->type,
		.base = f->count > 1 ? 0 : base,
		.looped = f->count > 1,
	};
	return true;
}

static void emit_words(struct builder *b, const struct mw_field *f, size_t base)
{
	struct mw_step step = {
		.op = f->kind == MW_FIELD_POINTER ? MW_OP_POINTERS : MW_OP_WORDS,
		.offset = base + f->offset,
		.count = f->count,
	};

	if (f->kind == MW_FIELD_TAGGED) {
		step.op = MW_OP_TAGGED;
		step.tag.mask = f->mask;
		step.tag.match = f->match;
	}
	emit(b, step);
}

/*
 * The steps of one turn of @type. @flex: its one flexible array; no other may be in it, nor in what is in it, as
 * nothing says where that would end.
 */
static void build(struct builder *b, const struct mw_type *type, const struct mw_field *flex)
{
	struct frame stack[MW_LAYOUT_DEPTH + 1] = { { .type = type } };
	unsigned int depth = 0;

	for (;;) {
		struct frame *top = &stack[depth];
		const struct mw_field *f;

		if (top->field == top->type->field_count) {
			if (top->looped)
				emit(b, (struct mw_step){ .op = MW_OP_NEXT });
			if (!depth--)
				break;
			continue;
		}
		f = &top->type->fields[top->field++];
		if (!field_fits(b, top->type, f))
			return;
		if (f->kind == MW_FIELD_FLEX) {
			if (depth || f != flex) {
				refuse(b, f, "is flexible, and not the only one of its object");
				return;
			}
		} else if (f->kind == MW_FIELD_STRUCT) {
			if (!enter(b, stack, &depth, f))
				return;
		} else {
			emit_words(b, f, top->base);
		}
	}
	emit(b, (struct mw_step){ .op = MW_OP_END });
}

static const struct mw_field *flexible(const struct mw_type *type)
{
	for (size_t i = 0; i < type->field_count; i++)
		if (type->fields[i].kind == MW_FIELD_FLEX)
			return &type->fields[i];
	return NULL;
}

bool mw_type_is_flexible(const struct mw_type *type)
{
	return flexible(type) != NULL;
}

static const struct mw_field one_pointer = { .name = "[]", .kind = MW_FIELD_POINTER, .count = 1 };
static const struct mw_type pointers = {
	.name = "pointers",
	.size = WORD,
	.fields = &one_pointer,
	.field_count = 1,
};

/* Both programs, the fixed part's and the flexible array's; steps are counted if b->step is NULL. */
static void build_all(struct builder *b, const struct mw_type *type, unsigned int *flex_step)
{
	const struct mw_field *flex = flexible(type);

	build(b, type, flex);
	*flex_step = b->steps;
	if (flex && !b->wrong)
		build(b, flex->type ? flex->type : &pointers, NULL);
}

/* Make the mask, if the fixed part is nothing but pointers in its first words. */
static void summarize(struct mw_layout *layout)
{
	const struct mw_step *at = layout->step;

	layout->plain = at->op == MW_OP_END && layout->flex == SIZE_MAX;
	layout->by_mask = layout->flex == SIZE_MAX;
	for (; at->op != MW_OP_END && layout->by_mask; at++) {
		size_t first = at->offset / WORD;

		if (at->op != MW_OP_POINTERS || at->count > MW_WORD_BITS ||
		    first > MW_WORD_BITS - at->count)
			layout->by_mask = false;
		else
			layout->mask |= (~0ul >> (MW_WORD_BITS - at->count)) << first;
	}
	layout->dense = layout->by_mask && !layout->plain &&
			mw_count_bits(layout->mask) * WORD == layout->size;
	at = &layout->step[layout->flex_step];
	layout->flex_dense = layout->flex != SIZE_MAX && at->op == MW_OP_POINTERS && !at->offset &&
			     at->count * WORD == layout->flex_stride;
}

static const struct mw_layout *complain(const struct mw_type *type, const struct builder *b)
{
	char text[160];
	struct mw_report report = { .what = MW_BAD_REQUEST, .text = text, .address = type };

	mw_format(text, sizeof(text), "type %s: field %s %s", type->name, b->wrong_field, b->wrong);
	mw_misuse(&report);
	return NULL;
}

MW_NOINLINE static const struct mw_layout *make(struct mw_type *type)
{
	struct builder b = { 0 };
	const struct mw_field *flex;
	const void *none = NULL;
	struct mw_layout *layout;
	unsigned int flex_step;

	build_all(&b, type, &flex_step);
	if (b.wrong)
		return complain(type, &b);
	layout = mw_persist(sizeof(*layout) + b.steps * sizeof(b.step[0]), sizeof(void *),
			    MW_USE_COLLECTOR);
	if (!layout)
		return NULL;
	flex = flexible(type);
	layout->type = type;
	layout->size = mw_round_up(type->size, WORD);
	layout->flex = flex ? flex->offset : SIZE_MAX;
	layout->flex_stride = flex && flex->type ? flex->type->size : WORD;
	layout->flex_step = flex_step;
	layout->steps = b.steps;
	b = (struct builder){ .step = layout->step };
	build_all(&b, type, &flex_step);
	summarize(layout);
	if (!atomic_compare_exchange_strong_explicit(&type->layout, &none, layout,
						     memory_order_acq_rel, memory_order_acquire))
		return none;
	type->next = atomic_load_explicit(&types, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&types, &type->next, type,
						      memory_order_release, memory_order_relaxed))
		;
	return layout;
}

struct mw_type *mw_layout_types(void)
{
	return atomic_load_explicit(&types, memory_order_acquire);
}

void mw_layout_reset(void)
{
	struct mw_type *type = mw_layout_types();

	for (; type; type = type->next) {
		atomic_store_explicit(&type->layout, NULL, memory_order_relaxed);
		atomic_store_explicit(&type->cache, NULL, memory_order_relaxed);
		atomic_store_explicit(&type->arrays, NULL, memory_order_relaxed);
	}
	atomic_store_explicit(&types, NULL, memory_order_relaxed);
}

const struct mw_layout *mw_layout_of(struct mw_type *type)
{
	const struct mw_layout *layout = atomic_load_explicit(&type->layout, memory_order_acquire);

	return mw_likely(layout) ? layout : make(type);
}

bool mw_up_type_fits(const struct mw_type *type, size_t size)
{
	return size >= type->size;
}

const char *mw_field_name(const struct mw_type *type, size_t offset)
{
	const struct mw_field *best = NULL;

	for (size_t i = 0; i < type->field_count; i++) {
		const struct mw_field *f = &type->fields[i];

		if (f->offset <= offset && (!best || f->offset >= best->offset))
			best = f;
	}
	return best ? best->name : "";
}

#endif
