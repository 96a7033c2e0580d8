// SPDX-License-Identifier: MIT
/* Commands that write what was watched: into a file beside the emulator, else on the console. */
#include "commands.h"
#include "export.h"
#include "history.h"
#include "keys.h"
#include "settings.h"
#include "text.h"

static bool to_console(void *ctx, const void *bytes, size_t len)
{
	(void)ctx;
	mw_port_write(bytes, len);
	return !keys_stop();
}

/* @write is one of mw_*_write(); only what is text may go to the console. */
static void write_stream(const char *name, bool (*write)(mw_sink_fn *sink, void *ctx), bool text)
{
	if (text && !arch_host_present())
		(void)write(to_console, NULL);
	else if (export_begin(name, NULL))
		(void)export_end(write(export_bytes, NULL));
}

static void run_trace(size_t argc, char **argv)
{
	bool on = argc > 1 && text_equal(argv[1], "on");

	if (argc < 2)
		write_stream("trace.json", mw_trace_write, true);
	else if (!on && !text_equal(argv[1], "off"))
		unknown_word("trace", argv[1]);
	else if (!mw_trace_on(on))
		mw_print("There is no memory for it.\n");
	else
		mw_print(on ? "Events are noted from now on; trace writes them.\n"
			    : "No more events are noted; trace writes those there are.\n");
}

static bool write_pprof(mw_sink_fn *sink, void *ctx)
{
	return mw_profile_write(MW_PROFILE_PPROF, sink, ctx);
}

static bool write_text(mw_sink_fn *sink, void *ctx)
{
	return mw_profile_write(MW_PROFILE_TEXT, sink, ctx);
}

static bool write_folded(mw_sink_fn *sink, void *ctx)
{
	return mw_profile_write(MW_PROFILE_FOLDED, sink, ctx);
}

static void set_rate(const char *bytes)
{
	if (!settings_profile(bytes))
		mw_print("\"%s\" is no number: profile wants a number of bytes, pprof or folded.\n",
			 bytes);
	else if (text_equal(bytes, "0"))
		mw_print("No allocation is sampled any more; profile writes what was.\n");
	else
		mw_print("One allocation in about %s bytes is sampled from now on; profile writes "
			 "what was.\n",
			 bytes);
}

static void run_profile(size_t argc, char **argv)
{
	if (argc < 2)
		write_stream("heap.txt", write_text, true);
	else if (text_equal(argv[1], "folded"))
		write_stream("heap.folded", write_folded, true);
	else if (text_equal(argv[1], "pprof"))
		write_stream("heap.pb", write_pprof, false);
	else
		set_rate(argv[1]);
}

/* Bytes that anyone can make again: the n-th word is n times an odd number. */
static void run_export(size_t argc, char **argv)
{
	const uint64_t some = 64 << 20;
	uint64_t words[64], size, n = 0;

	if (!number_of(argc, argv, 1, "a number of bytes", &some, &size) ||
	    !export_begin("pattern", NULL))
		return;
	do {
		for (size_t i = 0; i < LEN(words); i++)
			words[i] = n++ * 0x9e3779b97f4a7c15ull;
	} while (n * 8 < size && export_bytes(NULL, words, sizeof(words)));
	(void)export_end(export_bytes(NULL, words, size - (n * 8 - sizeof(words))));
}

static void run_state(size_t argc, char **argv)
{
	(void)argc, (void)argv;
	write_stream("map.json", mw_picture_write, true);
	write_stream("history.json", history_write, true);
}

static void run_dump(size_t argc, char **argv)
{
	(void)argc, (void)argv;
	write_stream("heap.dump", mw_dump_write, false);
}

static const struct command commands[] = {
	{ "trace", "[on|off]", "note events; without a word: write them as Chrome trace JSON",
	  run_trace },
	{ "profile", "[BYTES|pprof|folded]",
	  "sample one allocation in BYTES, 0: off; or write the profile", run_profile },
	{ "dump", "", "write the whole heap as a heap dump, the world stopped", run_dump },
	{ "state", "", "write the map of pages and the last collections, for pictures", run_state },
#if MW_GC
	{ "graph", "[NODES]", "make a tree of collected objects to look at; graph 0: drop it", graph },
	{ "churn", "[STEPS]", "allocate and free at random, and make garbage; churn 0: free it",
	  graph_churn },
#endif
	{ "export", "[BYTES]", "send a pattern to the host, to see that it arrives and how fast",
	  run_export },
};

const struct command_group watch_commands = { "Watching", commands, LEN(commands) };
