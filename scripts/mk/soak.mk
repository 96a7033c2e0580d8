# SPDX-License-Identifier: MIT
# Help: Test
#
# All storms in turn on four CPUs, with failing allocations, collections and scavenges at random; judged
# as tests are. SOAK=600 seconds; a minute of it is a part of make test.

SOAK ?= 600
soaked = scripts/ktap.py --kernel $(kernel_elf) --cpus 4 --mem 512M --name soak \
	--log build/log/soak.console
run_soak = $(soaked) --limit 400 --append 'run=soak exit'

soak: setup-run $(kernel_elf) ## all storms in turn for SOAK=600 seconds; none may corrupt or leak anything
	$(Q)mkdir -p build/log
	$(Q)$(soaked) --limit $$(($(SOAK) * 3 + 300)) --append 'run="soak $(SOAK)" exit'
	$(Q)grep -A4 '^storm' build/log/soak.console | tail -n 60

compare-fs: setup-run $(kernel_elf) ## the file system collected and counted: lines, instructions a step
	$(Q)scripts/compare_fs.py $(kernel_elf)
.PHONY: soak compare-fs
