#!/bin/sh
# SPDX-License-Identifier: MIT
#
# setup.sh PURPOSE...: see that the programs and files for host, kernel, run, test, check, lift, ...
# are here; install the Debian or Ubuntu packages that bring those that are not.
#
# Looks at files only, so it costs nothing when all is there. Removes no package. Where nothing may be
# installed (no apt, neither root nor sudo, or MARROW_SETUP=no) it lists what is missing and ends
# with status 3.

gcc_version=$(gcc -dumpversion 2>/dev/null | cut -d. -f1)

# purpose, then what must exist (a command, or a file if it begins with /), then the package.
needs="
host gcc gcc
host /usr/include/stdio.h libc6-dev
host prove perl
host python3 python3-minimal
kernel gcc gcc
kernel ld binutils
run python3 python3
run qemu-system-x86_64 qemu-system-x86
kernel-riscv64 riscv64-linux-gnu-gcc gcc-riscv64-linux-gnu
run-riscv64 python3 python3
run-riscv64 qemu-system-riscv64 qemu-system-misc
gdb-riscv64 gdb-multiarch gdb-multiarch
kernel-aarch64 aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
run-aarch64 python3 python3
run-aarch64 qemu-system-aarch64 qemu-system-arm
gdb-aarch64 gdb-multiarch gdb-multiarch
run grub-mkrescue grub-common
run xorriso xorriso
run mformat mtools
run /usr/lib/grub/i386-pc/multiboot2.mod grub-pc-bin
run /usr/lib/grub/x86_64-efi/multiboot2.mod grub-efi-amd64-bin
run /usr/share/OVMF/OVMF_CODE_4M.fd ovmf
gdb gdb gdb
m32 /usr/lib32/libc.so libc6-dev-i386
m32 qemu-i386 qemu-user
m32 /usr/lib/gcc/x86_64-linux-gnu/$gcc_version/32/libgcc.a lib32gcc-$gcc_version-dev
preload g++ g++
preload python3 python3
preload sqlite3 sqlite3
preload git git
viewers protoc protobuf-compiler
viewers google-pprof google-perftools
viewers dot graphviz
browser chromium chromium
format clang-format clang-format
llvm clang clang
llvm ld.lld lld
llvm llvm-nm llvm
afl afl-clang-fast afl++
afl clang clang
check cppcheck cppcheck
check g++ g++
check valgrind valgrind
memcheck valgrind valgrind
check git git
analyze gcc gcc
analyze clang-tidy clang-tidy
analyze python3 python3
bench-gc /usr/include/gc/gc.h libgc-dev
bench-gc go golang-go
bench-gc valgrind valgrind
bench-gc python3 python3
coverage gcovr gcovr
prove clang clang
prove opt llvm
prove z3 z3
prove python3 python3
lift aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
lift riscv64-linux-gnu-gcc gcc-riscv64-linux-gnu
lift qemu-system-riscv64 qemu-system-misc
lift qemu-system-x86_64 qemu-system-x86
lift cmake cmake
lift ninja ninja-build
lift meson meson
"

wanted=" $* "
case $wanted in *" test "*) wanted="$wanted host kernel run m32 preload gdb viewers " ;; esac
case $wanted in *" run-riscv64 "*) wanted="$wanted kernel-riscv64 " ;; esac
case $wanted in *" run-aarch64 "*) wanted="$wanted kernel-aarch64 " ;; esac
case $wanted in *" check "*) wanted="$wanted host kernel format llvm " ;; esac
case $wanted in *" coverage "*) wanted="$wanted host " ;; esac
case $wanted in *" bench-gc "*) wanted="$wanted host " ;; esac
case $wanted in *" lift "*) wanted="$wanted kernel llvm " ;; esac

exists()
{
	case $1 in
	/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] ;;
	esac
}

missing=
packages=
while read -r purpose thing package; do
	case $wanted in *" $purpose "*) ;; *) continue ;; esac
	exists "$thing" && continue
	missing="$missing  $thing (package $package)
"
	case " $packages " in *" $package "*) ;; *) packages="$packages $package" ;; esac
done <<END
$needs
END
[ "$packages" ] || exit 0

cannot()
{
	printf 'Missing, and %s:\n%sTo install:\n  sudo apt-get install%s\n' "$1" "$missing" "$packages" >&2
	exit 3
}

[ "$MARROW_SETUP" = no ] && cannot "not to be installed by this script"
command -v apt-get >/dev/null || cannot "there is no apt-get here"
sudo=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || cannot "you are neither root nor is there sudo"
	sudo=sudo
	[ -t 0 ] || sudo="sudo -n"
	$sudo true || cannot "sudo does not allow it"
fi

printf 'Installing%s\n' "$packages"
apt()
{
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}
install()
{
	# shellcheck disable=SC2086
	apt install -y --no-remove --no-install-recommends $packages
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Only when the lists are missing or too old to install from are they fetched.
install >"$log" 2>&1 || { apt update >"$log" 2>&1 && install >>"$log" 2>&1; } || {
	tail -n 20 "$log" >&2
	cannot "apt-get could not install them (its words are above)"
}
