#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mm/ compiles, without a warning, with each knob of <marrow/config.h> at each end of its range, with
every compiler given; with the first one for 32 bits too, where that may matter. A knob that is not
flipped here fails."""

import concurrent.futures
import os
import re
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


def main():
    results = common.Results()
    known = knobs()
    results.take(sorted(known - set(FLIPS)), "knobs that are flipped nowhere")
    results.take(sorted(set(FLIPS) - known), "knobs that are none any more")
    results.take([f"{len(known)}, the limit is 12"] if len(known) > 12 else [], "number of knobs")
    sources = common.files("mm/*.c")

    def compile_all(job):
        compiler, flags, name = job
        own = subprocess.run([compiler, "-print-file-name=include"], stdout=subprocess.PIPE,
                             text=True, check=True).stdout.strip()
        done = subprocess.run([compiler, "-isystem", own] + BASE + flags + sources, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        lines = done.stdout.splitlines()[:10]
        return lines or (["failed"] if done.returncode else []), f"{compiler} {flags[0]} {name}"

    jobs = [(compiler, flags, name) for compiler in sys.argv[1:] for flags, name in builds()
            if flags[0] == "-m64" or compiler == sys.argv[1]]
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for faults, name in pool.map(compile_all, jobs):
            results.take(faults, name)
    results.end()


main()
