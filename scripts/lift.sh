#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Proves that mm/ can be lifted out: copies it alone, with the port template, to an empty folder and
# builds it there for four CPUs with two compilers. Then each build's symbols must show that it
# defines only mw_* and needs only mw_port_* and four mem* functions, no compiler's library. Prints
# TAP. Then lift-boot.sh boots two barebones kernels made of the copy, and lift-doc.sh builds it by
# the snippets of docs/PORTING.md. Last, the stack that each call may use.
#
# usage: scripts/lift.sh [symbols|boot|snippets|stack]...    (all four without an argument)
# JOBS=n limits how many compilers run at once.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
lifted=$top/build/lift
jobs=${JOBS:-$(nproc)}
. "$top/scripts/lift-tap.sh"

allowed_port='mw_port_[a-z_]*'
allowed_mem='memcpy|memmove|memset|memcmp'
common='-std=gnu11 -O2 -ffreestanding -fno-stack-protector -fno-pic -fno-strict-aliasing
	-fno-asynchronous-unwind-tables -Wall -Wextra -Wundef -Werror'

copy_out() {
	rm -rf "$lifted"
	mkdir -p "$lifted"
	cp -R "$top/mm" "$lifted/mm"
	cp "$top/docs/port/template.c" "$lifted/port.c"
	cp -R "$top/docs/port/barebones" "$lifted/barebones"
}

# cpu_flags CPU FAMILY: as a kernel for that CPU is built, no floating point anywhere
cpu_flags() {
	case $1 in
	x86_64) echo "-m64 -mcmodel=kernel -mno-red-zone -mgeneral-regs-only" ;;
	i386) echo "-m32 -march=i686 -mgeneral-regs-only" ;;
	riscv64) echo "-march=rv64imac -mabi=lp64 -mcmodel=medany -DMW_SOFT_BITS=1" ;;
	aarch64) echo "-mgeneral-regs-only -mno-outline-atomics" ;;
	esac
}

compiler() {
	case $2-$1 in
	gcc-x86_64 | gcc-i386) echo gcc ;;
	gcc-*) echo "$1-linux-gnu-gcc" ;;
	clang-x86_64) echo clang --target=x86_64-unknown-none-elf ;;
	clang-i386) echo clang --target=i386-unknown-none-elf ;;
	clang-*) echo "clang --target=$1-unknown-none-elf" ;;
	esac
}

own_headers() {
	case $1 in
	gcc*|*-gcc) $1 -print-file-name=include ;;
	clang*) echo "$(clang -print-resource-dir)/include" ;;
	esac
}

nm_of() {
	case $1 in
	x86_64 | i386) echo nm ;;
	*) echo "$1-linux-gnu-nm" ;;
	esac
}

# build CPU FAMILY LEVEL GC [FLAG...]: objects of mm/ and the template, in a folder of their own
build() {
	cc=$(compiler "$1" "$2")
	out=$lifted/$(echo "$*" | tr -s ' =,' '-')
	cpu=$1 flags="$common $(cpu_flags "$1")"
	flags="$flags -nostdinc -isystem $(own_headers "${cc%% *}") -Imm/include"
	flags="$flags -DMW_PORT_LEVEL=$3 -DMW_GC=$4"
	shift 4
	mkdir -p "$out"
	(cd "$lifted" && ls mm/*/*.c port.c) | cc="$cc $flags $*" out=$out lifted=$lifted \
		xargs -P "$jobs" -n 8 "$top/scripts/lift-cc.sh" >"$out/log" 2>&1
}

# symbols CPU: what is wrong with the symbols of $out
symbols() {
	nm=$(nm_of "$1")
	$nm -g "$out"/mm-*.o | awk 'NF >= 2 { print $(NF - 1), $NF }' | sort -u >"$out/symbols"
	awk '$1 != "U" && $1 != "w" { print $2 }' "$out/symbols" | sort -u >"$out/defined"
	# A room that is built out is referred to weakly by mw_reset(), and may be missing.
	awk '$1 == "U" || $1 == "w" && $2 !~ /^mw_[a-z]*_reset$/ { print $2 }' "$out/symbols" |
		sort -u | comm -23 - "$out/defined" >"$out/needed"
	grep -vx 'mw_[a-z0-9_]*' "$out/defined" | sed 's/^/defines /' || :
	grep -vxE "$allowed_port|$allowed_mem" "$out/needed" | sed 's/^/needs /' || :
	$nm -g --defined-only "$out/port.o" | awk 'NF >= 3 { print $3 }' | sort >"$out/ported"
	grep -x "$allowed_port" "$out/needed" | comm -23 - "$out/ported" |
		sed 's/^/needs, beyond its level, /'
}

check() {
	name="$1 $2 level $3 gc $4"
	[ $# -eq 4 ] || name="$name, $(shift 4 && echo "$*")"
	if ! build "$@"; then
		not_ok "$name" "$out/log"
	else
		symbols "$1" >"$out/wrong"
		if [ -s "$out/wrong" ]; then
			for symbol in $(awk '/^needs/ { print $NF }' "$out/wrong"); do
				$nm -A "$out"/mm-*.o | grep " U $symbol\$" >>"$out/wrong" || :
			done
			not_ok "$name: symbols" "$out/wrong"
		else
			ok "$name: $(wc -l <"$out/defined") defined, $(wc -l <"$out/needed") needed"
		fi
	fi
}

# Every level with the compiler that most use; the lowest and the highest for all others.
check_all() {
	if ! [ -f "$top/mm/base/base.h" ]; then
		echo "Bail out! no mm/ at $top"
		exit 1
	fi
	for level_gc in '0 0' '1 0' '2 0' '2 1' '3 1'; do
		check x86_64 gcc $level_gc
	done
	check x86_64 gcc 0 0 -DMW_WATCH=0
	check i386 gcc 3 1 -DMW_DEBUG=2 -DMW_SITES=1
	check aarch64 gcc 0 0 -DMW_PAGE_SHIFT=16
	for who in 'x86_64 clang' 'i386 gcc' 'i386 clang' 'riscv64 gcc' 'riscv64 clang' \
		'aarch64 gcc' 'aarch64 clang'; do
		check $who 0 0
		check $who 3 1
	done
}

# No recursion, no frame of unknown size, none deeper than docs/PORTING.md says; $out/stack says how
# deep each public function goes.
# check_stack CPU LEVEL GC BYTES
check_stack() {
	name="stack $1 level $2 gc $3"
	frees=mw_free,mw_cache_free,mw_free_sized
	writers=mw_profile_write,mw_trace_write
	if build "$1" gcc "$2" "$3" -fcallgraph-info=su,da &&
		"$top/scripts/stack.py" "$4" "2304:$frees" "3584:$writers" "$lifted"/mm/include/marrow/*.h \
			-- "$out"/mm-*.ci >"$out/stack"; then
		deepest=$(awk '/^ / && $2 > most { most = $2 } END { print most }' "$out/stack")
		ok "$name: no recursion; $deepest bytes at most, see ${out#"$top/"}/stack"
	else
		grep -v '^ ' "$out/log" "$out/stack" >"$out/wrong" || :
		not_ok "$name" "$out/wrong"
	fi
}

copy_out
for part in ${*:-symbols boot snippets stack}; do
	case $part in
	symbols) check_all ;;
	boot) . "$top/scripts/lift-boot.sh" ;;
	snippets) . "$top/scripts/lift-doc.sh" ;;
	stack)
		for cpu in x86_64 riscv64; do
			check_stack "$cpu" 0 0 2752
			check_stack "$cpu" 3 1 4096
		done
		;;
	*)
		echo "usage: scripts/lift.sh [symbols|boot|snippets|stack]..." >&2
		exit 2
		;;
	esac
done
plan
