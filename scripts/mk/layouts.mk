# SPDX-License-Identifier: MIT
# Help: Measure
#
# Where object state lives: two prototypes and mm/ as it is, counted beside each other. docs/design/layout.md.

layouts_dir := build/layouts
layouts_flags := -std=gnu11 -O2 -g -fno-builtin $(warnings) -Imm/include -Ihosttest -DMW_PORT_LEVEL=2 \
	-DMW_MAX_CPUS=4 -DMW_PORT_INLINE_H='"count_port.h"'
layouts_common := hosttest/layouts/main.c hosttest/layouts/loads.c hosttest/layouts/checks.c
layouts_own := $(addprefix hosttest/layouts/,heap.c span.c mark.c) mm/object/class.c
layouts_sources_today := $(layouts_common) hosttest/layouts/today.c $(mm_sources)
layouts_sources_p := $(layouts_common) $(layouts_own) hosttest/layouts/p.c
layouts_sources_q := $(layouts_common) $(layouts_own) hosttest/layouts/q.c
layouts_headers := $(wildcard hosttest/layouts/*.h mm/*/*.h mm/include/marrow/*.h)
layouts_bare := -DLAY_BARE -static -nostdlib -ffreestanding -fno-stack-protector -fno-pie -no-pie
layouts_bare_aarch64 := -mno-outline-atomics

# layout (name, sources, flags): a program for this machine and one for each other one, without a library there.
define layout
$(layouts_dir)/$(1): $(2) $(layouts_headers)
	$$(say) CC $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)gcc $(layouts_flags) $(3) -o $$@ $$(filter %.c,$$^)
$(layouts_dir)/$(1)-%: hosttest/layouts/start.c $(2) $(layouts_headers)
	$$(say) CC $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$*-linux-gnu-gcc $(layouts_flags) $(layouts_bare) $$(layouts_bare_$$*) $(3) -o $$@ $$(filter %.c,$$^) -lgcc
endef

$(eval $(call layout,today,$(layouts_sources_today),-DLAYOUT_TODAY))
$(eval $(call layout,p,$(layouts_sources_p),-DLAYOUT_P))
$(eval $(call layout,q,$(layouts_sources_q),-DLAYOUT_Q -DLAYOUT_WIDE))
$(eval $(call layout,p-leaves,$(layouts_sources_p),-DLAYOUT_P -DLAYOUT_LEAVES))
$(eval $(call layout,q-leaves,$(layouts_sources_q),-DLAYOUT_Q -DLAYOUT_WIDE -DLAYOUT_LEAVES))

$(eval $(call layout,p-wide,$(layouts_sources_p),-DLAYOUT_P -DLAYOUT_WIDE))
$(eval $(call layout,p-wide-leaves,$(layouts_sources_p),-DLAYOUT_P -DLAYOUT_WIDE -DLAYOUT_LEAVES))

layouts_names := today p p-wide q p-leaves p-wide-leaves q-leaves
layouts_programs := $(addprefix $(layouts_dir)/,$(layouts_names) $(foreach m,aarch64 riscv64,today-$(m) p-$(m) p-wide-$(m) q-$(m)))

.PHONY: layouts
layouts: ## where object state lives: prototypes beside mm/, checked, counted, as a table
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) $(layouts_programs)
	$(Q)scripts/layouts.py $(layouts_dir)
