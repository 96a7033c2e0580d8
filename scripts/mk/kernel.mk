# SPDX-License-Identifier: MIT
# Help: Build
#
# The demo kernel: mm/, kernel/, arch/, and the tests, linked by boot/$(ARCH).ld. ARCH=riscv64 and ARCH=aarch64 are others.

ARCH ?= x86_64
include arch/$(ARCH)/arch.mk
on_arch := $(if $(filter-out x86_64,$(ARCH)),-$(ARCH))
kernel_dir := build/kernel$(if $(ASAN),-asan)$(suffix)$(on_arch)
kernel_elf := $(kernel_dir)/kernel.elf
kernel_ld := boot/$(ARCH).ld
ifeq ($(TOOLCHAIN),gnu)
  KCC = $(if $(arch_prefix),$(arch_prefix)gcc,$(CC))
  KLD = $(if $(arch_prefix),$(arch_prefix)ld,$(LD))
  KNM = $(arch_prefix)$(NM)
else
  KCC = $(CC)
  KLD = $(LD)
  KNM = $(NM)
endif

# A file of the machine's takes the place of one of the same name in arch/common/.
arch_c := $(wildcard arch/$(ARCH)/*.c)
arch_c += $(filter-out $(arch_c:arch/$(ARCH)/%=arch/common/%),$(wildcard arch/common/*.c $(arch_parts:%=arch/common/%/*.c)))
kernel_c := $(mm_sources) $(wildcard kernel/*.c kernel/*/*.c) $(arch_c) $(test_sources) \
	$(wildcard hosttest/harness_common.c hosttest/harness_expect.c hosttest/harness_cpus.c)
kernel_c := $(filter-out kernel/seams/% kernel/pinned/% $(if $(ASAN),,kernel/asan/%),$(kernel_c))
kernel_asm := $(wildcard arch/$(ARCH)/*.S)
kernel_objects := $(kernel_c:%.c=$(kernel_dir)/%.o) $(kernel_asm:%.S=$(kernel_dir)/%.o)
deps += $(kernel_objects:.o=.d)

# Asked when it is there: what is missing is installed by then.
compiler_include = $(eval compiler_include := $(shell $(KCC) -print-file-name=include))$(compiler_include)
kernel_target := $(if $(filter llvm,$(TOOLCHAIN)),$(arch_clang))
kernel_flags = $(kernel_target) $(common_flags) -ffreestanding -nostdinc \
	-isystem $(compiler_include) -fno-pic -fno-pie $(arch_flags) \
	-fno-stack-protector -fno-asynchronous-unwind-tables \
	-Imm/include -Ikernel -Iarch/$(ARCH) -Iarch/common -Ihosttest -I. -DMW_CONFIG_H='"kernel/marrow_config.h"'

# Calls of objects are so short that a frame would be a tenth of them.
$(kernel_dir)/mm/object/%.o: kernel_flags += $(arch_cc_flags_leaf)
# The loops of memcpy() must not become calls of it.
$(kernel_dir)/arch/common/string.o: kernel_flags += $(if $(filter gnu,$(TOOLCHAIN)),-fno-tree-loop-distribute-patterns,-fno-builtin)

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

kernel: $(kernel_elf) $(arch_image) ## build the kernel
.PHONY: kernel

%.img: %.elf
	$(say) IMAGE $@
	$(Q)$(arch_prefix)objcopy -O binary $< $@

$(kernel_dir)/%.o: %.c $(kernel_dir)/flags
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(KCC) $(kernel_flags) $(KCFLAGS) $(call asan_flags,$<) -MMD -MP -c -o $@ $<
	$(if $(call asan_checks,$<),$(Q)$(arch_prefix)objcopy $(asan_mem) $@)

$(kernel_dir)/%.o: %.S $(kernel_dir)/flags
	$(say) AS $@
	$(Q)mkdir -p $(@D)
	$(Q)$(KCC) $(kernel_flags) $(KCFLAGS) -MMD -MP -c -o $@ $<

$(eval $(call flags-file,$(kernel_dir)/flags,$$(KCC) $$(kernel_flags) $$(KCFLAGS) $$(call asan_flags,kernel/any)))

# A compiler for another machine is not what one has: it comes first.
ifneq ($(on_arch),)
$(kernel_dir)/flags: | setup-kernel
endif

# kernel-link (folder, objects): its kernel.elf. Linked twice: the second time with the table of the functions'
# names and addresses, which stands behind the code and so does not move it.
link_kernel = $(KLD) -nostdlib -static -z max-page-size=4096 -z noexecstack -T $(kernel_ld)
define kernel-link
$(1)/symbols-none.o: scripts/symbols.sh $$(kernel_dir)/flags
	$$(Q)mkdir -p $$(@D)
	$$(Q)scripts/symbols.sh </dev/null >$$(@:.o=.S)
	$$(Q)$$(KCC) $$(kernel_flags) -c -o $$@ $$(@:.o=.S)

$(1)/kernel-1.elf: $(1)/symbols-none.o $(2) $(kernel_ld) boot/image.ld
	$$(say) LD $$@
	$$(Q)$$(link_kernel) -o $$@ $(2) $$<

$(1)/symbols.o: $(1)/kernel-1.elf
	$$(Q)$$(KNM) -n $$< | scripts/symbols.sh >$$(@:.o=.S)
	$$(Q)$$(KCC) $$(kernel_flags) -c -o $$@ $$(@:.o=.S)

$(1)/kernel.elf: $(1)/symbols.o
	$$(say) LD $$@
	$$(Q)$$(link_kernel) -o $$@ $(2) $$<
	$$(Q)$$(KNM) -n $$@ | scripts/symbols.sh | cmp - $(1)/symbols.S || \
		{ echo "$$@: the symbol table moved the code: is .rodata before .text?"; exit 1; }
endef
$(eval $(call kernel-link,$(kernel_dir),$(kernel_objects)))
