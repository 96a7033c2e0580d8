# SPDX-License-Identifier: MIT
"""Which hosted tests reach which lines of mm/, and how long each takes.

A build of its own (scripts/mk/mutants.mk) notes where its basic blocks begin, by address, one run a test
(hosttest/reach.c). What lies between two such places belongs to the first, and the line table says which lines these are.
The map is kept in build/mutate/. Suites that change are run anew; where mm/ changes a little the lines move with it,
where it changes much all are.
"""

import bisect
import collections
import concurrent.futures
import difflib
import glob
import hashlib
import json
import os
import re
import subprocess
import time

import hang

FLAGS = "-Wno-error -O1"
MOST_LOST = 1000  # lines of mm/
MOST_SECONDS = 3.0  # of processor time; what is reached until then is known
ROW = re.compile(r"^(\S+)\s+(\d+)\s+0x([0-9a-f]+)")
CALL = re.compile(r"^\s*([0-9a-f]+):\s+call\s+[0-9a-f]+ <__sanitizer_cov_trace_pc>")
AFTER_CALL = 5  # bytes of the call


def digest(root, patterns):
    sums = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in glob.glob(f"{root}/{pattern}", recursive=True)):
        with open(path, "rb") as file:
            sums.update(path.encode() + file.read())
    return sums.hexdigest()


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def used_by(command, env, cwd, most):
    """Processor seconds of a command that may take so many."""
    with subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, start_new_session=True) as process:
        watched = hang.Watch(process.pid, most)
        started = time.monotonic()
        while process.poll() is None:
            try:
                process.wait(0.02 if time.monotonic() - started < 0.5 else 0.3)
            except subprocess.TimeoutExpired:
                if watched.look():
                    os.killpg(process.pid, 9)
                    process.wait()
        watched.used = max(watched.used, min(time.monotonic() - started, 0.5))
        return watched.used


def blocks(program, root):
    """[(address of a block's call, its lines)], in order."""
    starts = []
    dump = subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", program], cwd=root, stdout=subprocess.PIPE, text=True)
    for line in dump.stdout:
        match = CALL.match(line)
        if match:
            starts.append(int(match[1], 16))
    dump.wait()
    lines = [set() for _ in starts]
    table = subprocess.Popen(["objdump", "--wide", "--dwarf=decodedline", program], cwd=root, stdout=subprocess.PIPE, text=True)
    path = ""
    for row in table.stdout:
        match = ROW.match(row)
        if match:
            at = bisect.bisect_right(starts, int(match[3], 16)) - 1
            if at >= 0 and path.startswith("mm/"):
                lines[at].add((path, int(match[2])))
        elif row.rstrip().endswith((":", "[++]")):
            path = os.path.normpath(re.sub(r"^CU: |:(\[\+\+\])?$", "", row.strip()).strip())
    table.wait()
    return starts, lines


class Reach:
    """Of one variant, built in @root."""

    def __init__(self, variant, root, jobs, anew=True, kept="build/mutate"):
        self.anew = anew
        self.variant, self.root, self.jobs = variant, root, jobs
        self.at = f"{kept}/reach-{variant}.json"
        self.program = f"build/{variant}-reach/suites"
        try:
            with open(self.at, encoding="utf-8") as file:
                self.kept = json.load(file)
        except (OSError, ValueError):
            self.kept = {}
        self.tests = {}  # name: seconds
        self.names = []
        self.lines = collections.defaultdict(dict)  # path: {line: a bit for each name}
        self.make()

    def make(self):
        texts = {path: text_of(os.path.join(self.root, path)) for path in self.sources()}
        if self.kept.get("texts") != texts:
            self.move(texts)
        suites = {os.path.basename(path)[5:-2]: digest(self.root, [os.path.relpath(path, self.root)])
                  for path in glob.glob(f"{self.root}/hosttest/test_*.c")}
        new = [suite for suite, content in suites.items() if self.kept["suites"].get(suite) != content]
        if not self.kept["tests"] or (new and self.anew):
            self.measure(new)
        elif new:
            suites = self.kept["suites"]
        if self.kept["suites"] != suites:
            self.kept["suites"] = suites
            with open(self.at + ".new", "w", encoding="utf-8") as file:
                json.dump(self.kept, file)
            os.rename(self.at + ".new", self.at)
        places = [0] * len(self.kept["lines"])
        for number, (name, (seconds, reached)) in enumerate(self.kept["tests"].items()):
            self.names.append(name)
            self.tests[name] = seconds
            for place in reached:
                places[place] |= 1 << number
        for (path, line), bits in zip(self.kept["lines"], places):
            self.lines[path][line] = self.lines[path].get(line, 0) | bits
        self.kept = {"order": self.kept["order"]}  # the rest takes much memory

    def sources(self):
        return sorted(os.path.relpath(path, self.root) for path in glob.glob(f"{self.root}/mm/**/*.[ch]", recursive=True))

    def move(self, texts):
        """Lines to where they are now; or nothing is known."""
        before = self.kept.get("texts", {})
        to, lost = {}, 0
        for path in before:
            if before[path] == texts.get(path):
                continue
            old, new = before[path].split("\n"), texts.get(path, "").split("\n")
            for word, one, end, other, _ in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
                lost += (end - one) * (word != "equal")
                for line in range(one, end):
                    to[path, line + 1] = other + line - one + 1 if word == "equal" else -1
        if not before or lost > MOST_LOST:
            self.kept = {"suites": {}, "tests": {}, "lines": []}
        else:
            self.kept["lines"] = [(path, to.get((path, line), line)) for path, line in self.kept["lines"]]
            self.kept["suites"].setdefault("", None)  # to be written
        self.kept["texts"] = texts

    def measure(self, suites):
        done = subprocess.run(["make", "-s", f"-j{self.jobs}", self.program, f"CFLAGS={FLAGS}"], cwd=self.root, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise SystemExit(f"{self.program} does not build:\n{done.stdout[-2000:]}")
        starts, lines = blocks(self.program, self.root)
        numbers, known = {}, self.kept.setdefault("lines", [])
        for number, (path, line) in enumerate(known):
            numbers[path, line] = number  # of lines that are gone, any
        for block in lines:
            for place in sorted(block):
                if place not in numbers:
                    numbers[place] = len(known)
                    known.append(place)
        listed = subprocess.run([self.program, "--list"], cwd=self.root, stdout=subprocess.PIPE, text=True, check=True).stdout
        order = [line for line in listed.splitlines() if "." in line]
        self.kept["tests"] = {name: found for name, found in self.kept["tests"].items()
                              if name in order and name.split(".")[0] not in suites}

        def one(name):
            path = os.path.join(os.path.abspath(self.root), f"build/{name}.reach")
            if os.path.exists(path):
                os.unlink(path)
            seconds = used_by([self.program, "--timeout", "3600", name], dict(os.environ, REACH=path), self.root, MOST_SECONDS)
            with open(path, "rb") as file:
                marks = file.read()
            os.unlink(path)
            reached = set()
            for match in re.finditer(b"\x01", marks):
                at = bisect.bisect_left(starts, match.start() - AFTER_CALL)
                if at < len(starts) and starts[at] == match.start() - AFTER_CALL:
                    reached.update(numbers[place] for place in lines[at])
            return name, (seconds, sorted(reached))

        with concurrent.futures.ThreadPoolExecutor(max_workers=self.jobs) as pool:
            for name, found in pool.map(one, [name for name in order if name.split(".")[0] in suites]):
                self.kept["tests"][name] = found
        self.kept["order"] = order

    def order(self):
        return {name: number for number, name in enumerate(self.kept["order"])}

    def of(self, path, line, first, last):
        """
        The tests that reach the line, counted from 1. Where it begins no statement those of one shortly before it; else all
        that reach its function.
        """
        if path not in self.lines:
            return self.names
        found = self.lines[path]
        near = [n for n in found if first <= n <= last]
        if not near:
            return self.names  # a function that is new
        before = max((n for n in near if n <= line), default=None)
        bits = 0
        if before is not None and line - before <= 3:
            bits = found[before]
        else:
            for n in near:
                bits |= found[n]
        return [name for number, name in enumerate(self.names) if bits >> number & 1]
