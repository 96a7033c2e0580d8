// SPDX-License-Identifier: MIT
/*
 * make_heap FOLDER: a small heap that is known to the last edge, written there as one.dump, and as
 * two.dump after some of it went and some came; its profile as heap.pb, heap.txt, heap.folded. What
 * readers must find is printed, a line each: scripts/heapdump_test.py reads both.
 *
 *	object DUMP ADDRESS SIZE LABEL
 *	edge DUMP ADDRESS NAME ADDRESS
 *	root DUMP NAME ADDRESS
 *	profile MADE LIVE BYTES
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <marrow/gc.h>
#include <marrow/mm.h>
#include <marrow/watch.h>

#define BYTES ((size_t)64 << 20)
#define FILES 20

struct extent {
	uintptr_t first;
	void *page;
};

struct inode {
	uintptr_t number;
	struct extent extent[3];
	struct inode *next;
};

struct dentry {
	struct dentry *parent;
	struct inode *inode;
	uintptr_t count;
	struct dentry *child[];
};

static struct mw_type extent_type = MW_TYPE(struct extent, MW_PTR(struct extent, page));
static struct mw_type inode_type = MW_TYPE(struct inode, MW_PTR(struct inode, next),
					   MW_STRUCTS(struct inode, extent, extent_type));
static struct mw_type dentry_type =
	MW_TYPE(struct dentry, MW_PTR(struct dentry, parent), MW_PTR(struct dentry, inode),
		MW_FLEX_PTRS(struct dentry, child));

/* Not in data or bss, so that it is a root by its name only. */
static struct dentry **mounted;
static void **busy;
static const char *folder;

static void die(const char *why)
{
	fprintf(stderr, "make_heap: %s\n", why);
	exit(2);
}

static void *need(void *object)
{
	if (!object)
		die("no memory");
	return object;
}

static FILE *create(const char *name)
{
	char path[400];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "wb");
	return file ? file : need(NULL);
}

static bool to_file(void *ctx, const void *bytes, size_t len)
{
	return fwrite(bytes, 1, len, ctx) == len;
}

/* ---- the heap ---- */

static struct inode *new_inode(uintptr_t number, struct inode *next)
{
	struct inode *inode = need(mw_new(&inode_type, MW_NORMAL));

	inode->number = number;
	inode->next = next;
	for (unsigned int i = 0; i < number % 4; i++) {
		inode->extent[i].first = i;
		inode->extent[i].page = need(mw_alloc(256, MW_COLLECTED | MW_NOSCAN));
	}
	return inode;
}

static void add_file(struct dentry *dir, unsigned int i)
{
	struct dentry *file = need(mw_new_flex(&dentry_type, 0, MW_NORMAL));

	file->parent = dir;
	file->inode = new_inode(100 + i, i ? dir->child[i - 1]->inode : NULL);
	dir->child[i] = file;
	dir->count = i + 1;
}

static void build(void)
{
	struct dentry *dir = need(mw_new_flex(&dentry_type, FILES * sizeof(void *), MW_NORMAL));

	mounted[0] = dir;
	for (unsigned int i = 0; i < FILES / 2; i++)
		add_file(dir, i);
	busy = need(mw_alloc(100, MW_ZERO | MW_POINTERS));
	busy[1] = dir->child[3];
	busy[2] = need(mw_alloc(40000, MW_ZERO));
	if (!mw_pin(dir->child[2]->inode, "disk 0"))
		die("no pin");
}

static void change(void)
{
	struct dentry *dir = mounted[0];

	dir->child[0] = NULL;
	dir->child[1]->inode->next = NULL;
	for (unsigned int i = FILES / 2; i < FILES; i++)
		add_file(dir, i);
}

/* ---- what is in it ---- */

static unsigned int dump;

static void say_object(const void *object, const char *label)
{
	printf("object %u %#lx %zu %s\n", dump, (unsigned long)object, mw_usable_size(object), label);
}

static void say_edge(const void *from, const char *name, const void *to)
{
	if (to)
		printf("edge %u %#lx %s %#lx\n", dump, (unsigned long)from, name, (unsigned long)to);
}

static void say_inode(const struct inode *inode)
{
	char name[40];

	say_object(inode, "struct inode");
	say_edge(inode, "next", inode->next);
	for (unsigned int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "extent[%u].page", i);
		say_edge(inode, name, inode->extent[i].page);
	}
}

static void say_all(void)
{
	const struct dentry *dir = mounted[0];
	char name[40];

	say_object(dir, "struct dentry");
	for (unsigned int i = 0; i < dir->count; i++) {
		snprintf(name, sizeof(name), "child[%u]", i);
		say_edge(dir, name, dir->child[i]);
		if (!dir->child[i])
			continue;
		say_object(dir->child[i], "struct dentry");
		say_edge(dir->child[i], "parent", dir);
		say_edge(dir->child[i], "inode", dir->child[i]->inode);
		say_inode(dir->child[i]->inode);
	}
	say_edge(busy, "+8", busy[1]);
	say_edge(busy, "+16", busy[2]);
	printf("root %u mounts+0 %#lx\n", dump, (unsigned long)dir);
	printf("root %u disk 0 %#lx\n", dump, (unsigned long)dir->child[2]->inode);
	printf("root %u hand-managed %#lx\n", dump, (unsigned long)busy);
}

static void write_dump(const char *name)
{
	FILE *file = create(name);

	if (!mw_gc_collect(MW_COLLECT_SWEPT) || !mw_dump_write(to_file, file))
		die("the dump was not written");
	fclose(file);
	dump++;
	say_all();
}

/* ---- the profile ---- */

/* Not cloned: some readers of line tables know only functions that are as they were written. */
__attribute__((noipa)) static void *kept_here(size_t size)
{
	return need(mw_alloc(size, MW_NORMAL));
}

static void write_profile(enum mw_profile_form form, const char *name)
{
	FILE *file = create(name);

	if (!mw_profile_write(form, to_file, file))
		die("the profile was not written");
	fclose(file);
}

/* The linker's: where the image begins, its code, and where that ends. */
extern const char __executable_start, _init, etext;

static void profile(void)
{
	const struct mw_profile_mapping map = {
		.start = (uintptr_t)&_init & -MW_PAGE_SIZE,
		.limit = (uintptr_t)&etext,
		.offset = ((uintptr_t)&_init & -MW_PAGE_SIZE) - (uintptr_t)&__executable_start,
		.file = "make_heap",
	};

	for (unsigned int i = 0; i < 100; i++) {
		void *object = kept_here(1000);

		if (i % 4)
			mw_free(object);
	}
	mw_profile_mapping(&map);
	printf("profile kept_here 100 25 %zu\n", mw_size_roundup(1000));
	write_profile(MW_PROFILE_PPROF, "heap.pb");
	write_profile(MW_PROFILE_TEXT, "heap.txt");
	write_profile(MW_PROFILE_FOLDED_LIVE, "heap.folded");
}

int main(int argc, char **argv)
{
	char *memory = mmap(NULL, BYTES + MW_PAGE_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (argc != 2 || memory == MAP_FAILED)
		die("make_heap FOLDER");
	folder = argv[1];
	if (!mw_region_add(memory + MW_PAGE_SIZE, (uint64_t)1 << 32, BYTES) || !mw_cpu_start())
		die("no heap");
	mounted = (void *)memory;
	if (!mw_gc_root_add("mounts", mounted, mounted + 16, NULL) || !mw_profile_rate(1))
		die("no root");
	build();
	write_dump("one.dump");
	change();
	write_dump("two.dump");
	profile();
	return 0;
}
