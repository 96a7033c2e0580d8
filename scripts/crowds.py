#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run crowds (hosttest/crowd.h) for some seconds in each build, and count what they called.

A crowd is one test of the suite "crowd": a run of it takes one seed, the next run the next one. It has passed if its
test has, and nothing else went wrong in its run. Hosted builds run as they are; the kernel has four CPUs; the kernel with
seams takes a part of the calls under each seed, and interleaves its CPUs as the seed says.
"""

import argparse
import os
import re
import subprocess
import sys
import time

SUITE = "crowd"
LIMIT_S = 300  # of a hosted run, by the clock
KERNEL_LIMIT_S = 600
ROUNDS = 2  # percent of the calls, in the kernel with seams
CROWD = re.compile(r"^# crowd ([\w-]+): (\d+) calls of (\d+) kinds", re.M)
RESULT = re.compile(rf"^(not )?ok \d+ - {SUITE}\.(\w+)(.*)$", re.M)


class Total:
    """Of all builds."""

    def __init__(self):
        self.calls = self.kinds = self.crowds = self.passed = self.failed = 0

    def take(self, build, seed, text, fault):
        """The output of one run; @fault: what went wrong besides its tests."""
        for match in CROWD.finditer(text):
            self.calls += int(match.group(2))
            self.kinds = max(self.kinds, int(match.group(3)))
        failed = 0
        for bad, name, rest in RESULT.findall(text):
            if "# SKIP" in rest:
                continue
            self.crowds += 1
            failed += bool(bad)
            self.passed += not bad
            if bad:
                print(f"{build}, seed {seed}: not ok {name}")
        if fault and not failed:
            failed = 1
            print(f"{build}, seed {seed}: {fault}")
        self.failed += failed
        if failed:
            print("\n".join(line for line in text.splitlines() if line.startswith(("#", "not ok"))
                            or "SUMMARY" in line)[-12000:])


def hosted(program, seed):
    """(output, what is wrong with the run as a whole)"""
    # The thread sanitizer has no use for addresses at random.
    plain = ["setarch", "-R"] if "tsan" in program else []
    try:
        done = subprocess.run(plain + [program], env=dict(os.environ, SEED=str(seed)), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        return (error.stdout or b"").decode(errors="replace"), f"not over after {LIMIT_S} s"
    return done.stdout, f"status {done.returncode}" if done.returncode else None


def in_kernel(kernel, seed, options):
    log = f"build/log/crowd-{os.path.basename(os.path.dirname(kernel))}-{seed}"
    command = ["scripts/ktap.py", "--kernel", kernel, "--cpus", "4", "--limit", str(KERNEL_LIMIT_S), "--log", log,
               *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          check=False)
    with open(log, encoding="utf-8", errors="replace") as file:
        text = file.read().replace("\r", "")
    return text, f"status {done.returncode}: {done.stdout[-2000:]}" if done.returncode else None


def plain_kernel(kernel, seed):
    return in_kernel(kernel, seed, ["--thread", "multi", "--append", f"test={SUITE} seed={seed} gap=20000"])


def seams_kernel(kernel, seed):
    return in_kernel(kernel, seed, ["--icount", "--mem", "256M", "--append",
                                    f"test={SUITE} tsc_hz=1000000000 gap=20000 rounds={ROUNDS} seed={seed}"])


def run_for(total, seconds, build, first, run):
    """Seed after seed, at least one."""
    started, seed = time.monotonic(), first
    while seed == first or time.monotonic() - started < seconds:
        total.take(build, seed, *run(build, seed))
        sys.stdout.flush()
        seed += 1
    print(f"# {build}: seeds {first} to {seed - 1}, {time.monotonic() - started:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=int, default=12, help="for each build")
    parser.add_argument("--seed", type=int, default=0, help="the first one; 0: by the clock")
    parser.add_argument("--kernel")
    parser.add_argument("--seams", help="the kernel with seams")
    parser.add_argument("--seeds", type=int, default=2, help="so many in the kernel with seams")
    parser.add_argument("hosted", nargs="*", help="test_crowd of hosted builds")
    args = parser.parse_args()
    first, total = args.seed or int(time.time()) % 1000000, Total()
    os.makedirs("build/log", exist_ok=True)
    for program in args.hosted:
        run_for(total, args.seconds, program, first, hosted)
    if args.kernel:
        run_for(total, args.seconds, args.kernel, first, plain_kernel)
    for seed in range(first, first + args.seeds if args.seams else first):
        total.take(args.seams, seed, *seams_kernel(args.seams, seed))
    print(f"crowds: {total.calls} calls of {total.kinds} kinds in {total.crowds} crowds, {total.passed} passed, "
          f"{total.failed} failed")
    sys.exit(1 if total.failed or not total.passed else 0)


if __name__ == "__main__":
    main()
