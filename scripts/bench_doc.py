# SPDX-License-Identifier: MIT
"""Tables in Markdown, and the sections of documents that programs write."""

import os

from bench_run import ROOT

DOC = os.path.join(ROOT, "docs/BENCHMARKS.md")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def compared(loads, names, values, digits, goals=None):
    """
    A row a load, the best in bold. values: {load: {name: number}}; goals: {load: number}, for ours.
    """
    rows, wins = [], {n: 0 for n in names}
    for load in loads:
        have = values[load]
        best = min(round(v, digits) for v in have.values())
        row = [load]
        for name in names:
            text = f"{have[name]:.{digits}f}" if name in have else "–"
            if name in have and round(have[name], digits) == best:
                text = f"**{text}**"
                wins[name] += 1
            row.append(text)
        if goals is not None:
            goal = goals.get(load)
            row.append("" if goal is None else f"≤ {goal:g} " +
                       ("met" if round(have[names[0]], digits) <= goal else "missed"))
        rows.append(row)
    head = ["load"] + list(names) + (["goal"] if goals is not None else [])
    rows.append(["best or level in"] + [str(wins[n]) for n in names] + ([""] if goals is not None else []))
    return table(head, rows)


def write_section(name, text, path=DOC):
    """Replaces what stands between the two comments that name the section."""
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
    with open(path, encoding="utf-8") as f:
        doc = f.read()
    if begin not in doc or end not in doc:
        raise SystemExit(f"{path} has no section {name}")
    head, rest = doc.split(begin, 1)
    tail = rest.split(end, 1)[1]
    with open(path, "w", encoding="utf-8") as f:
        f.write(head + begin + text + end + tail)
