// SPDX-License-Identifier: MIT
/* The device tree: what this machine's says, and trees of odd bytes, none of which leads out of itself. */
#include "internal.h"
#include "test.h"
#include "tree.h"

static unsigned int cpus;

static void count_cpu(const struct fdt_node *node, uint64_t number)
{
	(void)number;
	CHECK(fdt_is(node, "cpu") && !fdt_is(node, "cp") && !fdt_is(node, "cpus"));
	cpus++;
}

TEST(this_machine_s)
{
	struct fdt_node node = { 0 };
	uint64_t start, len, sum = 0;

	cpus = 0;
	tree_for_cpus(count_cpu);
	CHECK_EQ(cpus, boot_info.cpus_found);
	while (fdt_next(&tree, &node)) {
		if (!fdt_is(&node, "memory"))
			continue;
		CHECK_EQ(node.depth, 2);
		CHECK(test_has(fdt_text(&tree, &node, "device_type"), "memory") != NULL);
		NEED(fdt_number(&tree, &node, "reg", 0, 2, &start));
		NEED(fdt_number(&tree, &node, "reg", 2, 2, &len));
		CHECK(!fdt_number(&tree, &node, "reg", 3, 2, &len));
		CHECK(!fdt_number(&tree, &node, "re", 0, 1, &len));
		CHECK(!fdt_text(&tree, &node, "regs"));
		sum += len;
	}
	CHECK(sum >= boot_info.map[0].len && sum > 0);
}

/* Everything that the kernel asks of a tree. Return: something of all that was found. */
static uint64_t read_all(const void *bytes, size_t len)
{
	struct fdt fdt;
	struct fdt_node node = { 0 };
	uint64_t sum = 0, number, more;
	size_t n = 0;

	if (!fdt_open(&fdt, bytes, len))
		return 0;
	for (size_t i = 0; i < 100 && fdt_reserved(&fdt, i, &number, &more); i++)
		sum += number ^ more;
	while (fdt_next(&fdt, &node)) {
		const char *text = fdt_text(&fdt, &node, "compat");
		size_t bytes_of_reg;
		const uint8_t *reg = fdt_find(&fdt, &node, "reg", &bytes_of_reg);

		for (size_t i = 0; reg && i < bytes_of_reg; i++)
			sum += reg[i];
		while (text && *text)
			sum += (unsigned char)*text++;
		for (const char *name = node.name; *name; name++)
			sum += (unsigned char)*name;
		sum += node.depth + fdt_is(&node, "memory");
		if (fdt_number(&fdt, &node, "reg", 0, 2, &number))
			sum += number;
		CHECK(++n < FDT_MAX);
	}
	return sum;
}

/* A small tree, its nodes last: root { reg = 1, 2; memory@8 { reg = 0, 8192, 0, 4096; compat = "a"; } } */
static const struct {
	uint32_t head[10];
	char names[12];
	uint32_t reserved[8];
	uint32_t root[7], memory[15], compat[4];
} small = {
	.head = { 0xd00dfeed, 188, 84, 40, 52, 17, 16, 0, 12, 104 },
	.names = "reg\0compat",
	.reserved = { 0, 4096, 0, 64 },
	.root = { 1, 0, 3, 8, 0, 1, 2 },
	.memory = { 1, 0x6d656d6f, 0x72794038, 0, 4, 3, 16, 0, 0, 8192, 0, 4096, 3, 2, 4 },
	.compat = { 0x61000000, 2, 2, 9 },
};

#define SMALL sizeof(small)
#define NAMES sizeof(small.head)

/* The page before one that faults. */
static unsigned char *guarded_page(void)
{
	unsigned char *pages = test_memory(2 * ARCH_PAGE_SIZE);

	NEED(arch_page_protect(pages + ARCH_PAGE_SIZE, ARCH_PAGE_SIZE, ARCH_PROT_NONE));
	return pages;
}

static void unguard(unsigned char *page)
{
	CHECK(arch_page_protect(page + ARCH_PAGE_SIZE, ARCH_PAGE_SIZE, ARCH_PROT_WRITE));
}

/* The first @len bytes of the small tree, at the end of a page. */
static unsigned char *put_small(unsigned char *page, size_t len)
{
	unsigned char bytes[SMALL];

	memcpy(bytes, &small, SMALL);
	for (size_t at = 0; at < SMALL; at += 4) {
		uint32_t word = __builtin_bswap32(*(const uint32_t *)((const char *)&small + at));

		if (at < NAMES || at >= NAMES + sizeof(small.names))
			memcpy(bytes + at, &word, 4);
	}
	return memcpy(page + ARCH_PAGE_SIZE - len, bytes, len);
}

TEST(a_small_one)
{
	unsigned char *page = guarded_page(), *bytes = put_small(page, SMALL);
	struct fdt_node node = { 0 };
	struct fdt fdt;
	uint64_t start, len;

	NEED(fdt_open(&fdt, bytes, SMALL));
	CHECK(fdt_reserved(&fdt, 0, &start, &len) && start == 4096 && len == 64);
	CHECK(!fdt_reserved(&fdt, 1, &start, &len));
	CHECK(fdt_next(&fdt, &node) && node.depth == 1 && !node.name[0]);
	CHECK(fdt_number(&fdt, &node, "reg", 0, 2, &start) && start == 0x100000002);
	CHECK(fdt_next(&fdt, &node) && node.depth == 2 && fdt_is(&node, "memory"));
	CHECK(fdt_number(&fdt, &node, "reg", 0, 2, &start) && start == 8192);
	CHECK(fdt_text_is(&fdt, &node, "compat", "a") && !fdt_text_is(&fdt, &node, "compat", "ab"));
	CHECK(!fdt_text_is(&fdt, &node, "compat", "") && !fdt_text_is(&fdt, &node, "none", ""));
	CHECK(!fdt_next(&fdt, &node));
	CHECK(!fdt_open(&fdt, bytes, SMALL - 1));
	unguard(page);
}

/* Cut short anywhere; then it says so itself. */
TEST(parts_of_one)
{
	unsigned char *page = guarded_page();

	for (size_t len = 8; len < SMALL; len++) {
		unsigned char *bytes = put_small(page, len);

		CHECK_EQ(read_all(bytes, len), 0);
		bytes[7] = (unsigned char)len;
		(void)read_all(bytes, len);
	}
	unguard(page);
}

TEST(odd_bytes)
{
	unsigned char *page = guarded_page();
	unsigned long read = 0;

	for (unsigned long n = 0; n < test_rounds(100000); n++) {
		unsigned char *bytes = put_small(page, SMALL);

		for (uint64_t k = 1 + test_below(6); k; k--) {
			size_t at = 8 + test_below(SMALL - 8);

			bytes[at] = test_below(3) ? (unsigned char)test_random()
						  : (unsigned char)(0xff * test_below(2));
		}
		read += read_all(bytes, SMALL) != 0;
	}
	test_note("%lu trees could be read", read);
	CHECK(read > 0);
	unguard(page);
}
