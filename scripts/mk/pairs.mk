# SPDX-License-Identifier: MIT
# Help: Test
#
# Every pair of calls at every moment, see hosttest/pairs.h: for one machine of two CPUs, in a window of addresses
# so small that all of its memory can be copied.

pairs_dir := build/host-pairs$(suffix)
pairs_sources := $(wildcard hosttest/pairs*.c)
pairs_flags = $(host_flags) -fno-pie -mno-red-zone -DMW_MAX_CPUS=3 -DMW_ADDR_BASE=0x200000000000ul \
	-DMW_ADDR_BITS=28 -DMW_SITES=0
pairs_objects := $(patsubst %.c,$(pairs_dir)/%.o,$(pairs_sources) $(mm_sources))
deps += $(pairs_objects:.o=.d)

# Of what gcc makes; clang has other stores, which pairs --verify finds unmarked. What each is prepared for, see scripts/pairs_asm.py: the calls and what they call for stops, the rest for notes of what it
# writes; what stops and copies for neither.
$(pairs_dir)/mm/%.o $(pairs_dir)/hosttest/pairs_forms.o $(pairs_dir)/hosttest/pairs_bytes.o: pairs_asm := scripts/pairs_asm.py places
$(pairs_dir)/hosttest/%.o: pairs_asm := scripts/pairs_asm.py marks
$(addprefix $(pairs_dir)/hosttest/pairs_,step.o decode.o memory.o): pairs_asm := cat
$(pairs_dir)/hosttest/pairs_memory.o: private pairs_flags += -O3
$(pairs_dir)/%.o: %.c scripts/pairs_asm.py $(pairs_dir)/flags
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(pairs_flags) $(CFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -S -o $(@:.o=.c.s) $<
	$(Q)$(pairs_asm) < $(@:.o=.c.s) > $(@:.o=.s)
	$(Q)$(CC) -c -o $@ $(@:.o=.s)
$(pairs_dir)/pairs: $(pairs_objects)
	$(say) LINK $@
	$(Q)$(CC) $(pairs_flags) -no-pie $(CFLAGS) $(LDFLAGS) -o $@ $^
$(eval $(call flags-file,$(pairs_dir)/flags,$$(CC) $$(pairs_flags) $$(CFLAGS) $$(LDFLAGS)))

PAIRS_S ?= 0
PAIRS_SHARD ?= 1/1
PAIRS_SEED ?= 0
PAIRS_MOMENTS ?= 300
run_pairs = scripts/pairs.py $(pairs_dir)/pairs --seconds $(PAIRS_S) --shard $(PAIRS_SHARD) \
	--seed $(PAIRS_SEED) --moments $(PAIRS_MOMENTS) --jobs $(JOBS)
# Of make test: another sample for each commit, and the same one whenever that commit is tried.
PAIRS_TEST_S ?= 120
commit_seed = $(shell printf %d 0x$$(git rev-parse --short=7 HEAD 2>/dev/null || date +%j))
run_pairs_sample = scripts/pairs.py $(pairs_dir)/pairs --seconds $(PAIRS_TEST_S) --seed $(if $(filter-out 0,$(PAIRS_SEED)),$(PAIRS_SEED),$(commit_seed)) --jobs $(JOBS) --counts
# Calls that share words without a lock: each of them at each moment of each, and back at each of that one's.
pairs_free_of_locks := mw_alloc.small,mw_alloc.large,mw_cache_alloc,mw_cache_free,mw_free.object,mw_free.large,mw_free.shared,$(strip \
	)mw_free.shared_large,mw_free.referred,mw_weak_get,mw_weak_new,mw_weak_free,mw_tag_set,mw_tag_get,mw_lookup,mw_usable_size,$(strip \
	)mw_pages_alloc.one,mw_pages_free.one,mw_pages_free.shared_one,mw_stack_alloc,mw_stack_free,mw_cpu_start
.PHONY: pairs pairs-twice pairs-planted
pairs-planted: ## plant each bug of hosttest/mutants/pairs: do pairs of calls find it? PLANTED= chooses
	$(Q)scripts/pairs_planted.py $(pairs_dir)/pairs $(PLANTED)
pairs-twice: $(pairs_dir)/pairs ## the same with two switches, A to B to A, for calls that share words without a lock
	$(Q)$(run_pairs) --twice --a $(pairs_free_of_locks) --b $(pairs_free_of_locks) --out build/pairs-twice
pairs: $(pairs_dir)/pairs ## every pair of calls at every moment: PAIRS_S=seconds of a sample, PAIRS_SHARD=1/4, PAIRS_SEED=, PAIRS_MOMENTS=0: all
	$(Q)$(run_pairs)
