#!/bin/sh
# SPDX-License-Identifier: MIT
#
# symbols.sh: read `nm -n` of a kernel, write its table of functions as assembly, for
# kernel/symbols.c. No input makes an empty table, which the first of the two links takes.

exec awk '
BEGIN {
	print "\t.section .rodata.kernel_symbols, \"a\""
	print "\t.balign 8"
	print "\t.globl kernel_symbols, kernel_symbols_end"
	print "kernel_symbols:"
}
# Functions of the higher half, each address once; the table itself is none.
$2 ~ /^[tTwW]$/ && $1 ~ /^ffffffff/ && $3 !~ /^(\.|kernel_symbols)/ && $1 != last {
	printf "\t.quad 0x%s, .Lname%d\n", $1, n
	names[n++] = $3
	last = $1
}
END {
	print "kernel_symbols_end:"
	for (i = 0; i < n; i++)
		printf ".Lname%d:\t.asciz \"%s\"\n", i, names[i]
	print "\t.section .note.GNU-stack, \"\", @progbits"
}'
