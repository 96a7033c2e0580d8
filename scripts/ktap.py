#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the kernel's tests in QEMU and judge what came of it.

A run passes if there is one plan, as many results as it says, numbered in order, none of them "not
ok", then the marker line "# marrow: tests done", and QEMU ends with the kernel's code for success.
Anything else fails, with the reason. A machine from which no result comes any more is asked where each
of its CPUs stands, and killed. How long that may take is counted in time that the machine had
(scripts/hang.py): on a busy host it takes longer by the clock, and so does every test.

ktap.py --judge FILE STATUS judges a transcript without a machine.
"""

import argparse
import bisect
import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import hang
import qemu

MOST_LIMITS = 20  # a machine may give results so many times as long as it may give none
MARKER = "# marrow: tests done"
ESCAPES = re.compile(r"\x1b(\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[=>c])")


class Verdict:
    """What a transcript and QEMU's exit status amount to."""

    def __init__(self, lines, status):
        self.passed = self.failed = self.skipped = 0
        self.plan = None
        self.faults = []
        self.failures = []
        self.notes = []  # what was said since the last result
        self.marked = False
        for line in lines:
            self.take(line)
        self.conclude(status)

    def take(self, line):
        plan = re.fullmatch(r"1\.\.(\d+).*", line)
        result = re.fullmatch(r"(not )?ok (\d+)\b *-? *([^#]*)(#.*)?", line)
        if line == MARKER:
            self.marked = True
        elif plan:
            if self.plan is not None:
                self.faults.append("two plans: the kernel ran its tests twice, or started again")
            self.plan = int(plan.group(1))
        elif result:
            self.result(*result.groups())
            self.notes = []
        elif line.startswith("#"):
            self.notes.append(line)

    def result(self, bad, number, name, directive):
        if self.plan is None:
            self.faults.append(f"result {number} came before a plan")
        if self.marked:
            self.faults.append(f"result {number} came after the marker")
        if int(number) != self.ran() + 1:
            self.faults.append(f"result {number} ({name.strip()}) came where {self.ran() + 1} "
                               "was due")
        if bad:
            self.failed += 1
            self.failures.append((f"{number} {name.strip()}", self.notes[-6:]))
        elif directive and directive[1:].strip().upper().startswith("SKIP"):
            self.skipped += 1
        else:
            self.passed += 1

    def ran(self):
        return self.passed + self.failed + self.skipped

    def conclude(self, status):
        if self.plan is None:
            self.faults.append("there is no plan (1..N): the tests did not start")
        elif self.ran() != self.plan:
            self.faults.append(f"the plan was {self.plan} tests, {self.ran()} came")
        if not self.passed and not self.failed:
            self.faults.append("no test ran")
        if not self.marked:
            self.faults.append(f'the last line "{MARKER}" is missing')
        if status == qemu.PASS and self.failed:
            self.faults.append("the kernel reported success in spite of failures")
        # After a failed test the kernel ends with a code of its own, but never with QEMU's.
        bad = status is not None and status != qemu.PASS
        if bad and (not self.failed or status <= 1):
            self.faults.append(f"QEMU ended with {status}: {meaning(status)}")

    def good(self):
        return not self.faults and not self.failed

    def print(self, name):
        for failure, notes in self.failures:
            print("\n".join(notes + [f"{name}: not ok {failure}"]))
        for fault in self.faults:
            print(f"{name}: {fault}")
        failed = self.failed + len(self.faults)
        print(f"{self.passed} passed, {failed} failed, {self.skipped} skipped")


def meaning(status):
    if status == 0:
        return "a triple fault, or a power-off"
    if status == 1:
        return "QEMU's own error, or a code that it also uses for that"
    if status < 0:
        return "killed by signal %d" % -status
    if status % 2:
        return f"the kernel wrote {status >> 1}, not 16, to the exit port"
    return "not a code of the kernel's"


class Symbols:
    """Addresses to names, by nm, and to lines, by addr2line."""

    def __init__(self, elf):
        self.elf = elf
        self.table = []
        if not elf:
            return
        for line in subprocess.run(["nm", "-n", elf], stdout=subprocess.PIPE, text=True,
                                   check=False).stdout.splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in "tTwW":
                self.table.append((int(words[0], 16), words[2]))

    def name(self, address):
        at = bisect.bisect_right(self.table, (address, "\x7f")) - 1
        if at < 0:
            return "no function of the kernel"
        start, name = self.table[at]
        where = subprocess.run(["addr2line", "-e", self.elf, hex(address)], text=True, check=False,
                               stdout=subprocess.PIPE).stdout.partition(" (")[0].strip()
        return f"{name}+{address - start:#x} ({where})"


def where_cpus_stand(path, symbols):
    """Lines: each CPU's place and registers."""
    control = qemu.Qmp(path, 30)
    halted = set()
    for block in re.split(r"(?m)^(?=[* ] CPU #)", control.monitor("info cpus")):
        number = re.search(r"CPU #(\d+)", block)
        if number and "(halted)" in block:
            halted.add(number.group(1))
    text = control.monitor("info registers -a").replace("\r", "")
    for number, registers in re.findall(r"CPU#(\d+)\n(.*?)(?=\n\s*CPU#|\Z)", text, re.S):
        rip = re.search(r"\b(?:[RE]IP=|PC=|pc +)([0-9a-fA-F]+)", registers)
        place = symbols.name(int(rip.group(1), 16)) if rip else "?"
        if number in halted or "HLT=1" in registers:
            place += ", halted"
        yield f"CPU {number} at {place}"
        for line in registers.splitlines()[:6]:
            yield "    " + line.strip()
    # The kernel answers this with registers and backtraces of its own, if it still can.
    control.run("inject-nmi")
    time.sleep(1)


class Run:
    """A machine with a time limit; its console goes to lines and to the log."""

    def __init__(self, options, unwanted=None):
        self.options = options
        self.unwanted = unwanted or threading.Event()  # nobody asks for the result any more
        self.lines = []
        self.first_result = None
        self.results = 0
        self.hung = ""
        self.used = 0.0  # processor seconds, a little late

    def read(self, stream, log, started):
        for raw in stream:
            line = ESCAPES.sub("", raw.decode("utf-8", "replace")).rstrip("\r\n")
            line = line.rpartition("\r")[2]
            if self.first_result is None and re.match(r"(not )?ok 1\b|1\.\.", line):
                self.first_result = time.monotonic() - started
            self.results += bool(re.match(r"(not )?ok \d", line))
            self.lines.append(line)
            log.write(line + "\n")
            log.flush()
            if self.options.verbose:
                print(line, flush=True)

    def run(self):
        with tempfile.TemporaryDirectory(prefix="marrow-") as folder:
            path = os.path.join(folder, "qmp")
            command = qemu.command(self.options) + qemu.socket_option(path) + [
                "-display", "none", "-serial", "stdio", "-monitor", "none"]
            with open(self.options.log, "w", encoding="utf-8") as log:
                log.write("# " + " ".join(command) + "\n")
                log.flush()
                return self.watch(command, path, log)

    def watch(self, command, path, log):
        started = time.monotonic()
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as machine:
            reader = threading.Thread(target=self.read, args=(machine.stdout, log, started))
            reader.start()
            try:
                status = self.wait(machine)
                if status is None and self.hung:
                    self.kill_hung(machine, path, log)
            except BaseException:
                machine.kill()
                raise
            reader.join()
        return status

    def wait(self, machine):
        """Its status; None: it hangs, or it is not wanted any more and was killed."""
        quiet, all_of_it, results = hang.Clock(machine.pid), hang.Clock(machine.pid), 0
        watched = hang.Watch(machine.pid, self.options.cpu_limit or float("inf"))
        while True:
            try:
                return machine.wait(0.2)
            except subprocess.TimeoutExpired:
                pass
            if self.unwanted.is_set():
                machine.kill()
                return None
            if self.results != results:
                results = self.results
                quiet.restart()
            hangs = watched.look()
            self.used = watched.used
            if quiet.had() > self.options.limit:
                self.hung = f"no result for {self.options.limit:g} s, not done after {results}"
            elif all_of_it.had() > MOST_LIMITS * self.options.limit:
                self.hung = f"not done after {MOST_LIMITS * self.options.limit:g} s"
            elif self.options.cpu_limit and hangs:
                self.hung = f"{hangs}, not done after {self.used:.1f} s of processor time"
            if self.hung:
                return None

    def blame(self, verdict):
        """What the clock has to say; what does not end comes first: the rest follows from it."""
        if self.hung:
            verdict.faults.insert(0, f"hung: {self.hung}, killed, see {self.options.log}")
        limit = self.options.first
        if limit and (self.first_result is None or self.first_result > limit):
            verdict.faults.append(f"the first test line came after {self.first_result} s, "
                                  f"the limit is {limit} s")

    def kill_hung(self, machine, path, log):
        report = [f"{self.hung}; the last line was:",
                  "    " + (self.lines[-1] if self.lines else "(none)")]
        try:
            report += where_cpus_stand(path, Symbols(self.options.symbols or self.options.kernel))
        except OSError as error:
            report.append(f"and it does not say where it stands: {error}")
        machine.send_signal(signal.SIGKILL)
        for line in report:
            print(line)
            log.write("# " + line + "\n")


def seeds(options):
    """One run for each seed, several at a time; each counts as one result. The first failure may end it."""
    first, last = map(int, options.seeds.split("-"))
    good = bad = 0
    longest = 0.0
    unwanted = threading.Event()

    def one(seed):
        mine = argparse.Namespace(**vars(options))
        mine.append = f"{options.append} seed={seed}"
        mine.log = f"{options.log}.{seed}"
        run = Run(mine, unwanted)
        status = run.run()
        verdict = Verdict(run.lines, status)
        return seed, run, verdict

    with concurrent.futures.ThreadPoolExecutor(max_workers=options.jobs) as pool:
        runs = [pool.submit(one, seed) for seed in range(first, last + 1)]
        for done in runs:
            seed, run, verdict = done.result()
            longest = max(longest, run.used)
            run.blame(verdict)
            if verdict.good():
                good += 1
                os.unlink(run.options.log)
                continue
            bad += 1
            verdict.print(f"seed {seed}")
            print(f"  again: make seeds SEED={seed}{options.again}   console: {run.options.log}", flush=True)
            if not options.keep_going:
                unwanted.set()
                for other in runs:
                    other.cancel()
                break
    print(f"at most {longest:.1f} s of processor time for one")
    print(f"{good} passed, {bad} failed")
    return good and not bad


def judge(path, status):
    with open(path, encoding="utf-8") as transcript:
        verdict = Verdict((line.rstrip("\n") for line in transcript), int(status))
    verdict.print(os.path.basename(path))
    return verdict.good()


def main():
    if sys.argv[1:2] == ["--judge"]:
        return judge(sys.argv[2], sys.argv[3])
    parser = argparse.ArgumentParser(description="Run the kernel's tests in QEMU.")
    qemu.add_options(parser)
    parser.add_argument("--limit", type=float, default=120, help="seconds without a result until it counts as hung")
    parser.add_argument("--cpu-limit", type=float, metavar="SECONDS",
                        help="processor seconds until it counts as hung; so does a machine that sleeps for long")
    parser.add_argument("--log", required=True, help="file for all that came from the console")
    parser.add_argument("--name", default="kernel", help="what to call this run")
    parser.add_argument("--symbols", metavar="ELF", help="names for addresses, with --iso")
    parser.add_argument("--verbose", action="store_true", help="show the console")
    parser.add_argument("--first", type=float, help="seconds within which the first test line is due")
    parser.add_argument("--seeds", metavar="FIRST-LAST", help="one run for each, with seed=N")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time, of seeds")
    parser.add_argument("--keep-going", action="store_true", help="a seed that fails does not end the others")
    parser.add_argument("--again", default="", help="what make seeds needs to replay a seed, beside it")
    options = parser.parse_args()
    if options.seeds:
        return seeds(options)
    run = Run(options)
    status = run.run()
    verdict = Verdict(run.lines, status)
    run.blame(verdict)
    if run.first_result is not None:
        print(f"first test line after {run.first_result:.2f} s")
    verdict.print(options.name)
    return verdict.good()


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
