#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What documents and comments name exists: files behind links, paths, names of source files, make targets."""

import glob
import os
import re

import common

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
TOPS = ("mm/", "kernel/", "arch/", "boot/", "hosttest/", "scripts/", "docs/", ".ci/")
MAKE = re.compile(r"(?:^ {4}|^\t|`)make((?: +[A-Za-z_]+=(?:'[^']*'|\S+?)| +-\S+| +[a-z][a-z0-9-]*)*)")


SOURCE = re.compile(r"""(?<![\w/.<*"-])(?:[a-z0-9_]+/)*[a-z][a-z0-9_]*\.(?:c|h|S|py|sh|mk|ld)\b(?!\()""")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def targets():
    found = set()
    for path in ["Makefile"] + glob.glob("scripts/mk/*.mk"):
        for line in common.lines_of(path):
            if re.match(r"[a-z][a-z0-9 -]*:(?!=)", line):
                found.update(line.split(":")[0].split())
            match = re.match(r"\$\(eval \$\(call host-variant,([a-z0-9-]+)", line)
            if match:
                found.add(match.group(1))
    return found


def rooms():
    """Those of the table in docs/DESIGN.md may still be empty, and git keeps no empty folder."""
    return {match.group(1) for line in common.lines_of("docs/DESIGN.md")
            if (match := re.match(r"\| `(mm/[a-z]+)/` \|", line))}


def exists(path, base):
    path = path.split("#")[0].split(":")[0].rstrip("/")
    return path in rooms() or any(glob.glob(os.path.join(folder, path)) for folder in {base, "."})


def ends_of(paths):
    """Each path from each of its folders on: mm/gc/mark.c, gc/mark.c, mark.c."""
    return {"/".join(parts[i:]) for parts in (path.split("/") for path in paths) for i in range(len(parts))}


def faults(path, known, sources):
    base = os.path.dirname(path) or "."
    fenced = False
    for number, line in enumerate(common.lines_of(path), 1):
        where = f"{path}:{number}: "
        fenced ^= line.startswith("```")
        for link in LINK.findall(line):
            if not re.match(r"[a-z]+:|#", link) and not exists(link, base):
                yield where + f"dead link {link}"
        for code in CODE.findall(line):
            words = code.split()
            if (len(words) == 1 and code.startswith(TOPS) and not re.search(r"[<>{}$…]|[A-Z]{4}", code)
                    and not exists(code, base)):
                yield where + f"there is no {code}"
            for name in SOURCE.findall(code):
                if name not in sources:
                    yield where + f"there is no {name}"
        for match in MAKE.findall(line):
            for word in match.split():
                if re.fullmatch(r"[a-z][a-z0-9-]*", word) and word not in known:
                    yield where + f"there is no target {word}"


def faults_in_source(path):
    for number, line in enumerate(common.lines_of(path), 1):
        for named in re.findall(r"\b(?:docs|scripts)/[A-Za-z_/-]+\.(?:md|sh|py|mk)\b", line):
            if not os.path.exists(named):
                yield f"{path}:{number}: there is no {named}"


def faults_in_comments(path, sources):
    text = "\n".join(common.lines_of(path))
    for comment in COMMENT.finditer(text):
        for name in SOURCE.finditer(comment.group(0)):
            if name.group(0) not in sources:
                number = text.count("\n", 0, comment.start() + name.start()) + 1
                yield f"{path}:{number}: there is no {name.group(0)}"


def main():
    results = common.Results()
    known, sources = targets(), ends_of(common.files())
    for path in common.files("*.md"):
        results.take(list(faults(path, known, sources)), path)
    for path in common.files("*.[ch]"):
        results.take(list(faults_in_comments(path, sources)), f"comments of {path}")
    for path in common.files("*.[chS]", "*.py", "*.sh", "*.mk", "Makefile"):
        results.take(list(faults_in_source(path)), path)
    results.end()


main()
