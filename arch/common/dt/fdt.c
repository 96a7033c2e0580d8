// SPDX-License-Identifier: MIT
/* See fdt.h. All numbers are big-endian; everything is looked up by its distance from the first byte. */
#include "fdt.h"

#define MAGIC 0xd00dfeedu
#define HEAD_BYTES 40

enum token {
	NODE_BEGIN = 1,
	NODE_END = 2,
	PROPERTY = 3,
	NOTHING = 4,
	TREE_END = 9,
};

/* The caller has made sure that they are there. */
static uint64_t number_at(const uint8_t *bytes, unsigned int words)
{
	uint64_t number = 0;

	for (unsigned int i = 0; i < 4 * words; i++)
		number = number << 8 | bytes[i];
	return number;
}

size_t fdt_length(const void *bytes)
{
	size_t len = number_at((const uint8_t *)bytes + 4, 1);

	return number_at(bytes, 1) == MAGIC && len >= HEAD_BYTES && len <= FDT_MAX ? len : 0;
}

/* A part of the tree, from @at for @len. Return: its end, or 0 if it does not fit. */
static size_t part_end(const struct fdt *fdt, size_t at, size_t len)
{
	return at <= fdt->len && len <= fdt->len - at ? at + len : 0;
}

bool fdt_open(struct fdt *fdt, const void *bytes, size_t len)
{
	const uint8_t *head = bytes;

	if (len < HEAD_BYTES || !fdt_length(bytes) || fdt_length(bytes) > len)
		return false;
	*fdt = (struct fdt){ .bytes = bytes,
			     .len = fdt_length(bytes),
			     .nodes = number_at(head + 8, 1),
			     .names = number_at(head + 12, 1),
			     .reserved = number_at(head + 16, 1) };
	fdt->nodes_end = part_end(fdt, fdt->nodes, number_at(head + 36, 1));
	fdt->names_end = part_end(fdt, fdt->names, number_at(head + 32, 1));
	return fdt->nodes_end && fdt->names_end;
}

/* Text from @at that ends before @end. Return: its length, or SIZE_MAX. */
static size_t text_length(const struct fdt *fdt, size_t at, size_t end)
{
	for (size_t i = at; i < end; i++)
		if (!fdt->bytes[i])
			return i - at;
	return SIZE_MAX;
}

static size_t round_up(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

struct item {
	enum token token;
	size_t at, len; /* of a node's name, or a property's value */
	size_t name; /* of a property, in the names */
};

/* The token at *@at, which then is behind it. What does not fit ends the tree. */
static struct item next_item(const struct fdt *fdt, size_t *at)
{
	const struct item end = { .token = TREE_END };
	struct item item = { .token = TREE_END };

	if (*at > fdt->nodes_end || fdt->nodes_end - *at < 4)
		return end;
	item.token = (enum token)number_at(fdt->bytes + *at, 1);
	item.at = *at + 4;
	if (item.token == NODE_BEGIN) {
		item.len = text_length(fdt, item.at, fdt->nodes_end);
		if (item.len == SIZE_MAX)
			return end;
		*at = item.at + round_up(item.len + 1);
	} else if (item.token == PROPERTY) {
		if (fdt->nodes_end - item.at < 8)
			return end;
		item.len = number_at(fdt->bytes + item.at, 1);
		item.name = number_at(fdt->bytes + item.at + 4, 1);
		item.at += 8;
		if (item.len > fdt->nodes_end - item.at)
			return end;
		*at = item.at + round_up(item.len);
	} else if (item.token == NODE_END || item.token == NOTHING) {
		*at = item.at;
	} else {
		return end;
	}
	return item;
}

bool fdt_next(const struct fdt *fdt, struct fdt_node *node)
{
	size_t at = node->at ? node->at : fdt->nodes;

	for (;;) {
		struct item item = next_item(fdt, &at);

		if (item.token == TREE_END)
			return false;
		if (item.token == NODE_END && !node->depth--)
			return false;
		if (item.token != NODE_BEGIN)
			continue;
		node->depth++;
		node->at = at;
		node->name = (const char *)fdt->bytes + item.at;
		return true;
	}
}

bool fdt_is(const struct fdt_node *node, const char *name)
{
	const char *mine = node->name;

	while (*name && *mine == *name)
		name++, mine++;
	return !*name && (!*mine || *mine == '@');
}

/* Is the name at @offset of the tree's names this one? */
static bool is_named(const struct fdt *fdt, size_t offset, const char *name)
{
	size_t at = fdt->names + offset;

	if (offset >= fdt->names_end - fdt->names)
		return false;
	for (; at < fdt->names_end && *name && fdt->bytes[at] == (uint8_t)*name; at++)
		name++;
	return at < fdt->names_end && !*name && !fdt->bytes[at];
}

const uint8_t *fdt_find(const struct fdt *fdt, const struct fdt_node *node, const char *name,
			size_t *len)
{
	size_t at = node->at;

	for (;;) {
		struct item item = next_item(fdt, &at);

		if (item.token != PROPERTY && item.token != NOTHING)
			return NULL;
		if (item.token == PROPERTY && is_named(fdt, item.name, name)) {
			*len = item.len;
			return fdt->bytes + item.at;
		}
	}
}

bool fdt_number(const struct fdt *fdt, const struct fdt_node *node, const char *name, size_t index,
		unsigned int words, uint64_t *number)
{
	size_t len;
	const uint8_t *value = fdt_find(fdt, node, name, &len);

	if (!value || index >= len / 4 || words > len / 4 - index)
		return false;
	*number = number_at(value + 4 * index, words);
	return true;
}

const char *fdt_text(const struct fdt *fdt, const struct fdt_node *node, const char *name)
{
	size_t len, at;
	const uint8_t *value = fdt_find(fdt, node, name, &len);

	if (!value)
		return NULL;
	at = (size_t)(value - fdt->bytes);
	return text_length(fdt, at, at + len) == SIZE_MAX ? NULL : (const char *)value;
}

bool fdt_text_is(const struct fdt *fdt, const struct fdt_node *node, const char *name,
		 const char *wanted)
{
	const char *text = fdt_text(fdt, node, name);

	while (text && *wanted && *text == *wanted)
		text++, wanted++;
	return text && !*text && !*wanted;
}

bool fdt_reserved(const struct fdt *fdt, size_t index, uint64_t *start, uint64_t *len)
{
	size_t at;

	if (index >= FDT_MAX / 16 || fdt->reserved > fdt->len)
		return false;
	at = fdt->reserved + 16 * index;
	if (at > fdt->len || fdt->len - at < 16)
		return false;
	*start = number_at(fdt->bytes + at, 2);
	*len = number_at(fdt->bytes + at + 8, 2);
	return *start || *len;
}
