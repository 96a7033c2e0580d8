# SPDX-License-Identifier: MIT
"""Whole programs under each allocator: peak memory and time."""

import os
import statistics
import subprocess

import bench_run

SPAWN = os.path.join(bench_run.ROOT, "build/bench/spawn")

PYTHON = """
import json, collections, hashlib
words, state, keep = collections.Counter(), 1, []
for i in range(400000):
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    words["w%d" % (state >> 48)] += i
    if i % 4 == 0: keep.append([i, str(state), {"k": i}])
text = json.dumps(words)
keep = [k for k in keep if k[0] % 3]
print(len(json.loads(text)), len(keep), hashlib.sha256(text.encode()).hexdigest())
"""

PERL = """
my (%h, @a);
for my $i (1 .. 400000) { $h{$i * 7919 % 50021} .= chr(65 + $i % 26); push @a, "x" x ($i % 60) if $i % 3 == 0; }
@a = sort @a; print scalar(keys %h), " ", scalar @a, "\\n";
"""

SQL = """
create table t(id integer primary key, name text, v real, note text);
create index tv on t(v); create index tn on t(name);
with recursive n(i) as (select 1 union all select i+1 from n where i < 150000)
insert into t select i, 'name ' || (i * 7919 % 150000), i * 0.37, substr(hex(i * 104729), 1, i % 40) from n;
update t set note = note || 'x' where id % 3 = 0;
select a.name, b.name from t a join t b on a.id = b.id + 1 order by b.note limit 500;
pragma integrity_check;
"""


def programs():
    build = os.path.join(bench_run.ROOT, "build/bench")
    largest = max((os.path.join(d, f) for d, _, fs in os.walk(os.path.join(bench_run.ROOT, "mm"))
                   for f in fs if f.endswith(".c")), key=os.path.getsize)
    cxx = os.path.join(build, "programs.cc")
    with open(cxx, "w", encoding="utf-8") as f:
        f.write("#include <algorithm>\n#include <map>\n#include <regex>\n#include <string>\n"
                "int main() { return std::regex_match(std::string(\"a\"), std::regex(\"b\")); }\n")
    return [
        ("gcc -O2", ["gcc", "-std=gnu11", "-O2", "-I" + bench_run.ROOT + "/mm/include", "-c", largest,
                     "-o", "/dev/null"], None),
        ("g++ -O2, templates", ["g++", "-O2", "-c", cxx, "-o", "/dev/null"], None),
        ("python3", ["env", "PYTHONMALLOC=malloc", "/usr/bin/python3", "-c", PYTHON], None),
        ("perl", ["perl", "-e", PERL], None),
        ("sqlite3", ["sqlite3", ":memory:"], SQL),
        ("git log -p", ["git", "-C", bench_run.ROOT, "-c", "core.pager=cat", "log", "-p", "--stat"], None),
    ]


def run_one(lib, argv, text):
    """Returns seconds of processor time and peak MiB."""
    done = subprocess.run([SPAWN, lib or "-"] + argv, input=text, text=True, check=True, timeout=120,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, errors="replace")
    kib, seconds = done.stderr.split()[-2:]
    return float(seconds), int(kib) / 1024


def measure(allocators, rounds):
    """Two tables {program: {allocator: median}}: MiB, seconds."""
    mib, seconds = {}, {}
    for name, argv, text in programs():
        runs = {a[0]: [] for a in allocators}
        for i in range(rounds):
            for who, lib, _ in allocators[i % len(allocators):] + allocators[:i % len(allocators)]:
                runs[who].append(run_one(lib, argv, text))
        seconds[name] = {who: statistics.median(r[0] for r in rs) for who, rs in runs.items()}
        mib[name] = {who: statistics.median(r[1] for r in rs) for who, rs in runs.items()}
    return mib, seconds
