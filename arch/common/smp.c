// SPDX-License-Identifier: MIT
/*
 * The other CPUs.
 *
 * All are woken at once. One that arrives takes its slot by the hardware's number for it and waits. Those
 * that have arrived in time get numbers without holes and may go; one that comes later halts. Then each runs kernel_ap_main().
 */
#include "internal.h"

#define ARRIVE_NS 3000000000ul

/* By hardware_id, in the order of the firmware. */
static unsigned int found[ARCH_MAX_CPUS], nr_found, nr_found_all;
static unsigned int nr_slots = 1, nr_cpus = 1;

unsigned int arch_cpu_count(void)
{
	return nr_cpus;
}

arch_cpus_t arch_cpus_all(void)
{
	return nr_cpus == 64 ? ~0ul : (1ul << nr_cpus) - 1;
}

arch_cpus_t arch_cpus_others(void)
{
	return arch_cpus_all() & ~(1ul << arch_cpu_id());
}

static unsigned long state_of(struct arch_percpu *cpu)
{
	return atomic_load_explicit(&cpu->state, memory_order_acquire);
}

static struct arch_percpu *slot_of(unsigned int id)
{
	for (unsigned int i = 1; i < nr_slots; i++)
		if (arch_slots[i].hardware_id == id)
			return &arch_slots[i];
	return NULL;
}

static void ap_main(void)
{
	machine_cpu_init();
	kernel_ap_main(arch_cpu_id());
	arch_cpu_loop();
}

_Noreturn void smp_arrive(unsigned int hardware_id)
{
	struct arch_percpu *cpu = slot_of(hardware_id);
	unsigned long absent = CPU_ABSENT;

	if (cpu && atomic_compare_exchange_strong(&cpu->state, &absent, CPU_ARRIVED)) {
		machine_cpu_begin(cpu);
		while (state_of(cpu) == CPU_ARRIVED)
			arch_relax();
		stack_call(cpu->stack_top[STACK_BOOT], ap_main);
	}
	machine_halt();
}

void smp_add(unsigned int hardware_id)
{
	nr_found_all++;
	if (nr_found < ARCH_MAX_CPUS)
		found[nr_found++] = hardware_id;
}

/* The slots, in the order of the firmware but for this CPU, which is the first. */
static void make_slots(void)
{
	uint64_t limit = arch_param_number("cpus", ARCH_MAX_CPUS);

	for (unsigned int i = 0; i < nr_found; i++) {
		if (found[i] == arch_slots[0].hardware_id)
			continue;
		if (nr_slots >= ARCH_MAX_CPUS || nr_slots >= limit)
			break;
		arch_slots[nr_slots].hardware_id = found[i];
		percpu_stacks_alloc(&arch_slots[nr_slots]);
		nr_slots++;
	}
}

void smp_for_absent(void (*fn)(struct arch_percpu *cpu))
{
	for (unsigned int i = 1; i < nr_slots; i++)
		if (state_of(&arch_slots[i]) == CPU_ABSENT)
			fn(&arch_slots[i]);
}

static bool all_arrived(void)
{
	for (unsigned int i = 1; i < nr_slots; i++)
		if (state_of(&arch_slots[i]) == CPU_ABSENT)
			return false;
	return true;
}

void smp_wait_arrived(uint64_t ns)
{
	uint64_t start = arch_now();

	while (!all_arrived() && arch_now() - start < ns)
		arch_relax();
}

/* Close the door, and number those that are in. */
static void number_cpus(void)
{
	unsigned int n = 1;

	for (unsigned int i = 1; i < nr_slots; i++) {
		struct arch_percpu *cpu = &arch_slots[i];
		unsigned long absent = CPU_ABSENT;

		if (atomic_compare_exchange_strong(&cpu->state, &absent, CPU_DROPPED)) {
			arch_print("smp: CPU with hardware id %u did not start\n", cpu->hardware_id);
			continue;
		}
		cpu->cpu = n;
		arch_cpu_by_number[n++] = cpu;
	}
	nr_cpus = n;
}

/* They wait in smp_arrive() until smp_release(). */
void smp_start(void)
{
	make_slots();
	boot_info.cpus_found = nr_found_all ? nr_found_all : 1;
	if (nr_slots > 1 && machine_start_cpus())
		smp_wait_arrived(ARRIVE_NS);
	number_cpus();
	boot_info.cpus = nr_cpus;
}

void smp_release(void)
{
	for (unsigned int i = 1; i < nr_cpus; i++)
		atomic_store_explicit(&arch_cpu_by_number[i]->state, CPU_GO, memory_order_release);
}

/* ---- running functions as ordinary code ---- */

static struct {
	_Atomic(unsigned long) busy; /* one arch_run_on_cpus() at a time */
	void (*fn)(unsigned int cpu, void *arg);
	void *arg;
} mail;

bool arch_mailbox_waiting(void)
{
	return atomic_load_explicit(&this_cpu()->mail, memory_order_acquire);
}

bool arch_mailbox_run(void)
{
	struct arch_percpu *cpu = this_cpu();

	if (!arch_mailbox_waiting())
		return false;
	mail.fn(cpu->cpu, mail.arg);
	atomic_store_explicit(&cpu->mail, 0, memory_order_release);
	return true;
}

static void wait_mail(unsigned int number)
{
	while (atomic_load_explicit(&arch_cpu_by_number[number]->mail, memory_order_acquire))
		arch_relax();
}

void arch_run_on_cpus(arch_cpus_t cpus, void (*fn)(unsigned int cpu, void *arg), void *arg)
{
	unsigned long self = 1ul << arch_cpu_id();

	if (!arch_irq_enabled())
		arch_panic("arch_run_on_cpus with interrupts off");
	while (atomic_exchange_explicit(&mail.busy, 1, memory_order_acquire))
		arch_relax();
	mail.fn = fn;
	mail.arg = arg;
	cpus &= arch_cpus_all();
	for (unsigned int i = 0; i < nr_cpus; i++) {
		if (!((cpus & ~self) >> i & 1))
			continue;
		atomic_store_explicit(&arch_cpu_by_number[i]->mail, 1, memory_order_release);
		arch_ipi_reschedule(i);
	}
	if (cpus & self)
		fn(arch_cpu_id(), arg);
	for (unsigned int i = 0; i < nr_cpus; i++)
		if ((cpus & ~self) >> i & 1)
			wait_mail(i);
	atomic_store_explicit(&mail.busy, 0, memory_order_release);
}

_Noreturn void arch_cpu_loop(void)
{
	for (;;) {
		arch_irq_off();
		if (!arch_mailbox_waiting()) {
			arch_idle();
			continue;
		}
		arch_irq_on();
		arch_mailbox_run();
	}
}
