#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plant bugs one at a time and see whether the hosted suites catch each.

hosttest/mutants/ROOM.txt holds them:

    = name: why it is wrong
    @ mm/page/heap.c host page page_limits
    - the text that is replaced, which stands once in the file
    + what stands there instead; more such pairs may follow

After the file come the build (host, host-debug, host-tsan, ...) and the suites or tests that are asked
first; the others of the room follow, then the rest, and after build host the same in
host-debug. In host-tsan nothing follows. The first
failure ends it. A mutant that does not apply or does not compile is an error of the list: it counts as
missed, like one that survives. A line "? why" says what is known of one that does.
The tree is not touched: each worker has a copy of its own under build/mutate/, and all share compiled files
where there is a ccache. build/mutate/seen.json remembers who caught what, to ask that suite first next time.

A suite hangs if it takes many times the processor time that it takes without a mutant, or if all its threads
sleep: how long it takes on a machine that others use as well says nothing.
"""

import argparse
import concurrent.futures
import glob
import json
import os
import queue
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import hang

FLAGS = "-Wno-error -O1 -g0"  # quicker to compile and link
CPU_SECONDS, CPU_TIMES = 10, 10  # what a suite may take: so much, and so many times what it takes unchanged
MEMORY = "build/mutate/seen.json"
EQUIVALENT = "hosttest/mutants/equivalent.txt"  # not a list: see scripts/random_mutants.py


class Mutant:
    def __init__(self, where):
        self.where, self.name, self.why, self.excuse = where, "", "", ""
        self.path, self.variant, self.suites = "", "host", []
        self.hunks = []  # of (old lines, new lines)

    def add(self, kind, line):
        if kind == "-" and (not self.hunks or self.hunks[-1][1]):
            self.hunks.append(([], []))
        self.hunks[-1][kind == "+"].append(line)

    def apply(self, text):
        for lines in self.hunks:
            old, new = "\n".join(lines[0]), "\n".join(lines[1])
            if text.count(old) != 1:
                raise ValueError(f"its text stands {text.count(old)} times in {self.path}: {lines[0][0].strip()}")
            text = text.replace(old, new)
        return text


def read_list(path):
    mutant = None
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\n")
            kind, rest = line[:1], line[2:]
            if kind == "=":
                mutant = Mutant(f"{path}:{number}")
                mutant.name, _, mutant.why = rest.partition(": ")
                mutant.name = os.path.basename(path)[:-4] + "/" + mutant.name
                yield mutant
            elif kind == "@":
                mutant.path, *words = rest.split()
                if words:
                    mutant.variant, *mutant.suites = words
            elif kind == "?":
                mutant.excuse = rest
            elif kind in ("-", "+"):
                mutant.add(kind, rest)
            elif line and kind != "#":
                raise ValueError(f"{path}:{number}: not a line of a list of mutants: {line}")


class Slot:
    """A copy of the tree, built once and changed one file at a time."""

    def __init__(self, at):
        self.root = at
        files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "Makefile", "mm", "hosttest",
                                "scripts", "kernel", "arch", "boot"], stdout=subprocess.PIPE, text=True, check=True)
        kept = set()
        for path in files.stdout.split("\n"):
            target = os.path.join(self.root, path)
            kept.add(target)
            if path and os.path.exists(path) and not same(path, target):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy(path, target)
        for room in ("mm", "hosttest"):
            for path in glob.glob(f"{self.root}/{room}/**/*.[ch]", recursive=True):
                if path not in kept:
                    os.unlink(path)

    def build(self, variant):
        return subprocess.run(["make", "-s", f"build/{variant}/suites", f"CFLAGS={FLAGS}"], cwd=self.root, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def suites(self, variant):
        out = subprocess.run([f"build/{variant}/suites", "--list"], cwd=self.root, text=True,
                             stdout=subprocess.PIPE, check=True).stdout
        return sorted({line.split(".")[0].split()[-1] for line in out.splitlines() if "." in line})

    def run(self, variant, suite, usual=5.0):
        """(how the suite failed or None, processor seconds)"""
        with subprocess.Popen([f"build/{variant}/suites", "--timeout", "3600", suite], cwd=self.root,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              start_new_session=True) as process:
            try:
                failure, used = watch(process, CPU_SECONDS + CPU_TIMES * usual)
            finally:
                stop_all(process)
        if failure is None and process.returncode:
            failure = f"status {process.returncode}"
        return failure and (failure if "." in failure else f"{suite}: {failure}"), used


def stop_all(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)  # its own session: nothing else is in it
    process.wait()


def watch(process, most):
    """Read until the first failure or the end: (failure or None, processor seconds)."""
    text, watched, looked_at = b"", hang.Watch(process.pid, most), 0.0
    while True:
        ready, _, _ = select.select([process.stdout], [], [], 0.5)
        if ready:
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                process.wait()
                return None, watched.used
            text = (text + piece)[-100000:]
            failed = re.search(rb"^not ok \d+ - (.*)\n", text, re.M)
            if failed:
                return failed.group(1).decode(errors="replace"), watched.used
        now = time.monotonic()
        if now - looked_at < 0.2:
            continue
        looked_at = now
        hangs = watched.look()
        if hangs:
            return hangs, watched.used


class Memory:
    """Who caught what before, and what each suite takes."""

    def __init__(self):
        try:
            with open(MEMORY, encoding="utf-8") as file:
                self.seen = json.load(file)
        except (OSError, ValueError):
            self.seen = {}
        for key in ("caught", "files", "usual"):
            self.seen.setdefault(key, {})

    def usual(self, variant, suite):
        return self.seen["usual"].get(f"{variant} {suite.split('.')[0]}", 5.0)

    def note_usual(self, variant, suite, seconds):
        self.seen["usual"][f"{variant} {suite.split('.')[0]}"] = seconds

    def note(self, mutant, suite):
        self.seen["caught"][mutant.name] = suite
        files = self.seen["files"].setdefault(mutant.path, {})
        files[suite] = files.get(suite, 0) + 1

    def sort(self, mutant, suites):
        files = self.seen["files"].get(mutant.path, {})
        last = self.seen["caught"].get(mutant.name)
        return sorted(suites, key=lambda suite: (suite != last, -files.get(suite, 0)))

    def last(self, mutant):
        return self.seen["caught"].get(mutant.name)

    def write(self):
        os.makedirs(os.path.dirname(MEMORY), exist_ok=True)
        with open(MEMORY + ".new", "w", encoding="utf-8") as file:
            json.dump(self.seen, file, indent=1, sort_keys=True)
        os.rename(MEMORY + ".new", MEMORY)


def same(path, target):
    if not os.path.exists(target):
        return False
    with open(path, "rb") as one, open(target, "rb") as other:
        return one.read() == other.read()


def order(mutant, suites, all_of_them, memory, variant="host"):
    """
    What is asked: what caught it last, the suites that the list names, those of the file's room, then all the others that
    make test runs, the short ones first.
    """
    suites = sorted(suites, key=lambda suite: memory.usual(variant, suite))
    room = mutant.path.split("/")[1] if mutant.path.startswith("mm/") else ""
    first = [s for s in mutant.suites if s.split(".")[0] in suites]
    if mutant.variant == "host-tsan":  # a suite takes minutes there: the list names tests
        return memory.sort(mutant, first)
    last = memory.last(mutant)
    if last in suites and last not in first:
        first.append(last)
    near = [s for s in suites if s.startswith(room) and s not in first]
    rest = [s for s in suites if s not in first and s not in near]
    return memory.sort(mutant, first) + memory.sort(mutant, near) + (memory.sort(mutant, rest) if all_of_them else [])


def ask(slot, mutant, variant, all_of_them, memory):
    """(caught, what is said of it) by one build."""
    built = slot.build(variant)
    if built.returncode:
        return False, "does not compile: " + next((line for line in built.stdout.split("\n")
                                                 if "error" in line), built.stdout[-200:])
    for suite in order(mutant, slot.suites(variant), all_of_them, memory, variant):
        failure, _ = slot.run(variant, suite, memory.usual(variant, suite))
        if failure:
            memory.note(mutant, suite)
            return True, failure if variant == "host" else f"{failure} ({variant})"
    return False, ""


def judge(slot, mutant, near, memory):
    """(caught, what is said of it)"""
    target = os.path.join(slot.root, mutant.path)
    with open(target, encoding="utf-8") as file:
        text = file.read()
    try:
        changed = mutant.apply(text)
    except ValueError as error:
        return False, f"does not apply: {error}"
    try:
        with open(target, "w", encoding="utf-8") as file:
            file.write(changed)
        caught, said = ask(slot, mutant, mutant.variant, not near, memory)
        if not caught and not said and mutant.variant == "host" and not near:
            caught, said = ask(slot, mutant, "host-debug", True, memory)
        return caught, said or "SURVIVED" + (f": {mutant.excuse}" if mutant.excuse else "")
    finally:
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)


def use_ccache():
    if shutil.which("ccache"):
        os.environ.setdefault("CCACHE_BASEDIR", os.getcwd())
        os.environ.setdefault("CCACHE_NOHASHDIR", "1")
        os.environ["PATH"] = "/usr/lib/ccache:" + os.environ["PATH"]


def applies(mutants):
    status = 0
    for mutant in mutants:
        try:
            with open(mutant.path, encoding="utf-8") as file:
                mutant.apply(file.read())
        except (OSError, ValueError) as error:
            print(f"{mutant.where}: {mutant.name}: {error}")
            status = 1
    return status


def sound(slots, variant, mutants, memory):
    """Nothing may fail before a bug is planted. In host-tsan: what the list names. Return: what is wrong."""
    slot = slots.get()
    try:
        built = slot.build(variant)
        if built.returncode:
            return f"{variant} does not build:\n{built.stdout}"
        named = {s for m in mutants if m.variant == variant for s in m.suites}
        for suite in sorted(named) if variant == "host-tsan" else slot.suites(variant):
            failure, used = slot.run(variant, suite)
            if failure:
                return f"{variant} fails without a mutant: {failure}"
            memory.note_usual(variant, suite, used)
    finally:
        slots.put(slot)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--at", default="build/mutate", help="where the copies are: another place for each of two runs")
    parser.add_argument("--trust", action="store_true", help="do not run the suites without a mutant first")
    parser.add_argument("--applies", action="store_true", help="only see whether the changes still fit the sources")
    parser.add_argument("--near", action="store_true", help="only the suites that the lists name and those of the room")
    parser.add_argument("only", nargs="*", help="rooms, or room/name")
    options = parser.parse_args()
    mutants = [m for path in sorted(set(glob.glob("hosttest/mutants/*.txt")) - {EQUIVALENT}) for m in read_list(path)]
    if options.only:
        mutants = [m for word in options.only for m in mutants if word in (m.name, m.name.split("/")[0])]
    if not mutants:
        sys.exit("no such mutants")
    if options.applies:
        return applies(mutants + list(read_list("kernel/seams/races.txt")))
    use_ccache()
    memory, slots = Memory(), queue.Queue()
    for number in range(options.jobs):
        slots.put(Slot(f"{options.at}/{number}"))
    if not options.trust:
        with concurrent.futures.ThreadPoolExecutor(max_workers=options.jobs) as pool:
            variants = sorted({m.variant for m in mutants})
            for wrong in pool.map(lambda variant: sound(slots, variant, mutants, memory), variants):
                if wrong:
                    sys.exit(wrong)

    def one(mutant):
        slot = slots.get()
        started = time.monotonic()
        try:
            return mutant, judge(slot, mutant, options.near, memory), time.monotonic() - started
        finally:
            slots.put(slot)

    table = {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=options.jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(one, m) for m in mutants]):
            mutant, (ok, said), seconds = done.result()
            table.setdefault(mutant.name.split("/")[0], []).append((mutant, ok, said))
            memory.write()
            print(f"{'caught ' if ok else 'MISSED '} {mutant.name:<44} {seconds:5.1f} s  {said}", flush=True)
    return summary(table, len(mutants))


def summary(table, planted):
    """Caught of planted, by room, and what survived. The status: 0 from 95 of a hundred on."""
    caught = 0
    print("\nroom      caught  of")
    for room, results in sorted(table.items()):
        good = sum(ok for _, ok, _ in results)
        caught += good
        print(f"{room:<8} {good:7} {len(results):3}")
    print(f"{'all':<8} {caught:7} {planted:3}  {caught / planted:.1%}")
    for mutant, ok, said in sum(table.values(), []):
        if not ok:
            print(f"  {mutant.name}: {mutant.why}: {said}")
    print(f"{caught} passed, {planted - caught} failed")
    return 0 if caught * 100 >= planted * 95 else 1


if __name__ == "__main__":
    sys.exit(main())
