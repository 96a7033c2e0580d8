#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The kernel's event trace and profile, as another program reads them: fields, types, sums."""

import json
import re
import subprocess
import sys

import hang
import qemu

SIZE, COUNT = 3000, 25
REST = {"X": {"ts", "dur", "cat", "args"}, "i": {"ts", "s", "cat", "args"},
        "C": {"ts", "cat", "args"}, "M": {"args"}}


def run(kernel, cpus):
    allocs = ";".join([f"alloc {SIZE}"] * COUNT)
    options = qemu.parse(["--kernel", kernel, "--cpus", str(cpus)])
    options.append = f'run="trace on;profile 1;{allocs};trace;profile;profile folded;halt"'
    line = qemu.command(options) + ["-display", "none", "-monitor", "none", "-serial", "stdio"]
    done = hang.run(line, 60, stdout=subprocess.PIPE)
    return done.stdout.decode("latin-1").replace("\r", "")


def check_trace(text, cpus):
    start = text.index('{"displayTimeUnit"')
    trace = json.loads(text[start:text.index("\n]}\n", start) + 3])
    events = trace["traceEvents"]
    for event in events:
        assert {"name", "ph", "pid"} | REST[event["ph"]] <= event.keys(), event
        assert event.get("tid", 0) in range(cpus), event
        assert all(isinstance(event.get(key, 0), (int, float)) for key in ("ts", "dur")), event
    names = {event["name"] for event in events}
    assert {"span", "refill", "thread_name"} <= names, names
    return len(events)


def check_profile(text):
    total = re.search(r"^heap profile: \d+: \d+ \[(\d+): (\d+)\] @ heapprofile$", text, re.M)
    rows = re.findall(r"^\d+: \d+ \[(\d+): (\d+)\] @((?: 0x[0-9a-f]+)+)$", text, re.M)
    assert total and rows, "no profile"
    assert int(total[1]) == sum(int(row[0]) for row in rows) >= COUNT, (total[0], rows)
    assert int(total[2]) == sum(int(row[1]) for row in rows) >= COUNT * SIZE, (total[0], rows)
    assert any(int(row[0]) == COUNT for row in rows), rows
    assert re.search(r"^\S*;run_alloc \d+$", text, re.M), "run_alloc is not in the folded stacks"
    return len(rows)


def main():
    kernel, cpus = sys.argv[1], 2
    text = run(kernel, cpus)
    print(f"ok 1 - trace: {check_trace(text, cpus)} events, all as said")
    print(f"ok 2 - profile: {check_profile(text)} sites, all as said")
    print("2 passed, 0 failed")


main()
