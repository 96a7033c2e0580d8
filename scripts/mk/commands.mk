# SPDX-License-Identifier: MIT
#
# The monitor's commands while memory runs out, each allocation of each: see kernel/test_commands.c.

.PHONY: commands-fault
commands-fault: setup-run setup-kernel ## each allocation of every command fails once: no panic, a message, all is back
	$(Q)$(MAKE) --no-print-directory kernel
	$(Q)mkdir -p build/log
	$(Q)scripts/commands_fault.py $(kernel_elf)
