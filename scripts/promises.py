#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the tests that attack what Marrow promises, and see that no promise goes without one.

A promise is a sentence of README.md or of a public header that says "never", "always", "bounded",
"at most", "constant", "as before" or "nothing changes", or a guarantee that README.md lists.
hosttest/promises.txt gives each an identifier and the tests or commands that attack it, or the reason
why the sentence promises nothing. This script fails where a sentence has no entry, where an entry has
no sentence or no test, and where a test fails or does not run.

The last line is "promises: N promises, N tests, N passed, N failed".
"""

import argparse
import collections
import concurrent.futures
import glob
import os
import re
import shlex
import subprocess
import sys

LIST = "hosttest/promises.txt"
LIMIT = "300"  # seconds for one program: against hangs
WORDS = re.compile(r"\b(never|always|bounded|at most|constant|as before|nothing changes)\b",
                   re.IGNORECASE)
GUARANTEES = re.compile(r"^## What it guarantees\n(.*?)^## ", re.MULTILINE | re.DOTALL)
BULLET = re.compile(r"^\s*(?:[-*]|@\w+:)\s+")

Entry = collections.namedtuple("Entry", "name path quote tests commands reason line")


def paragraphs(path, text):
    """The prose of a document, or of the comments of a header: one string a paragraph or list item."""
    if path.endswith(".h"):
        text = "\n\n".join(re.sub(r"^[ \t]*\*?[ \t]?", "", comment[2:-2], flags=re.MULTILINE)
                           for comment in re.findall(r"/\*.*?\*/", text, re.DOTALL))
    part = []
    for line in text.splitlines() + [""]:
        if part and (not line.strip() or BULLET.match(line)):
            yield " ".join(part)
            part = []
        if line.strip():
            part.append(BULLET.sub("", line).strip())


def sentences(path):
    """What a file promises: its sentences with one of the words, white space folded."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    guarantees = GUARANTEES.search(text)
    if guarantees:
        for paragraph in paragraphs(path, guarantees[1]):
            yield re.sub(r"[\s*`]+", " ", paragraph).strip()
        text = text.replace(guarantees[0], "\n")
    for paragraph in paragraphs(path, text):
        for sentence in re.split(r"(?<=[.;!?])\s+", re.sub(r"[\s*`]+", " ", paragraph)):
            if WORDS.search(sentence):
                yield sentence.strip()


def entries():
    """The list: "NAME FILE: words" lines, each with indented lines that say what holds it."""
    found = []
    with open(LIST, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            begin = re.fullmatch(r"(\S+) (\S+): (.+)\n", line)
            more = re.fullmatch(r"\s+(tests|command|no promise): (.+)\n", line)
            if begin and not line[0].isspace():
                found.append(Entry(*begin.groups(), [], [], [], number))
            elif more and found and more[1] == "tests":
                found[-1].tests.extend(more[2].split())
            elif more and found:
                (found[-1].commands if more[1] == "command" else found[-1].reason).append(more[2])
            else:
                sys.exit(f"{LIST}:{number}: cannot be read: {line.strip()}")
    return found


def runner_of(pattern, folder):
    """The program of a test or of a whole suite: "page.join" and "page" are in test_page."""
    return os.path.join(folder, "test_" + pattern.split(".")[0])


def run(runner, patterns):
    """Run @patterns of one program. Return: what each test came to, by its name."""
    names = [p if "." in p else p + ".*" for p in patterns]
    done = subprocess.run(["timeout", "-k", "10", LIMIT, runner, *names], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    results = {}
    for line in done.stdout.decode(errors="replace").splitlines():
        told = re.match(r"(not )?ok \d+ (?:- )?(\S+)(.*)", line)
        if told:
            skipped = re.search(r"#\s*skip", told[3], re.IGNORECASE)
            results[told[2]] = "failed" if told[1] else "skipped" if skipped else "passed"
    return results


def faults_of(entry, results):
    """What is wrong with the tests of one promise."""
    if not entry.tests and not entry.commands and not entry.reason:
        yield "nothing holds it"
    for command in entry.commands:
        if subprocess.run(shlex.split(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          check=False).returncode:
            yield f"{command}: failed"
    for pattern in entry.tests:
        found = {name: what for name, what in results.items()
                 if name == pattern or name.startswith(pattern + ".")}
        if not found:
            yield f"{pattern}: no such test ran"
        elif "passed" not in found.values():
            yield f"{pattern}: was skipped"
        yield from (f"{name}: {what}" for name, what in found.items() if what == "failed")


def exact(entry, said):
    """The sentences that an entry may mean: the one that is just its words, or else those that hold them."""
    return [s for s in said if s == entry.quote] or [s for s in said if entry.quote in s]


def pair(listed):
    """Sentences without an entry, and entries without exactly one sentence; each as a fault."""
    said = {path: list(sentences(path))
            for path in ["README.md"] + sorted(glob.glob("mm/include/marrow/*.h"))}
    taken = set()
    for entry in listed:
        hits = exact(entry, said.get(entry.path, []))
        if len(hits) != 1:
            yield f"{LIST}:{entry.line}: {entry.name}: {len(hits)} sentences of {entry.path} say this"
        taken.update((entry.path, s) for s in hits)
    for path, all_of in said.items():
        yield from (f"{path}: no entry in {LIST} for: {s}" for s in all_of if (path, s) not in taken)
    twice = [n for n, k in collections.Counter(e.name for e in listed).items() if k > 1]
    yield from (f"{LIST}: {name} stands twice" for name in twice)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default="build/host", help="where the hosted programs are")
    parser.add_argument("--list", action="store_true", help="only see that each sentence has an entry")
    args = parser.parse_args()
    listed = list(entries())
    faults = list(pair(listed))
    for fault in faults:
        print(f"not ok {fault}")
    passed, failed, results = 0, len(faults), {}
    if not args.list:
        wanted = collections.defaultdict(set)
        for entry in listed:
            for test in entry.tests:
                wanted[runner_of(test, args.folder)].add(test)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for some in pool.map(lambda item: run(*item), wanted.items()):
                results.update(some)
        for entry in listed:
            wrong = list(faults_of(entry, results))
            if not entry.reason:
                passed, failed = passed + (not wrong), failed + bool(wrong)
                print(f"{'not ok' if wrong else 'ok'} {entry.name}: {entry.quote}")
            for line in wrong:
                print(f"  {line}")
    promises = sum(not e.reason for e in listed)
    print(f"promises: {promises} promises, {len(results)} tests, {passed} passed, {failed} failed")
    sys.exit(1 if failed or not promises else 0)


main()
