// SPDX-License-Identifier: MIT
/* Replays a recorded run (bench_trace.h), as often as it takes for COUNT allocations. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bench_objects.h"
#include "bench_trace.h"

struct step {
	uint32_t slot_op; /* slot << 2 | enum bench_op */
	uint32_t size;
};

static struct {
	struct step *steps;
	unsigned long nr_steps, nr_allocs;
	uint32_t nr_slots;
	unsigned char **slots;
} trace;

static uint64_t take(const unsigned char **at, const unsigned char *end)
{
	uint64_t n = 0;

	for (unsigned int shift = 0; *at < end; shift += 7) {
		unsigned char byte = *(*at)++;

		n |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			return n;
	}
	bench_die("the trace is cut off");
}

static void decode(const unsigned char *at, const unsigned char *end)
{
	trace.steps = bench_map((size_t)(end - at) * sizeof(*trace.steps));
	while (at < end) {
		struct step *step = &trace.steps[trace.nr_steps++];

		step->slot_op = (uint32_t)take(&at, end);
		if (step->slot_op >> 2 >= trace.nr_slots)
			trace.nr_slots = (step->slot_op >> 2) + 1;
		if ((step->slot_op & 3) == BENCH_FREE)
			continue;
		step->size = (uint32_t)take(&at, end);
		trace.nr_allocs++;
	}
	if (trace.nr_slots > BENCH_MAX_SLOTS || !trace.nr_allocs)
		bench_die("this is no trace");
	trace.slots = bench_map(trace.nr_slots * sizeof(*trace.slots));
}

static void load(const char *file)
{
	struct stat st;
	int fd = file ? open(file, O_RDONLY) : -1;
	void *bytes;

	if (fd < 0 || fstat(fd, &st))
		bench_die("cannot read the trace");
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		bench_die("cannot map the trace");
	close(fd);
	decode(bytes, (unsigned char *)bytes + st.st_size);
	munmap(bytes, (size_t)st.st_size);
}

/* First and last byte of each object are written, as its owner would have done. */
static void touch(unsigned char *p, uint32_t size)
{
	if (!p)
		bench_die("out of memory");
	if (size)
		p[0] = p[size - 1] = 1;
}

static void replay(void)
{
	for (unsigned long i = 0; i < trace.nr_steps; i++) {
		const struct step *step = &trace.steps[i];
		unsigned char **slot = &trace.slots[step->slot_op >> 2];

		switch ((enum bench_op)(step->slot_op & 3)) {
		case BENCH_MALLOC:
			*slot = malloc(step->size);
			touch(*slot, step->size);
			break;
		case BENCH_CALLOC:
			*slot = calloc(1, step->size);
			touch(*slot, step->size);
			break;
		case BENCH_REALLOC:
			*slot = realloc(*slot, step->size);
			touch(*slot, step->size);
			break;
		case BENCH_FREE:
			free(*slot);
			*slot = NULL;
		}
	}
}

static void load_trace(struct bench_run *run)
{
	uint64_t begin;

	load(run->file);
	begin = bench_now();
	while (run->done < run->count) {
		replay();
		for (uint32_t i = 0; i < trace.nr_slots; i++) {
			free(trace.slots[i]);
			trace.slots[i] = NULL;
		}
		run->done += trace.nr_allocs;
	}
	run->ns = bench_now() - begin;
}

const struct bench_load bench_trace_loads[] = {
	{ "trace", load_trace },
	{ 0 },
};
