#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The call graph of mm/, as gcc sees it after optimization: no recursion, no frame over 1 KiB, none of
a size that is only known when it runs. Reports the deepest stacks of public functions.

Arguments: folders with the .ci files of -fcallgraph-info=su. Calls through pointers are not seen;
functions that are reached only by them begin a stack of their own.
"""

import glob
import re
import sys

import common

FRAME_LIMIT = 1024
NODE = re.compile(r'node: \{ title: "([^"]+)" label: "([^"]*)"')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
FRAME = re.compile(r"(\d+) bytes \(([a-z,]+)\)")


def read(folders):
    """frames: function to (bytes, kind); calls: function to functions."""
    frames, calls = {}, {}
    for folder in folders:
        for path in glob.glob(f"{folder}/**/*.ci", recursive=True):
            for line in common.lines_of(path):
                node, edge = NODE.search(line), EDGE.search(line)
                if node and (frame := FRAME.search(node.group(2))):
                    frames[node.group(1)] = (int(frame.group(1)), frame.group(2))
                elif edge:
                    calls.setdefault(edge.group(1), set()).add(edge.group(2))
    return frames, calls


def cycle(calls):
    """A list of functions that call each other round, or None. Depth first, by hand."""
    done = set()
    for root in sorted(calls):
        path, walks = [root], [iter(sorted(calls.get(root, ())))]
        on_path = {root}
        while walks and root not in done:
            after = next(walks[-1], None)
            if after is None:
                walks.pop()
                left = path.pop()
                on_path.discard(left)
                done.add(left)
            elif after in on_path:
                return path[path.index(after):] + [after]
            elif after not in done:
                path.append(after)
                on_path.add(after)
                walks.append(iter(sorted(calls.get(after, ()))))
        done.add(root)
    return None


def depths(frames, calls):
    """Bytes of stack that each function and what it calls may need; there is no cycle."""
    depth = {}
    for root in frames:
        stack = [root]
        while stack:
            top = stack[-1]
            waiting = [c for c in calls.get(top, ()) if c in frames and c not in depth]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            below = [depth[c] for c in calls.get(top, ()) if c in depth]
            depth[top] = frames[top][0] + 8 + max(below, default=0)
    return depth


def main():
    results = common.Results()
    frames, calls = read(sys.argv[1:])
    if len(frames) < 50:
        sys.exit(f"only {len(frames)} functions found in {sys.argv[1:]}")
    ring = cycle(calls)
    results.take([" -> ".join(ring)] if ring else [], "recursion")
    for name, (size, kind) in frames.items():
        results.take([f"{size} bytes"] if size > FRAME_LIMIT else [], f"frame of {name}")
        results.take([kind] if "dynamic" in kind and "bounded" not in kind else [],
                     f"frame of {name}: unknown size")
    if not ring:
        public = {n: d for n, d in depths(frames, calls).items() if ":" not in n}
        print("deepest stacks, bytes, without the port's functions:")
        for name in sorted(public, key=public.get, reverse=True)[:12]:
            print(f"  {public[name]:6} {name}")
    results.end()


main()
