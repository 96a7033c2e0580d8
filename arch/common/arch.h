/* SPDX-License-Identifier: MIT */
/*
 * What the machine gives the kernel, and the hooks that it asks of it; the same on every machine. What a
 * machine has to give for it is in machine.h.
 *
 * The way of a boot: the loader → arch/<machine>/entry.S (first page tables) → main.c
 * arch_main() reads the loader's information, builds the direct map, finds and starts the other
 * CPUs → kernel_main() on CPU 0, kernel_ap_main() on each other one, all at about the same time.
 *
 * Said per function: "irq: any" may be called with interrupts on or off and in handlers, "irq: on"
 * only with interrupts on (asserted). Nothing here allocates from Marrow or calls it.
 */
#ifndef ARCH_COMMON_ARCH_H
#define ARCH_COMMON_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <marrow/mm.h>
#include "bootinfo.h"
#include "layout.h"

#define ARCH_MAX_CPUS MW_MAX_CPUS

_Static_assert(ARCH_MAX_CPUS <= 64, "sets of CPUs are 64-bit masks");

/* What an exception was about. */
enum arch_fault {
	ARCH_FAULT_OTHER,
	ARCH_FAULT_INSTRUCTION, /* there is none such */
	ARCH_FAULT_READ, /* of a page that does not allow it, and so on */
	ARCH_FAULT_WRITE,
	ARCH_FAULT_EXECUTE,
};

/*
 * struct arch_regs: registers as an interrupt or exception saved them, with arch_pc(), arch_sp(), arch_fp(),
 * arch_set_place(), arch_fault_of(); arch_irq_on() and off(), arch_idle(); other single instructions.
 */
#include "regs.h"

/* string.c; compilers call them on their own. */
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/* Set of CPUs: bit n is CPU n. */
typedef uint64_t arch_cpus_t;

/* ---- hooks: the kernel defines these ---- */

/**
 * kernel_main - on CPU 0, interrupts off, timer stopped, every other CPU started
 *
 * Should not return; if it does, the machine ends as failed.
 */
void kernel_main(const struct arch_boot_info *info);

/**
 * kernel_ap_main - on each other CPU, on its boot stack, interrupts off
 *
 * Return: the CPU then waits in arch_cpu_loop() for ever, which is a fine idle loop.
 */
void kernel_ap_main(unsigned int cpu);

/**
 * kernel_symbol - name of a function, for backtraces; optional (weak)
 * @pc: a return address or the address of an instruction
 * @off: set to @pc's offset from the start of the function
 *
 * irq: any, called in NMI handlers as well. Return: NULL if not known.
 */
const char *kernel_symbol(uintptr_t pc, uintptr_t *off) __attribute__((weak));

/** kernel_panic_note - the kernel's own words after a panic's backtrace; optional (weak) */
void kernel_panic_note(void) __attribute__((weak));

/**
 * kernel_shadow_bytes, kernel_shadow_init - for a build that checks addresses; optional (weak)
 * @memory: bytes of free memory; the first one says how many of them the second one takes at most
 *
 * The second one is called when the page tables stand, on the first stack of CPU 0.
 */
uint64_t kernel_shadow_bytes(uint64_t memory) __attribute__((weak));
void kernel_shadow_init(void) __attribute__((weak));

/* ---- this CPU ---- */

static inline unsigned int arch_cpu_id(void)
{
	return mw_port_cpu();
}

/* Return: state for arch_irq_restore(). Nests. */
static inline unsigned long arch_irq_save(void)
{
	return mw_port_pin();
}

static inline void arch_irq_restore(unsigned long state)
{
	mw_port_unpin(state);
}

static inline void arch_relax(void)
{
	mw_port_relax();
}

/* Is this an interrupt, exception or NMI handler? irq: any. */
bool arch_in_interrupt(void);
/* How many interrupt handlers interrupted each other here; exceptions do not count. irq: any. */
unsigned int arch_interrupt_depth(void);

/* A word per CPU for the kernel, for instance its current thread. irq: any. */
void arch_set_local(void *value);
void *arch_local(void);

/* ---- all CPUs ---- */

/* How many run; constant from kernel_main() on. */
unsigned int arch_cpu_count(void);
/* The set of all that run; without this one. */
arch_cpus_t arch_cpus_all(void);
arch_cpus_t arch_cpus_others(void);

/* Runs in an interrupt on its CPU, interrupts off; @regs are the interrupted registers. */
typedef void arch_call_fn(struct arch_regs *regs, void *arg);

/*
 * A call in flight: memory of the caller's, zeroed at first, that must stay until
 * arch_call_pending() is false. One for each target.
 */
struct arch_call {
	struct arch_call *next;
	arch_call_fn *fn;
	void *arg;
	_Atomic(unsigned long) pending;
};

/**
 * arch_call_post - have another CPU run a function, do not wait
 *
 * It runs when that CPU has interrupts on; calls from one CPU to another run in order of posting. The
 * call stays pending while @fn runs. irq: any.
 *
 * Return: false if @call is still pending from before: nothing was posted, the old one will run.
 */
bool arch_call_post(unsigned int cpu, struct arch_call *call, arch_call_fn *fn, void *arg);
bool arch_call_pending(const struct arch_call *call);

/**
 * arch_ipi_call - run a function on other CPUs, at once, and wait until all have returned
 * @cpus: this CPU is left out if it is in it
 *
 * irq: on (else two callers wait for each other). A CPU that does not answer within ten seconds
 * panics the machine with a dump of all CPUs.
 */
void arch_ipi_call(arch_cpus_t cpus, arch_call_fn *fn, void *arg);

/*
 * Make a CPU leave arch_idle() and run the hook below. On this CPU, in a handler: when the
 * outermost handler ends. irq: any.
 */
void arch_ipi_reschedule(unsigned int cpu);
/*
 * The place to switch threads: the last thing of the outermost interrupt on its CPU, after the
 * interrupt's end was signalled, interrupts off, arch_in_interrupt() false.
 */
void arch_on_reschedule(void (*fn)(struct arch_regs *regs));

/**
 * arch_run_on_cpus - run a function on other CPUs as ordinary code, and wait for all
 * @cpus: may contain this CPU, which then runs it too, last to be started
 *
 * The others must be in arch_cpu_loop(), or call arch_mailbox_run() from time to time. @fn runs with
 * interrupts on. irq: on. One caller at a time, others wait.
 */
void arch_run_on_cpus(arch_cpus_t cpus, void (*fn)(unsigned int cpu, void *arg), void *arg);
/* Is something waiting for this CPU; run it. irq: any; on. Return: whether there was anything. */
bool arch_mailbox_waiting(void);
bool arch_mailbox_run(void);
/* Sleep, and run what arch_run_on_cpus() gives. irq: any. */
_Noreturn void arch_cpu_loop(void);

/**
 * arch_capture - registers of all CPUs as they are now
 * @regs: one for each CPU; this CPU's are those of the call
 *
 * Where there are NMIs (ARCH_HAS_NMI) it works on CPUs with interrupts off. irq: any.
 *
 * Return: the CPUs that answered within a second, or four without NMIs.
 */
arch_cpus_t arch_capture(struct arch_regs regs[ARCH_MAX_CPUS]);
/* Print registers and backtrace of every CPU. irq: any. So does an NMI from outside. */
void arch_dump_cpus(void);

/* ---- time ---- */

/* Of the clock that tells the time. */
uint64_t arch_clock_hz(void);
/* Nanoseconds since boot. irq: any. */
uint64_t arch_now(void);
/* Wait, spinning. irq: any. */
void arch_delay(uint64_t ns);

/* What a CPU's timer is for; each has a time and a function of its own. */
enum arch_timer {
	ARCH_TIMER_TURNS, /* the scheduler's */
	ARCH_TIMER_STORM, /* for tests and storms: interrupts that do something else */
	ARCH_NR_TIMERS,
};

/*
 * This CPU's timer. The function runs in the interrupt, interrupts off; to switch threads it calls
 * arch_ipi_reschedule() for its own CPU. Setting replaces what was set for @which. irq: any.
 */
typedef void arch_timer_fn(struct arch_regs *regs, void *arg);
void arch_timer_oneshot(enum arch_timer which, uint64_t ns, arch_timer_fn *fn, void *arg);
void arch_timer_periodic(enum arch_timer which, uint64_t ns, arch_timer_fn *fn, void *arg);
void arch_timer_stop(enum arch_timer which);

/**
 * arch_preempt_start - seeded preemption of this CPU: interrupts at pseudo-random moments
 * @seed: gives, with the CPU's number, the sequence of gaps
 * @max_gap_ns: gaps are from 1 to this, evenly; under -icount shift=0 a nanosecond is an instruction
 *
 * Each interrupt relaxes, which hands the turn to another CPU under -icount, and arms the
 * next one after it. The timer set above still runs, late by up to a gap. irq: any.
 */
void arch_preempt_start(uint64_t seed, uint64_t max_gap_ns);
/* Return: how many preemptions there were. */
uint64_t arch_preempt_stop(void);

/* ---- memory ---- */

static inline void *arch_virt(uint64_t phys)
{
	return (void *)(ARCH_DIRECT_MAP + phys);
}

/* Of an address in the direct map or in the image. */
static inline uint64_t arch_phys(const void *virt)
{
	uintptr_t a = (uintptr_t)virt;

	return a >= ARCH_KERNEL_BASE ? a - ARCH_KERNEL_BASE : a - ARCH_DIRECT_MAP;
}

enum arch_prot {
	ARCH_PROT_NONE, /* every access faults */
	ARCH_PROT_READ,
	ARCH_PROT_WRITE, /* read and write; nothing in the direct map is ever executable */
};

/**
 * arch_page_protect - change the access to whole pages of the direct map
 * @addr: page-aligned, as is @len
 *
 * Splits large pages as needed. When it returns no CPU has the old access in its TLB. irq: on, unless
 * only this CPU runs.
 *
 * Return: false if the range is not mapped, or if the pool of frames for page tables is empty;
 * nothing has changed then.
 */
bool arch_page_protect(void *addr, size_t len, enum arch_prot prot);

/* Frames that are left for page tables. At boot there are some for splitting; none comes back. irq: any. */
size_t arch_page_pool(void);

/**
 * arch_map_phys - make physical memory or a device's registers reachable in the direct map
 * @device: uncached, else as memory; what is mapped already stays as it is
 *
 * Return: its address, or NULL if the pool is empty. irq: on, unless only this CPU runs.
 */
void *arch_map_phys(uint64_t phys, size_t len, bool device);

/* Is this address mapped, readable? Walks the page tables; true for large pages as well. irq: any. */
bool arch_is_mapped(const void *addr);

/**
 * arch_dirty_start - begin to note writes to [@addr, @addr + @len) of the direct map
 *
 * Splits to 4 KiB pages where the pool allows (else a large page counts as a whole), clears the dirty
 * bits, and flushes all TLBs. irq: on, unless only this CPU runs. Return: false if not mapped.
 */
bool arch_dirty_start(void *addr, size_t len);
/* The first page in [@from, @end) that was written since; NULL if none. irq: any. */
void *arch_dirty_next(void *from, void *end);

/* Limits of the image, for roots: initialised data, bss, and all of it. */
extern char arch_image_start[], arch_image_end[];
extern char arch_text_start[], arch_text_end[], arch_rodata_end[];
extern char arch_data_start[], arch_data_end[];
extern char arch_bss_start[], arch_bss_end[];
/* Of bss: the tests' variables; what all others have that may lead to objects. Up to the next, and the end. */
extern char arch_tests_start[], arch_roots_start[];

/* A large variable in which there are no references to objects, and which is no root. In bss. */
#define ARCH_PLAIN __attribute__((section(".bss.plain")))

/* ---- threads ---- */

/**
 * arch_switch - go on with another stack
 * @save: gets the stack pointer to come back with, after the callee-saved registers were pushed
 * @load: from @save of an earlier call, or from arch_stack_init()
 *
 * irq: off. Everything live of a switched-out thread is on its stack from *@save up.
 */
void arch_switch(uintptr_t *save, uintptr_t load);
/*
 * A stack that begins with fn(arg), interrupts off, and must never return. @top: its upper end,
 * aligned to 16.
 */
uintptr_t arch_stack_init(void *top, void (*fn)(void *arg), void *arg);

/**
 * arch_stack_map - a stack with unmapped pages below it
 * @pages: its memory, in the direct map, contiguous
 * @len: whole pages, fewer than ARCH_STACK_SLOT
 *
 * irq: on. Return: its lower end, or NULL: no slot, or the pool is empty.
 */
void *arch_stack_map(const void *pages, size_t len);
/* Its end; at once it can be reached no more through tables, and from a TLB nobody may. irq: any. */
void arch_stack_unmap(void *stack, size_t len);
/* Is this an address of that window where nothing is mapped? irq: any. */
bool arch_stack_guard(uintptr_t address);

/*
 * Stack [lo, hi) that CPU @cpu booted on, and the ones of its exceptions and interrupts. @which: 0 the one it
 * booted on, then as percpu.h has them. Return: false past the last.
 */
bool arch_cpu_stack(unsigned int cpu, unsigned int which, void **lo, void **hi);

/**
 * arch_backtrace - return addresses from a frame pointer upwards
 * @frame: the frame pointer to begin with; 0: the caller's
 *
 * Never faults, whatever the frames hold. irq: any. Return: how many were stored.
 */
size_t arch_backtrace(uintptr_t frame, uintptr_t *pcs, size_t max);

/* ---- the console ---- */

/*
 * Serial and screen. A whole call comes out unmixed with other CPUs', unless one of them died while
 * it wrote. irq: any, NMI included.
 */
void arch_console_write(const char *text, size_t len);
/* printf through mw_vformat(), at most 255 bytes. irq: any. */
void arch_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A character from the serial line or the keyboard. irq: any. Return: -1 if there is none. */
int arch_console_read(void);
/* Called in an interrupt on CPU 0 when there may be input (fetch it with arch_console_read()). */
void arch_on_input(void (*fn)(void));

/* ---- bytes to the host ---- */

/**
 * arch_host_write - into a file beside the emulator: a virtio console, if the machine has one
 * @bytes: in the direct map or in the image, in one piece of physical memory
 *
 * When it returns the host has them. One caller at a time. irq: any.
 *
 * Return: false: there is no such device, or it does not answer.
 */
bool arch_host_write(const void *bytes, size_t len);
/* Is there such a device? irq: any. */
bool arch_host_present(void);

/* ---- memory for the host ---- */

/**
 * arch_report_free - nobody wants what is in this memory of the direct map, until it is touched again
 *
 * When it returns the host has taken the frames: a later access finds others there, with zeros or with what
 * was in it before. One caller at a time; waits for the host. irq: on.
 *
 * Return: false: no balloon that takes reports, or it does not answer; nothing has happened then.
 */
bool arch_report_free(void *pages, size_t len);
bool arch_report_present(void);

/* ---- memory modules that come and go ---- */

struct arch_dimm {
	uint64_t phys, len;
	bool leaves; /* the host wants it back */
};

enum arch_dimm_answer {
	ARCH_DIMM_TAKEN, /* a new one is in use now */
	ARCH_DIMM_IN_USE, /* cannot be given back */
	ARCH_DIMM_EJECT, /* nobody will touch it any more */
};

/* Does this machine have slots for them? irq: any. */
bool arch_dimm_slots(void);
/* What is in a slot; it is not mapped until arch_map_phys(). irq: any. Return: false: nothing. */
bool arch_dimm_read(unsigned int slot, struct arch_dimm *dimm);
void arch_dimm_answer(unsigned int slot, enum arch_dimm_answer answer);

/* ---- the command line ---- */

/*
 * Value of "name=value" or of a bare "name" (""), up to the next space or quote; the last one on the
 * line counts. irq: any. Return: false if it is not there.
 */
bool arch_param(const char *name, char *value, size_t size);
/* The same as a number: decimal or 0x…, with K, M, G, T. @otherwise: not there, or not a number. */
uint64_t arch_param_number(const char *name, uint64_t otherwise);

/* ---- faults and the end ---- */

/**
 * arch_on_fault - a look at exceptions before they panic
 * @fn: @address is what a page fault was about. Return true: handled, go on with @regs (which it may change).
 *
 * Return: the one before.
 */
typedef bool arch_fault_fn(struct arch_regs *regs, uintptr_t address);
arch_fault_fn *arch_on_fault(arch_fault_fn *fn);

/* In words. */
const char *arch_fault_name(enum arch_fault fault);
void arch_print_regs(const struct arch_regs *regs);
void arch_print_backtrace(uintptr_t frame); /* 0: the caller's */
void arch_print_trace(const struct arch_regs *regs); /* from where they were saved */

/**
 * arch_panic - say why, where, and what every CPU does; then the machine ends as failed
 *
 * irq: any. The first CPU to come here wins; others halt.
 */
_Noreturn void arch_panic(const char *why);

/*
 * End: through a device of the emulator's, whose exit code is 33 for pass, 35 for fail, 37 for panic. Without
 * it all CPUs halt, with a line that says so.
 */
_Noreturn void arch_exit(bool pass);
/* Restart the machine. */
_Noreturn void arch_reboot(void);

#endif
