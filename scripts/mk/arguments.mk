# SPDX-License-Identifier: MIT
# Help: Test
#
# Every public call with every kind of wrong argument: hosttest/arguments.def says what it answers.

.PHONY: arguments
arguments_hosts := host host-debug host-gc0 host-asan host-m32
arguments_machine = --cpus 2 --mem 256M --append test=arguments

arguments: setup-test ## every call with every kind of wrong argument, in all builds: scripts/arguments.py
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) $(arguments_hosts:%=build/%/test_arguments) $(kernel_elf)
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) suffix=-gc0 KCFLAGS=-DMW_GC=0 $(no_gc_elf)
	$(Q)scripts/arguments.py --jobs $(JOBS) $(arguments_hosts:%=--host %) \
		--machine kernel '--kernel $(kernel_elf) $(arguments_machine)' \
		--machine kernel-no-gc '--kernel $(no_gc_elf) $(arguments_machine)'
