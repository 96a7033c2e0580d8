#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What the allocation profile costs at its default rate, in instructions counted by callgrind.

    make bench-profile            or: scripts/profile_cost.py build/bench/profile

For each load: instructions for one allocation and its free with the profile off, and sampling one
allocation in 512 KiB; by the difference of two lengths. The goal is 2 %. "fifo", "random" and "large" miss
it, for reasons that stand in docs/design/watch.md, and may not become worse.
"""

import re
import subprocess
import sys

LOADS = [("pair", 200000, 2), ("fifo", 200000, 2.5), ("random", 200000, 5.5), ("large", 20000, 46),
         ("collected", 200000, 2)]
RATE = 512 << 10


def count(program, rate, load, n):
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program,
                           str(rate), load, str(n)], stderr=subprocess.PIPE, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def cost(program, rate, load, n):
    return (count(program, rate, load, 4 * n) - count(program, rate, load, n)) / (3 * n)


def main():
    bad = 0
    for load, n, most in LOADS:
        off, on = (cost(sys.argv[1], rate, load, n) for rate in (0, RATE))
        bad += on > off * (1 + most / 100)
        print(f"{load:10} off {off:8.1f}  on {on:8.1f}  {100 * (on / off - 1):+.2f} %, at most {most}")
    print(f"{len(LOADS) - bad} passed, {bad} failed")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
