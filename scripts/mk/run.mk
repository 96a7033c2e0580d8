# SPDX-License-Identifier: MIT
# Help: Run, and look at it
#
# The kernel in QEMU, for people. CPUS=4 MEM=512M FIRMWARE=bios|uefi ARCH=riscv64|aarch64; RUN='cmd; cmd' gives the
# monitor its first commands, APPEND adds to the kernel's command line; SCREEN=1 opens a window;
# ACCEL=kvm takes something else than TCG.

CPUS ?= 4
MEM ?= 512M
FIRMWARE ?= bios
RUN ?=
APPEND ?=
ACCEL ?=
SCREEN ?=

gdb := $(if $(on_arch),gdb-multiarch,gdb)
iso := $(kernel_dir)/marrow.iso
kernel_args = $(strip $(if $(RUN),run="$(RUN)") $(APPEND))
machine = --cpus '$(CPUS)' --mem '$(MEM)' --firmware '$(FIRMWARE)' --accel '$(ACCEL)'
quick = --kernel $(kernel_elf) --append '$(kernel_args)'

$(eval $(call flags-file,$(kernel_dir)/args,$$(kernel_args)))
$(iso): $(kernel_elf) $(kernel_dir)/args boot/grub.cfg scripts/iso.sh
	$(say) ISO $@
	$(Q)scripts/iso.sh $< $@ '$(kernel_args)'

# What has to be installed comes first, so the files are built by a second make.
.PHONY: setup-% iso run run-quick qemu-gdb test-gdb screenshot
setup-%:
	@scripts/setup.sh $*$(if $(filter kernel run gdb,$*),$(on_arch))

iso: setup-run ## build the CD that GRUB boots, by BIOS and by UEFI
	$(Q)$(MAKE) --no-print-directory $(iso)

# Only a PC has a CD to boot from.
run: $(if $(on_arch),kernel setup-run,iso) ## boot the CD in QEMU, console here: CPUS= MEM= FIRMWARE=uefi RUN='command; ...' SCREEN=1 ARCH=
	@scripts/run.py $(if $(on_arch),$(quick),--iso $(iso)) $(machine) $(if $(SCREEN),--screen)

run-quick: kernel setup-run ## the same without GRUB: QEMU loads the kernel itself
	@scripts/run.py $(quick) $(machine) $(if $(SCREEN),--screen)

qemu-gdb: kernel setup-run setup-gdb ## boot it stopped, with gdb attached
	@scripts/run.py $(quick) $(machine) --gdb $(gdb) --log build/console.log

test-gdb: setup-run setup-gdb $(kernel_elf) $(if $(on_arch),,build/host/test_watch) ## every mw command of gdb, on a machine, a process, and cores
	@scripts/gdb_test.py $(kernel_elf) $(if $(on_arch),,build/host/test_watch)

screenshot: iso ## boot it to the prompt and save build/screenshot.png
	@scripts/run.py --iso $(iso) $(machine) --picture build/screenshot.png

session: $(kernel_elf) setup-run ## type a session at the prompt and write docs/session.md and its pictures
	$(Q)scripts/session.py --kernel $(kernel_elf) --cpus 4 --mem 512M --write docs/session.md \
		--pictures docs/img
.PHONY: session
