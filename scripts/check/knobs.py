#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mm/ compiles, without a warning, with each knob of <marrow/config.h> at each end of its range, with
gcc and clang; with gcc for 32 bits too, where that may matter. A knob that is not flipped here fails.

clang takes all files in one process, and gcc only those whose text with this knob, preprocessed, no build
before had: half of the time of a compiler that checks syntax goes into its start. (clang preprocesses; no
file asks for compiler and knob in one condition.)
"""

import concurrent.futures
import os
import re
import shlex
import subprocess
import sys

import common

FLIPS = {
    "MW_PAGE_SHIFT": [f"-DMW_PAGE_SHIFT={n}" for n in range(12, 17)],
    "MW_MAX_CPUS": ["-DMW_MAX_CPUS=1", "-DMW_MAX_CPUS=4096"],
    "MW_PORT_LEVEL": [f"-DMW_PORT_LEVEL={n}" for n in range(4)],
    "MW_GC": ["-DMW_GC=0", "-DMW_GC=1"],
    "MW_WATCH": ["-DMW_WATCH=0", "-DMW_WATCH=1"],
    "MW_DEBUG": [f"-DMW_DEBUG={n}" for n in range(3)],
    "MW_SITES": ["-DMW_SITES=0", "-DMW_SITES=1"],
    "MW_ADDR_BITS": ["-DMW_ADDR_BITS=26", "-DMW_ADDR_BITS=48"],
    "MW_ADDR_BASE": ["-DMW_ADDR_BASE=0xffff800000000000 -DMW_ADDR_BITS=40"],
    "MW_PORT_INLINE_H": ['-DMW_PORT_INLINE_H="arch/x86_64/port_inline.h" -I.'],
    "MW_SOFT_BITS": ["-DMW_SOFT_BITS=1"],
    "MW_SHADOW_H": ['-DMW_SHADOW_H="kernel/asan/shadow.h" -I.'],
}
# Between the ends of a range: for the compiler that is quick.
CLANG_ONLY = [f"-DMW_PAGE_SHIFT={n}" for n in range(13, 16)]
ALSO_32 = ("MW_PAGE_SHIFT", "MW_PORT_LEVEL", "MW_DEBUG", "MW_SOFT_BITS")
BASE = ("-std=gnu11 -Wall -Wextra -Wundef -Werror -ffreestanding -nostdinc -fno-pic "
        "-mgeneral-regs-only -fsyntax-only -Imm/include").split()


def knobs():
    """What config.h takes from outside."""
    text = "\n".join(common.lines_of("mm/include/marrow/config.h"))
    return set(re.findall(r"#ifn?def (MW_[A-Z_]+)$", text, re.M)) - {"MW_CONFIG_H"}


def builds():
    """Without any knob, as a barebones kernel; and each knob on top of the fullest port."""
    yield ["-m64"], "none"
    yield ["-m32"], "none"
    for knob, flips in FLIPS.items():
        for flip in flips:
            full = [] if knob == "MW_PORT_LEVEL" else ["-DMW_PORT_LEVEL=3"]
            yield ["-m64"] + full + flip.split(), flip
            if knob in ALSO_32:
                yield ["-m32"] + full + flip.split(), flip


def own_headers(compiler):
    return ["-isystem", subprocess.run([compiler, "-print-file-name=include"], stdout=subprocess.PIPE,
                                       text=True, check=True).stdout.strip()]


def run(command):
    """What a compiler says, at most 10 lines of it; nothing if it is content."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.stdout.splitlines()[:10] or (["failed"] if done.returncode else [])


def gcc(flags, sources):
    return run(["gcc"] + own_headers("gcc") + BASE + flags + sources)


def frontend(flags, sources):
    """clang's own command for these flags, which takes more than one file at a time."""
    line = subprocess.run(["clang", "-###"] + own_headers("clang") + BASE + flags + sources[:1], text=True,
                          stderr=subprocess.PIPE, check=True).stderr
    words = shlex.split(next(line for line in line.splitlines() if '"-cc1"' in line))
    words.remove(sources[0])
    at = words.index("-main-file-name")
    return words[:at] + words[at + 2:]


def clang(flags, sources):
    return run(frontend(flags, sources) + sources)


def preprocessed(flags, sources):
    """file: a number that stands for its text."""
    command = ["-E" if word == "-fsyntax-only" else word for word in frontend(flags, sources)]
    text = subprocess.run(command + ["-o", "-"] + sources, text=True, stdout=subprocess.PIPE, check=True).stdout
    parts = re.split(r'^# 1 "(mm/\w+/\w+\.c)"$', text, flags=re.M)
    texts = {}
    for path, part in zip(parts[1::2], parts[2::2]):
        lines = [line for line in part.splitlines() if line.strip() and line[0] != "#"]
        texts[path] = hash((texts.get(path), "\n".join(lines)))
    if set(texts) != set(sources):
        sys.exit("clang does not preprocess one file after the other as expected")
    return texts


def main():
    results = common.Results()
    known = knobs()
    results.take(sorted(known - set(FLIPS)), "knobs that are flipped nowhere")
    results.take(sorted(set(FLIPS) - known), "knobs that are none any more")
    results.take([f"{len(known)}, the limit is 12"] if len(known) > 12 else [], "number of knobs")
    sources = common.files("mm/*.c")

    def check_build(job):
        flags, name, new = job
        faults = []
        if new and name not in CLANG_ONLY:
            faults.append((gcc(flags, new), f"gcc {flags[0]} {name}"))
        if flags[0] == "-m64" or name in CLANG_ONLY:
            faults.append((clang(flags, sources), f"clang {flags[0]} {name}"))
        return faults

    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        texts = pool.map(lambda build: preprocessed(build[0], sources), builds())
        jobs, seen = [], set()
        for (flags, name), text in zip(builds(), texts):
            new = [path for path in sources if (flags[0], path, text[path]) not in seen]
            if name not in CLANG_ONLY:
                seen.update((flags[0], path, text[path]) for path in new)
            jobs.append((flags, name, new))
        for done in pool.map(check_build, jobs):
            for faults, name in done:
                results.take(faults, name)
    results.end()


main()
