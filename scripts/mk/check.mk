# SPDX-License-Identifier: MIT
# Help: Check and prove
#
# What can be said of the sources without running them. Each check is timed and counts as one.

c_files = $(shell git ls-files -co --exclude-standard '*.c' '*.h')
graph_dir := build/check
graph_objects := $(mm_sources:%.c=$(graph_dir)/%.o)
deps += $(graph_objects:.o=.d)

# As a kernel builds it with the fullest port: calls and stacks as they are there.
$(graph_dir)/%.o: %.c $(graph_dir)/flags
	$(Q)mkdir -p $(@D)
	$(Q)gcc $(graph_flags) -MMD -MP -c -o $@ $<
graph_flags := -std=gnu11 -O2 -ffreestanding -mno-red-zone -mgeneral-regs-only -fno-stack-protector \
	-Imm/include -DMW_PORT_LEVEL=3 -fcallgraph-info=su
$(eval $(call flags-file,$(graph_dir)/flags,$(graph_flags)))

# shiftTooManyBits: cppcheck 2.10 takes __int128 for a type of 64 bits; the compilers warn of those.
cppcheck = cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	--error-exitcode=1 --suppress=missingIncludeSystem --suppress=shiftTooManyBits \
	--max-configs=1 -Imm/include -DMW_PORT_LEVEL=3 -DMW_GC=1 -j$(JOBS) mm

.PHONY: check check-files host-syntax format sizes
check-files: $(graph_objects) $(host_runners) $(kernel_elf) build/bench/objects build/bench/profile $(preload_lib)

check: setup-check ## layers, format, warnings of gcc and clang, headers in C and C++, every knob, cppcheck, documents, sizes, instructions, what a profile costs
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) check-files
	$(Q)scripts/test.py --jobs $(JOBS) --only '$(PARTS)' \
		--part layers 'scripts/check/layers.py build/host' \
		--part documents scripts/check/docs.py \
		--part words scripts/check/words.py \
		--part sizes scripts/check/sizes.py \
		--part api scripts/check/api.py \
		--part headers scripts/check/headers.py \
		--part calls-and-stacks 'scripts/check/graph.py $(graph_dir)' \
		--part format 'scripts/check/once.sh clang-format --dry-run -Werror $(c_files)' \
		--part cppcheck 'scripts/check/once.sh $(cppcheck)' \
		--part instructions scripts/instructions.py \
		--part profile 'scripts/profile_cost.py build/bench/profile' \
		--part knobs scripts/check/knobs.py \
		--part llvm 'scripts/check/once.sh $(MAKE) TOOLCHAIN=llvm kernel host-syntax'

# The hosted sources, as the suites' variants have them; make TOOLCHAIN=llvm test-host also runs them.
host-syntax:
	$(Q)for more in '' '-DMW_DEBUG=2 -DMW_SITES=1' '-m32 -idirafter /usr/include/x86_64-linux-gnu'; do \
		$(CC) -fsyntax-only $(host_flags) $$more $(mm_sources) $(host_sources) $(test_sources) || exit; done

sizes: ## report the sizes of files and functions, and what exceeds the house's
	$(Q)scripts/check/sizes.py

format: setup-format ## let clang-format write all C files
	$(Q)clang-format -i $(c_files)
