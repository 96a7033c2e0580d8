#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the parts of `make test` (or of seeds and soak), each timed, and add up their results.

The last line is "N passed, N failed", with ", N skipped" if there were any. Details of each part
are in build/log/PART.log, and on the terminal if it failed; lines "failed: PART: ..." before the
last say in short what did.
"""

import argparse
import concurrent.futures
import glob
import os
import re
import shlex
import subprocess
import sys
import threading
import time

import skips

LOGS = "build/log"
COUNTS = re.compile(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?")


class Part:
    """A command whose last line counts its results; takes so many of the host's CPUs."""

    def __init__(self, name, command, cpus=1):
        self.name, self.command, self.cpus = name, command, cpus
        self.counts = (0, 0, 0)
        self.seconds = 0.0
        self.log = os.path.join(LOGS, name + ".log")
        self.notes = ""
        self.failure = []  # the end of what it said, if it failed

    def run(self):
        started = time.monotonic()
        with open(self.log, "w", encoding="utf-8") as log:
            status = subprocess.run(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=subprocess.STDOUT, check=False).returncode
        self.seconds = time.monotonic() - started
        with open(self.log, encoding="utf-8", errors="replace") as log:
            lines = log.read().splitlines() or [""]
        counts = COUNTS.fullmatch(lines[-1])
        self.counts = tuple(int(n or 0) for n in counts.groups()) if counts else (0, 0, 0)
        passed, failed, skipped = self.counts
        # A part that says nothing, or ends badly without a failure, is one.
        if not failed and (status or not counts or not passed + skipped):
            self.counts = (passed, 1, skipped)
            lines.append(f"{self.name}: ended with status {status}, {passed} passed")
        for line in lines:
            if line.startswith("first test line"):
                self.notes = line
        return "\n".join(lines[-60:])


class HostPart(Part):
    """All runners of one hosted variant, under prove."""

    def __init__(self, variant, cpus):
        super().__init__(variant, [], cpus)
        folder = f"build/{variant}"
        self.taps = os.path.join(LOGS, variant)
        self.runners = sorted(r for r in glob.glob(f"{folder}/test_*") if "." not in r)
        self.command = ["prove", "--timer", f"-j{cpus}", "--exec",
                        f"scripts/tap-keep.sh {self.taps}"] + self.runners

    def run(self):
        os.makedirs(self.taps, exist_ok=True)
        for old in glob.glob(self.taps + "/*"):
            os.unlink(old)
        started = time.monotonic()
        with open(self.log, "w", encoding="utf-8") as log:
            status = subprocess.run(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=subprocess.STDOUT, check=False).returncode
        self.seconds = time.monotonic() - started
        passed = failed = skipped = 0
        for runner in self.runners:
            ok, bad, skip = count_tap(os.path.join(self.taps, os.path.basename(runner) + ".tap"))
            passed, failed, skipped = passed + ok, failed + bad, skipped + skip
        if not failed and (status or not passed):
            failed = 1
        self.counts = (passed, failed, skipped)
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "\n".join((failed and list(failures(self.taps))) or log.read().splitlines()[-80:])


def failures(folder):
    """The failed results of all transcripts, each with the diagnostics before it; what sanitizers say."""
    for path in sorted(glob.glob(folder + "/*.tap")):
        notes = []
        with open(path, encoding="utf-8", errors="replace") as tap:
            for line in tap:
                if line.startswith("not ok"):
                    yield from notes[-20:] + [line.rstrip()]
                notes = [] if re.match(r"(not )?ok ", line) else notes + [line.rstrip()]
        if not notes or not notes[-1].startswith("# done"):
            yield f"{path}: ended early"
            yield from notes[-20:]
        # What was skipped as a whole has none.
        if os.path.exists(path + ".err"):
            with open(path + ".err", encoding="utf-8", errors="replace") as errors:
                said = errors.read().splitlines()
            yield from said[:20] + [f"{os.path.basename(path)}: {line}" for line in said if "SUMMARY" in line]


def count_tap(path):
    """Results of one transcript; those that the plan promised and that did not come have failed."""
    passed = failed = skipped = 0
    plan = None
    if os.path.exists(path):
        with open(path, encoding="utf-8", errors="replace") as tap:
            for line in tap:
                if re.match(r"1\.\.\d+$", line):
                    plan = int(line[3:])
                elif re.match(r"ok \d+.*#\s*skip", line, re.I):
                    skipped += 1
                elif re.match(r"ok \d+", line):
                    passed += 1
                elif re.match(r"not ok \d+", line):
                    failed += 1
    if plan is None:
        return passed, failed + 1, skipped
    return passed, failed + abs(plan - passed - failed - skipped), skipped


def kernel_part(name, arguments, cpus=1, limit=180):
    command = ["scripts/ktap.py", "--name", name, "--log", f"{LOGS}/{name}.console",
               "--limit", str(limit)] + shlex.split(arguments)
    return Part(name, command, cpus)


class Slots:
    """So many of the host's CPUs are free; large parts wait for all of them."""

    def __init__(self, count):
        self.count = self.free = count
        self.change = threading.Condition()

    def take(self, wanted):
        wanted = min(wanted, self.count)
        with self.change:
            self.change.wait_for(lambda: self.free >= wanted)
            self.free -= wanted
        return wanted

    def give(self, taken):
        with self.change:
            self.free += taken
            self.change.notify_all()


def run_parts(parts, jobs):
    slots = Slots(jobs)

    def one(part):
        taken = slots.take(part.cpus)
        try:
            return part, part.run()
        finally:
            slots.give(taken)

    with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(one, part) for part in parts]):
            report(*done.result())


def report(part, text):
    passed, failed, skipped = part.counts
    skips = f", {skipped} skipped" if skipped else ""
    print(f"{part.name:<16} {part.seconds:6.1f} s   {passed} passed, {failed} failed{skips}"
          + (f"   ({part.notes})" if part.notes else ""), flush=True)
    if failed:
        said = [line for line in text.splitlines() if not COUNTS.fullmatch(line) and not re.match(r"ok \d", line)]
        first = next((line for line in said if line.startswith("not ok")), None)
        part.failure = ([first] if first in said[:-8] else []) + said[-8:]
        print("\n".join("    " + line for line in text.splitlines()), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--host", metavar="VARIANT", nargs="*", default=[])
    parser.add_argument("--part", metavar=("NAME", "COMMAND"), nargs=2, action="append",
                        default=[], help="a command that ends with a line of counts")
    parser.add_argument("--wide-part", metavar=("NAME", "COMMAND"), nargs=2, action="append",
                        default=[], help="the same, alone on the host")
    parser.add_argument("--machine", metavar=("NAME", "OPTIONS"), nargs=2, action="append",
                        default=[], help="the kernel's tests, options of scripts/ktap.py")
    parser.add_argument("--wide", metavar=("NAME", "OPTIONS"), nargs=2, action="append",
                        default=[], help="the same, alone on the host")
    parser.add_argument("--limit", type=float, default=180, help="seconds for each machine")
    parser.add_argument("--only", default="", help="names of parts, separated by blanks")
    parser.add_argument("--everywhere", action="store_true", help="these are all parts: say which tests ran nowhere")
    options = parser.parse_args()
    os.makedirs(LOGS, exist_ok=True)
    parts = [HostPart(variant, options.jobs) for variant in options.host]
    # The long ones of those that take one CPU first: what is wide waits until all of them are done.
    parts += [kernel_part(name, args, 1, options.limit) for name, args in options.machine]
    parts += [Part(name, shlex.split(command)) for name, command in options.part]
    parts += [kernel_part(name, args, options.jobs, options.limit) for name, args in options.wide]
    parts += [Part(name, shlex.split(command), options.jobs) for name, command in options.wide_part]
    only = options.only.split()
    unknown = set(only) - {part.name for part in parts}
    if unknown:
        sys.exit(f"no such part: {' '.join(sorted(unknown))}; there are: "
                 + " ".join(part.name for part in parts))
    parts = [part for part in parts if not only or part.name in only]
    started = time.monotonic()
    run_parts(parts, options.jobs)
    totals = [sum(part.counts[i] for part in parts) for i in range(3)]
    for part in parts:
        for line in part.failure:
            print(f"failed: {part.name}: {line}")
    if totals[2] and not only:
        skips.show(skips.read(LOGS, {part.name for part in parts}), True, options.everywhere)
    print(f"{len(parts)} parts in {time.monotonic() - started:.1f} s")
    print(f"{totals[0]} passed, {totals[1]} failed"
          + (f", {totals[2]} skipped" if totals[2] else ""), flush=True)
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main())
