#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Streams that the kernel wrote to its virtio console, into files; the format is in kernel/export.h.

    export.py RAW [FOLDER]                 take RAW apart into FOLDER
    export.py --run COMMANDS --kernel ELF  boot, run the monitor's commands, then the same
              [--folder FOLDER] [--need NAME]... [--cpus N --mem SIZE ...]

Everything is checked: each frame's header and sum, the order, and at the end the length and the sum
of the whole. What is wrong is said with its place in RAW, and what came whole is kept: a stream that
lacks something is written as NAME.partial, up to the first byte that is missing. Then the status is 1.
"""

import argparse
import os
import re
import struct
import subprocess
import sys
import tempfile
import zlib

import hang
import qemu

MAGIC = b"MwXf"
HEADER = struct.Struct("<4sHHIIII")
BEGIN, DATA, END, LOST = 1, 2, 3, 4
LONGEST = 32 << 10


class Stream:
    """One stream, as far as it came."""

    def __init__(self, name, at):
        self.name, self.at = name, at
        self.data = bytearray()
        self.sum = 0
        self.next = 1  # sequence of the frame that is due
        self.fault = None  # the first thing that is wrong
        self.ended = False

    def wrong(self, fault):
        if not self.fault:
            self.fault = fault

    def take(self, at, kind, sequence, total, payload):
        if sequence != self.next:
            self.wrong(f"at offset {at}: frame {sequence} came where {self.next} was due")
        self.next = sequence + 1
        if kind == DATA:
            self.add(at, total, payload)
            return
        self.ended = True
        length, = struct.unpack("<Q", payload)
        if kind == LOST:
            self.wrong(f"at offset {at}: the kernel gave this stream up after {length} bytes")
        elif length != len(self.data) or total != self.sum:
            self.wrong(f"at offset {at}: the end speaks of {length} bytes with sum {total:#010x}, "
                       f"{len(self.data)} came with {self.sum:#010x}")

    def add(self, at, total, payload):
        if self.fault:
            return
        found = zlib.crc32(payload, self.sum)
        if found != total:
            self.wrong(f"at offset {at}: {len(payload)} bytes have sum {found:#010x}, "
                       f"not {total:#010x}")
            return
        self.data += payload
        self.sum = found


def frames(raw):
    """Yield (offset, kind, sequence, sum, payload), or (offset, None, 0, 0, fault)."""
    at = 0
    while at < len(raw):
        head = raw[at:at + HEADER.size]
        if len(head) < HEADER.size:
            yield at, None, 0, 0, f"the file ends {len(head)} bytes into a header"
            return
        magic, kind, zero, sequence, length, total, check = HEADER.unpack(head)
        good = magic == MAGIC and check == zlib.crc32(head[:-4]) and not zero
        size_good = length <= LONGEST and (kind not in (END, LOST) or length == 8)
        if not good or not BEGIN <= kind <= LOST or not size_good:
            skip = raw.find(MAGIC, at + 1)
            skip = len(raw) if skip < 0 else skip
            yield at, None, 0, 0, f"no frame; {skip - at} bytes skipped"
            at = skip
            continue
        payload = raw[at + HEADER.size:at + HEADER.size + length]
        if len(payload) < length:
            yield at, None, 0, 0, (f"the file ends after {len(payload)} of a frame's "
                                   f"{length} bytes")
            return
        yield at, kind, sequence, total, payload
        at += HEADER.size + length


def streams(raw):
    """All streams of a file, and faults that belong to none."""
    found, faults, current = [], [], None
    for at, kind, sequence, total, payload in frames(raw):
        if kind == BEGIN:
            if current:
                current.wrong(f"at offset {at}: another stream begins before its end")
            name = payload.decode("ascii", "replace")
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
                name = "unnamed"
            current = Stream(name, at)
            found.append(current)
        elif not current:
            faults.append(f"at offset {at}: "
                          + (payload if kind is None else "a frame without a stream's begin"))
        elif kind is None:
            current.wrong(f"at offset {at}: {payload}")
        else:
            current.take(at, kind, sequence, total, payload)
            if current.ended:
                current = None
    if current:
        current.wrong(f"at offset {len(raw)}: the file ends before the stream does")
    return found, faults


def unpack(raw, folder):
    """Write the files. Return: names of those that are whole, and everything that is wrong."""
    os.makedirs(folder, exist_ok=True)
    found, faults = streams(raw)
    used, whole = set(), []
    for stream in found:
        name, number = stream.name, 1
        while name in used:  # nothing is lost: the second of a name gets a number
            number += 1
            stem, dot, end = stream.name.rpartition(".")
            name = f"{stem}.{number}.{end}" if dot else f"{stream.name}.{number}"
        used.add(name)
        path = os.path.join(folder, name)
        for old in (path, path + ".partial"):
            qemu.remove(old)
        with open(path + (".partial" if stream.fault else ""), "wb") as out:
            out.write(stream.data)
        if stream.fault:
            faults.append(f"{name}: {stream.fault}; {len(stream.data)} bytes kept "
                          f"in {path}.partial")
        else:
            whole.append(name)
            print(f"{path}: {len(stream.data)} bytes")
    return whole, faults


def boot(options):
    """Run the kernel with the monitor's commands. Return: what came, and faults."""
    options.append = f'{options.append} run="{options.run}"'.strip()
    with tempfile.TemporaryDirectory(prefix="marrow-") as folder:
        path = os.path.join(folder, "raw")
        line = qemu.command(options) + qemu.export_option(options, path) + [
            "-display", "none", "-monitor", "none", "-serial", "stdio"]
        log = None if options.verbose else subprocess.PIPE
        try:
            done = hang.run(line, options.limit, stdout=log)
            fault = [] if done.returncode == qemu.PASS else [
                f"QEMU ended with {done.returncode}, not {qemu.PASS}"]
            console = done.stdout
        except subprocess.TimeoutExpired as late:
            fault, console = [f"not done after {options.limit} s"], late.stdout
        options.console = (console or b"").decode("utf-8", "replace").replace("\r", "")
        if fault and console:
            sys.stderr.write(options.console)
        with open(path, "rb") as raw:
            return raw.read(), fault


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    if "--run" not in sys.argv[1:]:
        parser.add_argument("raw")
        parser.add_argument("folder", nargs="?", default="build/out")
        parser.set_defaults(run=None, need=[])
    else:
        qemu.add_options(parser)
        parser.add_argument("--run", metavar="COMMANDS", help="the monitor's, the last is halt")
        parser.add_argument("--folder", default="build/out")
        parser.add_argument("--need", action="append", default=[], metavar="NAME",
                            help="a stream that has to come")
        parser.add_argument("--limit", type=float, default=300, help="seconds")
        parser.add_argument("--verbose", action="store_true", help="show the console")
    options = parser.parse_args()
    faults = []
    if options.run is None:
        with open(options.raw, "rb") as file:
            raw = file.read()
    else:
        raw, faults = boot(options)
    whole, more = unpack(raw, options.folder)
    faults += more
    faults += [f"{name}: did not come" for name in options.need if name not in whole]
    for fault in faults:
        print(fault, file=sys.stderr)
    if not whole and not faults:
        print("nothing came", file=sys.stderr)
    return 1 if faults or not whole else 0


if __name__ == "__main__":
    sys.exit(main())
