# SPDX-License-Identifier: MIT
#
# Every pair of calls at every moment, see hosttest/pairs.h: for one machine of two CPUs, in a window of addresses
# so small that all of its memory can be copied.

pairs_dir := build/host-pairs$(suffix)
pairs_sources := $(wildcard hosttest/pairs*.c)
pairs_flags = $(host_flags) -DMW_MAX_CPUS=3 -DMW_ADDR_BASE=0x200000000000ul -DMW_ADDR_BITS=28 \
	-DMW_SITES=0
pairs_objects := $(patsubst %.c,$(pairs_dir)/%.o,$(pairs_sources) $(mm_sources))
deps += $(pairs_objects:.o=.d)

$(pairs_dir)/%.o: %.c $(pairs_dir)/flags
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(pairs_flags) $(CFLAGS) -MMD -MP -c -o $@ $<
$(pairs_dir)/pairs: $(pairs_objects)
	$(say) LINK $@
	$(Q)$(CC) $(pairs_flags) $(CFLAGS) $(LDFLAGS) -o $@ $^
$(eval $(call flags-file,$(pairs_dir)/flags,$$(CC) $$(pairs_flags) $$(CFLAGS) $$(LDFLAGS)))

PAIRS_S ?= 0
PAIRS_SHARD ?= 1/1
PAIRS_SEED ?= 0
PAIRS_MOMENTS ?= 300
run_pairs = scripts/pairs.py $(pairs_dir)/pairs --seconds $(PAIRS_S) --shard $(PAIRS_SHARD) \
	--seed $(PAIRS_SEED) --moments $(PAIRS_MOMENTS) --jobs $(JOBS)
# Of make test.
PAIRS_TEST_S ?= 120
run_pairs_sample = scripts/pairs.py $(pairs_dir)/pairs --seconds $(PAIRS_TEST_S) --seed $(PAIRS_SEED) --jobs $(JOBS) --counts
.PHONY: pairs
pairs: $(pairs_dir)/pairs ## every pair of calls at every moment: PAIRS_S=seconds of a sample, PAIRS_SHARD=1/4, PAIRS_SEED=, PAIRS_MOMENTS=0: all
	$(Q)$(run_pairs)
