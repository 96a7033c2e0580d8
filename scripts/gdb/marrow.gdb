# SPDX-License-Identifier: MIT
#
# For a QEMU that waits: stop where the kernel's C begins. Other scripts of this folder are read too.
set confirm off
set pagination off
set print pretty on
set disassemble-next-line auto
hbreak kernel_main
