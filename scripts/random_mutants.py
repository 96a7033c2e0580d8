#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plant random bugs, and see whether the tests catch them.

Operators and places are drawn by a seed (scripts/mutations.py): first an operator, then one of its places in mm/, the
kernel's port and the machine's CPUs and tables. A mutant that does not compile, or whose objects are the same as
before, is drawn again. Each is asked of the tests that reach its line (scripts/reach.py) until one fails: hosted, the
short ones first; then with debug aids; where orders, locks or stores are meant with the thread sanitizer; with the
address sanitizer, in 32 bits, and last in the kernel. What runs in the kernel alone is asked there. A test that fails
has to pass without the mutant, and to fail a second time. A hang is judged as in scripts/hang.py, test by test.

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
import re
import select
import signal
import subprocess
import sys
import threading
import time

import hang
import mutate
import mutations
import reach
from mutant_program import Program, reading

KERNEL_FILES = ["kernel/port.c", "kernel/stop.c", "kernel/roots.c", "kernel/workers.c"]
KERNEL_FILES += [f"arch/{where}/{name}.c" for where in ("x86_64", "common") for name in ("ipi", "smp", "paging")]
# What runs in the kernel, short ones first, where it is the only place or a mutant's room says so.
KERNEL_NEAR = "port,stop,workers,thread,smp,sleep,machine,paging,pagetable,window,traps,arch"
KERNEL_REST = "gc,gc_race,gc_storm,object_cpus,object_frees,page_race,page_map,safe_cpus,special_many,leak_cpus,storm,faults"
RACES = ("_race", "_cpus", "_frees", "_map", "_storm", "_many")
FRAMES = ("gc", "special", "safe", "leak", "watch_live")
BUILDS = "host,host-debug,host-tsan,host-asan,host-m32,kernel"
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
        self.random, self.seen, self.lock = random.Random(seed), set(), threading.Lock()
        self.keep(lambda mutation: True)

    def keep(self, wanted):
        for operator, found in self.sites.items():
            self.sites[operator] = [mutation for mutation in found if wanted(mutation)]
        self.operators = sorted(operator for operator, found in self.sites.items() if found)
        self.all = {mutation for found in self.sites.values() for mutation in found}

    def next(self):
        """None: there are no more."""
        with self.lock:
            while len(self.seen) < len(self.all):
                drawn = self.random.choice(self.sites[self.random.choice(self.operators)])
                if drawn not in self.seen:
                    self.seen.add(drawn)
                    return drawn
            return None


def pieces(tests, seconds):
    """Few processes, the first ones short; no more names than a runner takes."""
    some, used, most, length = [], 0.0, 2.0, 0
    for test in tests:
        if some and (used + seconds[test] > most or length + len(test) > 3800):
            yield some
            some, used, length, most = [], 0.0, 0, min(most * 3, 40.0)
        some.append(test)
        used += seconds[test]
        length += len(test) + 1
    if some:
        yield some


def batches(tests, seconds):
    """What asks who lives finds what other suites have left in their data: such a suite has a process to itself."""
    groups = collections.defaultdict(list)
    for test in tests:
        suite = test.split(".")[0]
        groups[suite if suite.startswith(FRAMES) else ""].append(test)
    found = [some for group in groups.values() for some in pieces(group, seconds)]
    return sorted(found, key=lambda some: sum(seconds[test] for test in some))


class Judge:
    def __init__(self, options):
        self.options, self.memory = options, mutate.Memory()
        self.sound, self.unsound = set(), set()  # (build, test): it passes, or fails, without a mutant
        self.base, self.lock = {}, threading.Lock()  # of the kernel: its hash without a mutant
        self.programs, self.reach, self.running = {}, {}, set()
        self.slots = queue.Queue()
        for number in range(options.jobs):
            self.slots.put(mutate.Slot(f"{options.at}/{number}"))

    def prepare(self):
        """What each test reaches and takes."""
        slot = self.slots.get()
        for variant in ("host", "host-debug"):
            if variant in self.options.builds:
                self.reach[variant] = reach.Reach(variant, slot.root, self.options.jobs, not self.options.old_map)
        self.slots.put(slot)

    def program(self, slot, variant):
        key = slot.root, variant
        if key not in self.programs:
            self.programs[key] = Program(slot, variant)
        return self.programs[key]

    def tests(self, mutation, variant):
        """Those that reach it, the short ones first, and what each takes."""
        known = self.reach.get(variant) or self.reach["host"]
        first, last = mutations.function_of(mutation)
        found = known.of(mutation.path, mutation.line + 1, first, last)
        if variant == "host-tsan":
            found = {test for test in found if any(part in test.split(".")[0] for part in RACES)}
        found = [test for test in found if known.tests[test] <= self.options.most]
        caught = self.memory.seen["files"].get(mutation.path, {})
        room = mutation.path.split("/")[1]
        return sorted(found, key=lambda test: (test not in caught, known.tests[test] > 0.3, not test.startswith(room),
                                               known.tests[test])), known

    def run(self, program, path, tests, known):
        """(the test that failed first, how), or None."""
        times = {"host-asan": 3, "host-tsan": 10}.get(program.variant, 1)
        place = known.order()
        tests = sorted(tests, key=lambda test: place[test])
        with subprocess.Popen([path, "--timeout", "3600"] + tests, cwd=program.root, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True) as process:
            self.running.add(process)
            try:
                return follow(process, [(test, 2 + 10 * times * known.tests[test]) for test in tests])
            finally:
                mutate.stop_all(process)
                self.running.discard(process)

    def end(self, *_):
        """A mutant that goes on for ever does not outlive who waits for it."""
        for process in list(self.running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        os._exit(1)

    def is_sound(self, program, test, known):
        """It passes without a mutant, alone, three times."""
        key = program.variant, test
        if key not in self.sound and key not in self.unsound:
            failed = next((how for how in (self.run(program, program.base, [test], known) for _ in range(3)) if how), None)
            (self.unsound if failed else self.sound).add(key)
            if failed:
                print(f"# {program.variant}: {test} fails without a mutant: {failed[1]}", flush=True)
        return key in self.sound

    def again(self, mutation, program, test, known):
        """
        It was not by chance: it fails once more, alone. What asks who lives may find an old pointer where a frame has
        changed, and has to fail with other frames too.
        """
        if not any(self.run(program, program.path, [test], known) for _ in range(3)):
            return False
        if not test.startswith(FRAMES) or mutation.path.endswith(".h"):
            return True
        text = reading(os.path.join(program.root, mutation.path)).decode()
        self.put(program, mutation.path, mutations.apply(mutation, text))
        built = program.build(mutation.path, other=True)
        self.put(program, mutation.path, text)
        return not built or bool(self.run(program, program.other, [test], known))

    def ask_hosted(self, mutation, program):
        tests, known = self.tests(mutation, program.variant)
        for some in batches(tests, known.tests):
            while some:
                failed = self.run(program, program.path, some, known)
                if not failed:
                    break
                test, how = failed
                if self.is_sound(program, test, known) and self.again(mutation, program, test, known):
                    with self.lock:
                        files = self.memory.seen["files"].setdefault(mutation.path, {})
                        files[test] = files.get(test, 0) + 1
                    return f"{test}: {how} ({program.variant})"
                some = [other for other in some if other != test]
        return None

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

    @staticmethod
    def kernel(slot):
        """Build it. Return: its hash; None: it does not compile."""
        path = "build/kernel/kernel.elf"
        done = subprocess.run(["make", "-s", path, "KCFLAGS=-Wno-error"], cwd=slot.root, check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return None if done.returncode else hashlib.sha256(reading(os.path.join(slot.root, path))).hexdigest()

    def parts(self, mutation):
        """(build, how it is asked)"""
        if not mutation.path.startswith("mm/"):
            return [("kernel", (KERNEL_NEAR, KERNEL_REST))]
        found = [(variant, None) for variant in ("host", "host-debug")]
        if mutation.operator in RACY:
            found.append(("host-tsan", None))
        found += [(variant, None) for variant in ("host-asan", "host-m32")]
        room = mutation.path.split("/")[1]
        near = ",".join(sorted({os.path.basename(path)[5:-2] for path in glob.glob(f"hosttest/test_{room}*.c")}))
        return [part for part in found + [("kernel", (near or KERNEL_NEAR, KERNEL_REST))] if part[0] in self.options.builds]

    def judge(self, mutation):
        """(None: to be drawn again; else whether it was caught, what is said)"""
        slot = self.slots.get()
        target = os.path.join(slot.root, mutation.path)
        with open(target, encoding="utf-8") as file:
            text = file.read()
        try:
            return self.ask(mutation, slot, text)
        finally:
            with open(target, "w", encoding="utf-8") as file:
                file.write(text)
            self.slots.put(slot)

    def put(self, slot, path, text):
        with open(os.path.join(slot.root, path), "w", encoding="utf-8") as file:
            file.write(text)

    def hosted(self, mutation, slot, variant, text):
        """(None: does not compile; else whether it differs; what a test said)"""
        program = self.program(slot, variant)
        self.put(slot, mutation.path, mutations.apply(mutation, text))
        built = program.build(mutation.path)
        self.put(slot, mutation.path, text)
        return built, self.ask_hosted(mutation, program) if built else None

    def in_kernel(self, mutation, slot, how, text):
        if slot.root not in self.base:
            self.base[slot.root] = self.kernel(slot)
        self.put(slot, mutation.path, mutations.apply(mutation, text))
        built = self.kernel(slot)
        if built is None or built == self.base[slot.root]:
            self.put(slot, mutation.path, text)
            return None if built is None else False, None
        suites, said = self.ask_kernel(slot, how)
        self.put(slot, mutation.path, text)
        if said and ("kernel", suites) not in self.sound:
            self.kernel(slot)
            wrong = self.ask_kernel(slot, (suites,))[1]
            if wrong:
                sys.exit(f"the kernel fails without a mutant: {wrong}")
            self.sound.add(("kernel", suites))
        return True, said

    def ask(self, mutation, slot, text):
        differs, asked = False, 0
        for variant, how in self.parts(mutation):
            if how:
                built, said = self.in_kernel(mutation, slot, how, text)
            else:
                built, said = self.hosted(mutation, slot, variant, text)
                asked += len(self.tests(mutation, variant)[0])
            if built is None:
                return (None, "does not compile") if not differs else (True, f"does not compile ({variant})")
            differs = differs or built
            if said:
                return True, said
        return (False, f"SURVIVED {asked} tests" if asked else "no test reaches it") if differs else (None, "the same programs")


def follow(process, limits):
    """Read until the first failure or the end. (the test, how it failed), or None."""
    text, number, looked_at = b"", 0, 0.0
    watched = hang.Watch(process.pid, limits[0][1])

    def current():
        return limits[min(number, len(limits) - 1)][0]

    while True:
        ready, _, _ = select.select([process.stdout], [], [], 0.5)
        if ready:
            piece = os.read(process.stdout.fileno(), 65536)
            text = (text + piece)[-100000:]
            failed = re.search(rb"^not ok \d+ - (\S+)(.*)\n", text, re.M)
            if failed:
                why = re.search(rb"^# (\S+: failed: .*)\n", text, re.M)
                return failed[1].decode(), (why or failed)[1 if why else 2].decode(errors="replace").strip() or "failed"
            ended = len(re.findall(rb"^ok \d+ - ", text, re.M))
            text = text[text.rfind(b"\n") + 1:] if ended else text
            if ended and number + ended < len(limits):
                number += ended
                watched.most = watched.used + limits[number][1]
            elif ended:
                number += ended
            if not piece:
                process.wait()
                return (current(), f"status {process.returncode}") if process.returncode else None
        now = time.monotonic()
        if now - looked_at >= 0.2:
            looked_at = now
            hangs = watched.look()
            if hangs:
                return current(), hangs


def equivalents():
    known = {}
    if os.path.exists(mutate.EQUIVALENT):
        with open(mutate.EQUIVALENT, encoding="utf-8") as lines:
            for line in lines:
                if line.strip() and not line.startswith("#"):
                    number, operator, why = line.split(None, 2)
                    known[number] = (operator, why.strip())
    return known


def change(mutation):
    return "\n".join([f"  {mutations.identity(mutation)}"] + ["  - " + line.strip() for line in mutation.old] +
                     ["  + " + line.strip() for line in mutation.new])


def show(mutation, said, seconds, word):
    text = f"{word:<8} {mutations.identity(mutation)} {mutation.path}:{mutation.line + 1} {mutation.operator:<10} {seconds:6.1f} s  {said}"
    if word == "MISSED":
        text += "\n" + change(mutation)
    print(text, flush=True)


def run(judge, draws, wanted):
    """[(mutation, caught, what is said)]: the first of the draws that count."""
    known, results, lock, wait = equivalents(), [], threading.Lock(), object()
    under_way = [0]

    def work():
        while True:
            with lock:
                if len(results) + under_way[0] >= wanted:
                    if not under_way[0]:
                        return
                    mutation = wait
                else:
                    mutation = draws.next()
                    under_way[0] += mutation is not None
            if mutation is wait:
                time.sleep(0.5)
                continue
            if mutation is None:
                return
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
            print(f"\n{mutation.path}:{mutation.line + 1}: {mutation.operator}\n{change(mutation)}")
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
    parser.add_argument("--builds", default=BUILDS, help="what may be asked")
    parser.add_argument("--most", type=float, default=1e9, help="only tests that take no more seconds, for a first look")
    parser.add_argument("--old-map", action="store_true", help="what tests reached before, without those that have changed since")
    parser.add_argument("--ids", default="", help="ask these again, as the list of survivors names them")
    parser.add_argument("--only", default="", help="beginnings of paths")
    parser.add_argument("--list", action="store_true", help="only draw, and say what")
    options = parser.parse_args()
    options.builds = options.builds.split(",")
    draws = Draws(options.seed)
    wanted = set(options.ids.split(",")) - {""}
    if "kernel" not in options.builds:
        draws.keep(lambda mutation: mutation.path.startswith("mm/"))
    if options.only:
        draws.keep(lambda mutation: mutation.path.startswith(tuple(options.only.split(","))))
    if wanted:
        draws.keep(lambda mutation: mutations.identity(mutation) in wanted)
        options.n = sum(len(found) for found in draws.sites.values())
    if options.list:
        for _ in range(options.n):
            mutation = draws.next()
            print(f"{mutation.path}:{mutation.line + 1} {mutation.operator}: {' / '.join(s.strip() for s in mutation.new)}")
        return 0
    mutate.use_ccache()
    judge = Judge(options)
    signal.signal(signal.SIGTERM, judge.end)
    if any(m.path.startswith("mm/") for found in draws.sites.values() for m in found):
        judge.prepare()
    return summary(run(judge, draws, options.n), options.seed)


if __name__ == "__main__":
    sys.exit(main())
