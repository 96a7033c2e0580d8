#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The demo kernel's `bench` commands, and docs/bench/kernel.md written from what they print.

    bench_kernel.py KERNEL.elf [--write] [--no-times]

Instructions are counted on one CPU under -icount; how several CPUs go together is measured in time, on
CPUs that run in threads of their own.
"""

import os
import re
import subprocess
import sys

import qemu

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(ROOT, "docs/bench/kernel.md")


def say(kernel, command, *machine):
    """What the kernel prints for a command of its monitor, as lines."""
    options = qemu.parse(["--kernel", kernel, "--append", f'run="{command}" exit tsc_hz=1000000000'
                          if "--icount" in machine else f'run="{command}" exit', *machine])
    line = qemu.command(options) + ["-display", "none", "-monitor", "none", "-serial", "stdio"]
    done = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=300,
                          check=False)
    text = done.stdout.decode("utf-8", "replace").replace("\r", "")
    if done.returncode != qemu.PASS:
        sys.exit(f"the kernel ended with {done.returncode}:\n{text}")
    return text.splitlines()


def rows(lines, heading):
    """The table that begins with a heading, split into columns."""
    start = next(i for i, line in enumerate(lines) if line.startswith(heading))
    for line in lines[start:]:
        cells = re.split(r"  +", line.strip())
        if len(cells) < 3:
            return
        yield cells


def instructions(lines):
    table = list(rows(lines, "One operation"))
    if table[0][1] != "instr.":
        sys.exit("the time stamp counter did not count instructions")
    out = ["| load | measured | goal | Linux 6.1: Debian / no zeroing / lean |", "|---|---|---|---|"]
    for name, cost, goal, slub in table[1:]:
        if goal == "-":
            verdict = ""
        else:
            verdict = f"≤ {goal} " + ("met" if float(cost) <= float(goal) else "missed")
        out.append(f"| {name} | {float(cost):.0f} | {verdict} | {slub.strip('-') if slub == '-' else slub} |")
    return out


def times(lines):
    table = list(rows(lines, "Times the work of one"))
    out = ["| load | " + " | ".join(table[0][1:]) + " |", "|---" * len(table[0]) + "|"]
    out += ["| " + " | ".join(row) + " |" for row in table[1:]]
    return out + [""] + [line for line in lines if line.startswith("A free of what another")]


def replace(text, mark, lines):
    begin, end = f"<!-- begin {mark} -->\n", f"<!-- end {mark} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return before + begin + "\n".join(lines) + "\n" + end + after


def main():
    kernel = sys.argv[1]
    found = {"instructions": instructions(say(kernel, "bench", "--icount"))}
    if "--no-times" not in sys.argv:
        found["times"] = times(say(kernel, "bench cpus", "--cpus", "4"))
    for lines in found.values():
        print("\n".join(lines))
    if "--write" in sys.argv:
        with open(PAGE, encoding="utf-8") as f:
            text = f.read()
        for mark, lines in found.items():
            text = replace(text, mark, lines)
        with open(PAGE, "w", encoding="utf-8") as f:
            f.write(text)


if __name__ == "__main__":
    main()
