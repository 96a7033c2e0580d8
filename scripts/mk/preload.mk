# SPDX-License-Identifier: MIT
# Help: Build
#
# build/libmarrow.so: the heap as the malloc of unmodified programs, by LD_PRELOAD.

preload_dir := build/preload$(suffix)
preload_safe_dir := build/preload-safe$(suffix)
preload_lib := build/libmarrow$(suffix).so
preload_sources := $(mm_sources) $(wildcard hosttest/preload*.c)
preload_objects := $(preload_sources:%.c=$(preload_dir)/%.o)
deps += $(preload_objects:.o=.d)

# (-Wno-maybe-uninitialized: told falsely of mw_phys() when all is one.)
# Linked as one, so that malloc() is the heap's fast path and not a call of it; nothing that is
# not libc's is visible; thread-local words are where the first instruction finds them.
preload_flags = -std=gnu11 -O2 -g $(warnings) -flto -fPIC -fvisibility=hidden \
	-ftls-model=initial-exec -fno-semantic-interposition -fno-plt -pthread -Imm/include \
	-Ihosttest -DMW_CONFIG_H='"preload_config.h"'

$(preload_dir)/%.o: %.c $(preload_dir)/flags
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(preload_flags) $(CFLAGS) -MMD -MP -c -o $@ $<

$(eval $(call flags-file,$(preload_dir)/flags,$$(CC) $$(preload_flags) $$(CFLAGS)))

$(preload_lib): $(preload_objects)
	$(say) LINK $@
	$(Q)$(CC) $(preload_flags) $(CFLAGS) -Wno-maybe-uninitialized -shared -static-libgcc -Wl,-z,defs -Wl,-z,now -Wl,-z,pack-relative-relocs -Wl,-soname,libmarrow.so \
		-o $@ $(preload_objects)

# What the program may replace must not be bound here: see preload_new.c.
$(preload_dir)/hosttest/preload_new.o $(preload_safe_dir)/hosttest/preload_new.o: preload_flags += \
	-fno-lto -fsemantic-interposition

preload: $(preload_lib) ## build/libmarrow.so: the heap as a program's malloc

# The checks are ordinary programs: the compiler must not know what malloc is.
preload_programs := build/preload_check build/preload_check_cxx build/preload_check_new

build/preload_check: $(wildcard hosttest/check_preload*.c) hosttest/check_preload.h
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O1 -g $(warnings) -fno-builtin -pthread -o $@ $(filter %.c,$^) -ldl

build/preload_check_cxx: hosttest/check_preload.cc
	$(say) CXX $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) -std=c++17 -O1 -g $(warnings) -pthread -o $@ $<

build/preload_check_new: hosttest/check_preload_new.cc
	$(say) CXX $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) -std=c++17 -O1 -g $(warnings) -Wno-sized-deallocation -fno-builtin -o $@ $<

test-preload: setup-preload $(preload_lib) $(preload_programs) ## real programs with build/libmarrow.so as their malloc
	$(Q)scripts/preload_test.sh $(preload_lib)

.PHONY: preload test-preload

# The same with safe free, to see what it costs: MARROW_SAFE=on or =wipe. For programs of one thread.
preload_safe_lib := build/libmarrow-safe$(suffix).so
preload_safe_objects := $(preload_sources:%.c=$(preload_safe_dir)/%.o)
deps += $(preload_safe_objects:.o=.d)

$(preload_safe_dir)/%.o: %.c $(preload_dir)/flags
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(preload_flags) -DMW_GC=1 $(CFLAGS) -MMD -MP -c -o $@ $<

$(preload_safe_lib): $(preload_safe_objects)
	$(say) LINK $@
	$(Q)$(CC) $(preload_flags) $(CFLAGS) -Wno-maybe-uninitialized -shared -static-libgcc -Wl,-z,defs -Wl,-z,now -Wl,-z,pack-relative-relocs -Wl,-soname,libmarrow-safe.so \
		-o $@ $(preload_safe_objects)

preload-safe: $(preload_safe_lib) ## build/libmarrow-safe.so: with safe free, if MARROW_SAFE=on is in the environment
.PHONY: preload-safe
