/* SPDX-License-Identifier: MIT */
/* What the files of this room share with each other and with nobody else. */
#ifndef ARCH_X86_64_INTERNAL_H
#define ARCH_X86_64_INTERNAL_H

#include <stdatomic.h>
#include "arch.h"
#include "cpu.h"
#include "offsets.h"

/* Interrupt vectors. 0x20 to 0x2f are the old controllers', masked, spurious at most. */
enum {
	VEC_PAGE_FAULT = 14,
	VEC_NMI = 2,
	VEC_DOUBLE_FAULT = 8,
	VEC_PIC = 0x20,
	VEC_SERIAL = 0x40,
	VEC_KEYBOARD = 0x41,
	VEC_TIMER = 0xe0,
	VEC_CALL = 0xf0,
	VEC_RESCHEDULE = 0xf1,
	VEC_SPURIOUS = 0xff,
};

/* Stacks of a CPU: index into arch_percpu.stack_top, and of exceptions the IST number. */
enum {
	STACK_BOOT,
	STACK_DOUBLE_FAULT,
	STACK_NMI,
	STACK_PAGE_FAULT,
	NR_EXCEPTION_STACKS, /* the rest have no IST number */
	STACK_INTERRUPT = NR_EXCEPTION_STACKS,
	NR_STACKS
};

#define EXCEPTION_STACK_SIZE (8ul << 10)
#define INTERRUPT_STACK_SIZE (16ul << 10) /* a stopped CPU marks on it, and is interrupted there */
#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS 0x18

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));

/* This CPU's timer, touched by it alone with interrupts off. Times are TSC ticks. */
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
 * All that a CPU has of its own, found through gs. Slots are in the firmware's order of CPUs; a
 * CPU's number is its slot, unless one before it did not start.
 */
struct arch_percpu {
	struct arch_percpu *self;
	unsigned int cpu; /* ARCH_PERCPU_ID */
	unsigned int apic_id;
	unsigned int depth; /* of interrupt handlers */
	unsigned int in_exception;
	uintptr_t interrupt_stack; /* its top: where the outermost handler begins */
	bool resched; /* run the reschedule hook when depth is 0 again */
	void *local; /* the kernel's word */
	uintptr_t stack_top[NR_STACKS];
	_Atomic(unsigned long) state; /* enum cpu_state */
	struct arch_call *_Atomic calls; /* newest first */
	_Atomic(unsigned long) mail; /* arch_run_on_cpus() waits for this CPU */
	_Atomic(unsigned long) capture; /* enum capture_state */
	struct arch_regs captured;
	struct timer timer;
	uint64_t gdt[5];
	struct tss tss;
} __attribute__((aligned(64)));

enum cpu_state {
	CPU_ABSENT,
	CPU_ARRIVED,
	CPU_GO,
	CPU_DROPPED
};

_Static_assert(offsetof(struct arch_percpu, cpu) == ARCH_PERCPU_ID, "port_inline.h reads it");
_Static_assert(offsetof(struct arch_percpu, depth) == PERCPU_DEPTH, "traps.S reads it");
_Static_assert(offsetof(struct arch_percpu, interrupt_stack) == PERCPU_INTERRUPT_STACK,
	       "traps.S reads it");

static inline struct arch_percpu *this_cpu(void)
{
	struct arch_percpu *cpu;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

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

/* percpu.c */
extern struct arch_percpu arch_slots[ARCH_MAX_CPUS];
extern struct arch_percpu *arch_cpu_by_number[ARCH_MAX_CPUS];
void percpu_init_first(void);
void percpu_load(struct arch_percpu *cpu);
void percpu_stacks_alloc(struct arch_percpu *cpu);

/* trap.c, traps.S */
extern char trap_stubs[];
void trap_init(void);
void trap_load(void);
void trap_exception(struct arch_regs *regs);
void trap_interrupt(struct arch_regs *regs);
void trap_leave(struct arch_regs *regs);

/* bootinfo.c, multiboot2.c, pvh.c, param.c */
extern struct arch_boot_info boot_info;
extern size_t boot_nr_firmware; /* entries of the map that are the firmware's */
void bootinfo_read(uint32_t magic, uint32_t info);
void bootinfo_add(uint64_t start, uint64_t len, enum mw_memtype type);
void bootinfo_add_e820(uint64_t start, uint64_t len, uint32_t type);
void bootinfo_set_rsdp(uint64_t phys);
bool bootinfo_add_module(uint64_t phys, uint64_t len, const char *cmdline);
const char *bootinfo_keep(const char *text);
void multiboot2_read(uint64_t info);
void pvh_read(uint64_t info);
void param_set(const char *cmdline);

/* frames.c: page table frames and boot-time memory, all reserved in the map */
void frames_init(void);
void *frames_boot_alloc(size_t bytes);
uint64_t *frames_table_alloc(void);
void frames_seal(void);
extern uint64_t trampoline_phys; /* a page below 1 MiB; 0: none */

/* paging.c, protect.c */
extern uint64_t kernel_pml4[512];
extern bool paging_has_1g, paging_has_nx;
void paging_init(void);
bool paging_map(uint64_t virt, uint64_t phys, uint64_t len, uint64_t flags);
bool paging_table(uint64_t virt);
uint64_t *paging_walk(uint64_t virt, unsigned int *level);
bool paging_split(uint64_t *entry, unsigned int level);
void paging_cpu_init(void);
extern struct spin paging_lock; /* guards every entry's address and permission bits */
/* Whatever any CPU has in its TLB; interrupts on, unless only this CPU runs. */
void paging_flush_all(void);
#define PTE_KEPT 0x200ul /* mapped, made to fault: the address stays, P is clear */
#define PAGE_2M (1ul << 21)
#define PAGE_1G (1ul << 30)

/* window.c */
unsigned long window_flushes(void);

/* acpi.c */
void acpi_read(void);
struct acpi_irq {
	uint32_t gsi;
	bool low, level;
};
extern uint64_t acpi_lapic_phys, acpi_ioapic_phys;
extern uint32_t acpi_ioapic_base;
extern uint32_t acpi_apic_ids[ARCH_MAX_CPUS];
extern unsigned int acpi_nr_cpus, acpi_nr_cpus_all;
struct acpi_irq acpi_isa_irq(unsigned int irq);

/* apic.c */
void apic_init(void);
void apic_init_cpu(void);
unsigned int apic_id(void);
void apic_eoi(void);
void apic_send(unsigned int apic_id, uint32_t command);
void apic_timer_arm(uint32_t ticks); /* 0: stop */
uint32_t apic_timer_left(void);
void ioapic_route(unsigned int irq, unsigned int vector);
#define APIC_FIXED 0x4000u
#define APIC_NMI 0x4400u
#define APIC_INIT 0x4500u
#define APIC_STARTUP 0x4600u

/* timer.c */
void timer_calibrate(void);
void timer_interrupt(struct arch_regs *regs);
void timer_draw_later(uint64_t ns); /* call console_draw() in so long, on this CPU */

/* ipi.c, smp.c */
bool calls_push(struct arch_call *_Atomic *list, struct arch_call *call); /* Return: was it empty */
struct arch_call *calls_take(struct arch_call *_Atomic *list); /* all, oldest first */
void ipi_run_calls(struct arch_regs *regs);
void ipi_run_reschedule(struct arch_regs *regs);
bool ipi_answer_capture(struct arch_regs *regs);

void smp_start(void);
void smp_release(void);

/* console.c, serial.c, screen.c, keyboard.c */
void serial_init(void);
void serial_write(const char *text, size_t len);
int serial_read(void);
void serial_interrupt(void);
void serial_use_interrupt(void);
void console_init(void);
void screen_init(void);
void screen_write(const char *text, size_t len);
bool screen_draw(size_t cells); /* Return: whether there is more to draw */
void keyboard_interrupt(void);
void keyboard_init(void);
void console_input(int c);
void console_draw(void);
void console_flush(void);
void console_take_over(void);

/* host.c */
void host_init(void);

/* balloon.c */
void balloon_init(void);

arch_cpus_t ipi_capture_others(void);
void ipi_print_captured(arch_cpus_t answered, arch_cpus_t which);

/* panic.c */
bool panic_begun(void);
_Noreturn void panic_regs(const char *why, const struct arch_regs *regs);
void panic_trace(const struct arch_regs *regs); /* backtrace from interrupted registers */
extern const uint8_t font_glyphs[95][8];

#endif
