#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""All pictures of README and docs, made by the kernel: it boots, runs a load, its monitor is typed to
over the serial line, its screen is taken, and what it exports is drawn. `make pictures` runs this.

    pictures.py --iso CD --kernel ELF --out FOLDER [--cpus N --mem SIZE]
"""

import argparse
import os
import subprocess
import sys
import tempfile

import export
import prompt
import qemu

HERE = os.path.dirname(os.path.abspath(__file__))
LOAD = "churn 60000"
# What is on the screen, and what was typed for it; a screen holds 80 by 31 characters.
SCREENS = {
    "monitor": ["poke double-free"],
    "tables": ["alloc 100", "alloc 3000", "alloc 64K", "pages 20", "graph 3000", "slab", "runs"],
    "map": [LOAD, "map colour"],
}


def screens(options, folder):
    for name, commands in SCREENS.items():
        path = os.path.join(options.out, name + ".png")
        with prompt.Machine(options, folder) as machine:
            machine.until_prompt()
            for command in commands:
                machine.type(command + "\n")
                machine.until_prompt()
            machine.picture(path)
        print(path)


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
