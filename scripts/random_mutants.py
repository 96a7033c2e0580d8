#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plant random bugs, and see whether the tests catch them.

Operators and places are drawn by a seed (scripts/mutations.py): first an operator, then one of its places in mm/, the
kernel's port and the machine's CPUs and tables. A mutant that does not compile, or whose programs are the same as
before, is drawn again. Each is asked of the suites of make test until one fails: hosted, those of its room first, the
short ones first; then with debug aids; where orders, locks or stores are meant with the thread sanitizer; then in the
kernel. What runs in the kernel alone is asked there. A hang is judged as in scripts/hang.py.

hosttest/mutants/equivalent.txt has those that somebody has found to be as good as what they replace: hash, operator,
reason. They count neither way, and at most one in twenty may be one. The last line: how many were caught.
"""

import argparse
import collections
import concurrent.futures
import glob
import hashlib
import os
import queue
import random
import subprocess
import sys
import threading
import time

import mutate
import mutations

KERNEL_FILES = ["kernel/port.c", "kernel/stop.c", "kernel/roots.c", "kernel/workers.c"]
KERNEL_FILES += [f"arch/{where}/{name}.c" for where in ("x86_64", "common") for name in ("ipi", "smp", "paging")]
# What runs in the kernel, short ones first, where it is the only place or a mutant's room says so.
KERNEL_NEAR = "port,stop,workers,thread,smp,sleep,machine,paging,pagetable,window,traps,arch"
KERNEL_REST = "gc,gc_race,gc_storm,object_cpus,object_frees,page_race,page_map,safe_cpus,special_many,leak_cpus,storm,faults"
RACES = ("_race", "_cpus", "_frees", "_map", "_storm", "_many")
MOST_USUAL = 60.0  # processor seconds of a suite that has not been measured
RACY = ("order", "lock", "swap")


def paths():
    found = sorted(glob.glob("mm/*/*.[ch]")) + KERNEL_FILES
    return [path for path in found if os.path.exists(path)]


class Draws:
    """An endless sequence of mutations, the same for the same seed and sources."""

    def __init__(self, seed):
        known = mutations.flags_of(glob.glob("mm/*/*.h") + glob.glob("mm/include/marrow/*.h"))
        self.sites = collections.defaultdict(list)
        for path in paths():
            for operator, found in mutations.of_file(path, known).items():
                self.sites[operator] += found
        self.operators = sorted(operator for operator, found in self.sites.items() if found)
        self.random, self.seen, self.lock = random.Random(seed), set(), threading.Lock()

    def next(self):
        with self.lock:
            while True:
                drawn = self.random.choice(self.sites[self.random.choice(self.operators)])
                if drawn not in self.seen:
                    self.seen.add(drawn)
                    return drawn


class Judge:
    def __init__(self, options):
        self.options, self.memory = options, mutate.Memory()
        self.sound = set()  # (build, suite): it passes without a mutant
        self.base, self.lock = {}, threading.Lock()  # a program: its hash without a mutant
        self.slots = queue.Queue()
        for number in range(options.jobs):
            self.slots.put(mutate.Slot(f"{options.at}/{number}"))

    def program(self, slot, variant):
        """Build it. Return: its hash; None: it does not compile."""
        if variant == "kernel":
            path = "build/kernel/kernel.elf"
            done = subprocess.run(["make", "-s", path, "KCFLAGS=-Wno-error"], cwd=slot.root, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        else:
            path = f"build/{variant}/suites"
            done = slot.build(variant)
        if done.returncode:
            return None
        with open(os.path.join(slot.root, path), "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def prepare(self, variants):
        """Each slot builds what is asked first, and its suites say how long they take. The others do when they first fail."""
        slots = [self.slots.get() for _ in range(self.options.jobs)]

        def build(slot):
            for variant in variants:
                self.base[slot.root, variant] = self.program(slot, variant)
                if not self.base[slot.root, variant]:
                    sys.exit(f"{variant} does not build without a mutant")

        with concurrent.futures.ThreadPoolExecutor(max_workers=len(slots)) as pool:
            list(pool.map(build, slots))
            tasks = [(variant, suite) for variant in variants if not variant.startswith("kernel")
                     for suite in self.suites(slots[0], variant) if not self.measured(variant, suite)]
            tasks = [task for task in tasks if self.wanted(*task)]
            free = queue.Queue()
            for slot in slots:
                free.put(slot)
            for wrong in pool.map(lambda task: self.measure(free, *task), tasks):
                self.memory.write()
                if wrong:
                    sys.exit(wrong)
        for slot in slots:
            self.slots.put(slot)

    def measured(self, variant, suite):
        return f"{variant} {suite}" in self.memory.seen["usual"]

    def measure(self, free, variant, suite):
        slot = free.get()
        try:
            failure, used = slot.run(variant, suite, MOST_USUAL)
            with self.lock:
                self.memory.note_usual(variant, suite, used)
                self.sound.add((variant, suite))
            return failure and f"{variant} fails without a mutant: {failure}"
        finally:
            free.put(slot)

    @staticmethod
    def wanted(variant, suite):
        return variant != "host-tsan" or any(part in suite for part in RACES)

    def suites(self, slot, variant):
        return [suite for suite in slot.suites(variant) if self.wanted(variant, suite)]

    def order(self, mutation, slot, variant):
        room = mutation.path.split("/")[1]
        caught = self.memory.seen["files"].get(mutation.path, {})
        return sorted(self.suites(slot, variant), key=lambda suite: (
            not suite.startswith(room), -min(caught.get(suite, 0), 3), self.memory.usual(variant, suite)))

    def ask_hosted(self, mutation, slot, variant):
        for suite in self.order(mutation, slot, variant):
            usual = self.memory.usual(variant, suite) if self.measured(variant, suite) else MOST_USUAL
            failure, _ = slot.run(variant, suite, usual)
            if failure:
                with self.lock:
                    files = self.memory.seen["files"].setdefault(mutation.path, {})
                    files[suite] = files.get(suite, 0) + 1
                return suite, f"{failure} ({variant})"
        return None, None

    def ask_kernel(self, slot, suites):
        for some in suites:
            log = os.path.abspath(os.path.join(slot.root, "build/kernel.console"))
            done = subprocess.run(["scripts/ktap.py", "--kernel", "build/kernel/kernel.elf", "--append", f"test={some}",
                                   "--cpus", "4", "--mem", "512M", "--limit", "90", "--log", log], cwd=slot.root,
                                  check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                said = [line for line in done.stdout.splitlines() if "kernel: " in line]
                return some, (said[0] if said else "status %d" % done.returncode).strip() + " (kernel)"
        return None, None

    def parts(self, mutation):
        """(build, how it is asked)"""
        if not mutation.path.startswith("mm/"):
            return [("kernel", (KERNEL_NEAR, KERNEL_REST))]
        found = [("host", None), ("host-debug", None)]
        if mutation.operator in RACY:
            found.append(("host-tsan", None))
        room = mutation.path.split("/")[1]
        near = ",".join(sorted({os.path.basename(path)[5:-2] for path in glob.glob(f"hosttest/test_{room}*.c")}))
        return found + [("kernel", (near or KERNEL_NEAR, KERNEL_REST))] * self.options.kernel

    def judge(self, mutation):
        """(None: to be drawn again; else whether it was caught, what is said)"""
        slot = self.slots.get()
        target = os.path.join(slot.root, mutation.path)
        with open(target, encoding="utf-8") as file:
            text = file.read()
        try:
            with open(target, "w", encoding="utf-8") as file:
                file.write(mutations.apply(mutation, text))
            return self.ask(mutation, slot, text)
        finally:
            with open(target, "w", encoding="utf-8") as file:
                file.write(text)
            self.slots.put(slot)

    def know_base(self, mutation, slot, variant, text):
        """What is built without the mutant; each slot has its own path in it."""
        if (slot.root, variant) in self.base:
            return
        target = os.path.join(slot.root, mutation.path)
        for content in (text, mutations.apply(mutation, text)):
            with open(target, "w", encoding="utf-8") as file:
                file.write(content)
            if content is text:
                self.base[slot.root, variant] = self.program(slot, variant)

    def verify(self, mutation, slot, variant, suite, text):
        """The first time that a suite fails: does it pass without a mutant, in these sources?"""
        if (variant, suite) in self.sound:
            return
        with open(os.path.join(slot.root, mutation.path), "w", encoding="utf-8") as file:
            file.write(text)
        if self.program(slot, variant) != self.base[slot.root, variant]:
            sys.exit(f"{variant} is not built as before")
        if variant == "kernel":
            used, failure = 0.0, self.ask_kernel(slot, (suite,))[1]
        else:
            failure, used = slot.run(variant, suite, MOST_USUAL)
        if failure:
            raise SystemExit(f"{variant} fails without a mutant: {failure}")
        with self.lock:
            self.memory.note_usual(variant, suite, used)
            self.sound.add((variant, suite))

    def ask(self, mutation, slot, text):
        differs = False
        for variant, how in self.parts(mutation):
            self.know_base(mutation, slot, variant, text)
            built = self.program(slot, variant)
            if built is None:
                return (None, "does not compile") if not differs else (True, f"does not compile ({variant})")
            if built == self.base[slot.root, variant]:
                continue
            differs = True
            suite, said = self.ask_kernel(slot, how) if how else self.ask_hosted(mutation, slot, variant)
            if said:
                self.verify(mutation, slot, variant, suite, text)
                return True, said
        return (False, "SURVIVED") if differs else (None, "the same programs")


def equivalents():
    known = {}
    if os.path.exists(mutate.EQUIVALENT):
        with open(mutate.EQUIVALENT, encoding="utf-8") as lines:
            for line in lines:
                if line.strip() and not line.startswith("#"):
                    number, operator, why = line.split(None, 2)
                    known[number] = (operator, why.strip())
    return known


def show(mutation, said, seconds, word):
    print(f"{word:<8} {mutation.path}:{mutation.line + 1} {mutation.operator:<10} {seconds:6.1f} s  {said}", flush=True)


def run(judge, draws, wanted):
    """[(mutation, caught, what is said)]: the first of the draws that count."""
    known, results, lock = equivalents(), [], threading.Lock()
    under_way = [0]

    def work():
        while True:
            with lock:
                if len(results) + under_way[0] >= wanted:
                    if not under_way[0]:
                        return
                    mutation = None
                else:
                    under_way[0] += 1
                    mutation = draws.next()
            if mutation is None:
                time.sleep(0.5)
                continue
            started = time.monotonic()
            number = mutations.identity(mutation)
            caught, said = ("equivalent", known[number][1]) if number in known else judge.judge(mutation)
            with lock:
                under_way[0] -= 1
                if caught is not None:
                    results.append((mutation, caught, said))
                    judge.memory.write()
            if caught is not None:
                word = {True: "caught", False: "MISSED"}.get(caught, caught)
                show(mutation, said, time.monotonic() - started, word)

    with concurrent.futures.ThreadPoolExecutor(max_workers=judge.options.jobs) as pool:
        for done in [pool.submit(work) for _ in range(judge.options.jobs)]:
            done.result()
    return results


def summary(results, seed):
    table = collections.defaultdict(lambda: [0, 0])
    for mutation, caught, _ in results:
        if caught != "equivalent":
            table[mutation.operator][not caught] += 1
    print("\noperator    caught missed")
    for operator, (caught, missed) in sorted(table.items()):
        print(f"{operator:<11} {caught:6} {missed:6}")
    for mutation, caught, _ in sorted(results, key=lambda result: result[0][:3]):
        if caught is False:
            print(f"\n{mutation.path}:{mutation.line + 1}: {mutation.operator}, {mutations.identity(mutation)}")
            print("\n".join(["  - " + line.strip() for line in mutation.old] + ["  + " + line.strip() for line in mutation.new]))
    caught = sum(n for n, _ in table.values())
    missed = sum(n for _, n in table.values())
    same = sum(caught == "equivalent" for _, caught, _ in results)
    asked = caught + missed
    print(f"\nmutants-random: {caught / max(asked, 1):.1%} of {asked} caught, {same} equivalent, seed {seed}, "
          f"{caught} passed, {missed} failed")
    return 0 if asked and caught * 100 >= asked * 95 and same * 20 <= len(results) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-n", type=int, default=300, help="how many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--at", default="build/mutate", help="where the copies are")
    parser.add_argument("--no-kernel", dest="kernel", action="store_false", help="ask no kernel where hosted suites could")
    parser.add_argument("--only", default="", help="a beginning of paths")
    parser.add_argument("--list", action="store_true", help="only draw, and say what")
    options = parser.parse_args()
    draws = Draws(options.seed)
    if options.only:
        for operator in draws.operators:
            draws.sites[operator] = [m for m in draws.sites[operator] if m.path.startswith(options.only)]
        draws.operators = [operator for operator in draws.operators if draws.sites[operator]]
    if options.list:
        for _ in range(options.n):
            mutation = draws.next()
            print(f"{mutation.path}:{mutation.line + 1} {mutation.operator}: {' / '.join(s.strip() for s in mutation.new)}")
        return 0
    mutate.use_ccache()
    judge = Judge(options)
    if any(m.path.startswith("mm/") for found in draws.sites.values() for m in found):
        judge.prepare(["host"])
    return summary(run(judge, draws, options.n), options.seed)


if __name__ == "__main__":
    sys.exit(main())
