# SPDX-License-Identifier: MIT
"""The suites of one build in a copy of the tree, of which one object is compiled anew: for scripts/random_mutants.py."""

import collections
import glob
import os
import subprocess
import sys

import mutate


class Program:
    """The suites of one build in one copy of the tree, with single objects compiled anew and put back."""

    def __init__(self, slot, variant):
        self.root, self.variant = slot.root, variant
        self.base = f"build/{variant}/suites"  # stays as it is without a mutant
        self.path = self.base + ".mutant"
        self.other = self.base + ".other"  # the same mutant, compiled in another way
        done = slot.build(variant)
        if done.returncode:
            sys.exit(f"{variant} does not build without a mutant:\n{done.stdout[-2000:]}")
        asked = ["make", "-n", "V=1", "-W", "mm/base/format.c", self.base, f"CFLAGS={mutate.FLAGS}"]
        said = subprocess.run(asked, cwd=self.root, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
        self.compile = next(line for line in said if line.endswith("-c -o build/%s/mm/base/format.o mm/base/format.c" % variant))
        self.link = next(line for line in said if f" -o {self.base} " in line).replace(f" -o {self.base} ", f" -o {self.path} ")
        self.of_header = collections.defaultdict(set)
        for path in glob.glob(f"{self.root}/build/{variant}/**/*.d", recursive=True):
            target = os.path.relpath(path, f"{self.root}/build/{variant}")[:-2] + ".c"
            with open(path, encoding="utf-8") as file:
                for word in file.read().replace("\\\n", " ").split():
                    if word.endswith(".h"):
                        self.of_header[os.path.normpath(word)].add(target)

    def run(self, command):
        return subprocess.run(command, shell=True, cwd=self.root, check=False, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def build(self, path, other=False):
        """None: it does not compile; else whether an object differs from what it was. To be called with @path changed."""
        compiler, link = self.compile, self.link
        if other:
            compiler, link = compiler.replace(" -O1 ", " -O2 "), link.replace(self.path, self.other)
        sources = [path] if path.endswith(".c") else sorted(self.of_header[path])
        changed, good = [], True
        for source in sources:
            made = f"build/{self.variant}/{source[:-2]}.o"
            where = os.path.join(self.root, made)
            with open(where, "rb") as file:
                before = file.read()
            changed.append((where, before))
            good = self.run(compiler.replace("mm/base/format", source[:-2]))
            if not good:
                break
        try:
            if not good:
                return None
            if all(before == reading(where) for where, before in changed):
                return False
            return True if self.run(link) else None
        finally:
            for where, before in changed:
                with open(where, "wb") as file:
                    file.write(before)


def reading(path):
    with open(path, "rb") as file:
        return file.read()
