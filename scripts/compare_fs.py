#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The file system with a collector and with counted holders: lines that each needs, and instructions.

Lines are those of code, without comments and blanks. Instructions are those of one CPU under -icount,
where a nanosecond is one: everything that the storm costs, its collections or releases in it.
"""

import argparse
import re
import subprocess
import sys

import qemu

SHARED = ["bus.c", "cache.c", "calls.c", "channel.c", "dir.c", "inode.c", "path.c", "pipe.c",
          "task.c", "world.c"]
COUNTING = re.compile(r"\b(hold|hold_living|drop|REPLACE)\(|\.counted\b")
SECONDS = 3


def code(path):
    with open(path, encoding="utf-8") as source:
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", source.read(), flags=re.S)
    return [line for line in text.splitlines() if line.strip()]


def lines():
    shared = [line for name in SHARED for line in code("kernel/fs/" + name)]
    counting = [line for line in shared if COUNTING.search(line)]
    print(f"shared code                    {len(shared):5} lines")
    print(f"  of them touched by counting  {len(counting):5}")
    print(f"own_gc.c                       {len(code('kernel/fs/own_gc.c')):5}")
    print(f"own_refs.c                     {len(code('kernel/fs/own_refs.c')):5}")


def run(kernel, storm, live):
    parser = argparse.ArgumentParser()
    qemu.add_options(parser)
    options = parser.parse_args([
        "--kernel", kernel, "--icount", "--mem", "512M", "--append",
        f'tsc_hz=1000000000 run="storm {storm} {SECONDS} {live}" exit'])
    line = qemu.command(options) + ["-display", "none", "-monitor", "none", "-serial", "stdio"]
    done = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=600,
                          check=False)
    text = done.stdout.decode("latin-1").replace("\r", "\n")
    found = re.search(r"(\d+) steps in (\d+) ms", text)
    well = "all is well" in text and done.returncode == qemu.PASS
    if not found or not well:
        sys.exit(text + f"\nstorm {storm}: ended with {done.returncode}")
    return int(found[2]) * 1000000 / int(found[1]), re.findall(r"^  (.*(?:cycles|stops:).*)$", text,
                                                                  re.M)[-2:]


def main():
    lines()
    print("instructions a step            collected  counted")
    for live in ("0", "16M"):
        (gc, _), (refs, _) = (run(sys.argv[1], storm, live) for storm in ("fs", "counted"))
        print(f"  with {live:>3} more that lives       {gc:8.0f} {refs:8.0f}   x{refs / gc:.2f}")
    print("with 64M that live, a nanosecond an instruction:")
    for line in run(sys.argv[1], "fs", "64M")[1]:
        print("  " + line.strip())


if __name__ == "__main__":
    main()
