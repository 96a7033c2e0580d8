#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Runs the tests of wrong arguments in each build, and holds their list against the description of the calls.

    scripts/arguments.py [--host VARIANT]... [--machine NAME OPTIONS]...

Each call of hosttest/api.def has to have a line in hosttest/arguments.def, and each line a call. The last line is
"arguments: N answers of N calls in N builds, N passed, N failed".
"""

import argparse
import os
import re
import sys

import test

CALL = re.compile(r"^CALL\((mw_\w+),", re.M)
LINE = re.compile(r"^(?:WRONG|ANY)\((mw_\w+),|^GIVEN\(\w+, (mw_\w+),", re.M)


class TapPart(test.Part):
    """The runner of one hosted variant."""

    def __init__(self, variant):
        super().__init__("arguments-" + variant, [f"build/{variant}/test_arguments"])

    def run(self):
        text = super().run()
        self.counts = test.count_tap(self.log)
        return text


def names(path, pattern):
    with open(path, encoding="utf-8") as file:
        return {a for match in pattern.finditer(file.read()) for a in match.groups() if a}


def described():
    """One result for each call: it has a line. Returns how many calls there are, and how many faults."""
    calls, lines = names("hosttest/api.def", CALL), names("hosttest/arguments.def", LINE)
    for name in sorted(calls ^ lines):
        print(f"not ok {name}: only in hosttest/{'api' if name in calls else 'arguments'}.def")
    return len(calls), len(calls ^ lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", metavar="VARIANT", action="append", default=[])
    parser.add_argument("--machine", metavar=("NAME", "OPTIONS"), nargs=2, action="append", default=[])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    os.makedirs(test.LOGS, exist_ok=True)
    parts = [test.kernel_part("arguments-" + name, args) for name, args in options.machine]
    parts += [TapPart(variant) for variant in options.host]
    test.run_parts(parts, options.jobs)
    calls, faults = described()
    passed, failed, skipped = (sum(part.counts[i] for part in parts) for i in range(3))
    failed += faults + skipped  # an answer that was not asked for is none
    answers = max(sum(part.counts) for part in parts)
    print(f"arguments: {answers} answers of {calls} calls in {len(parts)} builds, "
          f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
