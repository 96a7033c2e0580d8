#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plant each bug of hosttest/mutants/pairs/ and see whether pairs of calls find it (hosttest/pairs.h).

The lists are those of scripts/mutate.py, but behind the file of a bug stand a state, the calls A, the calls B, and the
ways in which B comes: there it must be found. The same without the bug must pass.
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import time

import mutate

LIMIT_S = 300  # of the processor: a hundred times the longest
TREE = "build/pairs-planted/tree"


class Pairs(mutate.Slot):
    def __init__(self, at, binary):
        super().__init__(at)
        self.binary = binary

    def build(self, variant=None):
        done = subprocess.run(["make", "-s", self.binary], cwd=self.root, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        return done.stdout[-2000:] if done.returncode else None

    def try_pairs(self, mutant):
        """(cases, how they failed)"""
        state, a, b, ways = mutant.suites
        limit = f"ulimit -t {LIMIT_S}; exec \"$@\""
        done = subprocess.run(["sh", "-c", limit, "sh", self.binary, "--state", state, "--a", a, "--b", b, "--way", ways],
                              cwd=self.root, text=True, errors="replace", stdout=subprocess.PIPE, check=False)
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        fails = [f"{w[2]} x {w[3]} ({w[4]}), moment {w[5]}: {w[8]} {w[10]}" for w in lines if w[0] == "fail"]
        if lines[-1:] and lines[-1][0] != "total":
            fails.append(f"status {done.returncode}")
        return sum(int(w[6]) for w in lines if w[0] == "unit"), fails


def read_lists(folder):
    for path in sorted(glob.glob(f"{folder}/*.txt")):
        for mutant in list(mutate.read_list(path)):  # each is whole when the next one begins
            mutant.suites.insert(0, mutant.variant)
            if len(mutant.suites) != 4:
                sys.exit(f"{mutant.where}: not a state, calls, calls and ways")
            yield mutant


def look_for(pairs, mutant, clean):
    """None: found, as it must be; or what is wrong."""
    cases, fails = clean[mutant.name]
    if fails or not cases:
        return f"without it: {cases} cases, {'; '.join(fails[:1])}"
    path = os.path.join(pairs.root, mutant.path)
    with open(path, encoding="utf-8") as file:
        before = file.read()
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(mutant.apply(before))
        wrong = pairs.build()
        if wrong:
            return f"does not compile: {wrong}"
        started = time.monotonic()
        cases, fails = pairs.try_pairs(mutant)
    except ValueError as error:
        return str(error)
    finally:
        with open(path, "w", encoding="utf-8") as file:
            file.write(before)
    if not fails:
        return f"not found in {cases} cases"
    print(f"ok {mutant.name}: {len(fails)} of {cases} cases, {time.monotonic() - started:.1f} s: {fails[0][:300]}", flush=True)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", help="as make knows it")
    parser.add_argument("--lists", default="hosttest/mutants/pairs")
    parser.add_argument("names", nargs="*", help="bugs; all")
    args = parser.parse_args()
    mutants = [m for m in read_lists(args.lists) if not args.names or m.name.split("/")[1] in args.names]
    pairs = Pairs(TREE, args.binary)
    wrong = pairs.build()
    if wrong:
        sys.exit(f"pairs-planted: {wrong}")
    clean = {mutant.name: pairs.try_pairs(mutant) for mutant in mutants}
    failed = 0
    for mutant in mutants:
        wrong = look_for(pairs, mutant, clean)
        if wrong:
            failed += 1
            print(f"not ok {mutant.name}: {re.sub(chr(10), ' | ', wrong)}", flush=True)
    found = len(mutants) - failed
    print(f"pairs-planted: {found} of {len(mutants)} found, {found} passed, {failed} failed")
    sys.exit(1 if failed or not mutants else 0)


if __name__ == "__main__":
    main()
