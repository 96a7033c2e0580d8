// SPDX-License-Identifier: MIT
/*
 * Every command of the monitor while memory runs out: its k-th allocation fails, and then all from
 * the k-th on, for each k up to 400 and one in 400 further on. Nothing panics, the command says so,
 * and all that it took is back.
 *
 * In the short form for a moment each, and long=1 (`make commands-fault`) for some seconds, which
 * is enough but for storms and benchmarks: these allocate without an end.
 */
#include "commands.h"
#include "fs/fs.h"
#include "storm.h"
#include "test.h"
#include "text.h"

#define HEAP ((size_t)32 << 20)
#define SHORT_NS 20000000ul /* for one row in one way */
#define LONG_NS 2000000000ul

/*
 * What it says cannot be held against what it says with all memory there is: times, callers, what
 * threads came to.
 */
#define VARIES 1u
/* It allocates what stays: what is in use afterwards is no news. */
#define KEEPS 2u
/* Without a failure it takes long: in the short form the first failure has to do. */
#define SLOW 4u

struct row {
	const char *run; /* begins with the command that the row is for */
	const char *before,
		*after; /* what it needs, and what takes away what it made; NULL: nothing */
	unsigned int flags;
};

static const struct row heap_rows[] = {
	{ .run = "mem" },
	{ .run = "map" },
	{ .run = "runs" },
	{ .run = "slab" },
	{ .run = "sites" },
	{ .run = "check" },
	{ .run = "alloc 100" },
	{ .run = "alloc 64K" },
	{ .run = "pages 5" },
	{ .run = "free 0x1000" },
	{ .run = "look 0x1000" },
	{ .run = "fail off" },
	{ .run = "debug FZPU,none", .after = "debug -" },
	{ .run = "reclaim" },
	{ .run = "poke" },
	{ .run = "poke double-free", .flags = VARIES },
	{ .run = "poke inner-free", .flags = VARIES },
	{ .run = "poke foreign-free", .flags = VARIES },
	{ .run = "poke wrong-size", .flags = VARIES },
	{ .run = "poke wrong-count", .flags = VARIES },
	{ .run = "poke wrong-kind", .flags = VARIES },
	{ .run = "poke two-cpus", .flags = VARIES },
	{ .run = "poke wrong-cache", .flags = VARIES },
	{ .run = "poke overrun", .flags = VARIES },
	{ .run = "poke underrun", .flags = VARIES },
	{ .run = "poke use-after-free", .flags = VARIES },
	{ .run = "poke read-freed", .flags = VARIES },
	{ .run = "poke freed-page", .flags = VARIES },
#if MW_GC
	{ .run = "poke bad-pointer", .flags = VARIES },
	{ .run = "poke leak", .flags = VARIES },
#endif
	{ .run = "poke null", .flags = VARIES },
	{ .run = "poke text", .flags = VARIES },
	{ .run = "poke data", .flags = VARIES },
	{ .run = "poke stack", .flags = VARIES },
};

static const struct row gc_rows[] = {
	{ .run = "gc" },
	{ .run = "gc goal" },
	{ .run = "gc debug poison", .after = "gc debug off" },
	{ .run = "gc check" },
	{ .run = "finalizers" },
};

static const struct row watch_rows[] = {
	{ .run = "trace on", .after = "trace off", .flags = KEEPS },
	{ .run = "trace", .flags = VARIES },
	{ .run = "profile 1", .after = "profile 0", .flags = KEEPS },
	{ .run = "profile", .flags = VARIES },
	{ .run = "dump" },
	{ .run = "state", .flags = VARIES },
	{ .run = "export 100" },
#if MW_GC
	{ .run = "graph 300", .after = "graph 0" },
	{ .run = "churn 300", .after = "churn 0; graph 0" },
#endif
};

static const struct row leak_rows[] = {
#if MW_GC
	{ .run = "leaks", .before = "leaks make 3", .after = "leaks free", .flags = VARIES },
	{ .run = "leaks make 30", .after = "leaks free" },
	{ .run = "leaks free" },
	{ .run = "safe on", .after = "safe off" },
	{ .run = "safe" },
#endif
};

static const struct row fs_rows[] = {
	{ .run = "mkdir a a/b", .after = "rm a" },
	{ .run = "touch f", .after = "rm f" },
	{ .run = "write f text", .after = "rm f" },
	{ .run = "cat f", .before = "write f text", .after = "rm f" },
	{ .run = "ls" },
	{ .run = "tree", .before = "mkdir a; ln a a/a", .after = "rm a/a; rm a" },
	{ .run = "mv a b", .before = "mkdir a", .after = "rm b; rm a" },
	{ .run = "ln a b", .before = "mkdir a", .after = "rm b; rm a" },
	{ .run = "rm a", .before = "mkdir a", .after = "rm a" },
	{ .run = "cd a", .before = "mkdir a", .after = "cd /; rm a" },
	{ .run = "pwd" },
	{ .run = "mount a", .before = "mkdir a", .after = "umount a; rm a" },
	{ .run = "umount a", .before = "mkdir a; mount a", .after = "umount a; rm a" },
	{ .run = "pipe p", .after = "rm p" },
	{ .run = "write p text", .before = "pipe p", .after = "rm p" },
	{ .run = "port q", .after = "rm q" },
	{ .run = "send q text", .before = "port q", .after = "rm q" },
	{ .run = "receive q", .before = "port q; send q text", .after = "rm q" },
	{ .run = "world counted", .after = "world collected" },
	{ .run = "mkdir c", .before = "world counted", .after = "rm c; world collected" },
};

static const struct row storm_rows[] = {
	{ .run = "storm" },
	{ .run = "storm fs 0", .flags = VARIES },
	{ .run = "storm counted 0", .flags = VARIES },
	{ .run = "storm pipes 0", .flags = VARIES },
	{ .run = "storm bus 0", .flags = VARIES },
	{ .run = "storm threads 0", .flags = VARIES },
	{ .run = "storm queue 0", .flags = VARIES },
	{ .run = "storm interrupts 0", .flags = VARIES },
	{ .run = "storm memory 0", .flags = VARIES },
	{ .run = "storm regions 0", .flags = VARIES },
};

static const struct row test_rows[] = {
	{ .run = "bench", .flags = VARIES | SLOW },
	{ .run = "bench cpus", .flags = VARIES | SLOW },
};

static const struct row machine_rows[] = {
	{ .run = "cpus" },     { .run = "ps" },	       { .run = "stop" },      { .run = "help" },
	{ .run = "help mem" }, { .run = "help boot" }, { .run = "tour list" },
};

static const struct row memory_rows[] = {
	{ .run = "balloon 0" },
	{ .run = "dimm" },
	{ .run = "fill 2" },
};

/* What no row is for, and why. */
static const char *const left_out[][2] = {
	{ "regs", "prints past what a test can hear" },
	{ "test", "closes the heap" },
	{ "tests", "prints past what a test can hear" },
	{ "soak", "is all storms, with failures of its own" },
	{ "panic", "ends the machine" },
	{ "reboot", "ends the machine" },
	{ "halt", "ends the machine" },
	{ "exit", "ends the machine" },
};

/* ---- what was said ---- */

static char whole[4096]; /* what it says with all memory there is */

static bool in_number(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == 'x' || c == '.';
}

/* Past blanks, and past a number. Return: a character of neither, or '#' for a number. */
static char next_sign(const char **text)
{
	while (**text == ' ')
		++*text;
	if (**text < '0' || **text > '9')
		return **text ? *(*text)++ : '\0';
	while (in_number(**text))
		++*text;
	return '#';
}

/* The same but for numbers? */
static bool alike(const char *a, const char *b)
{
	char sign;

	do {
		sign = next_sign(&a);
		if (sign != next_sign(&b))
			return false;
	} while (sign);
	return true;
}

static bool says_no_memory(const char *text)
{
	return test_has(text, "memory") || test_has(text, "could not") || test_has(text, "cannot");
}

/* ---- the sweep ---- */

enum way {
	ONE, /* the k-th allocation fails */
	ALL, /* all from the k-th on */
	COLD, /* all from the k-th on, in a heap that nothing was allocated from */
};

static const char *const ways[] = { "one fails", "all fail from", "all fail, cold, from" };
static unsigned long moments; /* allocations that failed, of a test */

static const char *run(const char *commands)
{
	const char *said, *line;

	if (!commands)
		return "";
	test_capture();
	monitor_run(commands);
	said = test_captured();
	line = test_has(said, "\n");
	return line ? line + 1 : said;
}

/* Commands that allocate for whoever types say how to give it back. */
static void give_back(const char *said)
{
	const char *how = test_has(said, "give it back with: ");
	char command[80];

	if (!how)
		return;
	mw_format(command, sizeof(command), "%s", how + sizeof("give it back with: ") - 1);
	for (char *c = command; *c; c++)
		if (*c == '\n')
			*c = '\0';
	(void)run(command);
}

static void take_back(const struct row *row, const char *said)
{
	give_back(said);
	(void)run(row->after);
}

static void new_heap(void)
{
	test_heap(HEAP);
	test_heap_may_leak();
	commands_forget();
	mw_on_misuse(report_and_go_on);
}

static bool check(bool ok, const struct row *row, enum way way, unsigned long k, const char *what)
{
	return test_check(ok, __FILE__, __LINE__, "%s: %s, allocation %lu: %s", row->run, ways[way],
			  k, what);
}

static bool all_is_back(const struct row *row, enum way way, unsigned long k,
			const struct storm_use *wanted)
{
	struct storm_use use;

	if (way == COLD || row->flags & KEEPS)
		return true;
	use = storm_settle(wanted);
	if (check(storm_same_use(wanted, &use), row, way, k, "all is back"))
		return true;
	test_note("%zu pages, %zu objects, %zu bytes before; %zu, %zu, %zu now", wanted->pages,
		  wanted->objects, wanted->bytes, use.pages, use.objects, use.bytes);
	return false;
}

/* Does it say what it says with all memory there is, or that there was none? */
static bool says_so(const struct row *row, enum way way, unsigned long k, const char *said)
{
	if (row->flags & VARIES && (way == ONE || k > 1))
		return check(*said, row, way, k, "a word");
	if (check(alike(whole, said) || says_no_memory(said), row, way, k, "a word about memory"))
		return true;
	test_note("it says: %s", said);
	return false;
}

/* Return: false: the command came to its end before, and nothing failed; or something is wrong. */
static bool fail_at(const struct row *row, enum way way, unsigned long k,
		    const struct storm_use *wanted)
{
	const struct mw_fail fail = { .after = k, .every = way != ONE, .pages = true, .own = true };
	unsigned long failed;
	const char *said;
	bool well;

	if (way == COLD)
		new_heap();
	(void)run(row->before);
	storm_drain();
	(void)mw_fail_set(&fail);
	said = run(row->run);
	failed = mw_fail_set(NULL);
	moments += failed != 0;
	well = !failed || says_so(row, way, k, said);
	take_back(row, said);
	well = all_is_back(row, way, k, wanted) && well;
	return check(memory_check(), row, way, k, "the heap is in order") && well && failed;
}

/*
 * So often that what is made once and stays is there, and what is said is what will be said again.
 */
static void warm_up(const struct row *row)
{
	for (int i = 0; i < (row->flags & SLOW ? 1 : 3); i++) {
		const char *said;

		(void)run(row->before);
		said = run(row->run);
		mw_format(whole, sizeof(whole), "%s", said);
		take_back(row, said);
	}
}

static void sweep_ways(const struct row *row)
{
	uint64_t patience = options.long_tests ? LONG_NS : SHORT_NS;
	struct storm_use wanted;

	new_heap();
	if (!options.long_tests && row->flags & SLOW) {
		(void)fail_at(row, COLD, 1, NULL);
		return;
	}
	warm_up(row);
	wanted = storm_settle(NULL);
	for (enum way way = ONE; way <= COLD; way++) {
		uint64_t until = test_now() + patience;
		unsigned long k = 1;

		while (fail_at(row, way, k, &wanted) && test_now() < until)
			k += 1 + k / 400;
	}
}

/* What the last heap's worlds held is nobody's any more. */
static void sweep_row(const struct row *row)
{
	sweep_ways(row);
	mw_reset();
	commands_forget();
}

static void sweep(const struct row *rows, size_t n)
{
	moments = 0;
	for (size_t i = 0; i < n; i++)
		sweep_row(&rows[i]);
	test_note("%zu rows, %lu runs in which an allocation failed", n, moments);
	CHECK(moments);
}

TEST(about_the_heap)
{
	sweep(heap_rows, LEN(heap_rows));
}

#if MW_GC
TEST(about_the_collector)
{
	sweep(gc_rows, LEN(gc_rows));
}
#endif

TEST(that_watch)
{
	sweep(watch_rows, LEN(watch_rows));
}

#if MW_GC
TEST(about_leaks)
{
	sweep(leak_rows, LEN(leak_rows));
}
#endif

TEST(about_files)
{
	sweep(fs_rows, LEN(fs_rows));
}

TEST(that_storm)
{
	sweep(storm_rows, LEN(storm_rows));
}

TEST(that_measure)
{
	sweep(test_rows, LEN(test_rows));
}

TEST(about_the_memory_underneath)
{
	sweep(memory_rows, LEN(memory_rows));
}

TEST(about_the_machine)
{
	for (size_t i = 0; i < LEN(machine_rows); i++)
		sweep_row(&machine_rows[i]);
}

/* ---- all of them ---- */

static bool is_for(const char *name, const char *text)
{
	const char *rest = text_after(text, name);

	return rest && (!*rest || *rest == ' ');
}

static bool in_rows(const char *name, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_for(name, rows[i].run))
			return true;
	return false;
}

TEST(each_command_has_a_row_or_a_reason)
{
	static const struct {
		const struct row *rows;
		size_t n;
	} all[] = {
		{ heap_rows, LEN(heap_rows) },	     { gc_rows, LEN(gc_rows) },
		{ watch_rows, LEN(watch_rows) },     { leak_rows, LEN(leak_rows) },
		{ fs_rows, LEN(fs_rows) },	     { storm_rows, LEN(storm_rows) },
		{ test_rows, LEN(test_rows) },	     { memory_rows, LEN(memory_rows) },
		{ machine_rows, LEN(machine_rows) },
	};
	const char *name;

	for (size_t n = 0; (name = command_word(n)); n++) {
		bool found = false;

		for (size_t i = 0; i < LEN(all); i++)
			found = found || in_rows(name, all[i].rows, all[i].n);
		for (size_t i = 0; i < LEN(left_out); i++)
			found = found || text_equal(left_out[i][0], name);
		(void)test_check(found, __FILE__, __LINE__, "%s is swept, or says why not", name);
	}
}
