#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plant races one at a time and see how many seeds it takes until the kernel with seams falls into each.

kernel/seams/races.txt holds them, in the form of scripts/mutate.py. The tests named there run under seed
1, 2, ... until one fails; a race that --most seeds do not find has survived. Before that the tests must
pass in the tree as it is, under the same seeds: make seeds.
"""

import argparse
import os
import re
import subprocess
import sys
import time

import mutate

LIST = "kernel/seams/races.txt"


def build(slot, goal):
    return subprocess.run(["make", "-s", f"-j{os.cpu_count()}", goal], cwd=slot.root, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def search(slot, race, options):
    """(the seed that found it or 0, what is said of it)"""
    command = ["make", "-s", "seeds", f"N={options.most}", f"TESTS={','.join(race.suites)}", f"ROUNDS={options.rounds}",
               f"JOBS={options.jobs}", "KEEP_GOING="]
    done = subprocess.run(command, cwd=slot.root, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    seed = re.search(r"^seed (\d+): (.*)$", done.stdout, re.M)
    if seed:
        return int(seed.group(1)), seed.group(2)
    return 0, done.stdout.strip().rpartition("\n")[2]


def judge(slot, race, options):
    target = os.path.join(slot.root, race.path)
    with open(target, encoding="utf-8") as file:
        text = file.read()
    try:
        with open(target, "w", encoding="utf-8") as file:
            file.write(race.apply(text))
        built = build(slot, "build/kernel-seams/kernel.elf")
        if built.returncode:
            return 0, "does not compile: " + built.stdout[-300:]
        return search(slot, race, options)
    except ValueError as error:
        return 0, f"does not apply: {error}"
    finally:
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--most", type=int, default=200, help="seeds for each")
    parser.add_argument("--rounds", type=int, default=2, help="percent of long tests' rounds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("only", nargs="*", help="names of races")
    options = parser.parse_args()
    races = [race for race in mutate.read_list(LIST)
             if not options.only or race.name.rpartition("/")[2] in options.only]
    if not races:
        sys.exit("no such races")
    slot = mutate.Slot("build/mutate/races")
    found = 0
    for race in races:
        started = time.monotonic()
        seed, said = judge(slot, race, options)
        found += bool(seed)
        print(f"{f'seed {seed}' if seed else 'MISSED':<9} {race.name.rpartition('/')[2]:<24} "
              f"{time.monotonic() - started:6.1f} s  {said}", flush=True)
    print(f"{found} passed, {len(races) - found} failed")
    return 0 if found == len(races) else 1


if __name__ == "__main__":
    sys.exit(main())
