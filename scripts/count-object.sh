#!/bin/sh
# SPDX-License-Identifier: MIT
# Instructions for one allocation and its free, each load: see docs/bench/object.md.
set -eu
cd "$(dirname "$0")/.."
out=build/count
n=20000
mkdir -p $out
${CC:-gcc} -std=gnu11 -O2 -g -Imm/include -Ihosttest -DMW_PORT_LEVEL=1 -DMW_MAX_CPUS=256 \
	-DMW_PORT_INLINE_H='"count_port.h"' -o $out/object hosttest/count_object.c mm/*/*.c

for load in "pair 16" "pair 64" "pair 1024" "pair 8192" "pair 65536" "pair 262144" "pair 1048576" \
	"fifo 16" "fifo 64" "fifo 256" "fifo 1024" "fifo 8192" "lifo 64" "random 0" \
	"xthread 64" "xthread 1024" "zero 64" "typed 64" "bulk 64"; do
	set -- $load
	total=$(valgrind --tool=callgrind --callgrind-out-file=$out/callgrind.out \
		--instr-atstart=no $out/object "$1" $n "$2" 2>&1 | awk '/Collected/ { print $4 }')
	awk -v l="$load" -v t="$total" -v n=$n 'BEGIN { printf "%-14s %7.1f\n", l, t / n }'
done
