# SPDX-License-Identifier: MIT
# Help: Test
#
# make fuzz: every hosttest/fuzz_X.c under libFuzzer, FUZZ_TIME=60 seconds each. What it finds of use
# stays in build/fuzz/X/, and what fails in build/fuzz/; build/fuzz/fuzz_X FILE replays it. make fuzz-afl does
# the same with AFL++. make test runs the corpus in hosttest/corpus/X and inputs made from a seed, built by gcc with the
# address sanitizer: build/host-fuzz/fuzz_X FILE, or SEED=n build/host-fuzz/fuzz_X -random 1.

FUZZ_TIME ?= 60
FUZZ_RANDOM ?= 300
fuzz_sources := $(wildcard hosttest/fuzz_*.c)
fuzz_names := $(filter-out main,$(patsubst hosttest/fuzz_%.c,%,$(fuzz_sources)))
fuzz_port := hosttest/fuzzing.c $(wildcard hosttest/port_*.c)
fuzz_needs := hosttest/fuzz.h $(mm_sources) $(fuzz_port) $(wildcard mm/*/*.h mm/include/marrow/*.h hosttest/maps/*.h)
# Without the address sanitizer, which knows nothing of the heap under test and minds that the collector reads
# stacks: clang puts its checks into inlined scans whatever their attributes say. gcc's build has it.
fuzz_flags = $(filter-out -O2,$(host_flags)) -O1 -fsanitize=undefined -fno-sanitize-recover=all

build/fuzz/fuzz_%: hosttest/fuzz_%.c $(fuzz_needs)
	$(say) FUZZ $@
	$(Q)mkdir -p build/fuzz/$*
	$(Q)clang $(fuzz_flags) -fsanitize=fuzzer -o $@ $< $(mm_sources) $(fuzz_port) -lm

build/fuzz-afl/fuzz_%: hosttest/fuzz_%.c hosttest/fuzz_main.c $(fuzz_needs)
	$(say) AFL $@
	$(Q)mkdir -p $(@D)
	$(Q)AFL_QUIET=1 afl-clang-fast $(fuzz_flags) -o $@ $< hosttest/fuzz_main.c $(mm_sources) $(fuzz_port) -lm

# The variant of the hosted build that make test replays them with.
host_fuzz_common := $(patsubst %.c,build/host-fuzz/%.o,$(mm_sources) $(fuzz_port) hosttest/fuzz_main.c)
deps += $(host_fuzz_common:.o=.d) $(patsubst %.c,build/host-fuzz/%.d,$(fuzz_sources))
build/host-fuzz/%.o: %.c build/host-fuzz/flags
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(fuzz_flags) -fsanitize=address $(CFLAGS) -MMD -MP -c -o $@ $<
build/host-fuzz/fuzz_%: build/host-fuzz/hosttest/fuzz_%.o $(host_fuzz_common)
	$(say) LINK $@
	$(Q)$(CC) $(fuzz_flags) -fsanitize=address $(LDFLAGS) -o $@ $^ -lm
$(eval $(call flags-file,build/host-fuzz/flags,$$(CC) $$(fuzz_flags) $$(CFLAGS) $$(LDFLAGS)))
host_fuzzers := $(fuzz_names:%=build/host-fuzz/fuzz_%)
.SECONDARY: $(host_fuzz_common)

fuzz: setup-llvm $(fuzz_names:%=build/fuzz/fuzz_%) ## run the fuzzers, FUZZ_TIME=60 seconds each
	$(Q)scripts/fuzz.sh libfuzzer $(FUZZ_TIME) $(fuzz_names)
fuzz-afl: setup-afl $(fuzz_names:%=build/fuzz-afl/fuzz_%) ## the same under AFL++
	$(Q)scripts/fuzz.sh afl $(FUZZ_TIME) $(fuzz_names)
fuzz-short: $(host_fuzzers) ## the corpus, and FUZZ_RANDOM=300 inputs made from SEED, as make test runs them
	$(Q)scripts/fuzz.sh replay $(FUZZ_RANDOM) $(fuzz_names)
.PHONY: fuzz fuzz-afl fuzz-short
