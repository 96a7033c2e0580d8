# SPDX-License-Identifier: MIT
# The snippets of docs/PORTING.md, taken from there and run as they stand. To be sourced by lift.sh.

# snippet LANGUAGE: the fenced block of that language
snippet() {
	awk -v fence="^\`\`\`$1\$" '$0 ~ fence { on = 1; next } /^```/ { on = 0 } on' \
		"$top/docs/PORTING.md"
}

# try LANGUAGE TOOL: build in a folder that holds mm/ and the snippet; count the archive's members
try() {
	folder=$lifted/snippet-$1
	want=$(cd "$lifted" && ls mm/*/*.c | wc -l)
	mkdir -p "$folder"
	ln -s ../mm "$folder/mm"
	if ! command -v "$2" >/dev/null; then
		not_ok "snippet for $1: $2 is not installed (scripts/setup.sh lift does it)"
		return
	fi
	if ! (cd "$folder" && "build_with_$1") >"$folder/log" 2>&1; then
		tail -n 30 "$folder/log" >"$folder/tail"
		not_ok "snippet for $1" "$folder/tail"
	elif have=$(ar t "$(find "$folder" -name '*marrow.a')" | wc -l) && [ "$have" = "$want" ]; then
		ok "snippet for $1: $have objects"
	else
		not_ok "snippet for $1: $have objects of $want"
	fi
}

build_with_make() {
	{
		snippet make
		echo 'CFLAGS := -O2 -Wall -Wextra -Werror'
	} >Makefile
	make -j "$jobs" build/marrow.a
}

build_with_cmake() {
	{
		echo 'cmake_minimum_required(VERSION 3.16)'
		echo 'project(kernel C)'
		snippet cmake
	} >CMakeLists.txt
	cmake -S . -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build -j "$jobs"
}

build_with_meson() {
	{
		echo "project('kernel', 'c')"
		snippet meson
	} >meson.build
	meson setup build && meson compile -C build -j "$jobs"
}

# Every path that the document names, in backquotes, is there.
paths_exist() {
	grep -o '`[a-z_0-9]*/[A-Za-z_0-9./*]*`' "$top/docs/PORTING.md" | tr -d '`' | sort -u |
		while read -r path; do
			ls -d "$top"/$path >/dev/null 2>&1 || echo "no such path: $path"
		done >"$lifted/paths"
	if [ -s "$lifted/paths" ]; then
		not_ok "paths in docs/PORTING.md" "$lifted/paths"
	else
		ok "paths in docs/PORTING.md"
	fi
}

# Each function of the port is in the document and in the template.
functions_named() {
	grep -o '\bmw_port_[a-z_]*(' "$top/mm/include/marrow/port.h" | tr -d '(' | sort -u |
		while read -r function; do
			for file in docs/PORTING.md docs/port/template.c; do
				grep -q "\b$function\b" "$top/$file" || echo "$file: no $function"
			done
		done >"$lifted/functions"
	if [ -s "$lifted/functions" ]; then
		not_ok "functions of the port" "$lifted/functions"
	else
		ok "functions of the port: all in docs/PORTING.md and docs/port/template.c"
	fi
}

# The table of systems: its lines of code within a tenth of what its files have now.
lines_hold() {
	sed -n '/^## Systems/,$s/^| \([^|]*\) | [0-3] | \([0-9]*\) | \(.*\) |$/\1|\2|\3/p' \
		"$top/docs/PORTING.md" | tr -d '`' | while IFS='|' read -r system lines files; do
		now=$(cd "$top" && own_lines $files)
		echo "$system: $now now, $lines in the table"
		[ $((lines * 10)) -ge $((now * 9)) ] && [ $((lines * 10)) -le $((now * 11)) ] ||
			echo "wrong: $system"
	done >"$lifted/lines"
	if [ -s "$lifted/lines" ] && ! grep -q '^wrong' "$lifted/lines"; then
		ok "lines of ports in docs/PORTING.md"
	else
		not_ok "lines of ports in docs/PORTING.md" "$lifted/lines"
	fi
}

paths_exist
functions_named
lines_hold
try make make
try cmake cmake
try meson meson
