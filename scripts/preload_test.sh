#!/bin/bash
# SPDX-License-Identifier: MIT
#
# preload_test.sh LIBRARY - unmodified programs with LIBRARY as their malloc, TAP.
#
# Each program does its work twice, without and with the library, and must say or write the same,
# end well, and leave nothing on standard error that speaks of misuse. What is not installed is
# skipped, and said to be. Servers listen on the loopback interface only.
set -u
lib=$(realpath "$1")
tree=$(realpath "$(dirname "$0")/..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C
number=0
failed=0
skipped=0

result() { # ok|"not ok" NAME
	number=$((number + 1))
	[ "$1" = ok ] || failed=$((failed + 1))
	echo "$1 $number $2"
}

skip() { # NAME WHY
	number=$((number + 1))
	skipped=$((skipped + 1))
	echo "ok $number $1 # SKIP $2"
}

# Runs the function NAME in a folder of its own, plainly and preloaded; "out" there is compared.
same() { # NAME
	local how
	for how in plain marrow; do
		mkdir -p "$work/$1/$how"
		(
			cd "$work/$1/$how" || exit 1
			[ $how = marrow ] && export LD_PRELOAD="$lib"
			"run_$1" >out 2>err
			echo "exit status $?" >>out
		)
	done
	if cmp -s "$work/$1/plain/out" "$work/$1/marrow/out" &&
		grep -q '^exit status 0$' "$work/$1/marrow/out" &&
		! grep -qi 'marrow' "$work/$1/marrow/err"; then
		result ok "$1"
	else
		result "not ok" "$1"
		diff "$work/$1/plain/out" "$work/$1/marrow/out" | head -5 | sed 's/^/# /'
		head -20 "$work/$1/marrow/err" | sed 's/^/# /'
	fi
}

program() { # NAME PROGRAM
	if command -v "$2" >/dev/null; then
		same "$1"
	else
		skip "$1" "$2 is not installed"
	fi
}

run_compiler() {
	local source object
	for source in "$tree"/mm/*/*.c; do
		object=$(basename "$(dirname "$source")")-$(basename "$source" .c).o
		${CC:-gcc} -std=gnu11 -O2 -I"$tree/mm/include" -c -o "$object" "$source" || return 1
	done
	sha256sum -- *.o
}

run_cxx() {
	printf '#include <map>\n#include <regex>\n#include <string>\nint main() { std::map<std::string,
		int> m; std::regex r("a(b|c)*d"); for (int i = 0; i < 9; i++) m[std::to_string(i)] = i;
		return !std::regex_match("abcbd", r) + m.size() - 9; }\n' >x.cc
	${CXX:-g++} -O1 -c -o x.o x.cc && sha256sum x.o && ${CXX:-g++} -o x x.o && ./x
}

# Objects, threads, regular expressions, a database in memory, text both ways; all through malloc.
run_python() {
	cat >x.py <<-'END'
	import collections, hashlib, json, re, sqlite3, threading, zlib
	def work(seed, out):
	    state, words = seed, collections.Counter()
	    for i in range(60000):
	        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
	        words["w%d" % (state >> 54)] += i
	    text = json.dumps(words, sort_keys=True)
	    assert json.loads(text) == words
	    out[seed] = hashlib.sha256(zlib.compress(text.encode() * 3)).hexdigest()
	out = {}
	threads = [threading.Thread(target=work, args=(i, out)) for i in range(6)]
	for t in threads: t.start()
	for t in threads: t.join()
	db = sqlite3.connect(":memory:")
	db.execute("create table t(a, b)")
	db.executemany("insert into t values(?, ?)", ((i, "x" * (i % 500)) for i in range(20000)))
	print(sorted(out.items()), db.execute("select sum(length(b)) from t where a % 7 = 3").fetchone())
	print(len(re.findall(r"(\w+)\s(\w+)", "the marrow of it " * 20000)), sum(map(len, [[i] * (i % 90) for i in range(50000)])))
	END
	PYTHONHASHSEED=0 PYTHONMALLOC=malloc /usr/bin/python3 x.py
}

run_perl() {
	perl -e 'use strict; my (%h, @a);
		for my $i (1 .. 300000) { $h{$i * 7919 % 10007} .= chr(65 + $i % 26); push @a, "x" x ($i % 50) if $i % 3 == 0; }
		@a = sort { length $b <=> length $a || $a cmp $b } @a;
		my $s = join ",", map { "$_=$h{$_}" } sort { $a <=> $b } keys %h;
		$s =~ s/(\d+)=([A-M]+)/$2:$1/g; print unpack("%32C*", $s), " ", length $s, " ", scalar @a, "\n";'
}

run_sqlite() {
	sqlite3 x.db <<-'END'
	pragma journal_mode = wal;
	create table t(id integer primary key, name text, v real, note text);
	create index tv on t(v); create index tn on t(name);
	with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
	insert into t select i, 'name ' || (i * 7919 % 60000), i * 0.37, substr(hex(i * 104729), 1, i % 40) from n;
	update t set note = note || zeroblob(i) from (select id as i from t where id % 97 = 0) s where t.id = s.i;
	delete from t where id % 5 = 0;
	vacuum;
	select count(*), sum(length(name)), total(v), length(group_concat(note)) from t;
	select a.name, b.name from t a join t b on a.id = b.id + 1 order by b.note, a.id limit 2000;
	pragma integrity_check;
	END
}

run_bash() {
	local -A seen
	local i text=
	for ((i = 0; i < 30000; i++)); do
		seen[$((i * 7919 % 1009))]+=${i:0:2}
		text=${text:0:3000}$i
	done
	echo "${#seen[@]} ${#text} $(printf '%s\n' "${!seen[@]}" | sort -n | sha256sum)"
	# A storm of forks, pipes and substitutions.
	for ((i = 0; i < 150; i++)); do
		echo $(echo $i | sed 's/^/</' | tr '<' '>') & echo -n
	done | sort | sha256sum
}

# In a subshell, as it changes the folder.
run_git() (
	export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
	export GIT_CONFIG_GLOBAL=/dev/null HOME=$PWD
	git init -q x && cd x || return 1
	git config user.name x && git config user.email x@localhost
	for i in 1 2 3 4 5 6; do
		cp -r "$tree/mm" "$tree/hosttest" . && echo "$i" >n && sed -i "s/static/static \/* $i *\//" mm/*/*.c
		git add -A && git commit -qm "$i" || return 1
	done
	git -c pack.threads=2 gc -q && git fsck --full --strict && git log --stat --format=%H | sha256sum
	git diff HEAD~3 | sha256sum && git grep -c mw_ | sha256sum && git blame mm/base/lock.c | sha256sum
)

run_threads_cxx() {
	"$tree/build/preload_check_cxx"
}

run_replaced_new() {
	"$tree/build/preload_check_new"
}

run_java() {
	cat >X.java <<-'END'
	public class X {
		public static void main(String[] a) throws Exception {
			Thread[] t = new Thread[4];
			long[] sum = new long[4];
			for (int i = 0; i < 4; i++) { final int n = i; t[i] = new Thread(() -> {
				StringBuilder b = new StringBuilder();
				for (int k = 0; k < 200000; k++) { b.append(k); if (b.length() > 10000) { sum[n] += b.toString().hashCode(); b.setLength(0); } }
			}); t[i].start(); }
			for (Thread x : t) x.join();
			System.out.println(sum[0] + " " + (sum[1] == sum[2]));
		}
	}
	END
	java -Xmx128m X.java
}

run_node() {
	node -e 'const {Worker, isMainThread} = require("worker_threads"), c = require("crypto"), z = require("zlib");
		const m = new Map(); for (let i = 0; i < 200000; i++) m.set("k" + i % 5003, [i, "v".repeat(i % 50)]);
		const b = z.gzipSync(JSON.stringify([...m])); console.log(m.size, c.createHash("sha256").update(z.gunzipSync(b)).digest("hex"));
		let n = 0; for (let i = 0; i < 3; i++) new Worker("let s = []; for (let i = 0; i < 1e5; i++) s.push(Buffer.alloc(i % 3000)); require(\"worker_threads\").parentPort.postMessage(s.length)", {eval: true}).on("message", x => { if (++n == 3) console.log(x, n); });'
}

# A threaded server: what it answers to the same commands, and that it stands a storm of clients.
run_redis() {
	local port=$((20000 + RANDOM % 20000)) i
	redis-server --port $port --bind 127.0.0.1 --save '' --io-threads 3 --io-threads-do-reads yes \
		--daemonize no --dir "$PWD" --lazyfree-lazy-user-del yes >server.log 2>&1 &
	local server=$!
	for ((i = 0; i < 100; i++)); do
		redis-cli -p $port ping 2>/dev/null | grep -q PONG && break
		sleep 0.1
	done
	redis-benchmark -p $port -q -n 20000 -c 40 -P 8 -r 3000 -d 300 --threads 2 \
		-t set,get,lpush,lpop,sadd,hset,spop,zadd,mset >/dev/null || return 1
	redis-cli -p $port flushall >/dev/null
	for ((i = 0; i < 2000; i++)); do
		echo "SET key$i $(printf "%0$((i % 700))d" $i)"
		echo "HSET hash$((i % 50)) f$i $i"
		echo "ZADD z$((i % 20)) $i m$i"
		echo "APPEND log$((i % 7)) $i"
		((i % 3)) || echo "DEL key$((i / 2))"
	done | redis-cli -p $port --pipe | grep 'errors: '
	redis-cli -p $port debug digest
	redis-cli -p $port bgsave >/dev/null # a fork among its threads
	for ((i = 0; i < 100; i++)); do
		redis-cli -p $port info persistence | grep -q 'rdb_bgsave_in_progress:0' && break
		sleep 0.1
	done
	redis-cli -p $port info persistence | grep 'rdb_last_bgsave_status'
	redis-cli -p $port dbsize
	redis-cli -p $port shutdown nosave
	wait $server
}

# What a program of its own has of memory, in KiB; what it shares with its file does not count.
own_memory() {
	grep RssAnon /proc/self/status | tr -dc '0-9'
}

small_programs() {
	local name="a small program pays little" plain marrow
	plain=$(own_memory)
	marrow=$(LD_PRELOAD="$lib" own_memory)
	if [ -z "$plain" ]; then
		skip "$name" "this system does not say"
	elif [ $((marrow - plain)) -le 320 ]; then
		result ok "$name"
	else
		result "not ok" "$name"
		echo "# $plain KiB without, $marrow KiB with the library"
	fi
}

echo "TAP version 13"
if "$tree/scripts/hang.py" 200 env LD_PRELOAD="$lib" "$tree/build/preload_check" misuse >"$work/check" 2>&1; then
	result ok "what is expected of malloc"
else
	result "not ok" "what is expected of malloc"
	grep -v '^ok' "$work/check" | head -40 | sed 's/^/# /'
fi
small_programs
same threads_cxx
same replaced_new
program compiler "${CC:-gcc}"
program cxx "${CXX:-g++}"
program python /usr/bin/python3
program perl perl
program sqlite sqlite3
program redis redis-server
program bash bash
program git git
program java java
program node node
echo "1..$number"
echo "$((number - failed - skipped)) passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
