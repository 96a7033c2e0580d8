#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Instructions of the ten main paths, counted by callgrind, against scripts/instructions.txt.

    scripts/instructions.py            fail if one grew by more than 3 %
    scripts/instructions.py --update   write the file: in the commit that changes a path

The figures belong to a compiler: with another version than the file's nothing is compared, and that
is said. A figure that fell by more than 3 % is said too, so that the file follows.
"""

import os
import shutil
import subprocess
import sys

import bench_run

FILE = os.path.join(bench_run.ROOT, "scripts/instructions.txt")
PATHS = [  # name, load, count, size
    ("pair-64", "pair", 20000, 64), ("pair-1024", "pair", 20000, 1024),
    ("pair-8192", "pair", 20000, 8192), ("pair-65536", "pair", 5000, 65536),
    ("pair-1048576", "pair", 5000, 1048576), ("fifo-64", "fifo", 40000, 64),
    ("fifo-1024", "fifo", 40000, 1024), ("lifo-64", "lifo", 40000, 64),
    ("random", "random", 100000, 0), ("xthread-64", "xthread", 40000, 64),
]
TOLERANCE = 0.03


def compiler():
    version = subprocess.run([os.environ.get("CC", "gcc"), "-dumpfullversion"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout.strip()
    return "gcc " + version


def count():
    return {name: bench_run.instructions(bench_run.OURS[1], load, n, size)
            for name, load, n, size in PATHS}


def read():
    with open(FILE, encoding="utf-8") as f:
        lines = [line.split(None, 1) for line in f if not line.startswith("#")]
    kept = {name: value.strip() for name, value in lines}
    return kept.pop("compiler"), {name: float(value) for name, value in kept.items()}


def update():
    with open(FILE, "w", encoding="utf-8") as f:
        f.write("# SPDX-License-Identifier: MIT\n# Written by scripts/instructions.py --update\n")
        f.write(f"compiler {compiler()}\n")
        for name, value in count().items():
            f.write(f"{name} {value:.1f}\n")


def main():
    if not shutil.which("valgrind"):
        print("instructions: valgrind is not installed, nothing was counted")
        return 0
    if "--update" in sys.argv:
        update()
        return 0
    wanted, kept = read()
    if wanted != compiler():
        print(f"instructions: counted with {wanted}, this is {compiler()}: not compared")
        return 0
    bad = 0
    for name, value in count().items():
        old = kept.get(name)
        if old is None:
            bad += 1
            print(f"instructions: {name} is not in {FILE}")
        elif value > old * (1 + TOLERANCE):
            bad += 1
            print(f"instructions: {name} grew from {old:.1f} to {value:.1f}")
        elif value < old * (1 - TOLERANCE):
            print(f"instructions: {name} fell from {old:.1f} to {value:.1f}: --update it")
    if not bad:
        print("instructions: the ten main paths are as they were")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
