// SPDX-License-Identifier: MIT
/* That a layout does what it is counted for: all checks, each with the kind of wrong call that it must find. */
#include "layouts.h"

#define SOME 600u

static int passed, failed;
static char *objects[SOME];
static const size_t sizes[] = { 1,   16,  17,	48,   64,   100,  240,	 256,
				257, 512, 1000, 1024, 2000, 8192, 40000, 65536 };
#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void expect(bool right, const char *what)
{
	if (right) {
		passed++;
		return;
	}
	failed++;
	lay_say(what, 0);
}

static unsigned long wrong_now(void)
{
	unsigned long sum = 0;

	for (unsigned int i = 0; i < LAY_NR_WRONG; i++)
		sum += lay_wrongs[i];
	return sum;
}

/* One more report of a kind, and of none else, since @before was taken of all. */
static void expect_wrong(enum lay_wrong what, unsigned long kind, unsigned long all, const char *name)
{
	expect(lay_wrongs[what] == kind + 1 && wrong_now() == all + 1, name);
}

static void expect_free(void *object, enum lay_wrong what, const char *name)
{
	unsigned long kind = lay_wrongs[what], all = wrong_now();

	lay_free(object);
	expect_wrong(what, kind, all, name);
}

/* Patterns in objects of all sizes, freed and taken at random. */
static void check_apart(void)
{
	static size_t of[SOME];
	unsigned long seed = 1, wrong = wrong_now();
	bool right = true;

	for (unsigned int step = 0; step < 20000; step++) {
		unsigned int i;

		seed = seed * 6364136223846793005ul + 1;
		i = (unsigned int)(seed >> 40) % SOME;
		if (objects[i]) {
			right &= objects[i][0] == (char)i && objects[i][of[i] - 1] == (char)i;
			lay_free(objects[i]);
		}
		of[i] = sizes[(seed >> 33) % (NR_SIZES - (i % 8 ? 3 : 0))];
		objects[i] = lay_alloc(of[i]);
		right &= objects[i] && lay_usable(objects[i]) >= of[i];
		objects[i][0] = objects[i][of[i] - 1] = (char)i;
	}
	for (unsigned int i = 0; i < SOME; i++) {
		lay_free(objects[i]);
		objects[i] = NULL;
	}
	expect(right, "objects overlap, or are too small");
	expect(wrong_now() == wrong, "a right free was refused");
}

static void check_misuse(size_t size)
{
	unsigned long all;
	char *object = lay_alloc(size), *other = lay_alloc(size);

	if (size >= 32) {
		expect_free(object + 16, LAY_INNER, "a free of an inner address passed");
		expect_free(object + size / 2 / 16 * 16, LAY_INNER, "a free of the middle passed");
	}
	expect_free(object + 1, LAY_INNER, "a free of an odd address passed");
	all = wrong_now();
	lay_free(object);
	expect(wrong_now() == all, "a right free was refused after wrong ones");
	expect_free(object, LAY_DOUBLE, "a double free passed");
	expect(lay_alloc(size) != other, "an object was handed out twice");
	lay_free(other);
}

static void check_afar(size_t size)
{
	unsigned long kind = lay_wrongs[LAY_DOUBLE], all = wrong_now();
	char *a = lay_alloc(size), *b = lay_alloc(size), *c = lay_alloc(size);
	bool again = false;

	lay_be_cpu(1);
	lay_free(a);
	expect(wrong_now() == all, "a free from afar was refused");
	lay_free(a);
	expect_wrong(LAY_DOUBLE, kind, all, "a second free from afar passed");
	lay_be_cpu(2);
	kind = lay_wrongs[LAY_DOUBLE], all = wrong_now();
	lay_free(a);
	expect_wrong(LAY_DOUBLE, kind, all, "a free from two CPUs passed");
	lay_be_cpu(0);
	kind = lay_wrongs[LAY_DOUBLE], all = wrong_now();
	lay_free(a);
	expect_wrong(LAY_DOUBLE, kind, all, "the owner's free after another CPU's passed");
	lay_free(b);
	lay_be_cpu(1);
	kind = lay_wrongs[LAY_DOUBLE], all = wrong_now();
	lay_free(b);
	expect_wrong(LAY_DOUBLE, kind, all, "another CPU's free after the owner's passed");
	if (size >= 32)
		expect_free(c + 16, LAY_INNER, "a free of an inner address from afar passed");
	lay_free(c);
	lay_be_cpu(0);
	/* What others freed comes back to the owner. */
	for (unsigned int i = 0; i < SOME; i++) {
		objects[i] = lay_alloc(size);
		again |= objects[i] == c;
	}
	for (unsigned int i = 0; i < SOME; i++) {
		lay_be_cpu(i & 1);
		lay_free(objects[i]);
		objects[i] = NULL;
	}
	lay_be_cpu(0);
	for (unsigned int i = 0; i < 8 * SOME && !again; i++)
		again = lay_alloc(size) == c;
	expect(again, "what was freed from afar did not come back");
}

static void check_foreign(void)
{
	unsigned long all = wrong_now();
	int here;

	expect_free(&here, LAY_FOREIGN, "a free of the stack passed");
	expect_free((void *)0x10, LAY_FOREIGN, "a free of address 16 passed");
	expect_free((void *)-16l, LAY_FOREIGN, "a free of the last address passed");
	all = wrong_now();
	lay_free(NULL);
	expect(wrong_now() == all, "a free of NULL was refused");
	expect(!lay_usable(&here) && !lay_usable(NULL), "the stack has a usable size");
}

static void check_caches(void)
{
	struct lay_cache *a = lay_cache_make(64), *b = lay_cache_make(64);
	char *object = lay_cache_alloc(a);
	unsigned long kind = lay_wrongs[LAY_WRONG_CACHE], all = wrong_now();

	lay_cache_free(b, object);
	expect_wrong(LAY_WRONG_CACHE, kind, all, "an object was freed into another cache");
	all = wrong_now();
	lay_cache_free(a, object);
	expect(wrong_now() == all, "a cache refused its object");
	kind = lay_wrongs[LAY_DOUBLE], all = wrong_now();
	lay_cache_free(a, object);
	expect_wrong(LAY_DOUBLE, kind, all, "a double free into a cache passed");
}

static void check_sizes(void)
{
	char *object = lay_alloc(100), *same = lay_realloc(object, 110), *more;

	expect(same == object, "a resize that fits moved the object");
	*object = 7;
	more = lay_realloc(object, 1000);
	expect(more != object && *more == 7 && lay_usable(more) >= 1000, "a resize lost bytes");
	lay_free(more);
	for (size_t align = 16; align <= 512; align *= 2) {
		object = lay_aligned(48, align);
		expect(!((uintptr_t)object & (align - 1)), "an aligned object is not");
		lay_free(object);
	}
	object = lay_alloc(64);
	lay_free(object);
	expect(!lay_usable(object), "a free object has a usable size");
}

static void check_mark(size_t size)
{
	void **a = lay_collected(size), **b = lay_collected(size), **c = lay_collected(size),
	     **dead = lay_collected(size);
	static void *root;

	a[0] = (char *)b + size - 1, a[1] = a;
	b[0] = &root, b[1] = c;
	c[0] = (void *)1, c[1] = NULL;
	dead[0] = a, dead[1] = NULL;
	root = a;
	expect(lay_mark(&root, 1, "check") >= 3, "a mark missed objects");
	expect(lay_marked(a) && lay_marked(b) && lay_marked(c), "a reachable object is not marked");
	expect(!lay_marked(dead), "an object that nothing leads to is marked");
	root = NULL;
}

/* Return: how many failed. Prints nothing else that begins with "checks". */
int lay_checks(void)
{
	static const size_t small[] = { 16, 48, 64, 256, 320, 1024, 4096 };

	check_apart();
	for (unsigned int i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
		check_misuse(small[i]);
		check_afar(small[i]);
	}
	check_misuse(65536);
	check_foreign();
	check_caches();
	check_sizes();
	check_mark(16);
	check_mark(64);
	check_mark(512);
	check_apart();
	lay_say("checks passed", (unsigned long)passed);
	lay_say("checks failed", (unsigned long)failed);
	return failed;
}
