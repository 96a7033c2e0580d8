# SPDX-License-Identifier: MIT
"""Runs build/bench/objects under each allocator: times, memory, and instructions by callgrind."""

import os
import statistics
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BENCH = os.path.join(ROOT, "build/bench/objects")
RECORDER = os.path.join(ROOT, "build/bench/record.so")
LIBDIR = "/usr/lib/x86_64-linux-gnu"

# Name, library to preload (None: what libc has), Debian package.
OURS = ("Marrow", os.path.join(ROOT, "build/libmarrow.so"), None)
PEERS = [
    ("mimalloc 2.0", LIBDIR + "/libmimalloc.so.2", "libmimalloc2.0"),
    ("tcmalloc", LIBDIR + "/libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    ("jemalloc", LIBDIR + "/libjemalloc.so.2", "libjemalloc2"),
    ("glibc", None, None),
]


def install_peers():
    """Installs what is missing, if this user may; says what stays missing."""
    missing = [p for _, lib, p in PEERS if lib and not os.path.exists(lib)]
    if missing and os.geteuid() == 0:
        env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-remove",
                        "--no-install-recommends"] + missing,
                       env=env, stdout=subprocess.DEVNULL, check=False)
    here = [p for p in PEERS if not p[1] or os.path.exists(p[1])]
    for name in sorted({p[0] for p in PEERS} - {p[0] for p in here}):
        print(f"{name} is not installed: no column for it")
    return here


def environment(lib):
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    if lib:
        env["LD_PRELOAD"] = lib
    return env


def run(lib, load, count, arg=64, threads=2, trace=""):
    """One run. Returns ns an allocation, allocations, peak KiB, bytes requested, bytes resident."""
    argv = [BENCH, load, str(count), str(arg), str(threads)] + ([trace] if trace else [])
    out = subprocess.run(argv, env=environment(lib), check=True, timeout=120,
                         stdout=subprocess.PIPE, text=True).stdout.split()
    return float(out[0]), int(out[1]), int(out[2]), int(out[3]), int(out[4])


def own_costs(path):
    """Sums callgrind's self costs by object file."""
    costs, names, ob, skip = {}, {}, None, False
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.startswith("ob="):
                ident, _, name = line[3:].strip().partition(" ")
                names[ident] = name or names.get(ident, "")
                ob = names[ident]
            elif line.startswith("cob="):
                ident, _, name = line[4:].strip().partition(" ")
                if name:
                    names[ident] = name
            elif line.startswith("calls="):
                skip = True
            elif line[:1].isdigit() or line[:1] in "+-*":
                if not skip:
                    costs[ob] = costs.get(ob, 0) + int(line.split()[1])
                skip = False
    return costs


def count_once(lib, load, count, arg, trace):
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, "out")
        argv = ["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out,
                BENCH, load, str(count), str(arg), "2"] + ([trace] if trace else [])
        done = subprocess.run(argv, env=environment(lib), timeout=300,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(f"{load} {arg} under callgrind: {done.stderr[-500:]}")
        costs = own_costs(out)
    total = sum(n for ob, n in costs.items() if not ob.endswith("/bench/objects"))
    return total, int(done.stdout.split()[1])


def instructions(lib, load, count, arg=64, trace=""):
    """
    Instructions for one allocation and its free: what a run of twice the length executes more than
    the short one, outside of the benchmark program itself.
    """
    short, n1 = count_once(lib, load, count, arg, trace)
    long, n2 = count_once(lib, load, 2 * n1, arg, trace)
    return (long - short) / (n2 - n1)


def interleaved(allocators, rounds, load, count, arg=64, threads=2, trace=""):
    """Medians of the times, and peak memory, by name; one run of each in turn."""
    ns = {a[0]: [] for a in allocators}
    kib = {a[0]: [] for a in allocators}
    for i in range(rounds):
        # Nobody is always the one who comes after the slowest.
        for name, lib, _ in allocators[i % len(allocators):] + allocators[:i % len(allocators)]:
            answer = run(lib, load, count, arg, threads, trace)
            ns[name].append(answer[0])
            kib[name].append(answer[2])
    return ({n: statistics.median(v) for n, v in ns.items()},
            {n: statistics.median(v) for n, v in kib.items()})


def record(argv, to, text=None):
    """Records what a program asks of malloc."""
    env = dict(environment(RECORDER), BENCH_RECORD=to)
    subprocess.run(argv, env=env, check=True, input=text, text=True, stdout=subprocess.DEVNULL)
