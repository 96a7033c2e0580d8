# SPDX-License-Identifier: MIT
# Results as TAP: ok TEXT, not_ok TEXT [FILE shown as diagnostics], plan at the end. To be sourced.

tap_n=0 tap_bad=0

ok() {
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1"
}

not_ok() {
	tap_n=$((tap_n + 1))
	tap_bad=$((tap_bad + 1))
	echo "not ok $tap_n - $1"
	if [ -n "${2:-}" ]; then
		head -n 40 "$2" | sed 's/^/# /'
	fi
}

plan() {
	echo "1..$tap_n"
	echo "# lift: $((tap_n - tap_bad)) of $tap_n passed"
	[ "$tap_n" -gt 0 ] && [ "$tap_bad" -eq 0 ]
}
