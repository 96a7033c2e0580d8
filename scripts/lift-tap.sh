# SPDX-License-Identifier: MIT
# What the parts of lift.sh share. Results as TAP: ok TEXT, not_ok TEXT [FILE shown as diagnostics],
# plan at the end. To be sourced.

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
	echo "$((tap_n - tap_bad)) passed, $tap_bad failed"
	[ "$tap_n" -gt 0 ] && [ "$tap_bad" -eq 0 ]
}

# own_lines FILE...: lines that are neither empty nor comment
own_lines() {
	cat "$@" | awk '
	{
		code = ""
		while (length($0)) {
			if (inside) {
				at = index($0, "*/")
				$0 = at ? substr($0, at + 2) : ""
				inside = !at
			} else if (at = index($0, "/*")) {
				code = code substr($0, 1, at - 1)
				$0 = substr($0, at + 2)
				inside = 1
			} else {
				code = code $0
				$0 = ""
			}
		}
		sub(/\/\/.*/, "", code)
		if (code ~ /[^ \t]/)
			lines++
	}
	END { print lines + 0 }'
}
