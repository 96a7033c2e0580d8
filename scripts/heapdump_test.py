#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Heap dumps and profiles as other programs read them.

    heapdump_test.py MAKE_HEAP [KERNEL]

MAKE_HEAP (hosttest/make_heap.c) writes a heap that it describes: every object, edge and root of it must
be found. Then the dump is cut off at each byte and damaged at each: never anything but a message with an
offset. The profile goes through the protocol compiler, google-pprof and go's pprof, where they
are. KERNEL writes a dump and a profile on four CPUs under QEMU.
"""

import collections
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import zlib

import heapdump
import heapdump_write

HERE = os.path.dirname(os.path.abspath(__file__))
count = collections.Counter()


def check(name, good, more=""):
    count["passed" if good else "failed"] += 1
    if not good:
        print(f"not ok {name} {more}")


def skip(why):
    count["skipped"] += 1
    print(f"skipped: {why}")


# ---- what is in it ----


def expected(lines):
    facts = collections.defaultdict(list)
    for line in lines:
        what, rest = line.split(" ", 1)
        facts[what].append(rest)
    return facts


def check_dump(dump, facts, number):
    check(f"dump {number} is whole", dump.damage is None, str(dump.damage))
    check(f"sums of dump {number}", not list(heapdump.sums_agree(dump)))
    here = {o.address: o for o in dump.objects}
    for line in facts["object"]:
        which, address, size, label = line.split(" ", 3)
        if int(which) == number:
            found = here.get(int(address, 16))
            check(f"object {line}", found and found.size == int(size) and found.label() == label)
    edges = {(o.address, dump.edge_name(o, offset), to.address)
             for o in dump.objects for to, offset in o.edges}
    wanted = set()
    for line in facts["edge"]:
        which, source, name, target = line.split(" ")
        if int(which) == number:
            wanted.add((int(source, 16), name, int(target, 16)))
    check(f"every edge of dump {number}", wanted <= edges, str(wanted - edges))
    known = {source for source, _, _ in wanted}
    extra = {edge for edge in edges if edge[0] in known} - wanted
    check(f"no other edge in dump {number}", not extra, str(extra))
    roots = {(name, address) for name, address in dump.roots}
    for line in facts["root"]:
        which, rest = line.split(" ", 1)
        name, address = rest.rsplit(" ", 1)
        if int(which) == number:
            check(f"root {line}", (name, int(address, 16)) in roots)
    check("a stack, data, bss", {"data", "bss"} < {name for name, *_ in dump.ranges})
    check("samples are of objects", dump.samples and
          all(dump.find(address) for address, _ in dump.samples))


# ---- damage ----


def small_dump(data):
    """The same dump without its large records, with a sum that is right again."""
    dump, r = heapdump.Dump(), heapdump.Reader(data, len(heapdump.HEADER))
    kept, objects = [heapdump.HEADER], 0
    while True:
        r.record = r.at
        kind = r.number()
        if not kind:
            break
        dump.KINDS[kind](dump, r)
        objects += kind == 1
        if r.at - r.record < 400 and not (kind == 1 and objects > 8):
            kept.append(data[r.record:r.at])
        elif kind == 10:
            kept.append(data[r.record:r.at])
    kept.append(b"\0")
    start = r.at
    r.at += len(heapdump.MORE) + 1
    dump.read_records(r, dump.MORE_KINDS)
    kept.append(data[start:r.at])
    whole = b"".join(kept)
    return whole + number(zlib.adler32(whole))


def number(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def read(data):
    """What a reader makes of it, and what it says."""
    dump = heapdump.Dump()
    try:
        dump.read(data)
    except heapdump.Damage as damage:
        dump.damage = damage
    dump.link()
    return dump


def offset_is_said(dump, most):
    found = re.match(r"offset (\d+): \S", str(dump.damage))
    return found and 0 <= int(found[1]) <= most


def cut_everywhere(data):
    whole, before, bad = read(data), 0, []
    check("the small dump is whole", whole.damage is None, str(whole.damage))
    for length in range(len(data)):
        dump = read(data[:length])
        if not offset_is_said(dump, length) or len(dump.objects) < before:
            bad.append(length)
        before = len(dump.objects)
    check(f"cut off at each of {len(data)} bytes", not bad, str(bad[:20]))
    check("all objects but for the end", before == len(whole.objects))


def flip_everywhere(data):
    dice, bad = random.Random(1), []
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 1 << dice.randrange(8)
        try:
            dump = read(bytes(broken))
            for write in (heapdump_write.text, heapdump_write.heapsnapshot):
                if at % 16 == 0:
                    write(dump, io.StringIO(), None)
        except Exception as error:  # any at all is the reader's fault
            bad.append((at, repr(error)))
            continue
        if not offset_is_said(dump, len(data)):
            bad.append((at, str(dump.damage)))
    check(f"a bit of each of {len(data)} bytes is another one", not bad, str(bad[:5]))


def said_to_people(folder, data):
    path = os.path.join(folder, "cut.dump")
    with open(path, "wb") as f:
        f.write(data[:len(data) // 2])
    done = subprocess.run([os.path.join(HERE, "heapdump.py"), "text", path], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    check("a cut dump is used as far as it goes", done.returncode == 1 and "keep most" in done.stdout)
    check("and that is said", re.search(r"cut.dump: offset \d+: .*; \d+ objects", done.stderr) and
          "Traceback" not in done.stderr, done.stderr)


# ---- Chrome DevTools' format ----


def snapshot_of(dump):
    out = io.StringIO()
    heapdump_write.heapsnapshot(dump, out, None)
    return json.loads(out.getvalue())


def check_snapshot(s):
    """As V8 writes it: counts, indexes in range, edges where their nodes say they are."""
    meta = s["snapshot"]["meta"]
    width, edge_width = len(meta["node_fields"]), len(meta["edge_fields"])
    nodes = [s["nodes"][i:i + width] for i in range(0, len(s["nodes"]), width)]
    edges = [s["edges"][i:i + edge_width] for i in range(0, len(s["edges"]), edge_width)]
    check("counts", (len(nodes), len(edges)) ==
          (s["snapshot"]["node_count"], s["snapshot"]["edge_count"]))
    check("edges of nodes", sum(n[4] for n in nodes) == len(edges))
    check("types and names of nodes", all(n[0] < len(meta["node_types"][0]) and
                                          n[1] < len(s["strings"]) for n in nodes))
    check("ids are their nodes' alone", len({n[2] for n in nodes}) == len(nodes))
    check("ids have 32 bits", max(n[2] for n in nodes) < 1 << 32)
    check("edges lead to nodes", all(e[2] % width == 0 and e[2] // width < len(nodes) and
                                     e[0] < len(meta["edge_types"][0]) and
                                     e[1] < len(s["strings"]) for e in edges))
    seen, todo, first = {0}, [0], [0]
    for n in nodes:
        first.append(first[-1] + n[4])
    while todo:
        at = todo.pop()
        for edge in edges[first[at]:first[at + 1]]:
            to = edge[2] // width
            if to not in seen:
                seen.add(to)
                todo.append(to)
    check("all is reached from the root", len(seen) == len(nodes))
    return {n[2]: n for n in nodes if n[2] % 2 == 0}


def check_snapshots(one, two):
    before, after = (check_snapshot(snapshot_of(dump)) for dump in (one, two))
    start = one.params["start"]
    check("an object's id tells its address", {start + 4 * n for n in before} ==
          {o.address for o in one.objects})
    check("what came and what went", set(after) - set(before) and set(before) - set(after) and
          set(before) & set(after))


# ---- the profile ----


def check_profile(folder, program, line):
    site, made, live, size = line.split()
    made, live, size = int(made), int(live), int(size)
    pb = os.path.join(folder, "heap.pb")
    if shutil.which("protoc"):
        with open(pb, "rb") as f:
            text = subprocess.run(["protoc", f"-I{HERE}", "--decode=marrow.Profile",
                                   os.path.join(HERE, "profile.proto")], stdin=f, check=True,
                                  text=True, stdout=subprocess.PIPE).stdout
        check("no field is unknown to profile.proto", not re.search(r"^\s*\d+:", text, re.M))
        values = [f"value: {n}" for n in (made, made * size, live, live * size)]
        check("protoc finds the site", re.search(r"\s+".join(values), text), text[-300:])
    else:
        skip("no protoc")
    if shutil.which("go"):
        for kind, wanted in (("alloc_objects", made), ("inuse_objects", live)):
            top = subprocess.run(["go", "tool", "pprof", "-top", f"-sample_index={kind}", program, pb],
                                 text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                 check=False).stdout
            check(f"go's pprof: {kind}", re.search(rf"^\s+{wanted} .* {site}$", top, re.M), top)
    else:
        skip("no go")
    if shutil.which("google-pprof"):
        top = subprocess.run(["google-pprof", "--text", "--inuse_objects", "--cum", program,
                              os.path.join(folder, "heap.txt")], text=True, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        check("google-pprof", re.search(rf"^\s+\d+ .* {live}\s+\S+% {site}$", top, re.M), top)
    else:
        skip("no google-pprof")


# ---- the kernel ----


def check_kernel(kernel, folder):
    allocs = ";".join(["alloc 3000"] * 25)
    done = subprocess.run([os.path.join(HERE, "export.py"), "--kernel", kernel, "--cpus", "4",
                           "--folder", folder, "--need", "heap.dump", "--need", "heap.pb",
                           "--run", f"profile 1;{allocs};dump;profile pprof;halt"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    check("the kernel's dump came", done.returncode == 0, done.stdout)
    if done.returncode:
        return
    dump = heapdump.load(os.path.join(folder, "heap.dump"))
    check("it is whole", dump.damage is None, str(dump.damage))
    check("its sums are the statistics'", not list(heapdump.sums_agree(dump)))
    check("CPUs that have used the heap", len(dump.cpus) == dump.params["cpus"] >= 1)
    check("threads", len(dump.threads) >= 4)
    check("25 sampled objects of one size", sum(o.size == 3072 or o.size >= 3000 and o.size < 3300
                                                for o in dump.objects) >= 25)
    bucket = [b for b in dump.buckets.values() if b[2] - b[3] == 25]
    check("their site", any("run_alloc" in f[0] for b in bucket for f in b[1]), str(bucket))
    check_snapshot(snapshot_of(dump))
    if shutil.which("go"):
        top = subprocess.run(["go", "tool", "pprof", "-top", "-sample_index=inuse_objects", kernel,
                              os.path.join(folder, "heap.pb")], text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, check=False).stdout
        check("go's pprof names the kernel's functions", re.search(r" 25 .* run_alloc$", top, re.M),
              top)


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        said = subprocess.run([program, folder], text=True, stdout=subprocess.PIPE, check=True)
        facts = expected(said.stdout.splitlines())
        one, two = (heapdump.load(os.path.join(folder, n + ".dump")) for n in ("one", "two"))
        check_dump(one, facts, 1)
        check_dump(two, facts, 2)
        check_snapshots(one, two)
        with open(os.path.join(folder, "one.dump"), "rb") as f:
            data = f.read()
        small = small_dump(data)
        cut_everywhere(small)
        flip_everywhere(small)
        said_to_people(folder, data)
        check_profile(folder, program, facts["profile"][0])
        if shutil.which("dot"):
            out = io.StringIO()
            heapdump_write.dot(one, out, type("", (), {"most": 20}))
            svg = subprocess.run(["dot", "-Tsvg"], input=out.getvalue(), text=True, check=False,
                                 stdout=subprocess.PIPE).stdout
            check("Graphviz draws it", svg.count("<g id=\"node") >= 20, svg[:200])
        else:
            skip("no dot")
        if len(sys.argv) > 2:
            check_kernel(sys.argv[2], os.path.join(folder, "kernel"))
    skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
    print(f"{count['passed']} passed, {count['failed']} failed{skipped}")
    return count["failed"] != 0


if __name__ == "__main__":
    sys.exit(main())
