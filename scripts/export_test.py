#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The way out of the kernel: what arrives is what was sent, and each damage is found and placed."""

import contextlib
import io
import os
import re
import struct
import subprocess
import sys
import tempfile

import export
import hang

SIZES = (0, 1, 24, 511, 32768, 32769, 1000000)
results = []


def check(name, good):
    results.append(bool(good))
    if not good:
        print(f"not ok {name}")


def pattern(size):
    """What the monitor's `export SIZE` sends."""
    count = size // 8 + 1
    words = ((n * 0x9e3779b97f4a7c15) & (2 ** 64 - 1) for n in range(count))
    return struct.pack(f"<{count}Q", *words)[:size]


def take_apart(raw, folder):
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    with contextlib.redirect_stdout(io.StringIO()):
        whole, faults = export.unpack(raw, folder)
    files = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            files[name] = file.read()
    return whole, faults, files


def all_arrives(raw, folder):
    whole, faults, files = take_apart(raw, folder)
    check("nothing is wrong", not faults)
    check("every stream came", len(whole) == len(SIZES))
    for number, size in enumerate(SIZES, 1):
        name = "pattern" if number == 1 else f"pattern.{number}"
        check(f"{size} bytes are right", files.get(name) == pattern(size))


def damage(raw, folder):
    """The last stream is the long one: its frames are at the end of the file."""
    whole = pattern(SIZES[-1])
    kept = f"pattern.{len(SIZES)}.partial"
    frames = [at for at, *_ in export.frames(raw)]
    first = frames[-33]  # BEGIN; 31 pieces; END
    cases = {
        "a bit of the data": (raw[:first + 90000] + bytes([raw[first + 90000] ^ 1])
                              + raw[first + 90001:], 2),
        "a bit of a header": (raw[:frames[-20] + 9] + bytes([raw[frames[-20] + 9] ^ 4])
                              + raw[frames[-20] + 10:], 12),
        "a frame that is missing": (raw[:frames[-20]] + raw[frames[-19]:], 12),
        "a frame that came twice": (raw[:frames[-19]] + raw[frames[-20]:], 13),
        "two frames in the wrong order": (raw[:frames[-20]] + raw[frames[-19]:frames[-18]]
                                          + raw[frames[-20]:frames[-19]] + raw[frames[-18]:], 12),
        "noise between frames": (raw[:frames[-20]] + b"noise" * 7 + raw[frames[-20]:], 12),
        "no end": (raw[:frames[-1]], 31),
        "an end in the middle of a frame": (raw[:frames[-5] + 1000], 27),
        "an end in the middle of a header": (raw[:frames[-5] + 7], 27),
        "no beginning of the last": (raw[:first] + raw[frames[-32]:], None),
    }
    for name, (bad, pieces) in cases.items():
        _, faults, files = take_apart(bad, folder)
        check(f"{name}: found", faults)
        check(f"{name}: placed", all(re.search(r"at offset \d+", fault) for fault in faults))
        check(f"{name}: the other streams are whole",
              all(files.get("pattern" if n == 1 else f"pattern.{n}") == pattern(size)
                  for n, size in enumerate(SIZES[:-1], 1)))
        if pieces is not None:
            check(f"{name}: what came before it is kept",
                  files.get(kept) == whole[:pieces * export.LONGEST])


def odd_names(raw, folder):
    """A name must not lead out of the folder."""
    name = b"../../etc/x"
    head = struct.pack("<4sHHIII", export.MAGIC, export.BEGIN, 0, 0, len(name), 0)
    head += struct.pack("<I", export.zlib.crc32(head))
    rest = raw[[at for at, *_ in export.frames(raw)][1]:]
    _, faults, files = take_apart(head + name + rest, folder)
    check("an odd name is replaced", not faults and "unnamed" in files)


def without_device(kernel):
    """A machine without the console says so, and text comes out on the other one."""
    options = export.qemu.parse(["--kernel", kernel, "--append", 'run="export 10;trace;halt"'])
    line = export.qemu.command(options) + ["-display", "none", "-monitor", "none", "-serial", "stdio"]
    text = hang.run(line, 60, stdout=subprocess.PIPE).stdout.decode()
    check("no device is said", "no virtio console" in text)
    check("text goes to the console", '"traceEvents"' in text)


def main():
    kernel = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="marrow-") as folder:
        commands = ";".join(f"export {size}" for size in SIZES)
        options = export.qemu.parse(["--kernel", kernel, "--cpus", "2"])
        options.run, options.verbose, options.limit = commands + ";halt", False, 100
        raw, faults = export.boot(options)
        check("the kernel ends well", not faults)
        all_arrives(raw, folder)
        damage(raw, folder)
        odd_names(raw, folder)
    without_device(kernel)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
