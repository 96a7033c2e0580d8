# SPDX-License-Identifier: MIT
# Help: Test
#
# The kernel that checks addresses (ASAN=1, kernel/asan/shadow.h): overruns, use after free and after
# scope in kernel/, arch/ and the tests; a part of make test. ASAN=1 goes with run-quick and qemu-gdb too.

asan_elf := build/kernel-asan$(suffix)/kernel.elf

asan_part = --kernel $(asan_elf) --append test=$(TESTS) --cpus 4 --thread single

.PHONY: kernel-asan kernel-asan-build
kernel-asan-build: setup-kernel
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) ASAN=1 kernel

kernel-asan: setup-run kernel-asan-build ## the kernel that checks addresses, and the tests in it: TESTS=asan V=1
	$(Q)scripts/ktap.py $(asan_part) --limit 400 --log build/kernel-asan.console $(if $(filter 1,$(V)),--verbose)
