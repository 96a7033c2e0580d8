#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run every pair of calls at every moment (hosttest/pairs.h), or a sample of that, and make the table.

A unit is one state and one call A: a process of its own, with all calls B at all moments. --seconds N takes units by
the seed until so much time has passed, and of each a sample; without it all units run whole, and each that is done is
kept under the table's folder, so that a run that was ended goes on where it was. --shard I/N takes a part.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import os
import random
import re
import subprocess
import sys
import time

SAMPLE_CASES = 3000  # of a unit, in a sample, about
SAMPLE_MOST = 1000000  # accesses of an A: what is longer takes a second or so to record
MIXED = 6  # in states that mix choices, the part of the moments of a call that has very many
UNIT_LIMIT_S = 3600  # of the processor: more than ten times the longest


class Unit:
    """What a process said of one state and A."""

    def __init__(self, state, call, text, status):
        self.state, self.call = state, call
        self.fails, self.pairs, self.unit, self.ended, self.long = [], {}, None, False, False
        self.checked = 0  # cases whose memory had not been seen before
        for line in text.splitlines():
            words = line.split("\t")
            if words[0] == "fail":
                self.fails.append((words + [""] * 11)[1:11])
            elif words[0] == "unit":
                self.unit = words[3:]
            elif words[0] == "pair":
                self.pairs[words[1], words[2]] = [int(words[3]), int(words[4]), *words[5:]]
            elif words[0] == "long":
                self.long = True
            elif words[0] == "total":
                self.ended, self.checked = True, int(words[3])
        if not self.ended:
            self.fails.append([state, call, "", "", "", "0", "0", "died", "0", f"status {status}"])
        self.cases = sum(pair[0] for pair in self.pairs.values())
        if self.ended and not self.cases and not self.long and not self.fails:
            self.fails.append([state, call, "", "", "", "0", "0", "engine", "0", "it was to run, and had no moment"])
        self.failed = max(sum(pair[1] for pair in self.pairs.values()), len(self.fails))


class Places:
    """Names of functions by address, for failures; asked once each."""

    def __init__(self, binary):
        self.binary, self.known = binary, {}

    def of(self, address):
        if address in ("0", "0x0"):
            return ""
        if address not in self.known:
            done = subprocess.run(["addr2line", "-fse", self.binary, address], stdout=subprocess.PIPE, text=True,
                                  check=False)
            name, _, line = done.stdout.strip().partition("\n")
            self.known[address] = f"{name} ({line.split(' ')[0]})" if name != "??" else address
        return self.known[address]


def list_of(binary):
    """States, calls that may have another beside them, and forbidden pairs by sentence."""
    states, calls, apart = [], [], collections.Counter()
    for line in subprocess.run([binary, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines():
        words = line.split("\t")
        if words[0] == "state":
            states.append(words[1])
        elif words[0] == "form" and words[2] != "alone":
            calls.append(words[1])
        elif words[0] == "apart":
            apart[words[3]] += 1
    return states, calls, apart


def moments_of(args, state):
    """Mixed states are many, and what is simple was tried in the others."""
    return -(-args.moments // MIXED) if state.startswith("mix-") else args.moments


def run_unit(args, state, call, kept):
    path = os.path.join(kept, f"{state}.{call}") if kept else None
    if path and os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            return Unit(state, call, file.read(), 0)
    command = [args.binary, "--state", state, "--a", call, "--moments", str(moments_of(args, state)), "--seed", str(args.seed)]
    if args.b:
        command += ["--b", args.b]
    if args.twice:
        command += ["--way", "cpu"]
    if args.seconds:
        command += ["--cases", str(args.cases), "--most", str(SAMPLE_MOST)]
    command += ["--twice"] if args.twice else []
    limit = f"ulimit -t {UNIT_LIMIT_S}; exec \"$@\""
    done = subprocess.run(["sh", "-c", limit, "sh", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False)
    unit = Unit(state, call, done.stdout, done.returncode)
    if path and unit.ended:
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(done.stdout)
        os.rename(path + ".new", path)
    return unit


def kept_folder(args):
    """Of whole units only: in a folder of this binary's own."""
    if args.seconds or args.b:
        return None
    with open(args.binary, "rb") as file:
        folder = os.path.join(args.out, f"{hashlib.sha256(file.read()).hexdigest()[:16]}.{args.moments}")
    os.makedirs(folder, exist_ok=True)
    return folder


def chosen_units(args, states, calls):
    units = [(state, call) for state in states if not args.state or state in args.state.split(",")
             for call in calls if not args.a or call in args.a.split(",") or call.split(".")[0] in args.a.split(",")]
    shard, of = (int(n) for n in args.shard.split("/"))
    units = [unit for i, unit in enumerate(units) if i % of == shard - 1]
    random.Random(args.seed).shuffle(units)
    return units


def run_units(args, units):
    kept, started = kept_folder(args), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        waiting, left = set(), iter(units)
        while True:
            while len(waiting) < args.jobs and (not args.seconds or time.monotonic() - started < args.seconds):
                unit = next(left, None)
                if not unit:
                    break
                waiting.add(pool.submit(run_unit, args, *unit, kept))
            if not waiting:
                return
            done, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                yield future.result()


def tell(unit, places, most):
    """The first failure of each pair, with its place."""
    for fail in unit.fails[:most]:
        state, call, other, way, moment, step, at, verdict, where, text = fail
        print(f"not ok {call} x {other} ({way}) in {state}, moment {moment}, step {step} {places.of(at)}: "
              f"{verdict} {places.of(where)} {text}"[:600])
    if len(unit.fails) > most:
        print(f"  and {len(unit.fails) - most} more of {unit.call} in {unit.state}")


def write_table(args, done, apart, interrupt_no):
    """One line for each state and A; one for each pair; what is forbidden."""
    with open(os.path.join(args.out, "units.txt"), "w", encoding="utf-8") as file:
        print("state\tA\taccesses\tmoments\tpages\tcases\tfailed\tseconds", file=file)
        for unit in done:
            print(unit.state, unit.call, *(unit.unit or []), sep="\t", file=file)
    with open(os.path.join(args.out, "pairs.txt"), "w", encoding="utf-8") as file:
        print("A\tB\tway\tstate\tcases\tfailed", file=file)
        for unit in done:
            for (other, way), figures in unit.pairs.items():
                print(unit.call, other, way, unit.state, *figures, sep="\t", file=file)
    with open(os.path.join(args.out, "apart.txt"), "w", encoding="utf-8") as file:
        for sentence, n in apart.items():
            print(n, sentence, sep="\t", file=file)
        print(interrupt_no, "interrupt: no, so not in a handler", sep="\t", file=file)


def without_a_moment(done, calls, apart_of):
    """Pairs that may be and were not tried inside: only if all was to be."""
    tried = {(unit.call, other.removesuffix("*2")) for unit in done for (other, _), n in unit.pairs.items() if n[0]}
    ran = {unit.call for unit in done}
    return [(a, b) for a in ran for b in calls if (a, b) not in tried and (a, b) not in apart_of]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("--out", default="build/pairs")
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=SAMPLE_CASES)
    parser.add_argument("--moments", type=int, default=300, help="of a call that has more, so many by the seed; 0: all")
    parser.add_argument("--shard", default="1/1")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--state")
    parser.add_argument("--a")
    parser.add_argument("--b")
    parser.add_argument("--twice", action="store_true", help="two switches: A goes on at each moment of B")
    parser.add_argument("--most", type=int, default=4, help="failures shown of each unit")
    parser.add_argument("--counts", action="store_true", help="a last line as scripts/test.py wants it, of units")
    args = parser.parse_args()
    args.seed = args.seed or (int(time.time()) // 60 if args.seconds else 1)
    os.makedirs(args.out, exist_ok=True)
    return args


def main():
    args = arguments()
    states, calls, apart = list_of(args.binary)
    places, done, started = Places(args.binary), [], time.monotonic()
    print(f"# seed {args.seed}, shard {args.shard}", flush=True)
    for unit in run_units(args, chosen_units(args, states, calls)):
        done.append(unit)
        tell(unit, places, args.most)
        sys.stdout.flush()
    text = subprocess.run([args.binary, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout
    apart_of = {tuple(line.split("\t")[1:3]) for line in text.splitlines() if re.match("apart\t", line)}
    handlers = {line.split("\t")[1] for line in text.splitlines() if line.startswith("form\t") and "\tirq" in line}
    write_table(args, done, apart, len(calls) * (len(calls) - len(handlers)))
    failed = sum(unit.failed for unit in done)
    if not args.seconds and not args.b:
        for a, b in without_a_moment(done, calls, apart_of):
            failed += 1
            print(f"not ok {a} x {b}: never tried inside")
    cases = sum(unit.cases for unit in done)
    pairs = len({(unit.call, other) for unit in done for other, _ in unit.pairs})
    print(f"# seed {args.seed}, shard {args.shard}: {len(done)} units, {sum(unit.long for unit in done)} of them left as too "
          f"long for a sample, {time.monotonic() - started:.0f} s; {sum(apart.values())} pairs are forbidden by "
          f"{len(apart)} sentences; {sum(unit.checked for unit in done)} cases left memory that had to be checked; "
          f"tables in {args.out}")
    print(f"pairs: {pairs} pairs × {len({unit.state for unit in done})} states × {cases} moments, "
          f"{max(cases - failed, 0)} passed, {failed} failed")
    if args.counts:
        bad = sum(bool(unit.failed) for unit in done)
        print(f"{len(done) - bad} passed, {bad} failed")
    sys.exit(1 if failed or not cases else 0)


if __name__ == "__main__":
    main()
