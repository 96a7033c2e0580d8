# SPDX-License-Identifier: MIT
# Help: Measure
#
# The collector's benchmarks beside bdwgc and Go: docs/bench/gc.md says what they measure.

# Compiled as a kernel compiles it, and as Debian does bdwgc: without frame pointers.
gc_bench_dir := build/bench/gc.o
gc_bench_objects := $(patsubst %.c,$(gc_bench_dir)/%.o,$(mm_sources) \
	$(wildcard hosttest/port_*.c hosttest/bench_gc*.c))
deps += $(gc_bench_objects:.o=.d)
gc_bench_flags = $(subst marrow_config.h,bench_gc_config.h,$(host_flags)) -fomit-frame-pointer

$(gc_bench_dir)/%.o: %.c $(gc_bench_dir)/flags
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(gc_bench_flags) $(CFLAGS) -MMD -MP -c -o $@ $<

$(eval $(call flags-file,$(gc_bench_dir)/flags,$$(CC) $$(gc_bench_flags) $$(CFLAGS)))

build/bench/gc: $(gc_bench_objects)
	$(say) LINK $@
	$(Q)$(CC) $(gc_bench_flags) -o $@ $^

build/bench/gc-bdw: hosttest/bench_gc.c hosttest/peers/gc_bdw.c hosttest/bench_gc.h
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(common_flags) -fomit-frame-pointer -o $@ $(filter %.c,$^) -lgc

build/bench/gc-go: hosttest/peers/gc.go
	$(say) GO $@
	$(Q)mkdir -p $(@D)
	$(Q)GO111MODULE=off GOFLAGS= GOCACHE=$(CURDIR)/build/go-cache go build -o $@ $<

bench_gc_programs := build/bench/gc build/bench/gc-bdw build/bench/gc-go

bench-gc: setup-bench-gc ## the collector beside bdwgc and Go; writes docs/bench/gc.md
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) $(bench_gc_programs)
	$(Q)scripts/bench_gc.py --write

.PHONY: bench-gc
