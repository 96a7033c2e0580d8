# SPDX-License-Identifier: MIT
# Help: Test
#
# The kernel at its prompt while the machine around it changes; scripts/live.py starts it.

.PHONY: test-balloon test-dimm test-misery test-monitor
test-balloon: setup-run $(kernel_elf) ## free memory leaves the emulator, seen from the host
	$(Q)scripts/balloon_test.py $(kernel_elf)

test-dimm: setup-run $(kernel_elf) ## memory modules come and go while the kernel runs
	$(Q)scripts/dimm_test.py $(kernel_elf)

test-misery: setup-run $(kernel_elf) ## NMIs and deaf CPUs: survived, and said
	$(Q)scripts/misery_test.py $(kernel_elf)

test-monitor: setup-run $(kernel_elf) ## the prompt, key by key
	$(Q)scripts/monitor_test.py $(kernel_elf)
