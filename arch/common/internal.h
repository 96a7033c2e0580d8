/* SPDX-License-Identifier: MIT */
/* What the files of this folder share with each other and with the machine's. */
#ifndef ARCH_COMMON_INTERNAL_H
#define ARCH_COMMON_INTERNAL_H

#include <stdatomic.h>
#include "machine.h"
#include "percpu.h"
#include "pte.h"

#define EXCEPTION_STACK_SIZE (8ul << 10)
#define INTERRUPT_STACK_SIZE (16ul << 10) /* a stopped CPU marks on it, and is interrupted there */

/* This CPU's timer, touched by it alone with interrupts off. Times are ticks of the clock. */
struct timer {
	struct alarm {
		arch_timer_fn *fn; /* NULL: nothing set */
		void *arg;
		uint64_t due, period; /* period 0: once */
	} alarm[ARCH_NR_TIMERS];
	uint64_t draw_due; /* the screen is to be brought up to date; 0: it is not */
	uint64_t random; /* state of the preemption's sequence; 0: off */
	uint64_t max_gap; /* nanoseconds */
	uint64_t preemptions;
};

/*
 * All that a CPU has of its own, found by this_cpu(). Slots are in the firmware's order of CPUs; a
 * CPU's number is its slot, unless one before it did not start.
 */
struct arch_percpu {
	struct arch_percpu *self;
	unsigned int cpu; /* ARCH_PERCPU_ID */
	unsigned int hardware_id; /* what firmware and interrupt controllers call it */
	unsigned int depth; /* of interrupt handlers */
	unsigned int in_exception;
	uintptr_t interrupt_stack; /* its top: where the outermost handler begins */
	bool resched; /* run the reschedule hook when depth is 0 again */
	volatile unsigned int in_nmi;
	void *local; /* the kernel's word */
	uintptr_t stack_top[NR_STACKS];
	_Atomic(unsigned long) state; /* enum cpu_state */
	struct arch_call *_Atomic calls; /* newest first */
	_Atomic(unsigned long) mail; /* arch_run_on_cpus() waits for this CPU */
	_Atomic(unsigned long) capture; /* enum capture_state */
	_Atomic(uint32_t) spare_copy; /* of the log of copies, left over; 0: none */
	struct arch_regs captured;
	struct timer timer;
	struct machine_percpu machine;
} __attribute__((aligned(64)));

enum cpu_state {
	CPU_ABSENT,
	CPU_ARRIVED,
	CPU_GO,
	CPU_DROPPED
};

_Static_assert(offsetof(struct arch_percpu, cpu) == ARCH_PERCPU_ID, "port_inline.h reads it");
_Static_assert(offsetof(struct arch_percpu, depth) == PERCPU_DEPTH, "assembly reads it");
_Static_assert(offsetof(struct arch_percpu, in_exception) == PERCPU_IN_EXCEPTION,
	       "assembly reads it");
_Static_assert(offsetof(struct arch_percpu, interrupt_stack) == PERCPU_INTERRUPT_STACK,
	       "assembly reads it");
_Static_assert(offsetof(struct arch_percpu, in_nmi) == PERCPU_IN_NMI, "assembly reads it");
_Static_assert(offsetof(struct arch_percpu, stack_top) == PERCPU_STACK_TOP, "assembly reads it");

/* A lock with interrupts off while it is held; nothing in here calls out with one. */
struct spin {
	_Atomic(unsigned long) word;
};

static inline unsigned long spin_lock(struct spin *spin)
{
	unsigned long state = arch_irq_save();

	while (atomic_exchange_explicit(&spin->word, 1, memory_order_acquire))
		while (atomic_load_explicit(&spin->word, memory_order_relaxed))
			arch_relax();
	return state;
}

static inline void spin_unlock(struct spin *spin, unsigned long state)
{
	atomic_store_explicit(&spin->word, 0, memory_order_release);
	arch_irq_restore(state);
}

/* main.c */
_Noreturn void arch_main(uintptr_t a, uintptr_t b);

/* percpu.c */
extern struct arch_percpu arch_slots[ARCH_MAX_CPUS];
extern struct arch_percpu *arch_cpu_by_number[ARCH_MAX_CPUS];
void percpu_stacks_alloc(struct arch_percpu *cpu);

/* trap.c: what the machine's entries call, in this order; the last two for interrupts */
void trap_exception(struct arch_regs *regs, uintptr_t address);
void trap_interrupt(struct arch_regs *regs);
void trap_leave(struct arch_regs *regs);
void trap_nmi(struct arch_regs *regs);
extern bool (*trap_on_nmi)(struct arch_regs *regs); /* a test's; NULL: none. Return: it was for the test. */
void trap_not_asked_for(unsigned int number); /* an interrupt, of up to 256 */

/* bootinfo.c, param.c */
extern struct arch_boot_info boot_info;
extern size_t boot_nr_firmware; /* entries of the map that are the firmware's */
void bootinfo_add(uint64_t start, uint64_t len, enum mw_memtype type);
bool bootinfo_add_module(uint64_t phys, uint64_t len, const char *cmdline);
const char *bootinfo_keep(const char *text);
void bootinfo_firmware_done(void); /* what is added from here on is the kernel's */
void bootinfo_done(void);
void param_set(const char *cmdline);

/* frames.c: page table frames and boot-time memory, all reserved in the map */
void frames_init(void);
void *frames_boot_alloc(size_t bytes);
uint64_t *frames_table_alloc(void);
void frames_seal(void);

/* paging.c, protect.c */
extern uint64_t kernel_root[512];
void paging_init(void);
void paging_must_map(uint64_t virt, uint64_t phys, uint64_t len, unsigned int access);
bool paging_map(uint64_t virt, uint64_t phys, uint64_t len, unsigned int access);
bool paging_table(uint64_t virt);
uint64_t *paging_walk(uint64_t virt, unsigned int *level);
bool paging_split(uint64_t *entry, unsigned int level);
bool paging_is_address(uint64_t virt); /* as wide as those of the machine are */
extern struct spin paging_lock; /* guards every entry's address and permission bits */
/* Whatever any CPU has in its TLB; interrupts on, unless only this CPU runs. */
void paging_flush_all(void);
#define PAGE_2M (1ul << 21)
#define PAGE_1G (1ul << 30)

static inline unsigned int level_shift(unsigned int level)
{
	return 3 + 9 * level;
}

static inline uint64_t level_size(unsigned int level)
{
	return 1ul << level_shift(level);
}

/*
 * snapshot.c: a write to @address was refused. In any context. Return: go on; false: it is somebody
 * else's.
 */
ARCH_FAULT_FN bool snapshot_fault(uintptr_t address);
/*
 * With paging_lock: the page is in a chunk that is prepared or armed; it was mapped as @entry, or
 * unmapped.
 */
bool snapshot_holds(uintptr_t address);
void snapshot_mapped(uintptr_t address, uint64_t entry);

/* window.c */
unsigned long window_flushes(void);

/* timer.c */
void timer_set_clock(uint64_t hz); /* from here on it tells the time */
void timer_interrupt(struct arch_regs *regs);
void timer_draw_later(uint64_t ns); /* call console_draw() in so long, on this CPU */

/* ipi.c, smp.c */
bool calls_push(struct arch_call *_Atomic *list, struct arch_call *call); /* Return: was it empty */
struct arch_call *calls_take(struct arch_call *_Atomic *list); /* all, oldest first */
void ipi_run_calls(struct arch_regs *regs);
void ipi_run_reschedule(struct arch_regs *regs);
bool ipi_answer_capture(struct arch_regs *regs);
arch_cpus_t ipi_capture_others(void);
void ipi_print_captured(arch_cpus_t answered, arch_cpus_t which);

void smp_add(unsigned int hardware_id); /* one that firmware names as usable; the first CPU, too */
void smp_for_absent(void (*fn)(struct arch_percpu *cpu)); /* those that have not arrived yet */
void smp_wait_arrived(uint64_t ns);
_Noreturn void smp_arrive(unsigned int hardware_id);
void smp_start(void);
void smp_release(void);

/* console.c, serial.c, screen.c */
void serial_init(void);
void serial_write(const char *text, size_t len);
int serial_read(void);
void serial_interrupt(void);
bool serial_use_interrupt(void); /* Return: whether there is one */
void console_init(void);
void screen_init(void);
void screen_write(const char *text, size_t len);
bool screen_draw(size_t cells); /* Return: whether there is more to draw */
void console_input(int c);
void console_draw(void);
void console_flush(void);
void console_take_over(void);
extern const uint8_t font_glyphs[95][8];

/* host.c, balloon.c */
void host_init(void);
void balloon_init(void);

/* panic.c, backtrace.c */
bool panic_begun(void);
_Noreturn void panic_regs(const char *why, const struct arch_regs *regs);

#endif
