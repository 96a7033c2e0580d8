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
.PHONY: mutants mutants-random
