# SPDX-License-Identifier: MIT
# Help: Test
#
# The kernel on many machines, as a table: CPUs, memory, ways to boot, compilers, and the collector built
# out. Long; for nights. TESTS= and PARTS= choose as in `make test`.

at = --kernel build/kernel$(1)/kernel.elf --append test=$(TESTS)
cd = --iso build/kernel$(1)/test.iso --symbols build/kernel$(1)/kernel.elf
matrix_make = $(MAKE) --no-print-directory -j$(JOBS)

.PHONY: matrix matrix-files
matrix-files: setup-test
	$(Q)$(matrix_make) ISO_TESTS=$(TESTS) build/kernel/kernel.elf build/kernel/test.iso
	$(Q)$(matrix_make) ISO_TESTS=$(TESTS) TOOLCHAIN=llvm build/kernel-llvm/kernel.elf \
		build/kernel-llvm/test.iso
	$(Q)$(matrix_make) suffix=-gc0 KCFLAGS=-DMW_GC=0 build/kernel-gc0/kernel.elf
	$(Q)$(matrix_make) TOOLCHAIN=llvm suffix=-llvm-gc0 KCFLAGS=-DMW_GC=0 \
		build/kernel-llvm-gc0/kernel.elf

matrix: matrix-files ## the kernel's tests on 18 machines: CPUs, memory, firmware, compilers, without collector
	$(Q)scripts/test.py --jobs $(JOBS) --only '$(PARTS)' --limit 600 \
		--machine 1-cpu '$(call at,) --mem 256M' \
		--wide 2-cpus '$(call at,) --cpus 2 --mem 256M' \
		--wide 4-cpus '$(call at,) --cpus 4 --mem 256M' \
		--wide 8-cpus '$(call at,) --cpus 8 --mem 512M' \
		--wide 64M '$(call at,) --cpus 2 --mem 64M' \
		--wide 1G '$(call at,) --cpus 2 --mem 1G' \
		--wide 4G '$(call at,) --cpus 2 --mem 4G' \
		--wide 8G '$(call at,) --cpus 4 --mem 8G' \
		--machine bios-64M '$(call cd,) --mem 64M' \
		--wide bios-8 '$(call cd,) --cpus 8 --mem 1G' \
		--machine uefi-1 '$(call cd,) --firmware uefi --mem 128M' \
		--wide uefi-8G '$(call cd,) --cpus 4 --firmware uefi --mem 8G' \
		--machine clang-1 '$(call at,-llvm) --mem 64M' \
		--wide clang-4 '$(call at,-llvm) --cpus 4 --mem 1G' \
		--wide clang-bios '$(call cd,-llvm) --cpus 2 --mem 256M' \
		--wide clang-uefi '$(call cd,-llvm) --cpus 2 --firmware uefi --mem 256M' \
		--wide no-gc-4 '$(call at,-gc0) --cpus 4 --mem 256M' \
		--wide clang-no-gc-2 '$(call at,-llvm-gc0) --cpus 2 --mem 64M'
