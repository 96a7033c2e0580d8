#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures of a heap: heap_pictures.py FOLDER OUT reads map.json and history.json, which the kernel's
command `state` exports, and writes heap-map.svg, pauses.svg, heap-size.svg and waste.svg.
"""

import json
import os
import sys

from svg import FAINT, INK, Axes, Svg

WIDTH, MARGIN = 880, 20
CLASSES = ((64, "#fde725", "64 bytes"), (256, "#90d743", "256"), (1024, "#35b779", "1 KiB"),
           (4096, "#21918c", "4 KiB"), (32768, "#31688e", "32 KiB"), (None, "#443983", "larger"))
STATES = {"p": ("#f8961e", "raw pages"), "s": ("#f9c784", "in CPUs' stocks"),
          "m": ("#b56576", "Marrow's records"), ".": ("#dfe4ea", "free"),
          "-": ("#ffffff", "never used")}
EMPTY = "#f0f3f6"  # the part of an object page without live objects


def size_name(size):
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.0f} {unit}" if size == int(size) else f"{size:.1f} {unit}"
        size /= 1024
    return ""


def colour_of(size):
    return next(colour for most, colour, _ in CLASSES if most is None or size <= most)


def title(svg, text, more):
    svg.text(MARGIN, 28, text, 17, weight="bold")
    svg.text(MARGIN, 47, more, 12, FAINT)


# ---- the map ----

def cells(region, each, caches):
    """(what, colour, share of live places, words) for each cell of so many pages, to the gap."""
    cell, filled = {}, 0
    for what, pages, *more in region["runs"]:
        if what == "-":
            continue
        cache, live, places = (more + [0, 0, 0])[:3] if what == "o" else (0, 0, 1)
        while pages:
            n = min(pages, each - filled)
            have = cell.setdefault((what, cache if what == "o" else None), [0, 0.0])
            have[0] += n
            have[1] += n * live / max(places, 1)
            filled, pages = filled + n, pages - n
            if filled == each:
                yield best_of(cell, caches)
                cell, filled = {}, 0
    if filled:
        yield best_of(cell, caches)


def best_of(cell, caches):
    """What most of the cell is, but used pages before free ones."""
    used = {key: n for key, n in cell.items() if key[0] != "."} or cell
    (what, cache), (pages, live) = max(used.items(), key=lambda item: item[1][0])
    if what != "o":
        return what, STATES[what][0], 1.0, STATES[what][1]
    about = caches.get(cache, {"name": "large object", "size": 1 << 20})
    return what, colour_of(about["size"]), live / pages, \
        f"{about['name']}, {100 * live / pages:.0f} % live"


def draw_map(state, path):
    columns, side = 105, 8
    caches = {cache["id"]: cache for cache in state["caches"]}
    used = [(region, sum(run[1] for run in region["runs"] if run[0] != "-"))
            for region in state["regions"]]
    each = 1
    while sum(-(-n // each) for _, n in used) > columns * 52:
        each *= 2
    svg = Svg(WIDTH, 2000, "The heap, page by page")
    title(svg, "The heap, page by page",
          f"a cell is {size_name(each * state['page'])}, addresses rise to the right and downwards; "
          "the coloured part of a cell is its share of live objects")
    y = svg.legend(MARGIN, 70, [(colour, ("objects up to " if i == 0 else "") + name)
                                for i, (_, colour, name) in enumerate(CLASSES)]
                   + list(STATES.values())[:4]) + 14
    for region, pages in used:
        unused = region["pages"] - pages
        y += 16
        svg.text(MARGIN, y, f"{region['base']}, {size_name(region['pages'] * state['page'])}"
                 + (f", of it never used {size_name(unused * state['page'])}" if unused else ""), 11)
        y += 6
        at = 0
        for at, (what, colour, share, tip) in enumerate(cells(region, each, caches), 1):
            x = MARGIN + side * ((at - 1) % columns)
            top = y + (side + 2) * ((at - 1) // columns)
            fill = EMPTY if what == "o" else colour
            svg.rect(x, top, side - 1, side + 1, fill)
            if what == "o":
                height = max(share * (side + 1), 1)
                svg.rect(x, top + side + 1 - height, side - 1, height, colour, tip=tip)
        y += (side + 2) * -(-at // columns)
    svg.save(path, y + 16)


# ---- pauses and size, over time ----

def ms(ns):
    return f"{ns / 1e6:.3g} ms" if ns >= 1e6 else f"{ns / 1e3:.3g} µs"


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def draw_pauses(history, path):
    pauses = history["pauses"]
    if not pauses:
        return False
    lengths = [ns for _, ns in pauses]
    start = pauses[0][0]
    svg = Svg(WIDTH, 320, "Pauses")
    title(svg, "How long the world stood still",
          f"the last {len(pauses)} collections: half of them up to {ms(percentile(lengths, 0.5))}, "
          f"99 % up to {ms(percentile(lengths, 0.99))}, the longest {ms(max(lengths))}")
    low = 10 ** (len(str(max(min(lengths), 1))) - 1)
    axes = Axes(svg, (80, 85, WIDTH - 110, 180), (0, (pauses[-1][0] - start) / 1e9 or 1),
                (low, max(max(lengths) * 1.1, low * 10)), log=True)
    axes.draw("seconds", "pause", lambda x: f"{x:g}", ms)
    for end, ns in pauses:
        x = axes.px((end - start) / 1e9)
        svg.line(x, axes.py(low), x, axes.py(ns), "#9ecae1", 1)
        svg.dot(x, axes.py(ns), 2.6, "#31688e", tip=ms(ns))
    marks = [(0.5, "half"), (0.99, "99 %")]
    if percentile(lengths, 0.99) < 1.3 * percentile(lengths, 0.5):
        marks = marks[1:]
    for share, name in marks:
        y = axes.py(percentile(lengths, share))
        svg.line(80, y, WIDTH - 30, y, "#d1495b", 1, "5 4")
        svg.text(WIDTH - 32, y - 4, name, 11, "#d1495b", "end")
    svg.save(path)
    return True


def draw_size(history, path):
    cycles = history["cycles"]
    if len(cycles) < 2:
        return False
    start, mib = cycles[0]["end"], 1 << 20
    when = [(cycle["end"] - start) / 1e9 for cycle in cycles]
    highest = max(max(cycle["before"], cycle["goal"], cycle["spans"]) for cycle in cycles) / mib
    svg = Svg(WIDTH, 340, "The size of the heap")
    title(svg, "The collected heap over time",
          f"{len(cycles)} collections; each falls from what was there to what lived")
    svg.legend(MARGIN + 60, 68, [("#d8e8f3", "pages of all objects"), ("#31688e", "collected objects"),
                                 ("#d1495b", "goal: the next collection")])
    axes = Axes(svg, (80, 100, WIDTH - 110, 185), (0, when[-1] or 1), (0, highest * 1.05))
    area = [(axes.px(x), axes.py(cycle["spans"] / mib)) for x, cycle in zip(when, cycles)]
    svg.path([(area[0][0], axes.py(0))] + area + [(area[-1][0], axes.py(0))], "none", 0, "#d8e8f3")
    axes.draw("seconds", "MiB", lambda x: f"{x:g}", lambda y: f"{y:g}")
    saw, goal = [], []
    for x, cycle in zip(when, cycles):
        saw += [(axes.px(x), axes.py(cycle["before"] / mib)),
                (axes.px(x), axes.py(cycle["marked"] / mib))]
        goal += [(axes.px(x), goal[-1][1])] if goal else []
        goal += [(axes.px(x), axes.py(cycle["goal"] / mib))]
    svg.path(goal, "#d1495b", 1.2)
    svg.path(saw, "#31688e", 1.4)
    svg.save(path)
    return True


# ---- waste ----

def draw_waste(state, path):
    caches = [cache for cache in state["caches"] if cache["pages"]]
    caches.sort(key=lambda cache: -cache["pages"])
    rows, left, height = caches[:18], 210, 21
    svg = Svg(WIDTH, 130 + height * len(rows), "Where the memory of caches goes")
    title(svg, "Where the memory of caches goes",
          "each bar is all pages of a cache, the largest caches first; size classes do not know what was "
          "asked for: their rounding, at most 12.5 %, is inside")
    colours = ("#31688e", "#8fd744", "#dfe4ea", "#d1495b")
    svg.legend(MARGIN, 70, list(zip(colours, ("live objects", "rounding of typed objects",
                                              "free places", "tails of spans"))))
    wide = WIDTH - left - 110
    for i, cache in enumerate(rows):
        y = 92 + height * i
        whole = cache["pages"] * state["page"]
        asked = cache["asked"] or cache["size"]
        parts = (cache["live"] * asked, cache["live"] * (cache["size"] - asked),
                 (cache["places"] - cache["live"]) * cache["size"],
                 whole - cache["places"] * cache["size"])
        svg.text(left - 8, y + 13, cache["name"], 12, anchor="end")
        x = left
        for colour, part in zip(colours, parts):
            svg.rect(x, y + 2, wide * part / whole, height - 6, colour, tip=size_name(part))
            x += wide * part / whole
        svg.text(x + 6, y + 13, size_name(whole), 11, FAINT)
        if parts[0] > 0.1 * whole:
            svg.text(left + 6, y + 13, f"{100 * parts[0] / whole:.0f} %", 11, "#ffffff")
    total = sum(cache["pages"] for cache in caches) * state["page"]
    live = sum(cache["live"] * cache["size"] for cache in caches)
    tails = total - sum(cache["places"] * cache["size"] for cache in caches)
    svg.text(MARGIN, 92 + height * len(rows) + 22,
             f"all {len(caches)} caches: {size_name(total)}, of which live {100 * live / total:.1f} %, "
             f"tails {100 * tails / total:.1f} %", 12, INK)
    svg.save(path)


def main():
    folder, out = sys.argv[1:3]
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(folder, "map.json"), encoding="utf-8") as file:
        state = json.load(file)
    with open(os.path.join(folder, "history.json"), encoding="utf-8") as file:
        history = json.load(file)
    draw_map(state, os.path.join(out, "heap-map.svg"))
    draw_waste(state, os.path.join(out, "waste.svg"))
    good = draw_pauses(history, os.path.join(out, "pauses.svg"))
    good = draw_size(history, os.path.join(out, "heap-size.svg")) and good
    if not good:
        print("too few collections for pictures of them", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
