# SPDX-License-Identifier: MIT
#
# For a QEMU that waits: stop where the kernel's C begins. mw.py beside it has the mw commands.
set confirm off
set pagination off
set print pretty on
set disassemble-next-line auto
hbreak kernel_main
