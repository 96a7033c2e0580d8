#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A room includes only what is below it, and calls up only by the name mw_up_*.

The order of the rooms is the table in docs/DESIGN.md. With folders of object files as arguments the
calls are checked too, by their symbols.
"""

import glob
import os
import re
import subprocess
import sys

import common

FREESTANDING = {"float.h", "iso646.h", "limits.h", "stdalign.h", "stdarg.h", "stdatomic.h",
                "stdbool.h", "stddef.h", "stdint.h", "stdnoreturn.h"}
INCLUDE = re.compile(r'\s*#\s*include\s+([<"])([^>"]+)[>"]')


def rooms():
    """The folders of mm/ in the order of the table, lowest first."""
    found = [match.group(1).rstrip("/") for line in common.lines_of("docs/DESIGN.md")
             if (match := re.match(r"\| `(mm/[a-z/]+)` \|", line))]
    if len(found) < 3:
        sys.exit("docs/DESIGN.md: the table of rooms was not found")
    return found


def room_of(path, order):
    return next((room for room in order if path.startswith(room + "/")), None)


def includes(path):
    for number, line in enumerate(common.lines_of(path), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1) == "<", match.group(2)


def faults_in_mm(path, order):
    mine = room_of(path, order)
    if mine is None:
        yield f"{path}: is in no room of the table in docs/DESIGN.md"
        return
    for number, angle, name in includes(path):
        where = f"{path}:{number}: "
        if angle:
            if name.startswith("marrow/"):
                if not os.path.exists("mm/include/" + name):
                    yield where + f"there is no <{name}>"
            elif name not in FREESTANDING:
                yield where + f"<{name}> is no header of a freestanding compiler"
            continue
        target = os.path.normpath(os.path.join(os.path.dirname(path), name))
        other = room_of(target, order)
        if not os.path.exists(target):
            yield where + f'"{name}" is not there, seen from this file'
        elif other is None:
            yield where + f'"{name}" lies outside mm/'
        elif order.index(other) > order.index(mine):
            yield where + f'"{name}" is of {other}, which stands above {mine}'


def faults_outside(path):
    """arch/ knows nothing of kernel/, tests know of neither."""
    above = {"arch": ("kernel/",), "hosttest": ("kernel/", "arch/")}.get(path.split("/")[0], ())
    for number, angle, name in includes(path):
        target = os.path.normpath(os.path.join(os.path.dirname(path), name))
        if not angle and target.startswith(above or ("\0",)):
            yield f'{path}:{number}: "{name}" stands above'


def includes_of_sources(path):
    for number, _, name in includes(path):
        if name.endswith(".c"):
            yield f"{path}:{number}: includes a .c file"


def faults_of_calls(folder, order):
    defined, wanted = {}, []
    for room in order:
        for path in glob.glob(f"{folder}/{room}/*.o"):
            text = subprocess.run(["nm", path], stdout=subprocess.PIPE, text=True, check=True)
            for line in text.stdout.splitlines():
                kind, name = line.split()[-2:]
                if kind in "TDBRCVW":
                    defined[name] = room
                elif kind == "U":
                    wanted.append((name, room, path))
    if not defined:
        yield f"{folder}: no objects there"
    for name, room, path in wanted:
        target = defined.get(name)
        if target and order.index(target) > order.index(room) and not name.startswith("mw_up_"):
            yield f"{path}: uses {name} of {target}, which stands above {room}"


def main():
    results = common.Results()
    order = rooms()
    for path in common.files("mm/*.[ch]"):
        results.take(list(faults_in_mm(path, order)), path)
    for path in common.files("arch/*.[ch]", "kernel/*.[ch]", "hosttest/*.[ch]"):
        results.take(list(faults_outside(path)), path)
    for path in common.files("*.[ch]"):
        results.take(list(includes_of_sources(path)), path)
    for folder in sys.argv[1:]:
        results.take(list(faults_of_calls(folder, order)), f"calls in {folder}")
    results.end()


main()
