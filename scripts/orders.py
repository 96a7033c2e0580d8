#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The protocols of mm/ under the memory orders of C11: search them, weaken each order, compare with the table.

The table is hosttest/orders.txt: what came of each order that was weakened, alone, in the short form. The full form
makes it too; then it searches all ways of each protocol, which must hold, and must not find broken what the table
says is not needed. --write makes the table anew, and still fails where a protocol is wrong. --traces prints the
shortest trace of all that is broken. An access that a protocol names must be in mm/, in that function and with that
order.
"""

import argparse
import collections
import concurrent.futures
import glob
import re
import subprocess
import sys

TABLE = "hosttest/orders.txt"
HEAD = """\
# Orders of mm/, each weakened, one at a time: what breaks, and what does not. Made by `make orders`, which compares.
# function | access | order in mm/ | weaker order | what came of it; in the end all at once that nothing needs alone
"""
OPERATIONS = "load|store|exchange|fetch_\\w+|compare_exchange"
STRENGTH = ["relaxed", "acquire", "release", "acq_rel", "seq_cst"]


def run(binary, arguments):
    done = subprocess.run([binary] + arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


class Protocol:
    """What the program says of one: lines, and rows by (function, access, order)."""

    def __init__(self, name, about, status, lines):
        self.name, self.about, self.status, self.lines = name, about, status, lines
        self.rows = [line.split(" | ") for line in lines if line.count(" | ") == 4]
        self.holds = not status

    def text(self):
        shown = [line for line in self.lines if not line.startswith("    ")]
        return f"\n{self.name}: {self.about}; {', '.join(shown[:1])}\n" + "".join(f"\t{l}\n" for l in shown[1:])


def search(binary, protocols, arguments, jobs):
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for (name, about), (status, lines) in zip(protocols, pool.map(
                lambda p: run(binary, arguments + [p[0]]), protocols)):
            yield Protocol(name, about, status, lines)


# ---- that the orders are those of the code ----

def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)


def functions():
    """The bodies of all functions of mm/, and of the machine's part that has a protocol, by name."""
    found = collections.defaultdict(str)
    for path in sorted(glob.glob("mm/*/*.[ch]")) + ["arch/common/snapshot.c"]:
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"__attribute__\(\(\w+(\(.*?\))?\)\)\s*", "", without_comments(file.read()))
        for match in re.finditer(r"^[^\n\t #}][^;{}]*?(\w+)\([^;{}]*\)\n\{\n(.*?)^\}", text, re.S | re.M):
            found[match.group(1)] += match.group(2)
    return found


def orders_in(body):
    """(operation, order, order of a failure) of each atomic access."""
    for match in re.finditer(r"atomic_(\w+?)(?:_weak|_strong)?(?:_explicit)?\(|__atomic_(\w+?)(?:_n)?\(", body):
        depth, at, own = 1, match.end(), ""
        while depth and at < len(body):
            depth += {"(": 1, ")": -1}.get(body[at], 0)
            own += body[at] if depth == 1 else ""  # not what stands in an argument
            at += 1
        orders = re.findall(r"(?:memory_order_|__ATOMIC_)(\w+)", own)
        if orders:
            operation = (match.group(1) or match.group(2)).replace("thread_fence", "fence")
            yield operation, orders[0].lower(), orders[-1].lower()


def is_in(body, access, order):
    operation = access.split()[0].rstrip(",")
    failed = access.endswith(", failed")
    for found, first, last in orders_in(body):
        if re.match(operation, found) and (last if failed else first) == order:
            return True
    # Helpers that are relaxed by what they are.
    return order == "relaxed" and re.search(r"\b(mw_word|mw_set_word|mw_map_read|mw_map_write|load|store)\(|->base\b", body)


def faults_of_sites(binary):
    bodies = functions()
    status, lines = run(binary, ["--sites"])
    if status or not lines:
        yield f"--sites: status {status}"
    for line in lines:
        protocol, function, access, order = line.split(" | ")
        if not bodies.get(function):
            yield f"{protocol}: mm/ has no function {function}"
        elif not is_in(bodies[function], access, order):
            yield f"{protocol}: {function}: no {access.split()[0]} that is {order}: {access}"


# ---- what it comes to ----

def at_least(order, other):
    """Is it the other one, or stronger?"""
    return order == other or order == "seq_cst" or other == "relaxed" or (order == "acq_rel" and other != "seq_cst")


def spare(protocols):
    """By (function, access, order): the weakest order with which nothing is broken anywhere, if it is another."""
    rows = collections.defaultdict(lambda: ([], []))
    for protocol in protocols:
        for function, access, order, weaker, what in protocol.rows:
            if function == "together":
                continue
            rows[function, access.split(",")[0], order][what.startswith("broken")].append(weaker)
    for key, (free, broken) in rows.items():
        free = [order for order in free if not any(at_least(b, order) for b in broken)]
        if free:
            yield key, min(free, key=STRENGTH.index)


def fences(kind, order):
    """Fences of riscv64 beside the access, with gcc's mapping; on aarch64 all orders are one instruction."""
    if kind == "load":
        return {"acquire": 1, "seq_cst": 2}.get(order, 0)
    if kind == "store":
        return {"release": 1, "seq_cst": 2}.get(order, 0)
    return 0


def summary(protocols):
    """Orders that no protocol needs; with fences that riscv64 would not have."""
    text = ("\nNeeded in none of these, each alone: the weakest order that would do, and fences of riscv64 that this would save\n")
    for (function, access, order), free in sorted(spare(protocols)):
        kind = access.split()[0]
        text += f"\t{function} | {access} | {order} | {free} | {fences(kind, order) - fences(kind, free)}\n"
    return text


def verdicts(protocol):
    return {tuple(row[:4]): row[4].split()[0] for row in protocol.rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("--short", action="store_true", help="without the ways that take long")
    parser.add_argument("--traces", action="store_true", help="print the shortest trace of what is broken")
    parser.add_argument("--write", action="store_true", help="make the table anew")
    parser.add_argument("--counts", action="store_true", help="a last line as scripts/test.py wants it")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    passed = failed = 0

    def take(faults, of=1):
        nonlocal passed, failed
        faults = list(faults)
        for fault in faults:
            print(f"not ok - {fault}")
        passed, failed = passed + max(of - len(faults), 0), failed + len(faults)

    _, lines = run(args.binary, ["--list"])
    protocols = [tuple(line.split(" | ")) for line in lines]
    status, lines = run(args.binary, ["litmus"])
    take([line for line in lines if line.startswith("not ok")] or [f"litmus: status {status}"] * bool(status),
         sum(line.startswith("ok ") for line in lines))
    status, lines = run(args.binary, ["--short"] * args.short + ["axioms"])
    take([line for line in lines if line.startswith("not ok")] or [f"axioms: status {status}"] * bool(status))
    print("axioms: " + (lines[-2] if len(lines) > 1 else "nothing"))
    take(faults_of_sites(args.binary))
    brief = list(search(args.binary, protocols, ["--short"] + ["--trace"] * args.traces, args.jobs))
    if args.traces:
        print("\n".join(line for p in brief for line in [f"{p.name}: {p.about}"] + p.lines))
    take((f"{p.name} does not hold: {'; '.join(p.lines[:2])}" for p in brief if not p.holds), len(brief))
    table = HEAD + "".join(p.text() for p in brief) + summary(brief)
    if args.write:
        with open(TABLE, "w", encoding="utf-8") as file:
            file.write(table)
    with open(TABLE, encoding="utf-8") as file:
        known, new = file.read().splitlines(), table.splitlines()
    take([f"{TABLE} has not: {line.strip()}" for line in new if line not in known] +
         [f"{TABLE} has: {line.strip()}" for line in known if line not in new], len(new))
    if not args.short:
        for full, short in zip(search(args.binary, protocols, [], args.jobs), brief):
            known = verdicts(short)
            take([f"{full.name} in full: {' | '.join(key)}: {what}, and {known.get(key)} in short"
                  for key, what in verdicts(full).items() if known.get(key) != what] +
                 [f"{full.name} does not hold in full: {'; '.join(full.lines[:2])}"] * (not full.holds), len(known) + 1)
            print(f"{full.name} in full: {full.lines[0] if full.lines else ''}")
    rows = [row for p in brief for row in p.rows if row[0] != "together"]
    broken = sum(row[4].startswith("broken") for row in rows)
    print(f"{len(brief)} protocols, {len(rows)} weaker orders, {broken} broken, {len(rows) - broken} not needed")
    print(f"{'' if args.counts else 'orders: figure, '}{passed} passed, {failed} failed")
    return failed != 0


sys.exit(main())
