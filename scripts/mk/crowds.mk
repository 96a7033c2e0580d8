# SPDX-License-Identifier: MIT
# Help: Test
#
# Random allowed calls on four CPUs, see hosttest/crowd.h: the suite again and again, each time with the next seed, for
# CROWDS_S seconds in each build, hosted and in the kernel; and in the kernel with seams under CROWDS_N seeds.

CROWDS_S ?= 12
CROWDS_N ?= 2
CROWDS_SEED ?= 0
crowd_variants := host host-debug host-asan host-tsan

.PHONY: crowds
crowds: setup-test $(crowd_variants:%=build/%$(suffix)/test_crowd) $(kernel_elf) $(seams_elf) ## random calls on four CPUs: CROWDS_S=seconds a build, CROWDS_N=seeds in the kernel with seams, CROWDS_SEED=
	$(Q)scripts/crowds.py --seconds $(CROWDS_S) --seed $(CROWDS_SEED) --kernel $(kernel_elf) \
		--seams $(seams_elf) --seeds $(CROWDS_N) $(crowd_variants:%=build/%$(suffix)/test_crowd)
