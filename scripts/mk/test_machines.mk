# SPDX-License-Identifier: MIT
# Help: Test
#
# The kernel on other machines than a PC, in short: what each needs is installed, all tests on one CPU and on four, the
# way out to the host, gdb, the balloon, a few seeds; and arch_tests, which are the machine's own. TESTS= and PARTS= choose as in `make test`.

MACHINES ?= riscv64 aarch64
MACHINE_SEEDS ?= 4

.PHONY: test-machines test-machine
test-machines: $(MACHINES:%=test-machine-%) ## the kernel's tests on other machines, in short: MACHINES="riscv64 aarch64"
$(MACHINES:%=test-machine-%): test-machine-%:
	$(Q)$(MAKE) --no-print-directory ARCH=$* setup-run setup-gdb
	$(Q)$(MAKE) --no-print-directory ARCH=$* -j$(JOBS) kernel-and-seams
	$(Q)$(MAKE) --no-print-directory ARCH=$* test-machine

.PHONY: kernel-and-seams
kernel-and-seams: $(kernel_elf) $(seams_elf)

test-machine: $(kernel_elf) $(seams_elf) $(arch_image)
	$(Q)scripts/test.py --jobs $(JOBS) --only '$(PARTS)' --limit 300 \
		--machine $(ARCH)-1 '$(direct)' \
		--machine $(ARCH)-4-single '$(direct) --cpus 4 --thread single' \
		--wide $(ARCH)-4-multi '$(direct) --cpus 4' \
		--wide $(ARCH)-8 '--kernel $(kernel_elf) --append test=$(if $(filter all,$(TESTS)),$(on_many_cpus),$(TESTS)) --cpus 8 --mem 3G' \
		$(arch_tests) \
		--part $(ARCH)-export 'scripts/export_test.py $(kernel_elf)' \
		--part $(ARCH)-gdb 'scripts/gdb_test.py $(kernel_elf)' \
		--part $(ARCH)-balloon 'scripts/balloon_test.py $(kernel_elf)' \
		--part $(ARCH)-misery 'scripts/misery_test.py $(kernel_elf)' \
		--part $(ARCH)-watch 'scripts/watch_test.py $(kernel_elf)' \
		--part $(ARCH)-replay 'scripts/seeds_test.py $(seams_elf)' \
		--part $(ARCH)-seeds "$(MAKE) --no-print-directory seeds N=$(MACHINE_SEEDS) JOBS=1 SEED_TESTS=own"

# What is about CPUs and nothing else.
on_many_cpus := arch,smp,stop,traps,paging,pagetable
