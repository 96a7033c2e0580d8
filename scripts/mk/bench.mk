# SPDX-License-Identifier: MIT
# Help: Measure
#
# The hosted benchmarks beside other allocators: docs/BENCHMARKS.md says what they measure.

bench_dir := build/bench
# Nothing is inlined or resolved early: every allocator is called in the same way.
bench_flags := -std=gnu11 -O2 -g $(warnings) -fno-builtin -fno-plt -pthread

$(bench_dir)/objects: $(wildcard hosttest/bench_objects*.c) hosttest/bench_objects.h hosttest/bench_trace.h
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(bench_flags) -o $@ $(filter %.c,$^) -lm

$(bench_dir)/record.so: hosttest/bench_record.c hosttest/bench_trace.h
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(bench_flags) -fPIC -shared -o $@ $<

$(bench_dir)/spawn: hosttest/bench_spawn.c
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(bench_flags) -o $@ $<

bench_programs := $(addprefix $(bench_dir)/,objects record.so spawn) $(preload_lib)

bench-objects: $(bench_programs) ## the object benchmarks beside other allocators, quickly
	$(Q)scripts/bench.py --quick

bench: $(bench_programs) ## all hosted benchmarks; writes docs/BENCHMARKS.md and docs/bench/*.svg
	$(Q)scripts/bench.py --write

.PHONY: bench bench-objects

bench-kernel: setup-run $(kernel_elf) ## objects and pages in the kernel, instructions and scaling; writes docs/bench/kernel.md
	$(Q)scripts/bench_kernel.py $(kernel_elf) --write

.PHONY: bench-kernel

check-instructions: $(bench_programs) ## counted instructions of the ten main paths against scripts/instructions.txt
	$(Q)scripts/instructions.py

.PHONY: check-instructions
