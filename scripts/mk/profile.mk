# SPDX-License-Identifier: MIT
# Help: Measure
#
# What the allocation profile costs, in instructions. Needs valgrind.

build/bench/profile: hosttest/bench_profile.c $(mm_sources) $(wildcard hosttest/port_*.c)
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(host_flags) -o $@ $^

bench-profile: build/bench/profile ## what sampling one allocation in 512 KiB costs, counted
	$(Q)scripts/profile_cost.py $<
.PHONY: bench-profile
