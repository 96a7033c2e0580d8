#!/bin/sh
# SPDX-License-Identifier: MIT
#
# long.sh FOLDER: the tests that are TEST_LONG, hosted, which other runs skip. The last line counts results.

folder=$1
passed=0 failed=0
for test in $(grep -o '^TEST_WITH([a-z0-9_]*,.*TEST_LONG' hosttest/test_*.c |
	sed 's|hosttest/test_\(.*\)\.c:TEST_WITH(\([a-z0-9_]*\),.*|\1.\2|'); do
	if said=$(scripts/hang.py 600 "$folder/test_${test%%.*}" --long "$test") &&
		echo "$said" | grep '^ok [0-9]* - [^#]*$'; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "$said"
	fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed != 0 ]
