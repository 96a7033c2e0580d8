#!/bin/sh
# SPDX-License-Identifier: MIT
# lift-cc.sh FILE...: compile files of $lifted with $cc to $out, mm/base/x.c as mm-base-x.o
set -eu
cd "$lifted"
for file in "$@"; do
	$cc -c -o "$out/$(echo "${file%.c}" | tr / -).o" "$file"
done
