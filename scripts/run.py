#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the demo kernel in QEMU for a person: with a console, under gdb, or for a picture of it."""

import argparse
import os
import select
import subprocess
import sys
import tempfile
import threading
import time

import export
import qemu

EXPORT = "build/out/export.raw"  # what the kernel's commands write to the host
SLOTS = 4  # for memory modules
HERE = os.path.dirname(os.path.abspath(__file__))


def lively(options):
    """What a machine can do to memory, to be tried: the host takes free pages, and modules are plugged in."""
    machine = qemu.machine_for(options.kernel)
    if machine.slots and "," not in options.mem:
        options.mem += f",slots={SLOTS},maxmem=64G"
    return ["-device", machine.balloon + ",free-page-reporting=on"]


def console(options):
    os.makedirs(os.path.dirname(EXPORT), exist_ok=True)
    more = lively(options) + qemu.export_option(options, EXPORT) + ["-serial", "mon:stdio"]
    line = qemu.command(options) + more
    if options.screen and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        line += ["-vga", "std"]
    else:
        line += ["-display", "none"]
    print("Ctrl-A X leaves, Ctrl-A C switches to QEMU's monitor and back.", flush=True)
    status = subprocess.run(line, check=False).returncode
    unpack_export()
    # For somebody at the keyboard an end that was typed is no failure of make's, a panic on purpose neither.
    if status == qemu.PANIC:
        print("The kernel ended in a panic.")
    typed = sys.stdin.isatty() and status % 2 and status > 1
    return 0 if typed or status in (0, qemu.PASS) else status


def unpack_export():
    with open(EXPORT, "rb") as file:
        raw = file.read()
    if raw:
        for fault in export.unpack(raw, os.path.dirname(EXPORT))[1]:
            print(fault, file=sys.stderr)


def under_gdb(options):
    folder = tempfile.mkdtemp(prefix="marrow-")
    path = os.path.join(folder, "gdb")
    line = qemu.command(options) + [
        "-display", "none", "-monitor", "none", "-serial", f"file:{options.log}", "-S",
        "-chardev", f"socket,path={path},server=on,wait=off,id=gdb", "-gdb", "chardev:gdb"]
    # A session of its own: Ctrl-C in gdb is for the kernel, not for QEMU.
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, start_new_session=True) as machine:
        try:
            while not os.path.exists(path) and machine.poll() is None:
                time.sleep(0.02)
            print(f"The console goes to {options.log}.", flush=True)
            gdb = [options.gdb, "-q", "-ex", f"set $marrow_socket = \"{path}\"",
                   "-ex", f"target remote {path}", "-x", os.path.join(HERE, "gdb/marrow.gdb"),
                   "-x", os.path.join(HERE, "gdb/mw.py")]
            gdb += options.gdb_extra.split("\n") if options.gdb_extra else []
            return subprocess.run(gdb + [options.symbols or options.kernel],
                                  check=False).returncode
        finally:
            machine.kill()
            qemu.remove(path)
            os.rmdir(folder)


def wait_for_prompt(stream, prompt):
    """True when the prompt is the last thing said, and nothing came after it for a while."""
    seen = b""
    while True:
        quiet = not select.select([stream], [], [], 0.7)[0]
        if quiet and seen.endswith(prompt.encode()):
            return True
        if not quiet:
            more = os.read(stream.fileno(), 4096)
            if not more:
                sys.stderr.write(seen.decode("utf-8", "replace"))
                return False
            seen += more


def picture(options):
    with tempfile.TemporaryDirectory(prefix="marrow-") as folder:
        path = os.path.join(folder, "qmp")
        line = qemu.command(options) + qemu.socket_option(path) + [
            "-display", "none", "-vga", "std", "-serial", "stdio", "-monitor", "none"]
        with subprocess.Popen(line, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE) as machine:
            timer = threading.Timer(options.limit, machine.kill)
            timer.start()
            try:
                if not wait_for_prompt(machine.stdout, options.prompt):
                    print(f'no prompt "{options.prompt}" within {options.limit} s', file=sys.stderr)
                    return 1
                qemu.Qmp(path).run("screendump", filename=os.path.abspath(options.picture),
                                   format="png")
                print(options.picture)
                return 0
            finally:
                timer.cancel()
                machine.kill()


def main():
    parser = argparse.ArgumentParser(description="Run the demo kernel in QEMU.")
    qemu.add_options(parser)
    parser.add_argument("--symbols", metavar="ELF", help="for gdb, with --iso")
    parser.add_argument("--screen", action="store_true", help="open a window")
    parser.add_argument("--gdb", metavar="PROGRAM", help="start stopped, with gdb attached")
    parser.add_argument("--gdb-extra", help="more arguments for gdb, one a line")
    parser.add_argument("--log", default="build/console.log", help="console, under gdb")
    parser.add_argument("--picture", metavar="PNG", help="take a picture of the screen and end")
    parser.add_argument("--prompt", default="marrow> ", help="what the kernel says when it is ready")
    parser.add_argument("--limit", type=float, default=60, help="seconds until the prompt")
    options = parser.parse_args()
    if options.gdb:
        return under_gdb(options)
    if options.picture:
        return picture(options)
    return console(options)


if __name__ == "__main__":
    sys.exit(main())
