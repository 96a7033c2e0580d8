# SPDX-License-Identifier: MIT
#
# Who compiles, and the flags that every translation unit gets. TOOLCHAIN=llvm takes clang and
# lld; CC=... takes another compiler of either family.

TOOLCHAIN ?= gnu
ifeq ($(TOOLCHAIN),llvm)
  ifeq ($(origin CC),default)
    CC := clang
  endif
  LD := ld.lld
  NM := llvm-nm
  suffix := -llvm
else ifeq ($(TOOLCHAIN),gnu)
  ifeq ($(origin CC),default)
    CC := gcc
  endif
  LD := ld
  NM := nm
  suffix :=
else
  $(error TOOLCHAIN is gnu or llvm, not "$(TOOLCHAIN)")
endif

# V=1 shows commands, otherwise one short line for each file.
ifeq ($(V),1)
  Q :=
  say = @:
else
  Q := @
  say = @printf '  %-8s%s\n'
endif

warnings := -Wall -Wextra -Wundef -Werror
common_flags := -std=gnu11 -O2 -g -ffile-prefix-map=$(CURDIR)=. -fno-omit-frame-pointer $(warnings)

# flags-file (path, text): a file that changes when the text does; objects depend on it, so
# that a new flag or compiler rebuilds what it touches.
define flags-file
$(1): FORCE
	$$(shell mkdir -p $$(@D))$$(file >$$@.new,$(2))
	@if cmp -s $$@.new $$@; then rm $$@.new; else mv $$@.new $$@; fi
endef

deps :=
comma := ,
mm_sources := $(wildcard mm/*/*.c)
test_sources := $(wildcard hosttest/test_*.c)
