#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tap-keep.sh FOLDER RUNNER: what prove(1) runs instead of RUNNER: the same output and exit code, with
# a limit on how long it says nothing, and a copy of the output for scripts/test.py to count.

folder=$1 runner=$2
log=$folder/$(basename "$runner").tap

# The thread sanitizer of gcc 12 wants its shadow memory where newer kernels put programs at random.
plain=
case $runner in *tsan*) setarch -R true 2>/dev/null && plain="setarch -R" ;; esac
# Where the kernel runs no 32-bit programs an emulator does, but for what its threads and signals are too slow
# or too different for: that counts as skipped.
case $runner in *m32*)
	if ! "$runner" --list >/dev/null 2>&1; then
		case ${runner##*/test_} in
		gc* | base_lock | special* | leak* | safe* | port | harness | object_cpus | object_frees | page_race | page_fit | watch*)
			printf 'KTAP version 1\n1..1\nok 1 - %s # SKIP no 32-bit programs here\n' "${runner##*/test_}" |
				tee "$log"
			exit 0
			;;
		esac
		plain=qemu-i386
	fi
	;;
esac
"$(dirname "$0")/hang.py" "${LIMIT:-300}" $plain "$runner" >"$log" 2>"$log.err"
status=$?
cat "$log"
cat "$log.err" >&2
exit $status
