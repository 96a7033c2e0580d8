#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The prompt of the demo kernel, key by key: what a person sees. The last line counts results."""

import os
import pty
import re
import subprocess
import sys
import time

import live
import qemu
import session


def lines(machine):
    """What stands on the screen, line by line."""
    return session.screen(machine.raw())


def type_keys(machine, keys):
    machine.keys(keys)
    time.sleep(0.3)


def completes(machine):
    """Tab lists what there is, and the prompt and the line stand below it again."""
    type_keys(machine, "st\t\t")
    machine.wait("state storm stop")
    time.sleep(0.3)
    seen = lines(machine)[-1] == "marrow> st"
    type_keys(machine, "\x15")
    return seen


def several(machine):
    machine.command("look 0x1000; look 0x2000")
    return machine.text().count("nothing that could be freed") == 2


def ends(machine, command, after=1.0):
    """Control-C ends a command that would take far longer."""
    machine.send(command)
    time.sleep(after)
    clock = machine.clock()
    machine.keys("\x03")
    machine.wait(r"\^C\n+" + re.escape(live.PROMPT))
    return clock.had() < 10


def keeps_typed_ahead(machine):
    """What is typed while a command runs is the next line."""
    machine.send("storm fs 1\nlook 0x1000")
    machine.wait("nothing that could be freed")
    return machine.saw("storm fs: all is well")


def message_above(machine):
    """A message that comes while somebody types stands above the line, which is whole below."""
    type_keys(machine, "alloc 10")
    machine.qmp.run("object-add", **{"qom-type": "memory-backend-ram", "id": "m0", "size": 128 << 20})
    machine.qmp.run("device_add", driver="pc-dimm", id="d0", memdev="m0")
    machine.wait("joined the heap\n")
    time.sleep(0.3)
    seen = lines(machine)
    good = seen[-1] == "marrow> alloc 10" and seen[-2].startswith("memory module")
    machine.keys("0\n")
    machine.wait("bytes usable")
    return good and machine.saw("112 bytes usable")


def run_py(kernel, commands, keyboard):
    """How scripts/run.py ends, after these commands, and what was said."""
    ours, theirs = pty.openpty()
    try:
        return subprocess.run(
            [os.path.join(os.path.dirname(__file__), "run.py"), "--kernel", kernel, "--append", f'run="{commands}"'],
            stdin=theirs if keyboard else subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="latin-1",
            timeout=live.PATIENCE, check=False)
    finally:
        os.close(ours)
        os.close(theirs)


def can_be_tried(results, kernel, machine):
    said = run_py(kernel, "balloon 0;dimm;halt", True).stdout
    results.take("make run has a balloon", "The host takes free pages" in said, machine)
    results.take("and slots, and says how to use them", "device_add pc-dimm" in said, machine)


def panics(results, kernel, machine):
    commands = "poke double-free;panic on purpose"
    typed, script = run_py(kernel, commands, True), run_py(kernel, commands, False)
    results.take("a panic that was typed is no failure", typed.returncode == 0 and "ended in a panic" in typed.stdout,
                 machine)
    results.take("one in a script is", script.returncode == qemu.PANIC, machine)
    results.take("a panic knows of the heap", re.search(r"The heap: \d+ regions", typed.stdout)
                 and "double-free of 0x" in typed.stdout, machine)


def tour_is_the_documents(machine):
    """The commands of docs/TOUR.md are those of the kernel's tour, in the same order."""
    with open(os.path.join(os.path.dirname(__file__), "../docs/TOUR.md"), encoding="utf-8") as tour:
        written = [line.strip() for line in tour if line.startswith("    ")]
    steps = re.findall(r"^\d+: (.*)$", machine.command("tour list"), re.MULTILINE)
    return written == [command for step in steps for command in step.split(";")]


def main():
    results = live.Results()
    with live.Machine(sys.argv[1], mem="256M,slots=2,maxmem=1G", cpus="4") as machine:
        results.take("tab writes the prompt again below its list", completes(machine), machine)
        results.take("several commands in a line", several(machine), machine)
        results.take("a message goes above the line", message_above(machine), machine)
        results.take("control-C ends a storm", ends(machine, "storm fs 100"), machine)
        results.take("control-C ends churn", ends(machine, "churn 4000000000"), machine)
        results.take("control-C ends tests", ends(machine, "test storm"), machine)
        machine.wait("joined the heap")
        results.take("and the prompt answers", several(machine), machine)
        results.take("the tour is that of docs/TOUR.md", tour_is_the_documents(machine), machine)
        panics(results, sys.argv[1], machine)
        can_be_tried(results, sys.argv[1], machine)
        results.take("what is typed ahead comes next", keeps_typed_ahead(machine), machine)
    return results.done()


if __name__ == "__main__":
    sys.exit(main())
