#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run hosted suites many times each, beside busy processes: which tests fail now and then?

The first run of each suite says how long it takes; then the short ones come first. Run number n has seed n. What fails
is named with the runs in which it did, and the first transcript stays in build/repeat/. With --seconds the rest is left
out when the time is over, and said to be. The last line counts runs of suites.
"""

import argparse
import collections
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import time

import hang

KEEP = "build/repeat"
LIMIT = 300  # of a program's own time, since its last result


class Suite:
    def __init__(self, path):
        self.path = path
        self.variant = os.path.basename(os.path.dirname(path))
        self.name = os.path.basename(path).removeprefix("test_")
        self.runs, self.bad = 0, 0
        self.alarms = collections.defaultdict(list)  # test: runs
        self.seconds = 0.0

    def run(self, number):
        """(what failed, the transcript)"""
        plain = ["setarch", "-R"] if "tsan" in self.variant and shutil.which("setarch") else []
        command = [sys.executable, hang.__file__, str(LIMIT)] + plain + [self.path, "--seed", str(number)]
        started = time.monotonic()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False)
        self.seconds = time.monotonic() - started
        text = done.stdout.decode("utf-8", "replace")
        failed = re.findall(r"^not ok \d+ - (\S+)", text, re.M)
        if not failed and (done.returncode or not re.search(r"^# done: ", text, re.M)):
            failed = [f"{self.name} (status {done.returncode})"]
        return failed, text

    def note(self, number, failed, text):
        self.runs += 1
        self.bad += bool(failed)
        for name in failed:
            if name not in self.alarms:
                os.makedirs(KEEP, exist_ok=True)
                with open(f"{KEEP}/{self.variant}.{name.split()[0]}.{number}.tap", "w", encoding="utf-8") as file:
                    file.write(text)
            self.alarms[name].append(number)

    def once(self, number):
        self.note(number, *self.run(number))
        return self

    def show(self):
        print(f"{self.variant:<11} {self.name:<18} {self.runs:4} runs, {self.bad} with a failure")
        for name, runs in self.alarms.items():
            print(f"    {name}: in {len(runs)} of {self.runs}: runs {' '.join(map(str, runs[:12]))}")
        sys.stdout.flush()


def busy(count):
    return [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]


def find(variants, names):
    suites = [Suite(path) for variant in variants for path in sorted(glob.glob(f"build/{variant}/test_*"))
              if "." not in os.path.basename(path)]
    return [suite for suite in suites if not names or suite.name in names]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-n", type=int, default=100, help="runs of each")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at once")
    parser.add_argument("--busy", type=int, default=os.cpu_count(), help="processes beside them that only spin")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for all of it")
    parser.add_argument("--suites", default="", help="their names; none: all")
    parser.add_argument("--skip", default="", help="names of suites that are left out")
    parser.add_argument("variants", nargs="+")
    options = parser.parse_args()
    suites = [s for s in find(options.variants, options.suites.split()) if s.name not in options.skip.split()]
    if not suites:
        sys.exit("no such suites")
    others, end = busy(options.busy), time.monotonic() + options.seconds
    try:
        with concurrent.futures.ThreadPoolExecutor(max_workers=options.jobs) as pool:
            list(pool.map(lambda suite: suite.once(1), suites))
            for suite in sorted(suites, key=lambda suite: suite.seconds):
                list(pool.map(lambda n, s=suite: time.monotonic() < end and s.once(n), range(2, options.n + 1)))
                suite.show()
    finally:
        for other in others:
            other.kill()
            other.wait()
    short = [suite for suite in suites if suite.runs < options.n]
    if short:
        print("fewer runs, for want of time: " + " ".join(f"{s.variant}/{s.name}({s.runs})" for s in short))
    runs, bad = sum(s.runs for s in suites), sum(s.bad for s in suites)
    print(f"repeat: {len(suites)} suites, {runs} runs, {runs - bad} passed, {bad} failed")
    return 1 if bad or short and options.seconds == float("inf") else 0


if __name__ == "__main__":
    sys.exit(main())
