#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What the allocation profile costs at its default rate, in instructions counted by callgrind.

    make bench-profile            or: scripts/profile_cost.py build/bench/profile

For each load: instructions for one allocation and its free with the profile off, and sampling one
allocation in 512 KiB; by the difference of two lengths. Fails if one grew by more than 2 %.
"""

import re
import subprocess
import sys

LOADS = [("pair", 200000), ("fifo", 200000), ("random", 200000), ("large", 20000),
         ("collected", 200000)]
RATE, TOLERANCE = 512 << 10, 0.02


def count(program, rate, load, n):
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program,
                           str(rate), load, str(n)], stderr=subprocess.PIPE, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def cost(program, rate, load, n):
    return (count(program, rate, load, 4 * n) - count(program, rate, load, n)) / (3 * n)


def main():
    bad = 0
    for load, n in LOADS:
        off, on = (cost(sys.argv[1], rate, load, n) for rate in (0, RATE))
        bad += on > off * (1 + TOLERANCE)
        print(f"{load:10} off {off:8.1f}  on {on:8.1f}  {100 * (on / off - 1):+.2f} %")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
