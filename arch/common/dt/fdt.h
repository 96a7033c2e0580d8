/* SPDX-License-Identifier: MIT */
/*
 * A reader of flattened device trees. It believes nothing: what does not fit into the tree's own bytes is not
 * there, and a tree may be of any bytes at all.
 */
#ifndef ARCH_COMMON_DT_FDT_H
#define ARCH_COMMON_DT_FDT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FDT_MAX (1ul << 20) /* bytes of a whole tree */

struct fdt {
	const uint8_t *bytes;
	size_t len;
	size_t nodes, nodes_end; /* from where to where, in bytes */
	size_t names, names_end;
	size_t reserved;
};

struct fdt_node {
	size_t at, depth; /* its properties; the root is at depth 1. All 0: before the root */
	const char *name;
};

/* The length that a tree at @bytes claims, at most FDT_MAX; 0: it is none. Reads 8 bytes. */
size_t fdt_length(const void *bytes);
/* Return: false if these @len bytes are no tree. */
bool fdt_open(struct fdt *fdt, const void *bytes, size_t len);

/* The next node in the order of the tree. Return: false: no more. */
bool fdt_next(const struct fdt *fdt, struct fdt_node *node);
/* Does it have that name, in front of its "@"? */
bool fdt_is(const struct fdt_node *node, const char *name);

/* Return: the property's bytes, @len of them; NULL: the node has none of that name. */
const uint8_t *fdt_find(const struct fdt *fdt, const struct fdt_node *node, const char *name,
			size_t *len);
/* The number in the property that begins at its @index-th word of 32 bits, and has @words of them. Return: false: not there. */
bool fdt_number(const struct fdt *fdt, const struct fdt_node *node, const char *name, size_t index,
		unsigned int words, uint64_t *number);
/* The property as text. Return: NULL: not there, or it does not end. */
const char *fdt_text(const struct fdt *fdt, const struct fdt_node *node, const char *name);

/* Is the property this text, up to its first end? */
bool fdt_text_is(const struct fdt *fdt, const struct fdt_node *node, const char *name,
		 const char *wanted);

/* The @index-th range that the tree's head keeps from everybody. Return: false: no more. */
bool fdt_reserved(const struct fdt *fdt, size_t index, uint64_t *start, uint64_t *len);

#endif
