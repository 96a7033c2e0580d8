# SPDX-License-Identifier: MIT
#
# The collector's benchmarks; bench-gc-peer needs libgc-dev.

bench_gc_objects = $(filter-out hosttest/harness_%,$(mm_sources) $(wildcard hosttest/port_*.c))

build/bench/gc: hosttest/bench_gc.c $(bench_gc_objects)
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(host_flags) -o $@ $^

build/bench/gc-bdw: hosttest/bench_gc.c
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(common_flags) -pthread -DPEER_BDW -o $@ $< -lgc

bench-gc: build/bench/gc ## build the collector's benchmark, see docs/bench/gc.md
bench-gc-peer: build/bench/gc-bdw ## the same work for bdwgc
.PHONY: bench-gc bench-gc-peer
