// SPDX-License-Identifier: MIT
/*
 * First writes to an armed page, beside a marker: arch/common/snapshot.c. Two CPUs write to the
 * page, each another value; the marker reads, and looks for a copy. A slot of the log is a CPU's
 * own here.
 *
 * That a CPU walks the tables before it stores is the hardware's: a load with acquire of the twin's
 * entry, which the store is behind. The directory's entry is left out: it is changed between words
 * and twin, by whoever comes first.
 */
#include "orders.h"

enum {
	PAGE, /* a word of its */
	WORD, /* chunk->word[] */
	TWIN, /* chunk->twin[] */
};

enum {
	COPY_1,
	COPY_2, /* copies, by the number that the word says */
};

enum site_number {
	LOOK,
	PUBLISH,
	PUBLISH_FAILED,
	PERMIT,
	READ_FENCE,
	WORD_READ,
};

#define SNAPSHOT 7u

static void keep(unsigned int mine)
{
	unsigned int untouched = 0;

	plain_write(mine - 1, load_as(RELAXED, PAGE));
	(void)compare_exchange(PUBLISH, PUBLISH_FAILED, WORD, &untouched, mine);
}

/* snapshot_fault(), and the store that is tried again behind it. */
static void write_page(unsigned int mine)
{
	if (!load_as(ACQUIRE, TWIN)) {
		if (!load(LOOK, WORD))
			keep(mine);
		(void)fetch_or(PERMIT, TWIN, 1);
	}
	store_as(RELEASE, PAGE, mine);
}

static void first_cpu(void)
{
	write_page(1);
}

static void second_cpu(void)
{
	write_page(2);
}

/* arch_chunk_copy(), behind a read */
static void marker(void)
{
	unsigned int value = load_as(RELAXED, PAGE), word;

	fence(READ_FENCE);
	word = load(WORD_READ, WORD);
	if (word)
		value = plain_read(word - 1);
	must(value == SNAPSHOT, "what was read is not the snapshot");
}

static void start(void)
{
	begin_with(PAGE, SNAPSHOT);
}

const struct protocol snapshot_protocol = {
	.name = "snapshot",
	.about = "first writes to an armed page",
	.thread = { "first CPU", "second CPU", "marker" },
	.run = { first_cpu, second_cpu, marker },
	.location = { "the page", "chunk->word", "chunk->twin" },
	.plain = { "the first copy", "the second copy" },
	.sites = {
		[LOOK] = { "snapshot_fault", "load chunk->word", ACQUIRE, LOAD },
		[PUBLISH] = { "keep", "compare_exchange chunk->word", ACQ_REL, UPDATE },
		[PUBLISH_FAILED] = { "keep", "compare_exchange chunk->word, failed", RELAXED, LOAD },
		[PERMIT] = { "permit", "fetch_or chunk->twin", SEQ_CST, UPDATE },
		[READ_FENCE] = { "arch_chunk_copy", "fence", ACQUIRE, FENCE },
		[WORD_READ] = { "arch_chunk_copy", "load chunk->word", ACQUIRE, LOAD },
	},
	.start = start,
	.least = 300,
};
