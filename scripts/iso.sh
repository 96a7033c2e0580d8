#!/bin/sh
# SPDX-License-Identifier: MIT
#
# iso.sh KERNEL ISO [ARGS]: a CD that GRUB boots by BIOS and by UEFI, with ARGS on the kernel's
# command line. Only the modules that boot/grub.cfg uses are put in: a quarter of the size.

set -e
kernel=$1 iso=$2 args=$3
tree=$(mktemp -d)
log=$(mktemp) # not in the tree: that would be put on the CD while it grows
trap 'rm -rf "$tree" "$log"' EXIT
mkdir -p "$tree/boot/grub"
cp "$kernel" "$tree/boot/kernel.elf"
escaped=$(printf '%s' "$args" | sed 's/[\\&|]/\\&/g')
sed "/^multiboot2/s|ARGS|$escaped|" boot/grub.cfg >"$tree/boot/grub/grub.cfg"
grub-mkrescue -o "$iso.new" --fonts= --locales= --themes= \
	--install-modules="multiboot2 normal iso9660 part_gpt part_msdos search configfile boot all_video" \
	"$tree" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
mv "$iso.new" "$iso"
