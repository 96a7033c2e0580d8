// SPDX-License-Identifier: MIT
/* Tables for people, in the manner of /proc. mm/object prints the one of its caches. */
#include "watch.h"

static void print_kib(const char *name, size_t bytes)
{
	mw_print("%-18s %10zu KiB\n", name, bytes >> 10);
}

static void print_page_figures(const struct mw_page_stats *page)
{
	size_t released = 0;

	for (unsigned int z = 0; z < MW_NR_ZONES; z++)
		released += page->zone[z].released;
	print_kib("MemTotal:", page->bytes);
	print_kib("MemFree:", page->free << MW_PAGE_SHIFT);
	print_kib("  Untouched:", page->untouched);
	print_kib("  Released:", released << MW_PAGE_SHIFT);
	print_kib("  Reserve:", page->reserve << MW_PAGE_SHIFT);
	print_kib("Pages:", page->raw << MW_PAGE_SHIFT);
	print_kib("  Stacks:", page->stacks << MW_PAGE_SHIFT);
	print_kib("PagesInStocks:", page->stocked << MW_PAGE_SHIFT);
	if (page->lost)
		print_kib("Lost:", page->lost << MW_PAGE_SHIFT);
	print_kib("Objects:", page->objects << MW_PAGE_SHIFT);
}

static void print_object_figures(const struct mw_stats *stats)
{
	size_t taken = stats->page.objects << MW_PAGE_SHIFT;

	print_kib("  Live:", stats->live_bytes);
	print_kib("  FreePlaces:", stats->cached_bytes);
	print_kib("  Rest:", taken - mw_min(taken, stats->live_bytes + stats->cached_bytes));
}

static void print_metadata(const struct mw_stats *stats)
{
	static const char *const uses[MW_NR_USES] = {
		[MW_USE_MAP] = "  PageMap:",	 [MW_USE_RUNS] = "  FreeRuns:",
		[MW_USE_SPANS] = "  Spans:",	 [MW_USE_CACHES] = "  Caches:",
		[MW_USE_RECORDS] = "  Records:", [MW_USE_COLLECTOR] = "  Collector:",
		[MW_USE_WATCH] = "  Watch:",	 [MW_USE_OTHER] = "  Other:",
	};

	print_kib("Metadata:", stats->page.metadata);
	for (unsigned int i = 0; i < MW_NR_USES; i++)
		if (stats->metadata_by_use[i])
			print_kib(uses[i], stats->metadata_by_use[i]);
	print_kib("  Spare:", stats->metadata_spare);
	print_kib("  Edges:", stats->page.edges);
}

void mw_print_meminfo(void)
{
	struct mw_stats stats;

	mw_stats(&stats);
	print_page_figures(&stats.page);
	print_object_figures(&stats);
	print_metadata(&stats);
	mw_print("%-18s %10zu live, %lu allocated, %lu freed (%lu from other CPUs), %lu packed\n",
		 "ObjectCounts:", stats.live_objects, stats.allocs, stats.frees, stats.remote_frees,
		 stats.packed);
	mw_print("%-18s %10llu KiB\n",
		 "AllocatedEver:", (unsigned long long)(stats.alloc_bytes >> 10));
	mw_print("%-18s %10lu allocated, %lu freed, %lu failed\n", "PageRuns:", stats.page.allocs,
		 stats.page.frees, stats.page.failures);
	mw_print("%-18s %10lu\n", "Misuses:", stats.misuses);
	if (MW_GC)
		mw_print("%-18s %10zu KiB, on the way counted as %zu KiB\n",
			 "Collected:", stats.collected_bytes >> 10, stats.collected_about >> 10);
	if (MW_GC)
		mw_print("%-18s %10lu, goal %zu KiB, longest pause %llu ns, all pauses %llu ns\n",
			 "Cycles:", stats.cycles, stats.goal >> 10,
			 (unsigned long long)stats.pause_max_ns,
			 (unsigned long long)stats.pause_total_ns);
}

static void print_zone(const char *name, const struct mw_zone_stats *zone)
{
	mw_print("%-8s %9zu %7zu %9zu %6u %9zu\n", name, zone->free, zone->runs, zone->largest,
		 zone->fragmentation, zone->low_water);
}

static void print_orders(const char *name, const struct mw_zone_stats *zone, unsigned int orders)
{
	mw_print("%-8s", name);
	for (unsigned int i = 0; i < orders; i++)
		mw_print(" %4u", zone->by_order[i]);
	mw_print("\n");
}

/* Orders up to the longest run anywhere. */
static unsigned int orders_of(const struct mw_page_stats *stats)
{
	unsigned int orders = 1;

	for (unsigned int z = 0; z < MW_NR_ZONES; z++)
		for (unsigned int i = orders; i < MW_ORDERS; i++)
			if (stats->zone[z].by_order[i])
				orders = i + 1;
	return orders;
}

void mw_print_buddyinfo(void)
{
	static const char *const names[MW_NR_ZONES] = { "<16M", "<4G", "rest" };
	struct mw_page_stats stats;
	unsigned int orders;

	mw_page_stats(&stats);
	orders = orders_of(&stats);
	mw_print("%-8s %9s %7s %9s %6s %9s\n", "zone", "free", "runs", "longest", "frag", "least");
	for (unsigned int z = 0; z < MW_NR_ZONES; z++)
		if (stats.zone[z].pages)
			print_zone(names[z], &stats.zone[z]);
	mw_print("runs of 2^n pages or more, n from 0 to %u\n", orders - 1);
	for (unsigned int z = 0; z < MW_NR_ZONES; z++)
		if (stats.zone[z].pages)
			print_orders(names[z], &stats.zone[z], orders);
}
