// SPDX-License-Identifier: MIT
/*
 * The harness on Linux as a program: arguments, console, crashes, hangs. What stands for a machine is in
 * harness_machine.c.
 *
 * A crash in the test's own thread ends that test and the run goes on; one in another thread, or a
 * hang, prints the test as failed and ends the run with a code of its own: 2 and 3.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "harness.h"
#include "port_hosted.h"

#define EXIT_CRASHED 2
#define EXIT_HUNG 3

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static pthread_t main_thread;
static unsigned int time_limit_s = SANITIZED ? 300 : 120;
static _Atomic(unsigned long) running; /* the test that is watched, each with another number; 0: none */
static _Atomic(unsigned long) started_ticks; /* processor_ticks() when it began */

/* ---- console ---- */

void backend_write(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno != EINTR)
			_exit(EXIT_CRASHED);
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
}

/* ---- the end of a test that cannot go on ---- */

static __thread struct attempt {
	sigjmp_buf back;
	struct attempt *outer;
	unsigned long depth;
} * attempt;

bool backend_try(void (*fn)(void *arg), void *arg)
{
	struct attempt here = { .outer = attempt, .depth = port_cpu.depth };
	bool done = false;

	if (!sigsetjmp(here.back, 1)) {
		attempt = &here;
		fn(arg);
		done = true;
	} else {
		mw_port_unpin(here.depth);
	}
	attempt = here.outer;
	return done;
}

_Noreturn void backend_leave(void)
{
	if (!attempt)
		abort();
	siglongjmp(attempt->back, 1);
}

/* Only write(), what the test has to tell, and _exit(): anything may be broken. */
static _Noreturn void end_all(const char *why, int code)
{
	char line[256];
	unsigned int number;
	const char *name = harness_current(&number);
	int len = snprintf(line, sizeof(line), "not ok %u - %s # %s\nBail out! %s\n", number,
			   name ? name : "no test", why, why);

	if (harness_last_words)
		harness_last_words();
	backend_write(line, (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1);
	_exit(code);
}

static void on_crash(int signal, siginfo_t *info, void *context)
{
	char why[80];

	(void)context;
	snprintf(why, sizeof(why), "signal %d (%s) at %p", signal, sigabbrev_np(signal),
		 signal == SIGABRT ? NULL : info->si_addr);
	if (attempt && pthread_equal(pthread_self(), main_thread))
		harness_panicked(why);
	end_all(why, EXIT_CRASHED);
}

static void crashes_set_up(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	struct sigaction action = { .sa_sigaction = on_crash,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	stack_t stack = { .ss_size = 256u << 10 };

	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL))
		abort();
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		/* A sanitizer's own report says more. */
		if (!SANITIZED || signals[i] == SIGABRT)
			sigaction(signals[i], &action, NULL);
	}
}

__attribute__((weak)) void __sanitizer_set_death_callback(void (*fn)(void));

static void on_sanitizer_death(void)
{
	unsigned int number;

	if (harness_current(&number))
		end_all("sanitizer report", EXIT_CRASHED);
}

/* ---- hangs ---- */

/*
 * On a machine that others use as well the clock says nothing. A test that is past its limit by the clock
 * hangs if it has also had that much processor time, of as many processors as there are, or if no thread
 * wants to run for IDLE_TICKS in a row.
 *
 * The watchdog calls nothing that a test calls: test_step() plants breakpoints there, and this thread
 * would step on them. So it counts its own ticks and reads files.
 */
#define TICK_MS 100
#define IDLE_TICKS 50

/* The fields of a "stat" file of /proc behind the name, or NULL. */
static const char *stat_fields(const char *path, char *text, size_t size)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = file < 0 ? 0 : read(file, text, size - 1);
	const char *end;

	if (file >= 0)
		close(file);
	text[n > 0 ? n : 0] = '\0';
	end = strrchr(text, ')');
	return end && end[1] ? end + 2 : NULL;
}

/* Processor time of this process, by the system's ticks. */
static unsigned long processor_ticks(void)
{
	char text[512];
	const char *field = stat_fields("/proc/self/stat", text, sizeof(text));
	unsigned long user = 0, system = 0;

	if (field)
		sscanf(field, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
	return user + system;
}

/* Whether a thread of this process that is not the caller runs, or waits for a processor or the disk. */
static bool thread_wants_to_run(int own)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	bool wants = !tasks;

	while (tasks && !wants && (task = readdir(tasks))) {
		char path[300], text[512];
		const char *field;

		if (task->d_name[0] == '.' || atoi(task->d_name) == own)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/stat", task->d_name);
		field = stat_fields(path, text, sizeof(text));
		wants = field && (*field == 'R' || *field == 'D');
	}
	if (tasks)
		closedir(tasks);
	return wants;
}

/* One tick of a test that is past its limit by the clock. */
static void look_at_late(unsigned long most_ticks, int own)
{
	static unsigned int idle;

	if (processor_ticks() - atomic_load(&started_ticks) > most_ticks)
		end_all("hang: time limit passed", EXIT_HUNG);
	idle = thread_wants_to_run(own) ? 0 : idle + 1;
	if (idle == IDLE_TICKS)
		end_all("hang: all threads sleep", EXIT_HUNG);
}

/* A thread, not an alarm: sanitizers hold signals back while a thread spins. */
static void *watchdog(void *arg)
{
	const struct timespec tick = { .tv_nsec = TICK_MS * 1000000 };
	unsigned long most_ticks = time_limit_s * (unsigned long)sysconf(_SC_CLK_TCK) *
				   (unsigned long)sysconf(_SC_NPROCESSORS_ONLN);
	unsigned long test = 0, ticks = 0;
	int own = (int)gettid();

	(void)arg;
	for (;; nanosleep(&tick, NULL)) {
		unsigned long now = atomic_load(&running);

		ticks = now == test ? ticks + 1 : 0;
		test = now;
		if (now && ticks > time_limit_s * (1000ul / TICK_MS))
			look_at_late(most_ticks, own);
	}
	return NULL;
}

static void start_watchdog(void)
{
	sigset_t all, before;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, watchdog, NULL))
		abort();
	pthread_detach(thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void backend_test_begin(const char *name)
{
	static unsigned long tests;

	(void)name;
	atomic_store(&started_ticks, processor_ticks());
	atomic_store(&running, ++tests);
}

void backend_test_end(void)
{
	atomic_store(&running, 0);
}

/* ---- other processes: this program again, for the tests of the harness itself, and copies ---- */

/* A process that is waited for has limits of its own; meanwhile this one sleeps with right. */
static int wait_for_process(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int backend_child(const char *name, char *out, size_t size)
{
	size_t used = 0;
	int pipes[2], status;
	unsigned long test;
	pid_t pid;
	ssize_t n;

	if (pipe(pipes))
		return -1;
	test = atomic_exchange(&running, 0);
	pid = fork();
	if (!pid) {
		dup2(pipes[1], STDOUT_FILENO);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		close(pipes[0]);
		execl("/proc/self/exe", "test", "--hidden", "--timeout", "1", name, NULL);
		_exit(127);
	}
	close(pipes[1]);
	while ((n = read(pipes[0], out + used, size - 1 - used)) > 0)
		used += (size_t)n;
	out[used] = '\0';
	close(pipes[0]);
	status = wait_for_process(pid);
	atomic_store(&running, test);
	return status;
}

#define FORK_LIMIT_S 60

int backend_fork(bool (*fn)(void *arg), void *arg)
{
	const struct rlimit limit = { FORK_LIMIT_S, FORK_LIMIT_S };
	unsigned long test = atomic_exchange(&running, 0);
	int status;
	pid_t pid = fork();

	if (!pid) {
		port_on_panic = NULL;
		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CPU, &limit);
		alarm(20 * FORK_LIMIT_S); /* if it sleeps */
		_exit(fn(arg) ? 0 : 1);
	}
	status = wait_for_process(pid);
	atomic_store(&running, test);
	return status;
}

bool backend_sanitized(void)
{
	return SANITIZED;
}

/* ---- main ---- */

static char names[4096];

static int usage(void)
{
	fprintf(stderr,
		"usage: %s [--list] [--seed N] [--long] [--timeout SECONDS] [NAME...]\n"
		"NAME: a suite, suite.test, or a beginning of either and '*'\n",
		program_invocation_short_name);
	return 64;
}

static bool add_name(const char *name)
{
	size_t used = strlen(names);

	return snprintf(names + used, sizeof(names) - used, "%s%s", used ? "," : "", name) <
	       (int)(sizeof(names) - used);
}

static bool read_arguments(int argc, char **argv, struct harness_want *want)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(argv[i], "--list")) {
			want->list = true;
		} else if (!strcmp(argv[i], "--long")) {
			want->flags |= TEST_LONG;
			time_limit_s = 3600;
		} else if (!strcmp(argv[i], "--hidden")) {
			want->flags |= TEST_HIDDEN;
		} else if (!strcmp(argv[i], "--seed") && value) {
			want->seed = strtoull(argv[++i], NULL, 0);
		} else if (!strcmp(argv[i], "--timeout") && value) {
			time_limit_s = (unsigned int)strtoul(argv[++i], NULL, 0);
		} else if (argv[i][0] == '-' || !add_name(argv[i])) {
			return false;
		}
	}
	want->names = names;
	return true;
}

int main(int argc, char **argv)
{
	const char *seed = getenv("SEED");
	struct harness_want want = { .flags = TEST_HOSTED,
				     .seed = seed ? strtoull(seed, NULL, 0) : 1 };

	if (!read_arguments(argc, argv, &want))
		return usage();
	main_thread = pthread_self();
	port_thread_begin();
	port_on_panic = harness_panicked;
	port_on_write = harness_swallow;
	port_world_set_limit(SANITIZED ? 20 : 2);
	crashes_set_up();
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(on_sanitizer_death);
	backend_memory_reset();
	start_watchdog();
	return harness_run(&want) ? 1 : 0;
}
