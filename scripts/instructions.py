#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Instructions of the main paths, counted by callgrind, against scripts/instructions.txt.

    scripts/instructions.py            fail if one grew by more than 3 %
    scripts/instructions.py --update   write the file: in the commit that changes a path

The figures belong to a compiler: with another one than the file's, or without valgrind, the paths
count as skipped. A figure that fell by more than 3 % is said, so that the file follows. The last line
is "N passed, N failed, N skipped", for scripts/test.py.
"""

import concurrent.futures
import os
import shutil
import subprocess
import sys

import bench_run

FILE = os.path.join(bench_run.ROOT, "scripts/instructions.txt")
PATHS = [  # name, load, count, size
    ("pair-64", "pair", 10000, 64), ("pair-1024", "pair", 10000, 1024),
    ("pair-8192", "pair", 10000, 8192), ("pair-65536", "pair", 5000, 65536),
    ("pair-1048576", "pair", 5000, 1048576), ("fifo-64", "fifo", 40000, 64),
    ("fifo-1024", "fifo", 40000, 1024), ("lifo-64", "lifo", 40000, 64),
    ("random", "random", 100000, 0), ("xthread-64", "xthread", 40000, 64),
    ("sized-64", "sized", 10000, 64), ("sized-65536", "sized", 5000, 65536),
]
TOLERANCE = 0.03


def compiler():
    version = subprocess.run([os.environ.get("CC", "gcc"), "-dumpfullversion"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout.strip()
    return "gcc " + version


def count():
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {name: pool.submit(bench_run.instructions, bench_run.OURS[1], load, n, size)
                for name, load, n, size in PATHS}
        return {name: job.result() for name, job in jobs.items()}


def read():
    with open(FILE, encoding="utf-8") as f:
        lines = [line.split(None, 1) for line in f if not line.startswith("#")]
    kept = {name: value.strip() for name, value in lines}
    return kept.pop("compiler"), {name: float(value) for name, value in kept.items()}


def update():
    counts = count()
    with open(FILE, "w", encoding="utf-8") as f:
        f.write("# SPDX-License-Identifier: MIT\n# Written by scripts/instructions.py --update\n")
        f.write(f"compiler {compiler()}\n")
        for name, value in counts.items():
            f.write(f"{name} {value:.1f}\n")


def skip(why):
    print(f"instructions: {why}")
    print(f"0 passed, 0 failed, {len(PATHS)} skipped")
    return 0


def wrong(name, old, new):
    """What is bad about a figure; None: nothing."""
    if old is None:
        return f"{name} is not in {FILE}"
    if new > old * (1 + TOLERANCE):
        return f"{name} grew from {old:.1f} to {new:.1f}"
    if new < old * (1 - TOLERANCE):
        print(f"instructions: {name} fell from {old:.1f} to {new:.1f}: --update the file")
    return None


def main():
    if not shutil.which("valgrind"):
        return skip("valgrind is not installed, nothing was counted")
    if "--update" in sys.argv:
        update()
        return 0
    wanted, kept = read()
    if wanted != compiler():
        return skip(f"counted with {wanted}, this is {compiler()}: not compared")
    faults = [wrong(name, kept.get(name), value) for name, value in count().items()]
    bad = [fault for fault in faults if fault]
    for fault in bad:
        print("instructions: " + fault)
    print(f"{len(faults) - len(bad)} passed, {len(bad)} failed")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
