// SPDX-License-Identifier: MIT
/* Waking other CPUs: INIT to each, a pause, STARTUP to each, and again to those that are late. */
#include "x86.h"

#define INIT_NS 10000000ul
#define SECOND_STARTUP_NS 20000000ul

extern char trampoline[], trampoline_end[];

/* Until a CPU knows its slot; in order of arrival. */
char ap_stacks[ARCH_MAX_CPUS][2048] __attribute__((aligned(16)));
char ap_stacks32[ARCH_MAX_CPUS][16] __attribute__((aligned(16)));

/* Before this CPU has its gs: the id as CPUID says it. */
static unsigned int early_apic_id(void)
{
	if (cpuid(0, 0).a >= 0xb && cpuid(0xb, 0).b)
		return cpuid(0xb, 0).d;
	return cpuid(1, 0).b >> 24;
}

_Noreturn void smp_begin(void)
{
	machine_paging_load();
	smp_arrive(early_apic_id());
}

static void send_init(struct arch_percpu *cpu)
{
	apic_send(cpu->hardware_id, APIC_INIT);
}

static void send_startup(struct arch_percpu *cpu)
{
	apic_send(cpu->hardware_id, APIC_STARTUP | (uint32_t)(trampoline_phys >> 12));
}

bool machine_start_cpus(void)
{
	if (!trampoline_phys) {
		arch_print("smp: no free page below 1 MiB, going on with one CPU\n");
		return false;
	}
	memcpy(arch_virt(trampoline_phys), trampoline,
	       (uintptr_t)trampoline_end - (uintptr_t)trampoline);
	smp_for_absent(send_init);
	arch_delay(INIT_NS);
	smp_for_absent(send_startup);
	smp_wait_arrived(SECOND_STARTUP_NS);
	smp_for_absent(send_startup);
	return true;
}

void machine_cpu_init(void)
{
	apic_init_cpu();
}

void machine_send(struct arch_percpu *to, enum machine_message message)
{
	static const uint32_t commands[] = {
		[MESSAGE_CALL] = APIC_FIXED | VEC_CALL,
		[MESSAGE_RESCHEDULE] = APIC_FIXED | VEC_RESCHEDULE,
		[MESSAGE_CAPTURE] = APIC_NMI,
		[MESSAGE_STRAY] = APIC_FIXED | VEC_STRAY,
	};

	apic_send(to->hardware_id, commands[message]);
}
