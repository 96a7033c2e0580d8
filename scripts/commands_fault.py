#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every command of the monitor while memory runs out: kernel/test_commands.c in its long form.

The last line says how many rows of commands there were and in how many runs an allocation failed, and counts the
tests.
"""

import re
import subprocess
import sys

LOG = "build/log/commands-fault.console"
FIGURE = re.compile(r"# (\d+) rows, (\d+) runs in which an allocation failed")
COUNTS = re.compile(r"(\d+) passed, (\d+) failed")


def main():
    ktap = subprocess.run(
        ["scripts/ktap.py", "--kernel", sys.argv[1], "--cpus", "4", "--mem", "256M", "--name", "commands-fault",
         "--limit", "400", "--log", LOG, "--append", "test=commands long=1"],
        stdout=subprocess.PIPE, encoding="utf-8", check=False)
    print(ktap.stdout, end="")
    with open(LOG, encoding="utf-8", errors="replace") as log:
        figures = FIGURE.findall(log.read())
    rows, runs = (sum(int(figure[i]) for figure in figures) for i in range(2))
    passed, failed = map(int, COUNTS.search(ktap.stdout).groups())
    print(f"commands-fault: {rows} rows, {runs} runs in which an allocation failed, {passed} passed, {failed} failed")
    return 1 if ktap.returncode or failed or not runs else 0


if __name__ == "__main__":
    sys.exit(main())
