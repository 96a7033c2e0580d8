#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What was skipped in the last run of the tests, and why: a table of reasons from the logs.

    skips.py [--short] [FOLDER]     build/log if there is none

A test that was skipped wherever it came ran nowhere, and a part whose results are all skips tested nothing: both
are listed, and the status is 1, unless scripts/skips.txt says why that is right. Its lines: a test, a
suite or a part, or a beginning of one and '*', a colon, the reason.
"""

import argparse
import collections
import fnmatch
import glob
import os
import re
import sys

RESULT = re.compile(r"(not )?ok \d+ (?:- )?([^#]*?)(?:\s*#\s*SKIP\s*(.*))?\s*$", re.I)
EXCUSES = "scripts/skips.txt"


class Skips:
    def __init__(self):
        self.reasons = collections.defaultdict(collections.Counter)  # reason: how often in which part
        self.ran, self.skipped = set(), collections.defaultdict(set)  # names; name: reasons
        self.parts = collections.defaultdict(lambda: [0, 0])  # ran, skipped

    def read(self, part, path):
        with open(path, encoding="utf-8", errors="replace") as log:
            for line in log:
                result = RESULT.match(line)
                if result:
                    self.take(part, result[2].strip(), result[3])

    def take(self, part, name, why):
        self.parts[part][why is not None] += 1
        if why is None:
            self.ran.add(name)
            return
        why = why.strip() or "no reason"
        self.reasons[why][part] += 1
        self.skipped[name].add(why)

    def nowhere(self):
        """(what tested nothing, why it was skipped)"""
        suites = {name.partition(".")[0] for name in self.ran}
        for name, why in sorted(self.skipped.items()):
            if name not in self.ran and ("." in name or name not in suites):
                yield name, ", ".join(sorted(why))
        for part, (ran, skipped) in sorted(self.parts.items()):
            if skipped and not ran:
                yield part, "all of it was skipped"


def read(folder, parts=None):
    """@parts: the logs of these only."""
    skips = Skips()
    for path, part in logs(folder):
        if (parts is None or part in parts) and (path.endswith((".tap", ".console")) or part not in skips.parts):
            skips.read(part, path)
    return skips


def logs(folder):
    for path in sorted(glob.glob(folder + "/*/*.tap")):
        yield path, os.path.basename(os.path.dirname(path))
    for path in sorted(glob.glob(folder + "/*.console")):
        yield path, os.path.basename(path)[:-8]
    for path in sorted(glob.glob(folder + "/*.log")):
        yield path, os.path.basename(path)[:-4]


def excuses():
    known = {}
    if os.path.exists(EXCUSES):
        with open(EXCUSES, encoding="utf-8") as lines:
            for line in lines:
                if line.strip() and not line.startswith("#"):
                    name, _, why = line.partition(":")
                    known[name.strip()] = why.strip()
    return known


def excuse(known, name):
    return next((why for pattern, why in known.items() if fnmatch.fnmatchcase(name, pattern)), None)


def show(skips, short, everywhere=True):
    """@everywhere: the logs are those of all parts. Return: what tested nothing and has no excuse."""
    rows = sorted(skips.reasons.items(), key=lambda row: (-sum(row[1].values()), row[0]))
    for why, parts in rows:
        text = f"{sum(parts.values()):6} skipped: {why}"
        print(text if short else text + "\n" + "\n".join(f"           {n:4} {part}" for part, n in sorted(parts.items())))
    known = excuses()
    bad = 0
    for name, why in skips.nowhere() if everywhere else ():
        right = excuse(known, name)
        if right is None or not short:
            print(f"ran nowhere: {name}: {why}" if right is None else f"rightly ran nowhere: {name}: {right}")
        bad += right is None
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--short", action="store_true", help="reasons and counts only")
    parser.add_argument("folder", nargs="?", default="build/log")
    options = parser.parse_args()
    skips = read(options.folder)
    bad = show(skips, options.short)
    print(f"{sum(sum(parts.values()) for parts in skips.reasons.values())} skipped for {len(skips.reasons)} reasons, "
          f"{bad} tested nowhere without a reason")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
