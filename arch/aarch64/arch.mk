# SPDX-License-Identifier: MIT
# How the kernel is built for this machine, QEMU's virt; see arch/common/machine.h. x18 is this CPU's own memory.

arch_parts := dt stale
arch_flags := -march=armv8-a -mgeneral-regs-only -mno-outline-atomics -ffixed-x18
arch_clang := --target=aarch64-unknown-none-elf
arch_prefix := aarch64-linux-gnu-
arch_cc_flags_leaf :=

# What loaders take, the same code in another form. An older CPU and interrupt controller, entered at EL2.
arch_image = $(kernel_dir)/kernel.img
arch_tests = --machine $(ARCH)-older '$(direct) --cpus 2 --cpu cortex-a72 --extra="-M gic-version=2,virtualization=on"' \
	--machine $(ARCH)-image '--kernel $(arch_image) --symbols $(kernel_elf) --append test=$(on_many_cpus) --cpus 2 --extra="-initrd LICENSE"'
