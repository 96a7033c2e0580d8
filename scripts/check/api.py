#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""hosttest/api.def against the public headers: every call is in it once and has a form, its contract
words are those of the header where that has any, and each cited sentence stands in a header."""

import re

import common

DESCRIPTION = "hosttest/api.def"
# The Linux names are inlines above these; port.h is what a kernel provides.
LEFT_OUT = {"mm/include/marrow/linux.h", "mm/include/marrow/port.h"}
# Functions, and handlers by the type of such.
DECLARED = re.compile(r"^(?!typedef)(?:(?:static inline [^;{]*?|[a-z][\w ]*[ *])\b(mw_\w+)\((?!\*)|mw_\w+_fn (mw_\w+);)", re.M)


def plain(text):
    """Without comments, macros and bodies: what is left at the line's beginning is declared."""
    text = re.sub(r"/\*.*?\*/|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.S | re.M)
    return re.sub(r"\n\t[^\n]*", "", text)


def described(text):
    """The kernel-doc of each function: {name: words}; several in a row share what stands before."""
    found = {}
    for match in re.finditer(r"/\*\*(.*?)\*/", text, re.S):
        words = " ".join(line.strip(" *\t") for line in match.group(1).splitlines())
        name = re.match(r"\s*(mw_\w+) - ", words)
        if name:
            found[name.group(1)] = words
    return found


def words_of(doc):
    """What the doc says of interrupts: IRQ, ATOMIC, "" for no, None for nothing."""
    match = re.search(r"interrupt: (no|yes, with MW_ATOMIC|yes)", doc)
    return {"no": "", "yes": "IRQ", "yes, with MW_ATOMIC": "ATOMIC"}[match.group(1)] if match else None


def main():
    results = common.Results()
    text = "\n".join(common.lines_of(DESCRIPTION))
    bare = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    calls = {m.group(1): set(re.split(r"[ |]+", m.group(2)))
             for m in re.finditer(r"^CALL\((mw_\w+), ([^,]*), ARGS\([^)]*\)\)$", bare, re.M)}
    forms = set(re.findall(r"^FORM\((mw_\w+),", bare, re.M))
    apart = {m.group(1): (m.group(2), m.group(3))
             for m in re.finditer(r'^APART\((mw_\w+), (\w+),\s+"([^"]*)"\)$', bare, re.M)}
    declared, sentences = set(), ""
    for path in common.files("mm/include/marrow/*.h"):
        if path in LEFT_OUT:
            continue
        header = "\n".join(common.lines_of(path))
        declared.update(a or b for a, b in DECLARED.findall(plain(header)))
        sentences += " ".join(re.sub(r"^ \* ?", "", line) for line in header.splitlines()) + " "
        for name, doc in described(header).items():
            said = words_of(doc)
            if said is not None and name in calls:
                mine = (calls[name] & {"IRQ", "ATOMIC"}) or {""}
                results.take([] if said in mine else
                             [f"{name}: the header says {said or 'no'}, {DESCRIPTION} {mine}"], name)
    results.take([f"{name} is in no CALL of {DESCRIPTION}" for name in sorted(declared - calls.keys())]
                 + [f"{name} is in {DESCRIPTION} and in no header" for name in sorted(calls.keys() - declared)],
                 "each call is described")
    results.take([f"{name} has no FORM" for name in sorted(calls.keys() - forms - apart.keys())],
                 "each call has a form")
    for name, (other, sentence) in apart.items():
        results.take([f"{name}: no header says {sentence!r}"]
                     if re.sub(r"\s+", " ", sentence) not in re.sub(r"\s+", " ", sentences) else [], name)
        results.take([] if other == "ANY" or other in calls else [f"{name}: {other} is no call"], name)
    results.end()


if __name__ == "__main__":
    main()
