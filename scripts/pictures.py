#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""All pictures of README and docs, made by the kernel: it boots, runs a load, its monitor is typed to
over the serial line, its screen is taken, and what it exports is drawn. `make pictures` runs this.

    pictures.py --iso CD --kernel ELF --out FOLDER [--cpus N --mem SIZE]
"""

import argparse
import os
import select
import subprocess
import sys
import tempfile
import time

import export
import qemu

HERE = os.path.dirname(os.path.abspath(__file__))
PROMPT = b"marrow> "
LOAD = "churn 60000"
# What is on the screen, and what was typed for it; a screen holds 80 by 31 characters.
SCREENS = {
    "monitor": ["poke double-free"],
    "tables": ["alloc 100", "alloc 3000", "alloc 64K", "pages 20", "graph 3000", "slab", "runs"],
    "map": [LOAD, "map colour"],
}


class Screen:
    """A machine with a screen, and its monitor."""

    def __init__(self, options, folder):
        self.path = os.path.join(folder, "qmp")
        line = qemu.command(options) + qemu.socket_option(self.path) + [
            "-display", "none", "-vga", "std", "-serial", "stdio", "-monitor", "none"]
        self.machine = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.limit = time.monotonic() + options.limit

    def wait(self):
        """Until the prompt is the last thing said."""
        seen = b""
        while True:
            quiet = not select.select([self.machine.stdout], [], [], 1.0)[0]
            if quiet and seen.endswith(PROMPT):
                return
            if time.monotonic() > self.limit:
                raise SystemExit("no prompt: " + seen.decode("utf-8", "replace")[-2000:])
            if not quiet:
                more = os.read(self.machine.stdout.fileno(), 4096)
                if not more:
                    raise SystemExit("the machine ended: " + seen.decode("utf-8", "replace"))
                seen += more

    def type(self, line):
        self.machine.stdin.write(line.encode() + b"\r")
        self.machine.stdin.flush()
        self.wait()

    def take(self, path):
        qemu.Qmp(self.path).run("screendump", filename=os.path.abspath(path), format="png")
        print(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.machine.kill()
        self.machine.wait()


def screens(options, folder):
    for name, commands in SCREENS.items():
        with Screen(options, folder) as screen:
            screen.wait()
            for command in commands:
                screen.type(command)
            screen.take(os.path.join(options.out, name + ".png"))


def drawings(options, folder):
    options.iso = None
    options.kernel, options.run, options.verbose = options.elf, f"{LOAD};state;halt", False
    raw, faults = export.boot(options)
    faults += export.unpack(raw, folder)[1]
    if faults:
        raise SystemExit("\n".join(faults))
    subprocess.run([os.path.join(HERE, "heap_pictures.py"), folder, options.out], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    qemu.add_options(parser)
    parser.add_argument("--elf", required=True, help="the kernel, for what is drawn")
    parser.add_argument("--out", required=True, help="folder for the pictures")
    parser.add_argument("--limit", type=float, default=200, help="seconds for each machine")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="marrow-") as folder:
        screens(options, folder)
        drawings(options, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
