#!/bin/sh
# SPDX-License-Identifier: MIT
#
# once.sh COMMAND...: run it, and count its success as one result.

if "$@"; then
	echo "1 passed, 0 failed"
else
	echo "0 passed, 1 failed"
	exit 1
fi
