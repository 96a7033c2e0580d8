#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the pictures are drawn from: every page is in it once, sums are those of the tables; and what is
drawn is well-formed, with as much in it as there was."""

import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import export

HERE = os.path.dirname(os.path.abspath(__file__))
COMMANDS = "alloc 100;alloc 3000;alloc 64K;pages 7;graph 3000;graph 2000;graph 2500;mem;state;halt"
results = []


def check(name, good, what=""):
    results.append(bool(good))
    if not good:
        print(f"not ok {name} {what}")


def kib(table, name):
    return int(re.search(rf"^ *{name}: +(\d+) KiB", table, re.M)[1]) << 10


def sums(state, table):
    page, by_state = state["page"], {}
    for region in state["regions"]:
        check("a region's runs are all its pages",
              sum(run[1] for run in region["runs"]) == region["pages"], region["base"])
        for run in region["runs"]:
            by_state[run[0]] = by_state.get(run[0], 0) + run[1]
    check("all memory", sum(by_state.values()) * page == kib(table, "MemTotal"))
    check("objects", by_state["o"] * page == kib(table, "Objects"), by_state)
    check("raw pages", by_state["p"] * page == kib(table, "Pages"), by_state)
    check("free pages and those never used", (by_state.get(".", 0) + by_state["-"]) * page
          == kib(table, "MemFree"), by_state)
    caches = {cache["id"]: cache for cache in state["caches"]}
    runs = [run for region in state["regions"] for run in region["runs"] if run[0] == "o"]
    for number, cache in caches.items():
        mine = [run for run in runs if run[2] == number]
        found = (len(mine), sum(run[1] for run in mine), sum(run[3] for run in mine),
                 sum(run[4] for run in mine))
        check(f"spans, pages, live objects and places of {cache['name']}",
              found == (cache["spans"], cache["pages"], cache["live"], cache["places"]), found)
    large = [run for run in runs if run[2] == -1]
    check("one large object", [run[1:] for run in large] == [[16, -1, 1, 1]], large)
    node = next(cache for cache in caches.values() if cache["name"] == "struct graph_node")
    check("the tree", node["live"] == 2500 and node["asked"] == 32, node)


def collections(history):
    check("three collections", len(history["cycles"]) == len(history["pauses"]) == 3, history)
    for cycle in history["cycles"]:
        check("a collection ends with no more than there was", cycle["marked"] <= cycle["before"]
              + 64 * 1024 and cycle["goal"] >= cycle["marked"] and cycle["spans"] > 0, cycle)
    ends = [end for end, _ in history["pauses"]]
    check("pauses in order", ends == sorted(ends) and all(ns > 0 for _, ns in history["pauses"]))


def drawn(folder):
    done = subprocess.run([os.path.join(HERE, "heap_pictures.py"), folder, folder], check=False)
    check("the pictures are drawn", done.returncode == 0)
    for name, least in (("heap-map", 30), ("pauses", 10), ("heap-size", 10), ("waste", 10)):
        tree = ElementTree.parse(os.path.join(folder, name + ".svg"))
        shapes = [node for node in tree.iter() if node.tag.rpartition("}")[2] in
                  ("rect", "circle", "path", "line")]
        texts = [node for node in tree.iter() if node.tag.endswith("text") and node.text]
        check(f"{name} shows something", len(shapes) >= least and len(texts) >= 5, len(shapes))
        width = float(tree.getroot().get("width"))
        inside = all(0 <= float(node.get("x", 0)) <= width for node in shapes)
        check(f"{name} stays inside", inside)


def main():
    options = export.qemu.parse(["--kernel", sys.argv[1], "--cpus", "1", "--mem", "128M"])
    options.run, options.verbose, options.limit = COMMANDS, False, 100
    raw, faults = export.boot(options)
    check("the kernel ends well", not faults, faults)
    with tempfile.TemporaryDirectory(prefix="marrow-") as folder:
        whole, faults = export.unpack(raw, folder)
        check("both streams came", whole == ["map.json", "history.json"], faults)
        with open(os.path.join(folder, "map.json"), encoding="utf-8") as file:
            state = json.load(file)
        with open(os.path.join(folder, "history.json"), encoding="utf-8") as file:
            history = json.load(file)
        sums(state, options.console)
        collections(history)
        drawn(folder)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
