# SPDX-License-Identifier: MIT
# Help: Measure
#
# How long mm/ keeps interrupts off, counted in instructions under -icount, for each public call over what the
# tests do with it; on one CPU, as who waits for a lock has that of others besides.

pinned_dir := build/kernel-pinned$(suffix)$(on_arch)
pinned_elf := $(pinned_dir)/kernel.elf
pinned_mine := kernel/pinned/begin.c $(mm_sources) kernel/pinned/runtime.c
pinned_objects := $(pinned_mine:%.c=$(pinned_dir)/%.o) $(filter-out $(mm_sources:%.c=$(kernel_dir)/%.o),$(kernel_objects))
deps += $(pinned_mine:%.c=$(pinned_dir)/%.d)

$(pinned_dir)/%.o: %.c $(kernel_dir)/flags
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(KCC) $(if $(filter mm/%,$<),-Ikernel/pinned) $(kernel_flags) $(KCFLAGS) -MMD -MP -c -o $@ $<
$(eval $(call kernel-link,$(pinned_dir),$(pinned_objects)))

.PHONY: pinned
pinned: setup-run $(pinned_elf) ## instructions with interrupts off, worst case of each public call; writes docs/bench/pinned.md
	$(Q)scripts/pinned.py $(pinned_elf) --write
