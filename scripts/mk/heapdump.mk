# SPDX-License-Identifier: MIT
# Help: Test
#
# Heap dumps and profiles as other programs read them. hosttest/make_heap.c makes them.

heapdump_maker := build/host$(suffix)/make_heap
deps += build/host$(suffix)/hosttest/make_heap.d

# A program that runs where it was linked, as a kernel does.
$(heapdump_maker): build/host$(suffix)/hosttest/make_heap.o \
		$(filter-out $(harness_sources:%.c=build/host$(suffix)/%.o),$(host_common))
	$(say) LINK $@
	$(Q)$(CC) $(host_flags) -no-pie $(CFLAGS) $(LDFLAGS) -o $@ $^ -lm

test-heapdump: setup-viewers setup-run $(heapdump_maker) $(kernel_elf) ## dumps and profiles, read by other programs; with damage
	$(Q)scripts/heapdump_test.py $(heapdump_maker) $(kernel_elf)

test-devtools: setup-browser $(heapdump_maker) ## snapshots, loaded by Chrome DevTools in a headless Chromium
	$(Q)scripts/devtools_test.py $(heapdump_maker)
.PHONY: test-heapdump test-devtools
