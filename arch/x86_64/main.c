// SPDX-License-Identifier: MIT
/* The order of a boot, after entry.S. */
#include "internal.h"

_Noreturn void stack_call(uintptr_t top, void (*fn)(void));
_Noreturn void arch_main(uint32_t magic, uint32_t info);
extern char switch_first[];

/* With the kernel's page tables and a stack of its own: the rest of the machine. */
static void main_on_own_stack(void)
{
	trap_init();
	acpi_read();
	apic_init();
	timer_calibrate();
	console_init();
	smp_start();
	frames_seal();
	serial_use_interrupt();
	keyboard_init();
	host_init();
	balloon_init();
	smp_release();
	kernel_main(&boot_info);
	arch_print("kernel_main() returned\n");
	arch_exit(false);
}

_Noreturn void arch_main(uint32_t magic, uint32_t info)
{
	trap_init();
	percpu_init_first();
	serial_init();
	bootinfo_read(magic, info);
	frames_init();
	paging_init();
	if (kernel_shadow_init)
		kernel_shadow_init();
	percpu_stacks_alloc(&arch_slots[0]);
	stack_call(arch_slots[0].stack_top[STACK_BOOT], main_on_own_stack);
}

uintptr_t arch_stack_init(void *top, void (*fn)(void *arg), void *arg)
{
	/* As arch_switch() left it: r15, r14, r13, r12, rbx, rbp, where to return to, an end mark. */
	uintptr_t *sp = (uintptr_t *)top - 9;

	memset(sp, 0, 9 * sizeof(*sp));
	sp[3] = (uintptr_t)arg;
	sp[4] = (uintptr_t)fn;
	sp[6] = (uintptr_t)switch_first;
	return (uintptr_t)sp;
}
