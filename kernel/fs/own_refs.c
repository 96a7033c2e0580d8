// SPDX-License-Identifier: MIT
/*
 * Objects of a counted world: each has a count of its holders before it, and is released by the last.
 *
 * To release an object drops what it holds, which may release more of them, as many as a path is long:
 * they go on a list of the dead, not on the stack. What is not held but known elsewhere (a "..", the
 * directory of a name, weak references) has to be made to forget the object first.
 */
#include "fs.h"

#define WEAK_CHAINS 256u

struct count {
	atomic_uint holders;
	struct count *dead; /* the next one on the list */
};

static const size_t sizes[NR_KINDS] = {
	[KIND_INODE] = sizeof(struct inode),	 [KIND_DATA] = sizeof(struct data),
	[KIND_ENTRY] = sizeof(struct entry),	 [KIND_FILE] = sizeof(struct file),
	[KIND_TASK] = sizeof(struct task),	 [KIND_PIPE] = sizeof(struct pipe),
	[KIND_PORT] = sizeof(struct port),	 [KIND_LETTER] = sizeof(struct letter),
	[KIND_MESSAGE] = sizeof(struct message),
};

struct weakref {
	struct object *to; /* NULL: gone */
	struct weakref *next;
};

static struct {
	struct spin lock;
	struct weakref *chain[WEAK_CHAINS]; /* by the object's address */
} weak;

static struct count *count_of(const void *object)
{
	return (struct count *)object - 1;
}

static void *object_of(struct count *count)
{
	return count + 1;
}

/* ---- weak references ---- */

static struct weakref **chain_of(const void *object)
{
	return &weak.chain[(uintptr_t)object / 64 % WEAK_CHAINS];
}

static void *weak_new(struct object *object)
{
	struct weakref *ref = mw_alloc(sizeof(*ref), MW_NORMAL);
	unsigned long state;

	if (!ref)
		return NULL;
	state = spin_lock(&weak.lock);
	atomic_store_explicit(&object->watched, true, memory_order_relaxed);
	*ref = (struct weakref){ object, *chain_of(object) };
	*chain_of(object) = ref;
	spin_unlock(&weak.lock, state);
	return ref;
}

static void *weak_get(void *reference)
{
	struct weakref *ref = reference;
	unsigned long state = spin_lock(&weak.lock);
	void *object = hold_living(ref->to);

	spin_unlock(&weak.lock, state);
	return object;
}

static void unlink_ref(struct weakref **at)
{
	struct weakref *ref = *at;

	*at = ref->next;
	*ref = (struct weakref){ NULL, NULL };
}

static void weak_free(void *reference)
{
	struct weakref *ref = reference, **at;
	unsigned long state = spin_lock(&weak.lock);

	if (ref && ref->to) {
		for (at = chain_of(ref->to); *at != ref;)
			at = &(*at)->next;
		unlink_ref(at);
	}
	spin_unlock(&weak.lock, state);
	mw_free(ref);
}

static void forget_weak(struct object *object)
{
	unsigned long state = spin_lock(&weak.lock);
	struct weakref **at = chain_of(object);

	while (*at)
		if ((*at)->to == object)
			unlink_ref(at);
		else
			at = &(*at)->next;
	spin_unlock(&weak.lock, state);
}

/* ---- releases, one for each kind ---- */

static void lose(struct count **dead, void *pointer)
{
	struct count *count;

	if (!pointer)
		return;
	count = count_of(pointer);
	if (atomic_fetch_sub_explicit(&count->holders, 1, memory_order_acq_rel) != 1)
		return;
	count->dead = *dead;
	*dead = count;
}

/* Its ".." would be a directory that is no more. */
static void orphan(struct inode *child, const struct inode *dir)
{
	if (child && child->parent == dir)
		child->parent = NULL;
}

static void release_entries(struct inode *dir, struct count **dead)
{
	struct entry *entry = dir->entries, *next;

	for (; entry; entry = next) {
		unsigned long state = spin_lock(&fs_tree);

		next = entry->next;
		entry->next = NULL;
		entry->dir = NULL;
		orphan(entry->inode, dir);
		spin_unlock(&fs_tree, state);
		lose(dead, entry);
	}
}

static void release_inode(void *object, struct count **dead)
{
	struct inode *inode = object;
	unsigned long state;

	release_entries(inode, dead);
	state = spin_lock(&fs_tree);
	orphan(inode->mounted, inode);
	spin_unlock(&fs_tree, state);
	lose(dead, inode->mounted);
	lose(dead, inode->data);
	lose(dead, inode->device);
}

static void release_data(void *object, struct count **dead)
{
	struct data *data = object;

	(void)dead;
	for (size_t i = 0; i < data->n; i++)
		mw_free(data->block[i]);
}

static void release_entry(void *object, struct count **dead)
{
	struct entry *entry = object;

	lose(dead, entry->inode);
}

static void release_file(void *object, struct count **dead)
{
	struct file *file = object;

	lose(dead, file->inode);
	lose(dead, file->entry);
	lose(dead, file->owner);
}

static void release_task(void *object, struct count **dead)
{
	struct task *task = object;

	for (unsigned int i = 0; i < TASK_FILES; i++)
		lose(dead, task->files[i]);
	lose(dead, task->cwd);
}

static void release_pipe(void *object, struct count **dead)
{
	struct pipe *pipe = object;

	(void)dead;
	channel_give((void *)(uintptr_t)pipe->channel);
}

static void release_port(void *object, struct count **dead)
{
	struct port *port = object;
	struct letter *letter = port->first, *next;

	for (; letter; letter = next) {
		next = letter->next;
		lose(dead, letter);
	}
	channel_give((void *)(uintptr_t)port->channel);
}

static void release_letter(void *object, struct count **dead)
{
	struct letter *letter = object;

	lose(dead, letter->message);
}

static void release_message(void *object, struct count **dead)
{
	struct message *message = object;

	for (unsigned int i = 0; i < MESSAGE_REFS; i++)
		lose(dead, message->refs[i]);
}

static void (*const releases[NR_KINDS])(void *object, struct count **dead) = {
	[KIND_INODE] = release_inode,	  [KIND_DATA] = release_data,
	[KIND_ENTRY] = release_entry,	  [KIND_FILE] = release_file,
	[KIND_TASK] = release_task,	  [KIND_PIPE] = release_pipe,
	[KIND_PORT] = release_port,	  [KIND_LETTER] = release_letter,
	[KIND_MESSAGE] = release_message,
};

/* ---- counts ---- */

void counted_hold(struct object *object)
{
	atomic_fetch_add_explicit(&count_of(object)->holders, 1, memory_order_relaxed);
}

bool counted_hold_living(struct object *object)
{
	atomic_uint *holders = &count_of(object)->holders;
	unsigned int n = atomic_load_explicit(holders, memory_order_relaxed);

	while (n && !atomic_compare_exchange_weak_explicit(holders, &n, n + 1, memory_order_acquire,
							   memory_order_relaxed))
		;
	return n;
}

void counted_drop(struct object *object)
{
	struct count *dead = NULL, *next;

	lose(&dead, object);
	for (; dead; dead = next) {
		object = object_of(dead);
		if (atomic_load_explicit(&object->watched, memory_order_relaxed))
			forget_weak(object);
		next = dead->dead;
		releases[object->kind](object, &next);
		mw_free(dead);
	}
}

static void *make(enum kind kind, size_t extra)
{
	struct count *count = mw_alloc(sizeof(*count) + sizes[kind] + extra, MW_ZERO | MW_POINTERS);
	struct object *object;

	if (!count)
		return NULL;
	atomic_store_explicit(&count->holders, 1, memory_order_relaxed);
	object = object_of(count);
	object->kind = kind;
	object->counted = true;
	return object;
}

static void *bytes_new(size_t size)
{
	return mw_alloc(size, MW_NORMAL);
}

/* The releases above do it. */
static bool at_end(struct object *object, void (*fn)(void *arg), void *arg)
{
	(void)object, (void)fn, (void)arg;
	return true;
}

static void settle(void)
{
}

const struct owner own_refs = {
	.name = "counted",
	.make = make,
	.bytes_new = bytes_new,
	.bytes_free = mw_free,
	.at_end = at_end,
	.weak_new = weak_new,
	.weak_get = weak_get,
	.weak_free = weak_free,
	.settle = settle,
};
