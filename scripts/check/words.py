#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Words that must not stand in files or in messages of commits: notes of unfinished work, code that
is switched off, paths of the machine it was written on, blanks at line ends."""

import re
import subprocess

import common

FORBIDDEN = [
    (r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b", "unfinished work belongs elsewhere"),
    (r"^\s*#\s*if\s+0\b", "code that is switched off"),
    (r"(?:^|[\s\"'`(=:])/(?:work|home|root|Users)/\w", "a path of one machine"),
    (r"[ \t]+$", "blanks at the end of a line"),
]


def faults(name, lines, patterns):
    for number, line in enumerate(lines, 1):
        for pattern, why in patterns:
            if re.search(pattern, line):
                yield f"{name}:{number}: {why}: {line.strip()[:80]}"


def main():
    results = common.Results()
    for path in common.files():
        if re.search(r"\.(png|svg|trace|bin|gz)$|^hosttest/corpus/", path):
            continue
        # What a porter has to do is marked so in the template.
        patterns = FORBIDDEN[1:] if path == "docs/port/template.c" else FORBIDDEN
        results.take(list(faults(path, common.lines_of(path), patterns)), path)
    for path in common.files("*.[chS]", "*.py", "*.sh", "*.mk", "*.ld", "Makefile"):
        head = "\n".join(common.lines_of(path)[:3])
        results.take([] if "SPDX-License-Identifier: MIT" in head
                     else [f"{path}: no SPDX line on top"], path)
    log = subprocess.run(["git", "log", "--format=%h %B"], stdout=subprocess.PIPE, text=True,
                         check=True).stdout.splitlines()
    results.take(list(faults("git log", log, FORBIDDEN[:3])), "messages of commits")
    results.end()


main()
