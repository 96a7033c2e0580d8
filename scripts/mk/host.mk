# SPDX-License-Identifier: MIT
# Help: Test
#
# The same sources for Linux: one runner for each test file, in several variants.

harness_sources := $(wildcard hosttest/harness_*.c)
host_sources := $(harness_sources) $(wildcard hosttest/port_*.c)
host_flags = $(common_flags) -pthread -Imm/include -Ihosttest -I. -DMW_CONFIG_H='"hosttest/marrow_config.h"'

# host-variant (name, extra flags): build/NAME/test_X for each hosttest/test_X.c
define host-variant
$(1)_dir := build/$(1)$(suffix)
$(1)_common := $$(patsubst %.c,$$($(1)_dir)/%.o,$(mm_sources) $(host_sources))
$(1)_runners := $$(patsubst hosttest/%.c,$$($(1)_dir)/%,$(test_sources))
deps += $$(patsubst %.c,$$($(1)_dir)/%.d,$(mm_sources) $(host_sources) $(test_sources))

$$($(1)_dir)/%.o: %.c $$($(1)_dir)/flags
	$$(say) CC $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(host_flags) $(2) $$(CFLAGS) -MMD -MP -c -o $$@ $$<

$$($(1)_dir)/test_%: $$($(1)_dir)/hosttest/test_%.o $$($(1)_common)
	$$(say) LINK $$@
	$$(Q)$$(CC) $$(host_flags) $(2) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ -lm

# All suites in one program: what plants bugs links once for each.
$$($(1)_dir)/suites: $$(patsubst %.c,$$($(1)_dir)/%.o,$$(test_sources)) $$($(1)_common)
	$$(say) LINK $$@
	$$(Q)$$(CC) $$(host_flags) $(2) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ -lm

$(call flags-file,$$($(1)_dir)/flags,$$(CC) $$(host_flags) $(2) $$(CFLAGS) $$(LDFLAGS))

$(1): $$($(1)_runners)
.PHONY: $(1)
endef

$(eval $(call host-variant,host,))
$(eval $(call host-variant,host-debug,-DMW_DEBUG=2 -DMW_SITES=1))
$(eval $(call host-variant,host-gc0,-DMW_GC=0))
$(eval $(call host-variant,host-asan,-O1 -fsanitize=address$(comma)undefined -fno-sanitize-recover=all))
$(eval $(call host-variant,host-tsan,-O1 -fsanitize=thread))
# Debian keeps asm/ of both sizes in the 64-bit directory.
$(eval $(call host-variant,host-m32,-m32 -idirafter /usr/include/x86_64-linux-gnu))
