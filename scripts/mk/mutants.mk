# SPDX-License-Identifier: MIT
# Help: Check and prove
#
# make mutants: plant each bug of hosttest/mutants/ and see whether the hosted suites catch it; JOBS= at once,
# MUTANTS='gc page/fit-short' chooses. Some 270 builds: six minutes.
# make mutants-random: the same with bugs that nobody thought of, N= of them drawn by SEED=.

MUTANTS ?=

mutants: setup-host ## plant bugs one by one: does a test catch each? MUTANTS=room or room/name
	$(Q)nice -n 10 scripts/mutate.py --jobs $(JOBS) $(MUTANTS)

mutants-random: setup-host setup-run ## plant N=300 random bugs drawn by SEED=1, in mm/ and the kernel: does a test catch each?
	$(Q)nice -n 10 scripts/random_mutants.py --jobs $(JOBS) -n $(if $(filter command% env%,$(origin N)),$(N),300) --seed $(or $(SEED),1)

# What scripts/reach.py runs each test in. -O1 keeps the tests short that go instruction by instruction.
reach_flags := -g -fsanitize-coverage=trace-pc -fno-reorder-blocks
define reach-variant
$(call host-variant,$(1)-reach,$(2))
$$($(1)-reach_dir)/mm/%.o: private host_flags += $$(reach_flags)
$$($(1)-reach_dir)/suites: $$($(1)-reach_dir)/hosttest/reach.o
endef
$(eval $(call reach-variant,host,))
$(eval $(call reach-variant,host-debug,-DMW_DEBUG=2 -DMW_SITES=1))

.PHONY: mutants mutants-random
