/* SPDX-License-Identifier: MIT */
/* What the hosted port offers besides mw_port_*: to the harness, benchmarks, the preload library. */
#ifndef HOSTTEST_PORT_HOSTED_H
#define HOSTTEST_PORT_HOSTED_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <marrow/port.h>

/* What stands for an interrupt; comes to stopped threads too. */
#define PORT_INTERRUPT_SIGNAL (SIGRTMIN + 5)

/* A thread as port_world.c knows it; lives in its thread-local storage while it has a slot. */
struct port_thread {
	struct port_cpu *cpu;
	unsigned int slot;
	int tid;
	uintptr_t stack_end; /* behind the highest byte of stack and thread-local storage */
	/* Valid while stopped. */
	uintptr_t stack_at;
	const void *registers;
	size_t registers_len;
	unsigned int worker; /* its number for mw_port_run_stopped(), 0: not chosen */
	uint64_t asked_cpu_ns; /* its processor time when it was first waited for */
	atomic_uint answered; /* the stop request, by number, that it last answered */
};

/* The calling thread gets a slot and can be stopped from now on; otherwise at its first pin. */
void port_thread_begin(void);
/* The calling thread gives its slot back; done by itself when a thread ends. */
void port_thread_end(void);

/* Threads for mw_port_wake(), one for each kind of worker. */
bool port_workers_start(void);
void port_workers_stop(void);

/* port_world.c */
extern bool port_shows_roots; /* else mw_port_scan_roots() has none; written with no collection under way */
void port_world_join(struct port_thread *thread);
void port_world_leave(struct port_thread *thread);
void port_world_answer(void);
void port_world_set_limit(unsigned int seconds);
bool port_world_is_stopped(void);
/*
 * In the child of a fork: only the caller is there. The others are forgotten, but for those that were
 * pinned; @gone: their slots.
 */
void port_world_alone(bool gone[MW_MAX_CPUS]);

/* port_hosted.c */
/* Do as the thread of slot @slot would at its end. It is not there any more, and was not pinned. */
void port_end_for(unsigned int slot);
struct port_thread *port_self(void);

/* Before a panic ends the process: may leave by a jump. */
extern void (*port_on_panic)(const char *why);
/* Gets the text of mw_port_write() first. Return: true if it has taken it. */
extern bool (*port_on_write)(const char *text, size_t len);

/* Who turns in a spin loop calls it now and then. Return: true: somebody else had a turn. */
extern bool (*port_on_yield)(void);
/* Threads that are not pinned keep others out while they turn: only mw_port_yield() lets these run. */
extern bool port_strict;
unsigned int port_turns(void); /* of the calling thread, ever */

/*
 * Where the calling thread plays two CPUs in turn: is the other one pinned? Then a stop of the world waits for
 * it, turning as in a spin loop.
 */
extern bool (*port_other_is_pinned)(void);
/* And what of the other one is a root. */
extern void (*port_on_scan)(mw_root_visit_fn *visit, void *ctx);

/*
 * Where the calling thread plays two CPUs in turn: is the other one pinned? Then a stop of the world waits for
 * it, turning as in a spin loop.
 */
extern bool (*port_other_is_pinned)(void);

/* What mw_port_release() and mw_port_reclaim() do from now on; NULL: as Linux does. */
/* Zeroed memory at this address, for as long as the process lives. Return: false: something else is there. */
bool port_memory_at(void *at, size_t bytes);
/* On this thread, whenever it is no longer pinned: what port_interrupt_set() was given. */
void port_interrupt_each(bool on);
void port_pages_are(bool (*release)(void *page, size_t len), bool (*reclaim)(void *page, size_t len));

/*
 * The calling thread's interrupt: port_interrupt() in a signal handler runs @fn now, or when the
 * thread unpins. While it runs the thread counts as pinned.
 */
void port_interrupt_set(void (*fn)(void *arg), void *arg);
void port_interrupt(void);
unsigned long port_interrupts_taken(void);

#endif
