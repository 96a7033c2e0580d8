#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Where object state lives: the prototypes of hosttest/layouts beside mm/, in one run.

    scripts/layouts.py build/layouts

Each program checks itself first; that is what passes or fails. Then its loads are counted: on this machine by
callgrind, for aarch64 and riscv64 in the log of an emulator that executes one instruction at a time. Figures are
instructions a step of a row, the loop around it included; of "metadata", per cent of what was asked for.
"""

import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile

ONE = ["today", "p", "p-wide", "q"]
MANY = ["today", "p-leaves", "p-wide-leaves", "q-leaves"]
MACHINES = ["aarch64", "riscv64"]
# Rows for which many regions, and other machines, are counted too.
FEW = ["pair 16", "pair 64", "pair 256", "pair 1024", "fifo 64", "fifo 256", "random 64", "random 16 to 1024",
       "cache pair 64", "freed afar 64", "pair 64 KiB", "aligned pair 64", "usable size 64", "realloc stays 64",
       "mark tree", "mark random"]


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=900,
                          check=False, **more)


def steps(text):
    """The rows that a program printed, with their steps, in order."""
    return [(row, int(n)) for row, n in re.findall(r"^([^:\n]+): (\d+)$", text, re.M)]


def emulated(command):
    """How a program for any machine is run here."""
    for machine in MACHINES:
        if command[0].endswith("-" + machine):
            return ["qemu-" + machine] + command
    return command


def check(program, *arguments):
    result = run(emulated([program, "check", *arguments]))
    said = dict(steps(result.stdout))
    return result.returncode == 0 and said.get("checks failed", 1) == 0 and said.get("checks passed", 0) > 100, said


def summary(path):
    with open(path, encoding="utf-8") as f:
        return int(re.search(r"^(?:totals|summary): (\d+)$", f.read(), re.M).group(1))


def callgrind(program, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        out = run(["valgrind", "--tool=callgrind", "--collect-atstart=no",
                   f"--callgrind-out-file={folder}/out", program, "count", *arguments])
        rows = steps(out.stdout)
        found = {row: n / 100 for row, n in rows if row.startswith("metadata")}
        counted = [(row, n) for row, n in rows if not row.startswith("metadata")]
        if out.returncode or len(glob.glob(folder + "/out.*")) < len(counted):
            return {}
        for i, (row, n) in enumerate(counted, 1):
            found[row] = summary(f"{folder}/out.{i}") / n
        return found


def logged(program):
    """A line of the log for each instruction, which ends with the name of its function."""
    with tempfile.NamedTemporaryFile("r") as said:
        qemu = subprocess.Popen(
            ["qemu-" + program.rsplit("-", 1)[1], "-singlestep", "-d", "exec,nochain", program, "count"],
            stdout=open(said.name, "w", encoding="utf-8"), stderr=subprocess.PIPE)
        counts, now, counting = [], 0, False
        for line in qemu.stderr:
            if b"lay_count" in line:
                if line.rstrip().endswith(b"lay_count_begin"):
                    counting, now = True, 0
                elif counting and line.rstrip().endswith(b"lay_counted"):
                    counts.append(now)
                    counting = False
                continue
            if counting and line.startswith(b"Trace"):
                now += 1
        rows = [(row, n) for row, n in steps(said.read()) if not row.startswith("metadata")]
        if qemu.wait() or len(rows) != len(counts):
            return {}
        return {row: count / n for (row, n), count in zip(rows, counts)}


def table(title, rows, columns):
    print(f"\n| {title} | " + " | ".join(name for name, _ in columns) + " |")
    print("|---|" + "---|" * len(columns))
    for row in rows:
        figures = [f"{found[row]:.2f}" if row.startswith("metadata") else f"{found[row]:.1f}"
                   for _, found in columns if row in found]
        if len(figures) == len(columns):
            print(f"| {row} | " + " | ".join(figures) + " |")


def main():
    folder = sys.argv[1]
    one = [f"{folder}/{layout}" for layout in ONE]
    many = [f"{folder}/{layout}" for layout in MANY]
    other = [f"{name}-{machine}" for machine in MACHINES for name in one]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        checks = {p: pool.submit(check, p) for p in one + other}
        checks.update({p + " pieces": pool.submit(check, p, "pieces") for p in many})
        here = {p: pool.submit(callgrind, p) for p in one}
        pieces = {p: pool.submit(callgrind, p, "pieces") for p in many}
        there = {p: pool.submit(logged, p) for p in other}
    checks, here, pieces, there = ({p: job.result() for p, job in jobs.items()}
                                       for jobs in (checks, here, pieces, there))
    table("x86_64, one region", list(here[one[0]]), [(os.path.basename(p), here[p]) for p in one])
    table("x86_64, pieces of 4 MiB", FEW, [(os.path.basename(p), pieces[p]) for p in pieces])
    for machine in MACHINES:
        table(machine, FEW, [(os.path.basename(p), there[p]) for p in there if p.endswith(machine)])
    print()
    failed = 0
    for program, (right, said) in checks.items():
        print(f"{'ok' if right else 'not ok'} - {os.path.basename(program)}: "
              f"{said.get('checks passed', 0)} checks, {said.get('checks failed', 0)} failed")
        failed += not right
    for program, found in list(here.items()) + list(pieces.items()) + list(there.items()):
        if not found:
            print(f"not ok - {os.path.basename(program)}: could not be counted")
            failed += 1
    print(f"layouts: figure, {len(checks) - sum(not right for right, _ in checks.values())} passed, {failed} failed")
    return failed != 0


sys.exit(main())
