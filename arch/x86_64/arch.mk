# SPDX-License-Identifier: MIT
# How the kernel is built for this machine; see arch/common/machine.h.

arch_parts :=
arch_flags := -mno-red-zone -mgeneral-regs-only -mcmodel=kernel
arch_clang := --target=x86_64-unknown-none-elf
arch_prefix := # of the GNU tools
arch_cc_flags_leaf := -momit-leaf-frame-pointer
