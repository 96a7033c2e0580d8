#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A seed replays its interleaving, in gdb too until it stops: the kernel with seams sums up who gave the
turn where, and says at which instruction it ended."""

import os
import re
import subprocess
import sys
import tempfile

import hang
import qemu

TESTS = "object_frees.two_frees_at_once,thread.threads_allocate"


def command(kernel, seed, more):
    options = qemu.parse(["--kernel", kernel, "--icount", "--cpus", "4", "--mem", "256M", "--append",
                          f"test={TESTS} tsc_hz=1000000000 gap=20000 rounds=2 seed={seed}"])
    return qemu.command(options) + ["-display", "none", "-serial", "stdio", "-monitor", "none"] + more


def last_words(console):
    found = re.search(r"^# seed .*", console, re.M)
    return found.group(0).strip() if found else console[-500:]


def run(kernel, seed):
    done = hang.run(command(kernel, seed, []), 120, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return last_words(done.stdout)


def run_in_gdb(kernel, seed, folder):
    """(the order of turns at a breakpoint at the end, what gdb said)"""
    socket = os.path.join(folder, "gdb")
    machine = subprocess.Popen(command(kernel, seed, ["-S", "-chardev", f"socket,path={socket},server=on,wait=off,id=gdb",
                                                      "-gdb", "chardev:gdb"]),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        gdb = hang.run([qemu.machine_for(kernel).gdb, "-q", "-nx", "-batch", "-ex", f"target remote {socket}", "-ex",
                              "hbreak seams_report", "-ex", "continue", "-ex", "echo order=", "-ex", "output/x order", "-ex", "echo \\n",
                        kernel], 120, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    finally:
        machine.kill()
        machine.wait()
    found = re.search(r"^order=0x([0-9a-f]+)$", gdb, re.M)
    return (found.group(1).zfill(16) if found else "none"), gdb


def main():
    kernel = sys.argv[1]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="marrow-") as folder:
        first, again, other = run(kernel, 3), run(kernel, 3), run(kernel, 4)
        stopped, said = run_in_gdb(kernel, 3, folder)
    print(first)
    for name, good, why in (("a seed replays", first == again, again),
                            ("another seed differs", other != first, other),
                            ("the seed replays in gdb, to the first stop", f"order {stopped};" in first, said)):
        if not good:
            print(f"{name}: no: {why}")
            failed += 1
    print(f"{3 - failed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
