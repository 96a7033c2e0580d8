# SPDX-License-Identifier: MIT
#
# make fuzz: every hosttest/fuzz_X.c under libFuzzer, FUZZ_TIME=60 seconds each. What it finds of use
# stays in build/fuzz/X/, and what fails in build/fuzz/; build/fuzz/fuzz_X FILE replays it.

FUZZ_TIME ?= 60
fuzzers := $(patsubst hosttest/%.c,build/fuzz/%,$(wildcard hosttest/fuzz_*.c))
fuzz_flags = $(filter-out -O2,$(host_flags)) -O1 -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all

build/fuzz/fuzz_%: hosttest/fuzz_%.c $(mm_sources) $(wildcard mm/*/*.h hosttest/maps/*.h)
	$(say) FUZZ $@
	$(Q)mkdir -p build/fuzz/$*
	$(Q)clang $(fuzz_flags) -o $@ $< $(mm_sources) $(wildcard hosttest/port_*.c) -lm

fuzz: setup-llvm $(fuzzers) ## run the fuzzers, FUZZ_TIME=60 seconds each
	$(Q)for f in $(fuzzers); do echo "== $$f"; $$f -max_total_time=$(FUZZ_TIME) -print_final_stats=1 \
		-artifact_prefix=build/fuzz/ build/fuzz/$${f##*/fuzz_} >$$f.log 2>&1 || \
		{ tail -n 40 $$f.log; exit 1; }; tail -n 6 $$f.log | head -n 1; done
.PHONY: fuzz
