# SPDX-License-Identifier: MIT
# Help: Test
#
# The tests, hosted and in the kernel. Each part is timed; build/log/ has all that was said.
# TESTS=suite,suite.name chooses, PARTS='host-tsan iso-uefi' too; JOBS=n (all CPUs).

JOBS ?= $(shell nproc)
TESTS ?= all
variants := host host-debug host-asan host-tsan host-m32

test_iso := $(kernel_dir)/test.iso
tiny := $(kernel_dir)/tiny.elf
no_gc_elf := build/kernel-gc0/kernel.elf
direct = --kernel $(kernel_elf) --append test=$(TESTS)
# Bounds in instructions: tests that have some, where these are counted. Tests that were chosen may have none.
counted = $(if $(filter all,$(TESTS))$(filter counted,$(PARTS)),--machine counted '--kernel $(kernel_elf) \
	--icount --cpus 1 --mem 512M --append "counted=1 test=$(TESTS) tsc_hz=1000000000"')

# What another loader, memory map and entry can change; make matrix runs all there.
iso_suites := arch,base,export,fs,gc,gc_storm,line,machine,memmap,object,object_cpus,object_frees,page,page_map,page_race,pagetable,$(strip \
	)paging,port,smp,sleep,stop,storm,thread,traps,window,workers
ISO_TESTS ?= $(if $(filter all,$(TESTS)),$(iso_suites),$(TESTS))

$(test_iso): $(kernel_elf) boot/grub.cfg scripts/iso.sh $(kernel_dir)/test-args
	$(say) ISO $@
	$(Q)scripts/iso.sh $< $@ 'test=$(ISO_TESTS)'
$(eval $(call flags-file,$(kernel_dir)/test-args,$$(ISO_TESTS)))

$(tiny): scripts/runner/tiny.S $(kernel_dir)/flags
	$(say) LINK $@
	$(Q)$(CC) -m32 -nostdlib -static -no-pie -Wl,-Ttext-segment=0x100000,--build-id=none,-estart \
		-o $@ $<

.PHONY: test test-watch test-host test-long test-kernel test-runner test-files
test-files: $(foreach v,$(variants),$($(v)_runners)) $(kernel_elf) $(seams_elf) $(test_iso) $(tiny) $(host_fuzzers) \
	$(preload_lib) $(preload_programs) $(heapdump_maker) $(pairs_dir)/pairs $(orders_dir)/orders

test: setup-test ## all tests: hosted in five builds, as a malloc, in QEMU in eight ways, a minute of soak, and of the scripts
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) test-files
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) suffix=-gc0 KCFLAGS=-DMW_GC=0 $(no_gc_elf)
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) ASAN=1 kernel
	$(Q)scripts/test.py --jobs $(JOBS) --only '$(PARTS)' $(if $(filter all,$(TESTS)),--everywhere) --host $(variants) \
		--part preload 'scripts/preload_test.sh $(preload_lib)' \
		--part long 'scripts/long.sh build/host' \
		--part orders '$(run_orders) --short --counts' \
		--part runner 'scripts/runner/test_runner.py --tiny $(tiny) --kernel $(kernel_elf)' \
		--part export 'scripts/export_test.py $(kernel_elf)' \
		--part pictures 'scripts/pictures_test.py $(kernel_elf)' \
		--part gdb 'scripts/gdb_test.py $(kernel_elf) build/host/test_watch' \
		--part fuzz 'scripts/fuzz.sh replay $(FUZZ_RANDOM) $(fuzz_names)' \
		--part replay 'scripts/seeds_test.py $(seams_elf)' \
		--part balloon 'scripts/balloon_test.py $(kernel_elf)' \
		--part dimm 'scripts/dimm_test.py $(kernel_elf)' \
		--part misery 'scripts/misery_test.py $(kernel_elf)' \
		--part monitor 'scripts/monitor_test.py $(kernel_elf)' \
		--part heapdump 'scripts/heapdump_test.py $(heapdump_maker) $(kernel_elf)' \
		--part devtools 'scripts/devtools_test.py $(heapdump_maker)' \
		--part watch 'scripts/watch_test.py $(kernel_elf)' \
		--machine kernel-asan '$(asan_part)' \
		--machine kernel-4-single '$(direct) --cpus 4 --thread single' \
		--machine kernel-1 '$(direct) --extra="-initrd LICENSE"' \
		$(counted) \
		--machine kernel-no-gc '--kernel $(no_gc_elf) --append test=$(TESTS)' \
		--wide kernel-4-multi '$(direct) --cpus 4 --thread multi' \
		--wide iso-bios '--iso $(test_iso) --symbols $(kernel_elf) --cpus 4' \
		--wide iso-uefi '--iso $(test_iso) --symbols $(kernel_elf) --cpus 4 --firmware uefi' \
		--wide-part soak "$(run_soak)" \
		--wide-part seeds "$(run_seeds)" \
		--wide-part pairs "$(run_pairs_sample)"

test-host: setup-host $(host_runners) ## the hosted tests, plain build
	$(Q)scripts/test.py --jobs $(JOBS) --host host$(suffix)

test-long: setup-host $(host_runners) ## the hosted tests that take long
	$(Q)scripts/long.sh build/host$(suffix)

test-kernel: setup-run $(kernel_elf) ## the tests in the kernel: CPUS= MEM= TESTS=suite,suite.name V=1
	$(Q)scripts/ktap.py $(direct) --cpus $(CPUS) --mem $(MEM) --limit 300 --log build/kernel.console \
		$(if $(filter 1,$(V)),--verbose)

test-watch: setup-run $(kernel_elf) ## the kernel's event trace and profile, read by Python
	$(Q)scripts/watch_test.py $(kernel_elf)

test-runner: setup-run $(tiny) $(kernel_elf) ## the tests of the script that judges the kernel's
	$(Q)scripts/runner/test_runner.py --tiny $(tiny) --kernel $(kernel_elf)
