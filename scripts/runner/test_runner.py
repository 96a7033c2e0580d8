#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of scripts/ktap.py and test.py: each way for a run to go wrong makes it fail, and says why.

Most run a real machine with the tiny kernel beside this file; with --kernel the demo kernel shows
its own panic, fault and hang too. The last line counts results.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
KTAP = os.path.join(HERE, "../ktap.py")
HANG = os.path.join(HERE, "../hang.py")
DONE = "# marrow: tests done;"
TWO = "KTAP version 1;1..2;ok 1 a.b;ok 2 a.c;"

# name, what the tiny kernel prints (';' is a newline) behind the letter for how it ends, passes,
# what the report must say
MACHINES = [
    ("all is well", "p" + TWO + DONE, True, r"2 passed, 0 failed, 0 skipped"),
    ("a skip is no pass", "p1..2;ok 1 a # SKIP no memory;ok 2 b;" + DONE, True,
     r"1 passed, 0 failed, 1 skipped"),
    ("only skips", "p1..1;ok 1 a # SKIP no memory;" + DONE, False, r"no test ran"),
    ("a failed test", "f1..2;ok 1 a;# why;not ok 2 b.c;" + DONE, False, r"# why\n.*not ok 2 b\.c"),
    ("a failed test and the code for success", "p1..1;not ok 1 a;" + DONE, False,
     r"reported success in spite"),
    ("a panic", "f1..2;ok 1 a;panic: all is lost;", False, r"wrote 1, not 16"),
    ("a panic after the last test", "f" + TWO + DONE, False, r"wrote 1, not 16"),
    ("a triple fault", "t1..2;ok 1 a;", False, r"triple fault"),
    ("a triple fault after the last test", "t" + TWO + DONE, False, r"triple fault"),
    ("QEMU's own exit code", "z" + TWO + DONE, False, r"QEMU's own error"),
    ("a halted machine", "h" + TWO, False, r"(?s)not done after.*CPU 0 at .*halted.*hung"),
    ("a spinning machine", "s" + TWO + DONE, False, r"(?s)CPU 0 at spin_for_ever.*hung"),
    ("a missing test", "p1..3;ok 1 a;ok 3 c;" + DONE, False, r"the plan was 3 tests, 2 came"),
    ("a gap in the numbers", "p1..2;ok 1 a;ok 3 c;" + DONE, False, r"result 3 .* where 2"),
    ("a wrong plan", "p1..1;ok 1 a;ok 2 b;" + DONE, False, r"the plan was 1 tests, 2 came"),
    ("two plans", "p" + TWO + TWO + DONE, False, r"two plans"),
    ("no plan", "pok 1 a;" + DONE, False, r"no plan"),
    ("no tests", "p1..0;" + DONE, False, r"no test ran"),
    ("nothing at all", "p", False, r"no plan"),
    ("a missing marker", "p" + TWO, False, r"marrow: tests done.*missing"),
    ("a result after the marker", "p1..2;ok 1 a;" + DONE + "ok 2 b;", False, r"after the marker"),
]

# name, commands for the demo kernel's monitor or other words for it, what the report must say
KERNELS = [
    ("the kernel panics", "panic bang", r"(?s)QEMU ended with \d+: the kernel wrote.*panic.*bang"),
    ("the kernel triple-faults", "poke triple-fault", r"triple fault"),
    ("the kernel hangs", "poke hang", r"(?s)CPU 0 at hang\+.*hung.*NMI: registers.*monitor_run"),
    ("a thread overflows its stack", "poke thread-stack",
     r'(?s)panic on CPU \d+: page fault: stack overflow into the guard page.*deep.*Thread "deep"'),
    ("a handler overflows its stack", "poke irq-stack",
     r"(?s)stack overflow into the guard page.*deep.*overflow_in_handler.*trap_common.*poke(_\w+)?\+"),
    ("a handler has an exception", "poke irq-fault",
     r"(?s)panic on CPU 0: invalid instruction.*invalid_in_handler\+.*trap_common.*poke(_\w+)?\+"),
    ("the kernel runs no tests", "exit", r"no plan"),
    ("bounds where nothing is counted", "counted=1 test=sleep",
     r"(?s)not ok 1 sleep.cost.*0 passed, 1 failed, 0 skipped.*failed: instructions are counted"),
]


class Results:
    def __init__(self):
        self.passed = self.failed = 0

    def take(self, good, name, text):
        if good:
            self.passed += 1
        else:
            self.failed += 1
        print(f"{'ok' if good else 'not ok'} {self.passed + self.failed} {name}", flush=True)
        if not good:
            print("".join(f"    {line}\n" for line in text.splitlines()), end="", flush=True)


def run(folder, arguments):
    done = subprocess.run([KTAP, "--log", os.path.join(folder, "log")] + arguments, check=False,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def machines(results, folder, tiny):
    for name, line, passes, says in MACHINES:
        limit = "2" if line[0] in "hs" else "30"
        status, text = run(folder, ["--kernel", tiny, "--append", line, "--limit", limit])
        results.take((status == 0) == passes and re.search(says, text), name, text)


def processor_time(results, folder, tiny):
    """The clock alone would wait for a minute."""
    spins, ends = "s" + TWO + DONE, "p" + TWO + DONE
    for name, line, passes, says in (
            ("a spinning machine, by its processor time", spins, False, r"for ever, not done after \d+\.\d s of proc"),
            ("a machine with little processor time", ends, True, r"2 passed, 0 failed")):
        status, text = run(folder, ["--kernel", tiny, "--append", line, "--limit", "60", "--cpu-limit", "1"])
        results.take((status == 0) == passes and re.search(says, text), name, text)


def busy_host(results, folder):
    """Beside others a program has less time than the clock says; what it says starts its time anew."""
    slow = os.path.join(folder, "slow")
    with open(slow, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nfor n in 1 2 3; do i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo $n; done\n")
    os.chmod(slow, 0o755)
    others = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(6 * (os.cpu_count() or 1))]
    try:
        done = subprocess.run([HANG, "2", slow], check=False, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    finally:
        for other in others:
            other.kill()
            other.wait()
    results.take(done.returncode == 0 and done.stdout == "1\n2\n3\n", "a program on a busy host", done.stdout)
    for name, script in (("a program that sleeps", "echo 1; sleep 60"), ("a program that spins", "echo 1; while :; do :; done")):
        done = subprocess.run([HANG, "1", "sh", "-c", "exec 2>&1; " + script], check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        results.take(done.returncode == 124 and done.stdout == "1\n" and "quiet for 1 s" in done.stderr, name,
                     done.stdout + done.stderr)


def one_of_many(results, folder, tiny):
    """The first failure ends the other machines where nobody asked to keep going."""
    status, text = run(folder, ["--kernel", tiny, "--append", "s" + TWO + DONE, "--limit", "60", "--cpu-limit", "1",
                                "--seeds", "1-9", "--jobs", "2"])
    results.take(status == 1 and re.search(r"seed 1: hung.*(?s:.*)^0 passed, 1 failed", text, re.M) and
                 "seed 2:" not in text, "seeds that all hang", text)


def transcripts(results, folder):
    """What a machine cannot easily be made to do."""
    path = os.path.join(folder, "transcript")
    for name, status, says in (("killed from outside", "-9", "killed by signal 9"),
                               ("an even exit code", "34", "not a code of the kernel")):
        with open(path, "w", encoding="utf-8") as file:
            file.write((TWO + DONE).replace(";", "\n"))
        done = subprocess.run([KTAP, "--judge", path, status], check=False, text=True,
                              stdout=subprocess.PIPE)
        results.take(done.returncode == 1 and says in done.stdout, name, done.stdout)
    status, text = run(folder, ["--kernel", os.path.join(folder, "absent")])
    results.take(status == 1 and "QEMU's own error" in text, "a kernel that is not there", text)


def parts(results, folder):
    """Of scripts/test.py: a suite that a sanitizer ends, beside one that is skipped whole, and a command."""
    suites = os.path.join(folder, "build", "m32")
    os.makedirs(suites)
    os.symlink(os.path.abspath("scripts"), os.path.join(folder, "scripts"))
    for name, text in (("test_gc", "exit 1"), ("test_a", '[ "$1" = --list ] && exit\necho 1..1\necho ok 1 - a.b\n'
                                               'echo "# done"\necho SUMMARY: a race >&2\nexit 66')):
        path = os.path.join(suites, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{text}\n")
        os.chmod(path, 0o755)
    done = subprocess.run(["scripts/test.py", "--host", "m32", "--part", "word",
                           "sh -c 'echo not ok 1 early; seq 9; echo ok 2; echo for a reason; echo 0 passed, 1 failed'"],
                          cwd=folder, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    results.take(done.returncode == 1 and re.search(
        r"(?s)\nfailed: m32: test_a\.tap: SUMMARY: a race\n.*failed: word: not ok 1 early\n"
        r"(failed: word: \d\n)+failed: word: for a reason\n.*1 passed, 2 failed, 1 skipped\n",
        done.stdout), "what failed is said again at the end", done.stdout)


def kernels(results, folder, kernel):
    for name, commands, says in KERNELS:
        words = commands if "=" in commands else f'run="{commands}"'
        status, text = run(folder, ["--kernel", kernel, "--cpus", "4", "--append", words,
                                    "--limit", "8"])
        with open(os.path.join(folder, "log"), encoding="utf-8") as log:
            text += log.read()
        results.take(status == 1 and re.search(says, text), name, text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tiny", required=True, help="the linked tiny kernel")
    parser.add_argument("--kernel", help="the demo kernel")
    options = parser.parse_args()
    results = Results()
    with tempfile.TemporaryDirectory(prefix="marrow-") as folder:
        machines(results, folder, options.tiny)
        processor_time(results, folder, options.tiny)
        busy_host(results, folder)
        one_of_many(results, folder, options.tiny)
        transcripts(results, folder)
        parts(results, folder)
        if options.kernel:
            kernels(results, folder, options.kernel)
    print(f"{results.passed} passed, {results.failed} failed")
    return 1 if results.failed or not results.passed else 0


if __name__ == "__main__":
    sys.exit(main())
