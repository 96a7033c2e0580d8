// SPDX-License-Identifier: MIT
/* The monitor: a prompt on serial line and screen. Commands are in commands_*.c. */
#include "commands.h"
#include "keys.h"
#include "line.h"
#include "live.h"
#include "storm.h"
#include "text.h"

#define MAX_WORDS 8
#define PROMPT "marrow> "

static void help(size_t argc, char **argv);

static const struct command own[] = {
	{ "help", "[COMMAND]", "this; more about one command; help boot: the boot loader's words",
	  help },
	{ "tour", "[STEP|list]", "ten minutes with all of this, step by step", tour },
};

static const struct command_group own_commands = { "Help", own, LEN(own) };
static const struct command_group *const groups[] = {
	&own_commands,	 &heap_commands, &gc_commands,	    &watch_commands,  &fs_commands,
	&storm_commands, &test_commands, &machine_commands, &memory_commands,
#if MW_GC
	&leak_commands,
#endif
};

static struct line line;
static bool failed;

void monitor_failed(void)
{
	failed = true;
}

bool monitor_well(void)
{
	return !failed;
}

void commands_forget(void)
{
	commands_fs_forget();
	storm_gc_forget();
	if (commands_leaks_forget)
		commands_leaks_forget();
	if (graph_forget)
		graph_forget();
}

/* ---- commands ---- */

static bool begins(const char *word, const char *text, size_t len)
{
	while (len && *word == *text)
		len--, word++, text++;
	return !len;
}

/* The n-th command that begins with @len characters of @text, over all groups. */
static const struct command *nth_command(const char *text, size_t len, size_t n)
{
	for (size_t g = 0; g < LEN(groups); g++)
		for (size_t i = 0; i < groups[g]->n; i++) {
			const struct command *command = &groups[g]->commands[i];

			if (begins(command->name, text, len) && !n--)
				return command;
		}
	return NULL;
}

static const struct command *find_command(const char *name)
{
	const struct command *command;

	for (size_t n = 0; (command = nth_command(name, 0, n)); n++)
		if (text_equal(command->name, name))
			return command;
	return NULL;
}

/* By its name, or by a beginning that no other one has. */
static const struct command *meant_command(const char *name)
{
	const struct command *command = find_command(name);
	size_t len = text_length(name);

	if (!command && !nth_command(name, len, 1))
		command = nth_command(name, len, 0);
	return command;
}

const char *command_word(size_t n)
{
	const struct command *command = nth_command("", 0, n);

	return command ? command->name : NULL;
}

/* The n-th of @words that begins with @len characters of @text. */
static const char *nth_word(const char *(*words)(size_t n), const char *text, size_t len, size_t n)
{
	const char *word;

	for (size_t i = 0; (word = words(i)); i++)
		if (begins(word, text, len) && !n--)
			return word;
	return NULL;
}

/* Names of commands, and what may come first behind some of them. */
static const char *complete(const char *text, size_t start, size_t len, size_t n)
{
	static const struct {
		const char *command;
		const char *(*words)(size_t n);
	} known[] = {
		{ "help ", command_word }, { "gc ", gc_word },	     { "poke ", poke_word },
		{ "storm ", storm_word },  { "world ", world_word },
	};

	for (size_t i = 0; start && i < LEN(known); i++)
		if (text_length(known[i].command) == start && text_after(text, known[i].command))
			return nth_word(known[i].words, text + start, len - start, n);
	return start ? NULL : nth_word(command_word, text, len, n);
}

static void print_command(const struct command *command)
{
	char call[48];

	mw_format(call, sizeof(call), "%s %s", command->name, command->args);
	mw_print("  %-27s %s\n", call, command->help);
}

bool need(size_t argc, size_t least, const char *name)
{
	if (argc < least)
		print_command(find_command(name));
	return argc >= least;
}

void unknown_word(const char *name, const char *word)
{
	mw_print("%s does not know \"%s\":\n", name, word);
	print_command(find_command(name));
}

bool number_of(size_t argc, char **argv, size_t i, const char *what, const uint64_t *otherwise,
	       uint64_t *number)
{
	if (i >= argc && otherwise) {
		*number = *otherwise;
		return true;
	}
	if (i < argc && text_number(argv[i], number))
		return true;
	if (i < argc)
		mw_print("\"%s\" is no number: ", argv[i]);
	mw_print("%s wants %s, as in 100, 64K or 0x1000.\n", argv[0], what);
	return false;
}

/* The command that has the longest beginning in common with @name. */
static const struct command *likest_command(const char *name)
{
	const struct command *likest = NULL, *command;

	for (size_t len = 1; len <= text_length(name); len++) {
		command = nth_command(name, len, 0);
		if (!command)
			break;
		likest = command;
	}
	return likest;
}

static void say_which(const char *name)
{
	const struct command *command;

	mw_print("\"%s\" may be:", name);
	for (size_t n = 0; (command = nth_command(name, text_length(name), n)); n++)
		mw_print(" %s", command->name);
	mw_print("\n");
}

static void say_unknown(const char *name)
{
	const struct command *like = likest_command(name);

	mw_print("There is no command \"%s\".", name);
	if (like)
		mw_print(" Did you mean \"%s\"?", like->name);
	mw_print(" \"help\" lists all.\n");
}

static void say_no_command(const char *name)
{
	if (nth_command(name, text_length(name), 0))
		say_which(name);
	else
		say_unknown(name);
}

static void help(size_t argc, char **argv)
{
	const struct command *command;

	if (argc > 1 && text_equal(argv[1], "boot")) {
		options_help();
		return;
	}
	if (argc > 1) {
		command = meant_command(argv[1]);
		if (command)
			print_command(command);
		else
			say_no_command(argv[1]);
		return;
	}
	for (size_t g = 0; g < LEN(groups); g++) {
		mw_print("%s\n", groups[g]->title);
		for (size_t i = 0; i < groups[g]->n; i++)
			print_command(&groups[g]->commands[i]);
	}
	mw_print("Keys: arrows, home, end, tab completes, control-A E K U W, control-C drops the "
		 "line, or ends the command.\n");
}

/*
 * How many words a command takes at most: those of its help, [A [B]] or A|B C; all with "..." or a
 * text.
 */
static size_t most_words(const struct command *command)
{
	size_t n = 0;

	for (const char *at = command->args; *at; at++) {
		if (at[0] == '.' && at[1] == '.')
			return MAX_WORDS;
		n += at == command->args || *at == ' ';
	}
	return n;
}

static void run_words(size_t argc, char **argv)
{
	const struct command *command = meant_command(argv[0]);

	if (command && argc - 1 > most_words(command))
		unknown_word(command->name, argv[most_words(command) + 1]);
	else if (command)
		command->run(argc, argv);
	else
		say_no_command(argv[0]);
}

static void run_text(char *text)
{
	char *words[MAX_WORDS];
	size_t n = text_split(text, words, MAX_WORDS);

	if (n)
		run_words(n, words);
	if (keys_stop())
		mw_print("^C\n");
}

/* ---- where commands come from ---- */

/*
 * One command of several that are separated by ';', but for those in quotes. Return: where the next
 * one begins.
 */
static const char *take_command(const char *from, char *to, size_t size)
{
	char quote = 0;
	size_t n = 0;

	for (; *from && (quote || *from != ';') && n + 1 < size; from++) {
		if (quote ? *from == quote : *from == '"' || *from == '\'')
			quote = quote ? 0 : *from;
		to[n++] = *from;
	}
	to[n] = '\0';
	return *from == ';' ? from + 1 : from;
}

/* Each with the prompt before it, as if it had been typed. */
void monitor_run(const char *commands)
{
	char text[LINE_SIZE];

	keys_begin();
	while (*commands && !keys_stop()) {
		commands = take_command(commands, text, sizeof(text));
		mw_print(PROMPT "%s\n", text);
		run_text(text);
	}
}

void monitor_typed(const char *commands)
{
	char text[LINE_SIZE];

	keys_begin();
	while (*commands && !keys_stop()) {
		commands = take_command(commands, text, sizeof(text));
		run_text(text);
	}
}

/* What stands on the screen now is the live line. */
static void leave_line(unsigned long state, enum line_event event)
{
	char shown[sizeof(PROMPT) + LINE_WINDOW] = PROMPT;

	memcpy(shown + sizeof(PROMPT) - 1, line.screen, line.shown);
	live_leave(state, event == LINE_MORE ? shown : NULL, sizeof(PROMPT) - 1 + line.cursor);
}

static enum line_event read_line(void)
{
	enum line_event event = LINE_MORE;
	unsigned long state = live_take();

	live_raw(PROMPT, sizeof(PROMPT) - 1);
	line_begin(&line);
	leave_line(state, event);
	while (event == LINE_MORE) {
		char key = keys_wait();

		state = live_take();
		event = line_key(&line, key);
		leave_line(state, event);
	}
	return event;
}

_Noreturn void monitor_loop(void)
{
	line.prompt = PROMPT;
	line.write = live_raw;
	line.complete = complete;
	for (;;) {
		enum line_event event = read_line();

		if (event == LINE_DONE)
			monitor_typed(line.text);
		else if (event == LINE_END)
			mw_print("\"halt\" ends the machine.\n");
	}
}
