# SPDX-License-Identifier: MIT
"""What the checks share: the project's files, and results that end with a line of counts."""

import subprocess
import sys


def files(*patterns):
    """Files of the project, those not yet committed too."""
    done = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
                          stdout=subprocess.PIPE, text=True, check=True)
    return sorted(set(done.stdout.splitlines()))


def lines_of(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


class Results:
    def __init__(self):
        self.passed = self.failed = 0

    def take(self, faults, name):
        """One result; @faults is a list of what is wrong."""
        if faults:
            self.failed += 1
            print(f"not ok {name}")
            for fault in faults:
                print(f"  {fault}")
        else:
            self.passed += 1

    def end(self):
        """However many files were looked at, a check that is content counts as one."""
        good = self.passed and not self.failed
        print(f"looked at {self.passed + self.failed}")
        print("1 passed, 0 failed" if good else f"0 passed, {max(self.failed, 1)} failed")
        sys.exit(0 if good else 1)
