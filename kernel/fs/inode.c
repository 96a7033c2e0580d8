// SPDX-License-Identifier: MIT
/* Files: their bytes are blocks that an array points to, which grows as the file does. */
#include "fs.h"

struct inode *inode_new(struct world *world, enum inode_type type)
{
	struct inode *inode = world_new(world, KIND_INODE, 0);

	if (!inode)
		return NULL;
	inode->type = type;
	inode->number = atomic_fetch_add_explicit(&world->numbers, 1, memory_order_relaxed);
	mutex_init(&inode->lock);
	return inode;
}

/* ---- with the inode locked ---- */

/* An array of at least @n blocks, with those there are. Return: false: no memory. */
static bool grow(struct world *world, struct inode *inode, size_t n)
{
	struct data *old = inode->data, *data;
	size_t had = old ? old->n : 0;

	if (n <= had)
		return true;
	n = n > 2 * had ? n : 2 * had;
	data = world_new(world, KIND_DATA, n * sizeof(data->block[0]));
	if (!data)
		return false;
	data->n = n;
	for (size_t i = 0; i < had; i++)
		data->block[i] = old->block[i];
	if (old)
		old->n = 0; /* the blocks are the new one's */
	REPLACE(inode->data, data);
	return true;
}

/* NULL: no memory. */
static char *block_to_write(struct world *world, struct inode *inode, size_t n)
{
	void **block;

	if (!grow(world, inode, n + 1))
		return NULL;
	block = &inode->data->block[n];
	if (!*block) {
		*block = world->owner->bytes_new(BLOCK_SIZE);
		if (*block)
			memset(*block, 0, BLOCK_SIZE);
	}
	return *block;
}

static size_t part_of_block(size_t at, size_t n)
{
	size_t room = BLOCK_SIZE - at % BLOCK_SIZE;

	return n < room ? n : room;
}

static size_t read(const struct inode *inode, size_t at, char *to, size_t n)
{
	size_t done = 0, part;

	if (at >= inode->size)
		return 0;
	n = n < inode->size - at ? n : inode->size - at;
	for (; done < n; done += part) {
		const char *block = inode->data->block[(at + done) / BLOCK_SIZE];

		part = part_of_block(at + done, n - done);
		if (block)
			memcpy(to + done, block + (at + done) % BLOCK_SIZE, part);
		else
			memset(to + done, 0, part);
	}
	return done;
}

static size_t write(struct world *world, struct inode *inode, size_t at, const char *from, size_t n)
{
	size_t done = 0, part;

	for (; done < n; done += part) {
		char *block = block_to_write(world, inode, (at + done) / BLOCK_SIZE);

		if (!block)
			break;
		part = part_of_block(at + done, n - done);
		memcpy(block + (at + done) % BLOCK_SIZE, from + done, part);
	}
	if (at + done > inode->size && done)
		inode->size = at + done;
	return done;
}

/* ---- and without ---- */

size_t inode_read(struct inode *inode, size_t at, void *to, size_t n)
{
	mutex_lock(&inode->lock);
	n = read(inode, at, to, n);
	mutex_unlock(&inode->lock);
	return n;
}

size_t inode_write(struct world *world, struct inode *inode, size_t at, const void *from, size_t n)
{
	mutex_lock(&inode->lock);
	n = write(world, inode, at, from, n);
	mutex_unlock(&inode->lock);
	return n;
}

void inode_truncate(struct inode *inode)
{
	mutex_lock(&inode->lock);
	inode->size = 0;
	REPLACE(inode->data, NULL);
	mutex_unlock(&inode->lock);
}
