# SPDX-License-Identifier: MIT
#
# make mutants: plant each bug of hosttest/mutants/ and see whether the hosted suites catch it; JOBS= at once,
# MUTANTS='gc page/fit-short' chooses. Some 270 builds: six minutes.

MUTANTS ?=

mutants: setup-host ## plant bugs one by one: does a test catch each? MUTANTS=room or room/name
	$(Q)nice -n 10 scripts/mutate.py --jobs $(JOBS) $(MUTANTS)
.PHONY: mutants
