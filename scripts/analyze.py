#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gcc's -fanalyzer and clang-tidy (.clang-tidy) over mm/. What they say falsely is in
scripts/check/analyze.txt, with the reason; all else fails, and so does a line there that nothing needs."""

import concurrent.futures
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "check"))
import common  # noqa: E402

FLAGS = "-std=gnu11 -ffreestanding -Imm/include -DMW_PORT_LEVEL=3".split()
EXCEPTIONS = "scripts/check/analyze.txt"
WARNING = re.compile(r"^(\S+?):\d+:\d+: (?:warning|error): (.*) \[(?:CWE-\d+\] \[)?-?W?([\w.,-]+)\]$", re.M)


def exceptions():
    """{(file, check): line}"""
    with open(EXCEPTIONS, encoding="utf-8") as lines:
        words = [line.split(None, 2) for line in lines if line.strip() and line[0] != "#"]
    return {(path, check): why.strip() for path, check, why in words}


def gcc(path):
    return ["gcc", "-O2", "-fanalyzer", "-c", "-o", "/dev/null", path] + FLAGS


def tidy(path):
    return ["clang-tidy", "--quiet", path, "--"] + FLAGS


def run(job):
    tool, path = job
    done = subprocess.run(tool(path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    found = {(os.path.relpath(where), check.partition(",")[0], text) for where, text, check in
             WARNING.findall(done.stdout)}
    if done.returncode and not found:
        found = {(path, "failed", done.stdout[-300:])}
    return found


def main():
    results, known, used = common.Results(), exceptions(), set()
    sources = common.files("mm/*.c")
    for tool in (gcc, tidy):
        with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            found = set().union(*pool.map(run, [(tool, path) for path in sources]))
        used |= {(path, check) for path, check, _ in found}
        results.take(sorted(f"{path}: {text} [{check}]" for path, check, text in found
                            if (path, check) not in known), tool.__name__)
    results.take(sorted(f"{path} {check}" for path, check in set(known) - used), "exceptions that nothing needs")
    results.end()


if __name__ == "__main__":
    main()
