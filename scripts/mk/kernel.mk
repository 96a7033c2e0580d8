# SPDX-License-Identifier: MIT
#
# The demo kernel: mm/, kernel/, arch/, and the tests, linked by boot/kernel.ld.

ARCH := x86_64
kernel_dir := build/kernel$(if $(ASAN),-asan)$(suffix)
kernel_elf := $(kernel_dir)/kernel.elf

kernel_c := $(mm_sources) $(wildcard kernel/*.c kernel/*/*.c arch/$(ARCH)/*.c) $(test_sources) \
	$(wildcard hosttest/harness_common.c hosttest/harness_expect.c hosttest/harness_cpus.c)
kernel_c := $(filter-out kernel/seams/% kernel/pinned/% $(if $(ASAN),,kernel/asan/%),$(kernel_c))
kernel_asm := $(wildcard arch/$(ARCH)/*.S boot/*.S)
kernel_objects := $(kernel_c:%.c=$(kernel_dir)/%.o) $(kernel_asm:%.S=$(kernel_dir)/%.o)
deps += $(kernel_objects:.o=.d)

compiler_include := $(shell $(CC) -print-file-name=include)
kernel_target := $(if $(filter llvm,$(TOOLCHAIN)),--target=x86_64-unknown-none-elf)
kernel_flags = $(kernel_target) $(common_flags) -ffreestanding -nostdinc \
	-isystem $(compiler_include) -fno-pic -fno-pie -mno-red-zone \
	-mgeneral-regs-only -mcmodel=kernel -fno-stack-protector -fno-asynchronous-unwind-tables \
	-Imm/include -Ikernel -Iarch/$(ARCH) -Ihosttest -I. -DMW_CONFIG_H='"kernel/marrow_config.h"'

# Calls of objects are so short that a frame would be a tenth of them.
$(kernel_dir)/mm/object/%.o: kernel_flags += -momit-leaf-frame-pointer

# ASAN=1 is the kernel that checks addresses, see kernel/asan/shadow.h. Not checked: the runtime, what
# it calls, and mm/. The stacks of arch/ are not, as some of them are used before there is a shadow.
asan_checks = $(if $(ASAN),$(filter-out mm/% kernel/asan/runtime.c kernel/asan/map.c \
	kernel/asan/report.c arch/$(ARCH)/string.c,$(1)))
asan_flags = $(if $(ASAN),-DMW_SHADOW_H='"kernel/asan/shadow.h"') $(if $(call asan_checks,$(1)), \
	-fsanitize=kernel-address -fasan-shadow-offset=0xdffffc0000000000 --param asan-globals=0 \
	--param asan-instrumentation-with-call-threshold=0 \
	$(if $(filter arch/%,$(1)),--param asan-stack=0,--param asan-stack=1 \
		-fsanitize-address-use-after-scope))
asan_mem := $(foreach f,memcpy memmove memset memcmp,--redefine-sym $(f)=asan_$(f))

kernel: $(kernel_elf) ## build the kernel
.PHONY: kernel

$(kernel_dir)/%.o: %.c $(kernel_dir)/flags
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(kernel_flags) $(KCFLAGS) $(call asan_flags,$<) -MMD -MP -c -o $@ $<
	$(if $(call asan_checks,$<),$(Q)objcopy $(asan_mem) $@)

$(kernel_dir)/%.o: %.S $(kernel_dir)/flags
	$(say) AS $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(kernel_flags) $(KCFLAGS) -MMD -MP -c -o $@ $<

$(eval $(call flags-file,$(kernel_dir)/flags,$$(CC) $$(kernel_flags) $$(KCFLAGS) $$(call asan_flags,kernel/any)))

# kernel-link (folder, objects): its kernel.elf. Linked twice: the second time with the table of the functions'
# names and addresses, which stands behind the code and so does not move it.
link_kernel = $(LD) -nostdlib -static -z max-page-size=4096 -z noexecstack -T boot/kernel.ld
define kernel-link
$(1)/symbols-none.o: scripts/symbols.sh $$(kernel_dir)/flags
	$$(Q)mkdir -p $$(@D)
	$$(Q)scripts/symbols.sh </dev/null >$$(@:.o=.S)
	$$(Q)$$(CC) $$(kernel_flags) -c -o $$@ $$(@:.o=.S)

$(1)/kernel-1.elf: $(1)/symbols-none.o $(2) boot/kernel.ld
	$$(say) LD $$@
	$$(Q)$$(link_kernel) -o $$@ $(2) $$<

$(1)/symbols.o: $(1)/kernel-1.elf
	$$(Q)$$(NM) -n $$< | scripts/symbols.sh >$$(@:.o=.S)
	$$(Q)$$(CC) $$(kernel_flags) -c -o $$@ $$(@:.o=.S)

$(1)/kernel.elf: $(1)/symbols.o
	$$(say) LD $$@
	$$(Q)$$(link_kernel) -o $$@ $(2) $$<
	$$(Q)$$(NM) -n $$@ | scripts/symbols.sh | cmp - $(1)/symbols.S || \
		{ echo "$$@: the symbol table moved the code: is .rodata before .text?"; exit 1; }
endef
$(eval $(call kernel-link,$(kernel_dir),$(kernel_objects)))
