// SPDX-License-Identifier: MIT
/*
 * From the firmware's map to regions of the heap.
 *
 * FREE memory is either the heap's (open) or spare (closed), when the tests make heaps of their own
 * in it. RECLAIM memory, where ACPI tables lay, joins when the monitor is told to.
 */
#include "../mm/base/meta.h"
#include "history.h"
#include "kernel.h"
#include "scratch.h"
#include "settings.h"

#define HOLD_FROM ((uint64_t)96 << 20) /* bytes of a run that some are held back of */
#define HELD ((size_t)8 << 20)

static const struct arch_boot_info *boot;
static bool open, reclaimed;
static size_t nr_regions;
static uint64_t usable;

static const char *type_name(enum mw_memtype type)
{
	switch (type) {
	case MW_MEM_FREE:
		return "free";
	case MW_MEM_RECLAIM:
		return "reclaim";
	default:
		return "reserved";
	}
}

static bool next_run(enum mw_memtype type, struct mw_memrange *run)
{
	return mw_memmap_next(boot->map, boot->nr_map, type, run->start + run->len, run);
}

void memory_init(const struct arch_boot_info *info)
{
	boot = info;
}

const struct arch_boot_info *memory_info(void)
{
	return boot;
}

uint64_t memory_total(void)
{
	struct mw_memrange run = { 0 };
	uint64_t total = 0;

	while (next_run(MW_MEM_FREE, &run))
		total += run.len;
	return total;
}

/* The end of the longest run is not the heap's at first: memory that comes and goes needs some. */
static struct mw_memrange held_back(void)
{
	struct mw_memrange run = { 0 }, longest = { 0 };

	while (next_run(MW_MEM_FREE, &run))
		if (run.len > longest.len)
			longest = run;
	if (longest.len < HOLD_FROM)
		return (struct mw_memrange){ 0 };
	longest.start += longest.len - HELD;
	longest.len = HELD;
	return longest;
}

static uint64_t add_all(enum mw_memtype type)
{
	struct mw_memrange run = { 0 }, held = held_back();
	uint64_t sum = 0;

	while (next_run(type, &run)) {
		size_t len = held.start - run.start < run.len ? held.start - run.start : run.len;
		size_t bytes = mw_region_add(arch_virt(run.start), run.start, len);

		nr_regions += bytes != 0;
		sum += bytes;
	}
	usable += sum;
	return sum;
}

void memory_open(void)
{
	settings_apply();
	usable = nr_regions = 0;
	add_all(MW_MEM_FREE);
	if (reclaimed)
		add_all(MW_MEM_RECLAIM);
	open = true;
	history_begin();
	if (!workers_start())
		mw_print("There is no memory for the collector's threads.\n");
	scratch_open();
	dimm_open();
}

void memory_close(void)
{
	if (open) {
		dimm_close();
		workers_stop();
		scratch_close();
		mw_reset();
	}
	open = false;
}

bool memory_is_open(void)
{
	return open;
}

uint64_t memory_reclaim(void)
{
	if (!open || reclaimed)
		return 0;
	reclaimed = true;
	return add_all(MW_MEM_RECLAIM);
}

void *memory_held(size_t *len, uint64_t *phys)
{
	struct mw_memrange held = held_back();

	*len = held.len;
	*phys = held.start;
	return open && held.len ? arch_virt(held.start) : NULL;
}

void *memory_spare(size_t *len)
{
	struct mw_memrange run = { 0 }, longest = { 0 };

	while (!open && next_run(MW_MEM_FREE, &run))
		if (run.len > longest.len)
			longest = run;
	*len = longest.len;
	return longest.len ? arch_virt(longest.start) : NULL;
}

static void print_runs(enum mw_memtype type)
{
	struct mw_memrange run = { 0 };

	while (next_run(type, &run))
		mw_print("  %s 0x%012llx %9llu KiB\n", type_name(type),
			 (unsigned long long)run.start, (unsigned long long)run.len >> 10);
}

static bool lies_in(const struct mw_memrange *inner, const struct mw_memrange *outer)
{
	return inner->start >= outer->start && inner->start - outer->start <= outer->len &&
	       inner->len <= outer->len - (inner->start - outer->start);
}

/* What the kernel and its loader took is in the map beside the free memory that it lies in. */
static const char *taken_as(const struct mw_memrange *range)
{
	if (range->type != MW_MEM_RESERVED)
		return "";
	if (range->start == arch_phys(arch_image_start))
		return ", the kernel";
	for (size_t i = 0; i < boot->nr_modules; i++)
		if (range->start == boot->modules[i].phys)
			return ", a module";
	for (size_t i = 0; i < boot->nr_map; i++)
		if (boot->map[i].type == MW_MEM_FREE && lies_in(range, &boot->map[i]))
			return ", taken by the kernel";
	return "";
}

static const char *unit_of(uint64_t *len)
{
	if (*len >> 10 == 0 || *len % 1024)
		return "bytes";
	*len >>= 10;
	return "KiB";
}

static void print_range(const struct mw_memrange *range)
{
	uint64_t len = range->len;
	const char *unit = unit_of(&len);

	mw_print("  0x%012llx %9llu %-5s  %s%s\n", (unsigned long long)range->start,
		 (unsigned long long)len, unit, type_name(range->type), taken_as(range));
}

void memory_print_untouched(void)
{
	struct mw_page_stats stats;

	mw_page_stats(&stats);
	mw_print(
		"Beside these, %zu pages were never handed out; a long request takes from there.\n",
		stats.untouched >> MW_PAGE_SHIFT);
}

void memory_print_metadata(void)
{
	struct mw_stats stats;
	size_t with_memory;

	mw_stats(&stats);
	with_memory = stats.metadata_by_use[MW_USE_MAP] + stats.metadata_by_use[MW_USE_RUNS] +
		      stats.page.edges;
	mw_print("Metadata are the heap's own records: %zu bytes came with the memory, for its map "
		 "and "
		 "its free runs, %zu with use.\n",
		 with_memory, stats.page.metadata - with_memory);
}

void memory_print(void)
{
	mw_print("Memory map: what the firmware said, and what the kernel took\n");
	for (size_t i = 0; i < boot->nr_map; i++)
		print_range(&boot->map[i]);
	mw_print("Runs of whole pages:\n");
	print_runs(MW_MEM_FREE);
	print_runs(MW_MEM_RECLAIM);
	if (open)
		mw_print("Heap: %zu regions, %llu KiB usable; reclaimable memory %s; %llu KiB held "
			 "back for a storm; %zu KiB put aside for leak scans\n",
			 nr_regions, (unsigned long long)usable >> 10,
			 reclaimed ? "added" : "not added",
			 (unsigned long long)held_back().len >> 10, scratch_bytes() >> 10);
	else
		mw_print("Heap: closed, all memory is the tests'\n");
}

bool memory_check(void)
{
	bool well;

	if (mw_port_stop_world() >= 0)
		return false;
	well = mw_heap_check();
	mw_port_start_world();
	return well;
}
