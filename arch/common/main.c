// SPDX-License-Identifier: MIT
/* The order of a boot, after entry.S. */
#include "internal.h"

/* With the kernel's page tables and a stack of its own: the rest of the machine. */
static void main_on_own_stack(void)
{
	machine_find();
	console_init();
	smp_start();
	frames_seal();
	machine_devices();
	host_init();
	balloon_init();
	smp_release();
	kernel_main(&boot_info);
	arch_print("kernel_main() returned\n");
	arch_exit(false);
}

_Noreturn void arch_main(uintptr_t a, uintptr_t b)
{
	arch_cpu_by_number[0] = &arch_slots[0];
	machine_begin();
	serial_init();
	machine_bootinfo(a, b);
	bootinfo_done();
	machine_paging_init();
	frames_init();
	paging_init();
	if (kernel_shadow_init)
		kernel_shadow_init();
	percpu_stacks_alloc(&arch_slots[0]);
	stack_call(arch_slots[0].stack_top[STACK_BOOT], main_on_own_stack);
}

/* Two words that end a chain of frames; below them what arch_switch() loads. */
uintptr_t arch_stack_init(void *top, void (*fn)(void *arg), void *arg)
{
	uintptr_t *sp = (uintptr_t *)top - 2;

	sp[0] = sp[1] = 0;
	return machine_stack_init((uintptr_t)sp, fn, arg);
}
