#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The collector's benchmarks: Marrow beside bdwgc and Go, the same loads in one run.

    scripts/bench_gc.py [--rounds N] [--only TEXT] [--write]

Runs every load of each program in turn, N times; figures are medians. With --write the tables go into
docs/bench/gc.md, with a picture beside it. `make bench-gc` builds the programs first.
"""

import argparse
import os
import platform
import re
import statistics
import subprocess
import tempfile
from collections import namedtuple

import bench_doc
import bench_svg
from bench_run import ROOT

DOC = os.path.join(ROOT, "docs/bench/gc.md")
PROGRAMS = {"Marrow": "gc", "bdwgc": "gc-bdw", "Go": "gc-go"}
MARROW = ["Marrow"]

# goal: at most this; with of_bdwgc, this part of bdwgc's figure, with of_ours, of ours, of the row @beside.
Row = namedtuple("Row", "name load key markers goal of_bdwgc beside who of_ours")


def row(name, load, key, markers=1, goal=None, of_bdwgc=None, beside=None, who=None,
        of_ours=None):
    return Row(name, load.split(), key, markers, goal, of_bdwgc, beside or name,
               who or list(PROGRAMS), of_ours)


TIMED = {
    "Allocate and drop, ns an object": [
        row("16 bytes", "drop 16 10000000", "ns"), row("32 bytes", "drop 32 10000000", "ns"),
        row("64 bytes", "drop 64 10000000", "ns"), row("128 bytes", "drop 128 5000000", "ns"),
        row("32 bytes, of a type", "drop-node 32 10000000", "ns", who=MARROW),
    ],
    "A million objects of 16 bytes held by one array, ms until the program runs again": [
        row("all live, 1 marker", "array 1000000", "live_ms", of_bdwgc=0.7),
        row("all live, 2 markers", "array 1000000", "live_ms", 2, of_bdwgc=0.4,
            beside="all live, 1 marker"),
        row("all dead, 1 marker", "array 1000000", "dead_ms", goal=1.2),
        row("all dead, 2 markers", "array 1000000", "dead_ms", 2, goal=1.2),
    ],
    "Large live heaps, a full collection, ns an object": [
        row("tree, 32 bytes, 64 MB", "tree 32 64", "ns", goal=15),
        row("random, 32 bytes, 64 MB", "random 32 64", "ns", goal=45),
        row("tree, 64 bytes, 64 MB", "tree 64 64", "ns", goal=22),
        row("random, 64 bytes, 64 MB", "random 64 64", "ns", goal=50),
        row("tree, 32 bytes, 256 MB", "tree 32 256", "ns", goal=15),
        row("chain, 64 bytes, 64 MB", "chain 64 64", "ns", who=["Marrow", "bdwgc"]),
        row("tree, 32 bytes, 2 markers", "tree 32 64", "ns", 2, of_ours=1 / 1.7,
            beside="tree, 32 bytes, 64 MB"),
        row("random, 32 bytes, 2 markers", "random 32 64", "ns", 2, of_ours=1 / 1.7,
            beside="random, 32 bytes, 64 MB"),
    ],
    "Binary trees": [
        row("depth 16, s", "trees 16", "s"), row("depth 16, peak MB", "trees 16", "peak_mb"),
        row("depth 18, s", "trees 18", "s"), row("depth 18, peak MB", "trees 18", "peak_mb"),
    ],
    "A thread that makes garbage over 256 MB of live nodes": [
        row("longest gap, ms", "pause 256 5", "longest_ms", 2, of_bdwgc=0.5),
        row("time in gaps, %", "pause 256 5", "gaps_percent", 2, of_bdwgc=0.5),
        row("million objects a second", "pause 256 5", "millions_a_second", 2),
    ],
    "A million objects with finalizers": [
        row("bytes an object", "finalizers 1000000", "bytes", goal=40),
        row("ns to set one, in fresh memory", "finalizers 1000000", "set_ns", goal=40),
        row("the same, in memory used before", "finalizers 1000000", "again_ns", goal=40),
        row("collection, all live, ms", "finalizers 1000000", "live_ms", goal=25),
        row("collection, all dead, ms", "finalizers 1000000", "dead_ms", goal=60),
        row("the same, and all swept, ms", "finalizers 1000000", "dead_swept_ms"),
    ],
}

DROPPED = [(16, 45), (32, 50), (64, 70), (128, 110)]
MARKED = [("array 100000", 100000), ("tree 64 4", 65536), ("tree 32 4", 131072),
          ("random 64 4", 65536), ("random 32 4", 131072), ("chain 64 4", 65536)]
COLLECTIONS = 7  # of each heap: REPEAT in hosttest/bench_gc.c


def run(program, load, markers):
    env = dict(os.environ, MARKERS=str(markers), LC_ALL="C")
    out = subprocess.run([os.path.join(ROOT, "build/bench", PROGRAMS[program])] + load, env=env,
                         check=True, timeout=300, stdout=subprocess.PIPE, text=True).stdout
    return {key: float(value) for key, value in (line.split() for line in out.splitlines())}


def counted(program, load, function):
    """Instructions between entry and exit of @function."""
    with tempfile.TemporaryDirectory() as tmp:
        argv = ["valgrind", "--tool=callgrind", "--callgrind-out-file=" + tmp + "/out",
                "--toggle-collect=" + function, os.path.join(ROOT, "build/bench", PROGRAMS[program])]
        done = subprocess.run(argv + load, env=dict(os.environ, MARKERS="1"), check=True, timeout=300,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def measure(rows, rounds):
    """Medians by (load, markers, program); each round runs all programs in turn."""
    figures = {}
    for load, markers, who in {(tuple(r.load), r.markers, tuple(r.who)): 0 for r in rows}:
        for i in range(rounds):
            for program in who[i % len(who):] + who[:i % len(who)]:
                for key, value in run(program, list(load), markers).items():
                    figures.setdefault((load, markers, program, key), []).append(value)
    return {k: statistics.median(v) for k, v in figures.items()}


def verdict(r, rows, figures):
    goal, text = r.goal, f"≤ {r.goal:g}" if r.goal else ""
    part = r.of_bdwgc or r.of_ours
    if part:
        other = next(o for o in rows if o.name == r.beside)
        whose = "bdwgc" if r.of_bdwgc else "Marrow"
        goal = part * figures[tuple(other.load), other.markers, whose, other.key]
        text = f"≤ {part:.2g} of {whose}'s = {goal:.3g}"
    if not goal:
        return ""
    ours = figures[tuple(r.load), r.markers, "Marrow", r.key]
    return text + (" met" if ours <= goal else " **missed**")


def timed_table(rows, figures):
    lines = []
    for r in rows:
        values = [figures.get((tuple(r.load), r.markers, p, r.key)) for p in PROGRAMS]
        lines.append([r.name] + ["–" if v is None else f"{v:.3g}" for v in values] +
                     [verdict(r, rows, figures)])
    return bench_doc.table(["", "Marrow", "bdwgc", "Go", "goal"], lines)


def dropped_table(n=200000):
    lines = []
    for size, goal in DROPPED:
        plain, typed, bdwgc = (counted(p, [load, str(size), str(n)], function) / (n + n // 10)
                               for p, load, function in (
                                   ("Marrow", "drop", "measured_plain"),
                                   ("Marrow", "drop-node", "measured_node"),
                                   ("bdwgc", "drop", "measured_plain")))
        met = "met" if plain <= goal else "**missed**"
        lines.append([f"{size} bytes", f"{plain:.1f}", f"{typed:.1f}", f"{bdwgc:.1f}",
                      f"≤ {goal} {met}"])
    return bench_doc.table(["", "Marrow, plain", "Marrow, of a type", "bdwgc", "goal"], lines)


def marked_table():
    lines = [[load, f"{counted('Marrow', load.split(), 'mw_mark_run') / n / COLLECTIONS:.1f}"]
             for load, n in MARKED]
    return bench_doc.table(["load (size, MB)", "instructions an object"], lines)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    busy = os.getloadavg()[0]
    return (f"{model.group(1) if model else platform.machine()}, {os.cpu_count()} CPUs, "
            f"load {busy:.1f} at the beginning.")


def picture(figures):
    groups = []
    for rows in TIMED.values():
        for r in rows:
            values = {p: figures[tuple(r.load), r.markers, p, r.key] for p in PROGRAMS
                      if (tuple(r.load), r.markers, p, r.key) in figures}
            if len(values) > 1 and values.get("bdwgc") and r.key != "millions_a_second":
                groups.append((r.name, {p: v / values["bdwgc"] for p, v in values.items()}))
    return bench_svg.bars("The collector beside its peers", "bdwgc = 1, shorter is better", groups,
                          list(PROGRAMS), 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="tables whose title has this text")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    text, everything = machine() + f" Medians of {args.rounds}.\n", {}
    for title, rows in TIMED.items():
        if args.only not in title:
            continue
        figures = measure(rows, args.rounds)
        everything.update(figures)
        text += f"\n### {title}\n\n" + timed_table(rows, figures)
        print(title, timed_table(rows, figures), sep="\n", flush=True)
    for title, make in (("Allocate and drop, instructions an object, collections included", dropped_table),
                        ("Instructions of the mark", marked_table)):
        if args.only in title:
            table = make()
            text += f"\n### {title}\n\n" + table
            print(title, table, sep="\n", flush=True)
    if args.write and not args.only:
        bench_doc.write_section("figures", text, DOC)
        with open(os.path.join(ROOT, "docs/bench/gc.svg"), "w", encoding="utf-8") as f:
            f.write(picture(everything))


if __name__ == "__main__":
    main()
