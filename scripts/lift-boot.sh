# SPDX-License-Identifier: MIT
# The barebones kernels: built from the lifted copy, counted, booted. To be sourced by lift.sh.

own_limit=150

boot_flags() {
	case $1-$2 in
	x86_64-*) echo "-m64 -mno-red-zone -mgeneral-regs-only" ;;
	riscv64-gcc) echo "-march=rv64imac_zicsr -mabi=lp64 -mcmodel=medany -DMW_SOFT_BITS=1" ;;
	riscv64-clang) echo "-march=rv64imac -mabi=lp64 -mcmodel=medany" ;;
	esac
	case $1 in
	x86_64) echo "-DMW_ADDR_BITS=30 -DMAPPED_END=0x40000000ull" ;;
	riscv64) echo "-DMW_ADDR_BASE=0x80000000 -DMW_ADDR_BITS=31 -DMAPPED_END=0x100000000ull" ;;
	esac
}

# Loops must not become calls of the very function they are in.
no_idioms() {
	case $1 in
	gcc) echo -fno-tree-loop-distribute-patterns ;;
	clang) echo -fno-builtin ;;
	esac
}

boot_machine() {
	case $1 in
	x86_64) echo "qemu-system-x86_64 -device isa-debug-exit,iobase=0xf4,iosize=0x04" ;;
	riscv64) echo "qemu-system-riscv64 -M virt" ;;
	esac
}

# make_kernel CPU FAMILY: $out/kernel.elf
make_kernel() {
	cc="$(compiler "$1" "$2")"
	out=$lifted/boot-$1-$2
	mkdir -p "$out"
	flags="$common $(boot_flags "$1" "$2") -nostdinc -isystem $(own_headers "${cc%% *}")"
	flags="$flags -Imm/include -DMW_PORT_LEVEL=0 -DMW_GC=0 -ffunction-sections -fdata-sections"
	(cd "$lifted" && ls mm/*/*.c barebones/main.c "barebones/$1"/port.c "barebones/$1"/start.S) |
		cc="$cc $flags" out=$out lifted=$lifted \
			xargs -P "$jobs" -n 8 "$top/scripts/lift-cc.sh" &&
		cc="$cc $flags $(no_idioms "$2")" out=$out lifted=$lifted \
			"$top/scripts/lift-cc.sh" barebones/memory.c &&
		"$(ld_of "$1")" -nostdlib --gc-sections -z noexecstack -T "$lifted/barebones/$1/link.ld" \
			-o "$out/kernel.elf" "$out"/*.o
}

ld_of() {
	case $1 in
	x86_64) echo ld ;;
	*) echo "$1-linux-gnu-ld" ;;
	esac
}

# boot CPU FAMILY: exit code 33, the report of the double free, and the last line
boot() {
	name="barebones $1 $2"
	if ! make_kernel "$1" "$2" >"$lifted/boot-log" 2>&1; then
		not_ok "$name: build" "$lifted/boot-log"
		return
	fi
	code=0
	"$top/scripts/hang.py" 20 $(boot_machine "$1") -accel tcg -m 64M -nodefaults -display none \
		-serial stdio -monitor none -no-reboot -kernel "$out/kernel.elf" \
		</dev/null >"$out/console" 2>&1 || code=$?
	for line in 'marrow: double-free' 'barebones: done'; do
		grep -q "^$line" "$out/console" || echo "missing on the console: $line" >>"$out/console"
	done
	if [ "$code" != 33 ] || grep -q '^missing' "$out/console"; then
		echo "exit code $code, wanted 33" >>"$out/console"
		tail -n 12 "$out/console" >"$out/tail"
		not_ok "$name: boot" "$out/tail"
	else
		ok "$name: boots, reports a double free, exits with 33; $(size_of "$1") bytes of text"
	fi
}

size_of() {
	size "$out/kernel.elf" 2>/dev/null | awk 'NR == 2 { print $1 }'
}

for cpu in x86_64 riscv64; do
	lines=$(cd "$lifted/barebones" && own_lines ./*.c ./*.h "$cpu"/*.c)
	if [ "$lines" -le "$own_limit" ]; then
		ok "barebones $cpu: $lines own lines of C, $own_limit allowed"
	else
		not_ok "barebones $cpu: $lines own lines of C, only $own_limit allowed"
	fi
	for family in gcc clang; do
		boot "$cpu" "$family"
	done
done
