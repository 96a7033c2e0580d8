#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""House sizes, as a report: files of 400 lines or less, functions of 40 or less (a few up to 60), at
most one #if per 100 lines in mm/. Only a file of more than 600 lines fails."""

import re
import statistics

import common

FILE_AIM, FILE_LIMIT = 400, 600
FUNCTION_AIM, FUNCTION_LIMIT = 40, 60


def functions(path):
    """(name, lines) of each function, by the braces in column 0 that the format check sees to."""
    lines = common.lines_of(path)
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            head = start - 1
            while head > 0 and lines[head][:1] in ("\t", " "):
                head -= 1
            name = re.search(r"(\w+)\(", lines[head])
            yield name.group(1) if name else "?", number - head + 1
            start = None


def report(folder, paths):
    sizes = [(lines, f"{path}:{name}") for path in paths for name, lines in functions(path)]
    total = sum(len(common.lines_of(path)) for path in paths)
    if not sizes or not total:
        return
    over = sorted((s for s in sizes if s[0] > FUNCTION_AIM), reverse=True)
    print(f"{folder}: {len(paths)} files, {total} lines, {len(sizes)} functions, "
          f"median {statistics.median(s[0] for s in sizes):.0f} lines, "
          f"{len(over)} over {FUNCTION_AIM}")
    for lines, name in over:
        print(f"  {'!' if lines > FUNCTION_LIMIT else ' '} {name}: {lines} lines")


def conditionals(paths):
    """Of sources; those of headers' guards do not count."""
    count = total = 0
    for path in paths:
        lines = common.lines_of(path)
        found = [l for l in lines if re.match(r"\s*#\s*(if|ifdef|ifndef|elif)\b", l)
                 and not re.search(r"ifndef \w+_H$", l)]
        count, total = count + len(found), total + len(lines)
        if len(found) > 1 + len(lines) / 100 and not path.endswith("config.h"):
            print(f"  {path}: {len(found)} conditionals in {len(lines)} lines")
    print(f"mm: {100 * count / max(total, 1):.2f} conditionals per 100 lines")


def main():
    results = common.Results()
    for folder in ("mm", "kernel", "arch", "hosttest"):
        report(folder, common.files(f"{folder}/*.[ch]"))
    conditionals(common.files("mm/*.[ch]"))
    for path in common.files("*.[chS]", "*.py", "*.sh", "*.mk"):
        lines = len(common.lines_of(path))
        if lines > FILE_AIM:
            print(f"  {path}: {lines} lines")
        results.take([f"{path}: {lines} lines, the limit is {FILE_LIMIT}"]
                     if lines > FILE_LIMIT else [], path)
    results.end()


main()
