#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each public header compiles by itself, without a warning: as C and as C++, with gcc and clang, at the least and the
fullest port. hosttest/headers.cc uses, in C++, what the headers give to define a type with.
"""

import concurrent.futures
import glob
import os
import subprocess
import sys

LANGUAGES = [("gcc", "c", "gnu11"), ("gcc", "c", "gnu2x"), ("g++", "c++", "gnu++11"), ("g++", "c++", "gnu++20"),
             ("clang", "c", "gnu11"), ("clang++", "c++", "gnu++11"), ("clang++", "c++", "gnu++20")]
LEVELS = [[], ["-DMW_PORT_LEVEL=3", "-DMW_SITES=1", "-DMW_DEBUG=2"]]
FLAGS = ["-Wall", "-Wextra", "-Wundef", "-Werror", "-fsyntax-only", "-Imm/include"]


def builds():
    for compiler, language, standard in LANGUAGES:
        for level in LEVELS:
            words = [compiler, "-x", language, f"-std={standard}", *FLAGS, *level]
            for header in sorted(glob.glob("mm/include/marrow/*.h")):
                name = os.path.basename(header)
                yield words + ["-"], f"#include <marrow/{name}>\n", f"{name}, {compiler} {standard} {' '.join(level)}"
            if language == "c++" and level:
                with open("hosttest/headers.cc", encoding="utf-8") as file:
                    yield words + ["-"], file.read(), f"hosttest/headers.cc, {compiler} {standard}"


def run(build):
    words, text, name = build
    done = subprocess.run(words, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode == 0, name, done.stdout


def main():
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(run, builds()))
    failed = [result for result in results if not result[0]]
    for _, name, text in failed:
        print(f"not ok {name}\n{text}")
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
