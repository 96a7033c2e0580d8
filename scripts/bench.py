#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The object benchmarks: Marrow as a preloaded malloc beside the allocators that Debian has.

    scripts/bench.py [--quick] [--only instructions,times,memory,programs] [--write]

Installs the peers if it may, runs all in turn, prints tables with the best of each row in bold;
with --write also docs/BENCHMARKS.md (section "objects") and docs/bench/*.svg. `make bench` builds
what it needs first.
"""

import argparse
import os
import platform
import subprocess

import bench_doc
import bench_programs
import bench_run
import bench_svg

# (row, load, count, arg, goal)
COUNTED = [
    ("pair 16", "pair", 20000, 16, 36), ("pair 64", "pair", 20000, 64, 36),
    ("pair 256", "pair", 20000, 256, 36), ("pair 1024", "pair", 20000, 1024, 36),
    ("pair 8192", "pair", 20000, 8192, 60), ("pair 64 KiB", "pair", 5000, 65536, 70),
    ("pair 256 KiB", "pair", 5000, 262144, 70), ("pair 1 MiB", "pair", 5000, 1048576, 180),
    ("fifo 16", "fifo", 40000, 16, 36), ("fifo 64", "fifo", 40000, 64, 36),
    ("fifo 256", "fifo", 40000, 256, 40), ("fifo 1024", "fifo", 40000, 1024, 60),
    ("lifo 64", "lifo", 40000, 64, 36), ("random", "random", 100000, 0, 44),
    ("xthread 64", "xthread", 40000, 64, 50), ("xthread 1024", "xthread", 40000, 1024, 120),
]

# (row, load, count, arg, threads)
TIMED = [
    ("pair 16", "pair", 10000000, 16, 1), ("pair 64", "pair", 10000000, 64, 1),
    ("pair 256", "pair", 10000000, 256, 1), ("pair 1024", "pair", 10000000, 1024, 1),
    ("pair 8192", "pair", 5000000, 8192, 1), ("pair 64 KiB", "pair", 2000000, 65536, 1),
    ("pair 1 MiB", "pair", 200000, 1048576, 1), ("fifo 16", "fifo", 5000000, 16, 1),
    ("fifo 64", "fifo", 5000000, 64, 1), ("fifo 1024", "fifo", 2000000, 1024, 1),
    ("lifo 64", "lifo", 5000000, 64, 1), ("random", "random", 5000000, 0, 1),
    ("xthread 64", "xthread", 3000000, 64, 2), ("xthread 1024", "xthread", 1000000, 1024, 2),
    ("batch", "batch", 4000000, 0, 1), ("alloc-test", "alloc-test", 2000000, 0, 1),
    ("realloc", "realloc", 400000, 0, 1), ("calloc", "calloc", 300000, 0, 1),
    ("larson, 2 threads", "larson", 4000000, 0, 2), ("prodcon, 2 threads", "prodcon", 2000000, 0, 2),
    ("cache-scratch, 2", "cache-scratch", 1000000, 0, 2),
    ("cache-thrash, 2", "cache-thrash", 1000000, 0, 2),
    ("crowd, 64 threads", "crowd", 8000000, 0, 64),
]

# (row, load, shape, goal)
MEMORY = [
    ("live, geometric", "live", 0, 1.09), ("live, lognormal", "live", 1, 1.07),
    ("after churn, geometric", "churn", 0, 1.10), ("after churn, lognormal", "churn", 1, 1.10),
    ("a tenth kept, geometric", "tenth", 0, None), ("a tenth kept, lognormal", "tenth", 1, None),
]

SQL = """
create table t(id integer primary key, name text, v real, note text);
create index tv on t(v); create index tn on t(name);
with recursive n(i) as (select 1 union all select i+1 from n where i < 20000)
insert into t select i, 'name ' || (i * 7919 % 20000), i * 0.37,
 substr(hex(i * 104729), 1, i % 40) from n;
update t set note = note || 'x' where id % 3 = 0;
delete from t where id % 5 = 0;
select count(*), sum(length(name)), group_concat(substr(note, 1, 2)) from t where v > 100;
select a.name, b.name from t a join t b on a.id = b.id + 1 order by b.note limit 500;
pragma integrity_check;
"""


def record_traces():
    """What a compiler and a database ask for; recorded here, so nothing large is in the tree."""
    build = os.path.join(bench_run.ROOT, "build/bench")
    source, pre = os.path.join(bench_run.ROOT, "hosttest/bench_objects_threads.c"), build + "/cc1.i"
    cc1, sql = build + "/cc1.trace", build + "/sqlite.trace"
    compiler = subprocess.run(["gcc", "-print-prog-name=cc1"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip()
    subprocess.run(["gcc", "-E", source, "-o", pre], check=True)
    bench_run.record([compiler, "-quiet", "-O2", pre, "-o", "/dev/null"], cc1)
    bench_run.record(["sqlite3", ":memory:"], sql, SQL)
    return [("trace: cc1 -O2", cc1), ("trace: sqlite3", sql)]


def by_instructions(allocators, traces, quick):
    values = {}
    for row, load, count, arg, _ in COUNTED:
        count = count // 2 if quick else count
        values[row] = {n: bench_run.instructions(lib, load, count, arg) for n, lib, _ in allocators}
    for row, trace in traces:
        values[row] = {n: bench_run.instructions(lib, "trace", 1, 0, trace)
                       for n, lib, _ in allocators}
    return values


def by_time(allocators, traces, quick):
    ns, kib, rounds = {}, {}, 3 if quick else 7
    for row, load, count, arg, threads in TIMED:
        count = count // 5 if quick else count
        ns[row], kib[row] = bench_run.interleaved(allocators, rounds, load, count, arg, threads)
    for row, trace in traces:
        ns[row], kib[row] = bench_run.interleaved(allocators, rounds, "trace", 1000000, 0, 1, trace)
    return ns, {row: {n: v / 1024 for n, v in have.items()} for row, have in kib.items()}


def by_memory(allocators, quick):
    """Ratios for the loads of MEMORY; MiB still there when everything was freed."""
    values, left = {}, {}
    for row, load, shape, _ in MEMORY:
        values[row] = {}
        for name, lib, _ in allocators:
            _, _, _, requested, resident = bench_run.run(lib, load, 200000 if quick else 1000000, shape)
            values[row][name] = resident / requested
    for row, shape in [("all freed, geometric", 0), ("all freed, lognormal", 1)]:
        left[row] = {name: bench_run.run(lib, "gone", 1000000, shape)[4] / 2**20
                     for name, lib, _ in allocators}
    return values, left


def relative(values, to):
    return {row: {n: v / have[to] for n, v in have.items()} for row, have in values.items()}


def plot(name, *args):
    folder = os.path.join(bench_run.ROOT, "docs/bench")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(bench_svg.bars(*args))


def part_instructions(allocators, traces, args):
    names = [a[0] for a in allocators]
    values = by_instructions(allocators, traces, args.quick)
    goals = {row[0]: row[4] for row in COUNTED}
    if args.write:
        plot("objects-instructions.svg", "One allocation and its free", "instructions",
             list(values.items()), names, 400)
    return ("### Instructions\n\nFor one allocation and its free, counted by callgrind, without the "
            "loop around them.\n\n" + bench_doc.compared(list(values), names, values, 0, goals) +
            "\n![instructions](bench/objects-instructions.svg)\n\n")


def part_times(allocators, traces, args):
    names = [a[0] for a in allocators]
    ns, mib = by_time(allocators, traces, args.quick)
    ratios = relative(ns, names[0])
    if args.write:
        plot("objects-times.svg", "Time", f"{names[0]} = 1", list(ratios.items()), names, 5)
    return ("### Time\n\nNanoseconds for one allocation and its free, the loop included; medians of "
            "runs that took turns; processor time where there is one thread, else real time. They hold only beside each other.\n\n" +
            bench_doc.compared(list(ns), names, ns, 1) +
            f"\nThe same, with {names[0]} as 1:\n\n" +
            bench_doc.compared(list(ns), names, ratios, 2) +
            "\n![times](bench/objects-times.svg)\n\n### Peak memory of these runs\n\nMiB.\n\n" +
            bench_doc.compared(list(mib), names, mib, 1) + "\n")


def part_memory(allocators, _traces, args):
    names = [a[0] for a in allocators]
    values, left = by_memory(allocators, args.quick)
    goals = {row[0]: row[3] for row in MEMORY}
    if args.write:
        plot("objects-memory.svg", "A million live objects", "bytes resident over bytes requested",
             list(values.items()), names, 4)
    return ("### Resident memory\n\nBytes resident over bytes requested, a million objects of 16 to "
            "512 bytes: live, after five million replacements, and after nine in ten were freed at "
            "random and a second and a half of other work.\n\n" +
            bench_doc.compared(list(values), names, values, 2, goals) +
            "\nMiB that are still resident when all of it was freed:\n\n" +
            bench_doc.compared(list(left), names, left, 1) +
            "\n![memory](bench/objects-memory.svg)\n\n")


def part_programs(allocators, _traces, args):
    names = [a[0] for a in allocators]
    mib, seconds = bench_programs.measure(allocators, 1 if args.quick else 3)
    return ("### Programs\n\nPeak memory in MiB:\n\n" + bench_doc.compared(list(mib), names, mib, 1) +
            "\nSeconds of processor time:\n\n" + bench_doc.compared(list(seconds), names, seconds, 2) + "\n")


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if "model name" in line), "?")
    gcc = subprocess.run(["gcc", "-dumpfullversion"], check=True, text=True,
                         stdout=subprocess.PIPE).stdout.strip()
    return f"{os.cpu_count()} CPUs ({model}), Linux {platform.release().split('-')[0]}, gcc {gcc}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the time, more noise")
    parser.add_argument("--only", default="instructions,times,memory,programs")
    parser.add_argument("--write", action="store_true", help="docs/BENCHMARKS.md and docs/bench")
    args = parser.parse_args()
    parts = {"instructions": part_instructions, "times": part_times, "memory": part_memory,
             "programs": part_programs}
    allocators = [a for a in [bench_run.OURS] if os.path.exists(a[1])] + bench_run.install_peers()
    traces = record_traces()
    for name in args.only.split(","):
        text = parts[name](allocators, traces, args)
        print(text, flush=True)
        if args.write:
            bench_doc.write_section("objects-" + name, text)
    if args.write:
        how = " Times by `scripts/bench.py --quick`: three rounds." if args.quick else ""
        bench_doc.write_section("objects-machine", "Measured on " + machine() + "." + how + "\n")


if __name__ == "__main__":
    main()
