#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plant races one at a time and see how many seeds it takes until the kernel with seams falls into each.

kernel/seams/races.txt holds them, in the form of scripts/mutate.py. The tests named there run under seed
1, 2, ... until one fails; a race that --most seeds do not find has survived. Before that the tests must
pass in the tree as it is, under the first --sound of these seeds; make seeds runs them under more.

A seed hangs if it takes many times the processor time that one takes without a race, or if the machine
sleeps: scripts/hang.py.
"""

import argparse
import os
import re
import subprocess
import sys
import time

import mutate

LIST = "kernel/seams/races.txt"
KERNEL = "build/kernel-seams/kernel.elf"
CPU_SECONDS, CPU_TIMES = 10, 5  # what a seed may take: so much, and so many times the longest without a race
UNKNOWN_SECONDS = 120  # what one may take that was not timed yet


def build(slot, goal):
    return subprocess.run(["make", "-s", f"-j{os.cpu_count()}", goal], cwd=slot.root, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def run_seeds(slot, race, seeds, limit, options):
    """What make seeds says."""
    command = ["make", "-s", "seeds", f"N={seeds}", f"TESTS={','.join(race.suites)}", f"ROUNDS={options.rounds}",
               f"JOBS={options.jobs}", "KEEP_GOING=", f"SEED_LIMIT={limit}"]
    return subprocess.run(command, cwd=slot.root, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False).stdout


def limits(slot, races, options):
    """Processor seconds that a seed may take, by the tests that it runs; nothing may fail without a race."""
    built = build(slot, KERNEL)
    if built.returncode:
        sys.exit(f"the tree as it is does not build: {built.stdout[-300:]}")
    table = {}
    for race in races:
        tests = frozenset(race.suites)
        if tests in table:
            continue
        said = run_seeds(slot, race, options.sound, UNKNOWN_SECONDS, options)
        if f"\n{options.sound} passed, 0 failed" not in said:
            sys.exit(f"fails without a race: {said}")
        usual = float(re.search(r"^at most ([\d.]+) s of processor time", said, re.M).group(1))
        table[tests] = CPU_SECONDS + CPU_TIMES * usual
    return table


def search(slot, race, limit, options):
    """(the seed that found it or 0, what is said of it)"""
    said = run_seeds(slot, race, options.most, limit, options)
    seed = re.search(r"^seed (\d+): (.*)$", said, re.M)
    if seed:
        return int(seed.group(1)), seed.group(2)
    return 0, said.strip().rpartition("\n")[2]


def judge(slot, race, limit, options):
    target = os.path.join(slot.root, race.path)
    with open(target, encoding="utf-8") as file:
        text = file.read()
    try:
        with open(target, "w", encoding="utf-8") as file:
            file.write(race.apply(text))
        built = build(slot, KERNEL)
        if built.returncode:
            return 0, "does not compile: " + built.stdout[-300:]
        return search(slot, race, limit, options)
    except ValueError as error:
        return 0, f"does not apply: {error}"
    finally:
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--most", type=int, default=200, help="seeds for each")
    parser.add_argument("--sound", type=int, default=9, help="seeds without a race, to see what one takes")
    parser.add_argument("--rounds", type=int, default=2, help="percent of long tests' rounds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("only", nargs="*", help="names of races")
    options = parser.parse_args()
    races = [race for race in mutate.read_list(LIST)
             if not options.only or race.name.rpartition("/")[2] in options.only]
    if not races:
        sys.exit("no such races")
    slot = mutate.Slot("build/mutate/races")
    limit = limits(slot, races, options)
    found = 0
    for race in races:
        started = time.monotonic()
        seed, said = judge(slot, race, limit[frozenset(race.suites)], options)
        found += bool(seed)
        print(f"{f'seed {seed}' if seed else 'MISSED':<9} {race.name.rpartition('/')[2]:<24} "
              f"{time.monotonic() - started:6.1f} s  {said}", flush=True)
    print(f"{found} passed, {len(races) - found} failed")
    return 0 if found == len(races) else 1


if __name__ == "__main__":
    sys.exit(main())
