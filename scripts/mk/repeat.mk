# SPDX-License-Identifier: MIT
# Help: Test
#
# Every suite many times, on a busy machine: a test that fails now and then is none.
# N= runs of each, SUITES='faults leak', VARIANTS='host host-m32', REPEAT_S= seconds for all, BUSY= processes beside.

N ?= 100
SUITES ?=
VARIANTS ?= $(variants)
REPEAT_S ?= inf
BUSY ?= $(JOBS)

repeat: setup-host ## run each hosted suite N=100 times beside busy processes, and name what fails now and then
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) $(if $(strip $(SUITES)),$(foreach v,$(VARIANTS),$(SUITES:%=build/$(v)$(suffix)/test_%)),$(VARIANTS))
	$(Q)nice -n 5 scripts/repeat.py -n $(N) --jobs $(JOBS) --busy $(BUSY) --seconds $(REPEAT_S) --suites '$(SUITES)' \
		$(addsuffix $(suffix),$(VARIANTS))
.PHONY: repeat
