#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stack use and recursion, from the call graphs that gcc -fcallgraph-info=su,da writes.

usage: stack.py BYTES BYTES:NAME,NAME... HEADER... -- FILE.ci...

Fails for a cycle among direct calls, for a frame of unknown size, and for what goes deeper than its
limit: BYTES for the functions named with it, else for all. Prints the deepest path of each
function that a header declares: bytes in normal work, bytes with a report of misuse, and the chain of
calls of the latter. The port's functions and callbacks (misuse handlers, constructors, shrinkers)
count as nothing: what they use comes on top.
"""

import re
import sys

NODE = re.compile(r'node: { title: "([^"]*)" label: "([^"]*)"')
EDGE = re.compile(r'edge: { sourcename: "([^"]*)" targetname: "([^"]*)"')
FRAME = re.compile(r'(\d+) bytes \((static|dynamic|dynamic,bounded)\)')
DECLARED = re.compile(r'\b(mw_[a-z0-9_]+)\(')
INDIRECT = '__indirect_call'
REPORTS = {'mw_misuse', 'mw_assert_failed'}  # not in normal work


def read(paths):
    """Frames by function, kinds of frames, and calls; static functions get their file's name."""
    frame, kind, calls = {}, {}, {}
    for path in paths:
        local = set()
        text = open(path, encoding='utf-8').read()
        found = NODE.findall(text)
        for title, label in found:
            size = FRAME.search(label)
            if size:
                local.add(title)
                name = qualified(title, path)
                frame[name], kind[name] = int(size[1]), size[2]
                calls.setdefault(name, set())
        for source, target in EDGE.findall(text):
            calls[qualified(source, path)].add(qualified(target, path))
    return frame, kind, calls


def qualified(title, path):
    return path + ':' + title.split(':', 1)[1] if ':' in title else title


def plain(name):
    return name.rsplit(':', 1)[-1]


def walk(frame, calls):
    """Deepest path below each function, without recursing ourselves; and the cycles met."""
    deepest, cycles = {}, []
    for start in frame:
        path, todo = [start], [sorted(calls[start])]
        if start in deepest:
            continue
        while path:
            if todo[-1]:
                callee = todo[-1].pop()
                if callee in path:
                    cycles.append(path[path.index(callee):] + [callee])
                elif callee in frame and callee not in deepest:
                    path.append(callee)
                    todo.append(sorted(calls[callee]))
                continue
            name = path.pop()
            todo.pop()
            below = max(((deepest[c][0], c) for c in calls[name] if c in deepest), default=(0, ''))
            deepest[name] = (frame[name] + below[0], below[1])
    return deepest, cycles


def chain(deepest, name):
    names = []
    while name:
        names.append(plain(name))
        name = deepest[name][1]
    return ' > '.join(names)


def main():
    split = sys.argv.index('--')
    frame, kind, calls = read(sys.argv[split + 1:])
    public, limits = set(), {}
    for argument in sys.argv[2:split]:
        if argument[0].isdigit():
            bytes_, names = argument.split(':')
            limits.update({name: int(bytes_) for name in names.split(',')})
    for header in (argument for argument in sys.argv[2:split] if not argument[0].isdigit()):
        public |= set(DECLARED.findall(open(header, encoding='utf-8').read()))
    deepest, cycles = walk(frame, calls)
    normal, _ = walk(frame, {name: callees - REPORTS for name, callees in calls.items()})
    for cycle in sorted({' > '.join(plain(name) for name in cycle) for cycle in cycles}):
        print('recursion:', cycle)
    unknown = sorted(plain(name) for name in frame if kind[name] == 'dynamic')
    if unknown:
        print('frames of a size that only running tells:', ' '.join(unknown))
    for size, name in sorted(((deepest[n][0], n) for n in public & set(deepest)), reverse=True):
        print(f'{normal[name][0]:5} {size:5} {chain(deepest, name)}')
    deep = [name for name in public & set(deepest)
            if deepest[name][0] > limits.get(name, int(sys.argv[1]))]
    if deep:
        print('deeper than allowed:', ' '.join(sorted(deep)))
    callbacks = sorted(plain(name) for name in calls if INDIRECT in calls[name])
    print('indirect calls in:', ' '.join(callbacks))
    return 1 if cycles or unknown or deep or not public & set(deepest) else 0


sys.exit(main())
