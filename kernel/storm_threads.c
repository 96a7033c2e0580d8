// SPDX-License-Identifier: MIT
/* Threads that come and go, producers and consumers, and interrupts that allocate. */
#include <stdatomic.h>
#include "storm.h"
#include "thread.h"

static bool begin_nothing(const struct storm_want *want)
{
	(void)want;
	return true;
}

static void end_nothing(void)
{
}

/* ---- come and go ---- */

#define AT_ONCE 4

static void live_shortly(void *arg)
{
	uint64_t *mine[8];
	unsigned int i = (unsigned int)(uintptr_t)arg;

	for (size_t n = 0; n < LEN(mine); n++) {
		mine[n] = mw_alloc(64 + 40 * n, MW_NORMAL);
		if (mine[n])
			*mine[n] = (uintptr_t)&mine[n];
	}
	thread_yield();
	for (size_t n = 0; n < LEN(mine); n++) {
		if (mine[n] && *mine[n] != (uintptr_t)&mine[n])
			storm_wrong("an object of a short thread was overwritten");
		mw_free(mine[n]);
	}
	storm_step(i);
}

static void work_threads(unsigned int i)
{
	struct thread *thread[AT_ONCE];

	while (!storm_is_over()) {
		for (size_t n = 0; n < LEN(thread); n++)
			thread[n] = thread_create("short", live_shortly, (void *)(uintptr_t)i);
		for (size_t n = 0; n < LEN(thread); n++)
			if (thread[n])
				thread_join(thread[n]);
	}
}

const struct storm storm_threads = {
	.name = "threads",
	.help = "threads are made, allocate, and end",
	.begin = begin_nothing,
	.work = work_threads,
	.end = end_nothing,
};

/* ---- producers and consumers: what one CPU allocates another one frees ---- */

#define PLACES 256u

struct parcel {
	size_t words;
	uint64_t word[];
};

static struct {
	struct wait_queue room, parcels;
	unsigned int head, tail; /* scheduler's lock */
	struct parcel *place[PLACES];
} queue;

static bool begin_queue(const struct storm_want *want)
{
	(void)want;
	queue.head = queue.tail = 0;
	wait_queue_init(&queue.room);
	wait_queue_init(&queue.parcels);
	return true;
}

/* Return: false: there is no place, and the storm is over. */
static bool put(struct parcel *parcel)
{
	unsigned long state = sched_lock();
	bool room;

	while (queue.head - queue.tail == PLACES && !storm_is_over())
		(void)sched_wait(&queue.room, UINT64_MAX);
	room = queue.head - queue.tail < PLACES;
	if (room)
		queue.place[queue.head++ % PLACES] = parcel;
	sched_wake_first(&queue.parcels);
	sched_unlock(state);
	return room;
}

static struct parcel *take(void)
{
	unsigned long state = sched_lock();
	struct parcel *parcel = NULL;

	while (queue.head == queue.tail && !storm_is_over())
		(void)sched_wait(&queue.parcels, UINT64_MAX);
	if (queue.head != queue.tail)
		parcel = queue.place[queue.tail++ % PLACES];
	sched_wake_first(&queue.room);
	sched_unlock(state);
	return parcel;
}

static void over_queue(void)
{
	unsigned long state = sched_lock();

	sched_wake_all(&queue.room);
	sched_wake_all(&queue.parcels);
	sched_unlock(state);
}

static void open_parcel(struct parcel *parcel)
{
	for (size_t n = 0; n < parcel->words; n++)
		if (parcel->word[n] != parcel->words * 1000 + n)
			storm_wrong("a parcel is not what was sent");
	mw_free(parcel);
}

static void produce(unsigned int i)
{
	while (!storm_is_over()) {
		size_t words = storm_below(i, storm_random(i) & 31 ? 60 : 3000);
		struct parcel *parcel = mw_alloc(sizeof(*parcel) + 8 * words, MW_NORMAL);

		if (!parcel)
			continue;
		parcel->words = words;
		for (size_t n = 0; n < words; n++)
			parcel->word[n] = words * 1000 + n;
		if (!put(parcel))
			open_parcel(parcel);
	}
}

static void consume(unsigned int i)
{
	struct parcel *parcel;

	while ((parcel = take())) {
		open_parcel(parcel);
		storm_step(i);
	}
}

static void work_queue(unsigned int i)
{
	if (i & 1)
		consume(i);
	else
		produce(i);
}

/* What is still on its way. */
static void end_queue(void)
{
	for (; queue.tail != queue.head; queue.tail++)
		open_parcel(queue.place[queue.tail % PLACES]);
	memset(queue.place, 0, sizeof(queue.place));
}

const struct storm storm_queue = {
	.name = "queue",
	.help = "what one thread allocates another one frees",
	.begin = begin_queue,
	.work = work_queue,
	.over = over_queue,
	.end = end_queue,
};

/* ---- interrupts: each CPU's timer allocates and frees, whatever the CPU was doing ---- */

#define KEPT 32u
#define GAP_NS 50000u /* longest time between two */

static struct {
	_Alignas(64) uint64_t *kept[KEPT]; /* of the CPU's handler alone */
	uint64_t random;
} handler[MW_MAX_CPUS];

static void on_timer(struct arch_regs *regs, void *arg)
{
	unsigned int cpu = arch_cpu_id();
	uint64_t random = handler[cpu].random = handler[cpu].random * 6364136223846793005u + 1;
	uint64_t **kept = &handler[cpu].kept[random >> 40 & (KEPT - 1)];

	(void)regs;
	if (*kept && **kept != (uintptr_t)kept)
		storm_wrong("an object of an interrupt handler was overwritten");
	mw_free(*kept);
	*kept = mw_alloc(8 + (random >> 50 & 1023), MW_ATOMIC);
	if (*kept)
		**kept = (uintptr_t)kept;
	if (!storm_is_over())
		arch_timer_oneshot(ARCH_TIMER_STORM, 1 + (random >> 33) % GAP_NS, on_timer, arg);
}

static void start_timer(struct arch_regs *regs, void *arg)
{
	handler[arch_cpu_id()].random = arch_cpu_id();
	on_timer(regs, arg);
}

static bool begin_interrupts(const struct storm_want *want)
{
	memset(handler, 0, sizeof(handler));
	if (want->ns) {
		unsigned long state;

		arch_ipi_call(arch_cpus_others(), start_timer, NULL);
		state = arch_irq_save();
		start_timer(NULL, NULL);
		arch_irq_restore(state);
	}
	return true;
}

static void stop_timer(struct arch_regs *regs, void *arg)
{
	(void)regs, (void)arg;
	arch_timer_stop(ARCH_TIMER_STORM);
}

static void work_interrupts(unsigned int i)
{
	uint64_t *mine[64] = { NULL };

	while (!storm_is_over()) {
		uint64_t **place = &mine[storm_below(i, LEN(mine))];

		if (*place && **place != (uintptr_t)place)
			storm_wrong("an object was overwritten");
		mw_free(*place);
		*place = mw_alloc(8 + storm_below(i, 1000), MW_NORMAL);
		if (*place)
			**place = (uintptr_t)place;
		storm_step(i);
	}
	for (size_t n = 0; n < LEN(mine); n++)
		mw_free(mine[n]);
}

static void end_interrupts(void)
{
	unsigned long state = arch_irq_save();

	stop_timer(NULL, NULL);
	arch_irq_restore(state);
	arch_ipi_call(arch_cpus_others(), stop_timer, NULL);
	for (unsigned int cpu = 0; cpu < MW_MAX_CPUS; cpu++)
		for (unsigned int n = 0; n < KEPT; n++)
			mw_free(handler[cpu].kept[n]);
	memset(handler, 0, sizeof(handler));
}

const struct storm storm_interrupts = {
	.name = "interrupts",
	.help = "timers on all CPUs that allocate and free",
	.begin = begin_interrupts,
	.work = work_interrupts,
	.end = end_interrupts,
};
