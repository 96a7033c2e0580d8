# SPDX-License-Identifier: MIT
# How the kernel is built for this machine, QEMU's virt; see arch/common/machine.h. The extensions for addresses and
# bits stand in for functions of the compiler's library, which there is none of.

arch_parts := dt stale
arch_flags := -march=rv64imac_zicsr_zifencei_zba_zbb -mabi=lp64 -mcmodel=medany -mno-relax -msmall-data-limit=0
arch_clang := --target=riscv64-unknown-none-elf
arch_prefix := riscv64-linux-gnu-
arch_cc_flags_leaf :=
