#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Memory plugged in and pulled out while the kernel runs. The last line counts results."""

import sys
import time

import live

SIZE = 256  # MiB of a module
JOINED = r"slot 0: (\d+) KiB at 0x\w+ joined the heap"
LEFT = "left the heap, may be pulled out"


def plug(machine, name):
    machine.send("")
    machine.qmp.run("object-add", **{"qom-type": "memory-backend-ram", "id": "m-" + name,
                                     "size": SIZE << 20})
    machine.qmp.run("device_add", driver="pc-dimm", id=name, memdev="m-" + name)
    return int(machine.wait(JOINED)[1])


def ask_back(machine, name, answer):
    machine.send("")
    machine.qmp.run("device_del", id=name)
    return machine.wait(answer)


def gone(machine, name):
    clock = machine.clock()
    while machine.qmp.run("query-memory-devices"):
        if clock.had() > live.PATIENCE:
            return False
        time.sleep(0.05)
    machine.qmp.run("object-del", id="m-" + name)
    return True


def take_pages(machine):
    """A run that only the module is long enough for; the words for giving it back, or None."""
    machine.command("pages 40000")
    run = machine.match(r"(free 0x\w+ 40000)")
    return run and run[1]


def used_and_given_back(results, machine):
    results.take("a module joins the heap", plug(machine, "d0") > SIZE * 1000, machine)
    give = take_pages(machine)
    results.take("it is used", give, machine)
    machine.command("dimm")
    results.take("the command shows it", machine.saw("in the heap"), machine)
    ask_back(machine, "d0", "asked back, but in use")
    results.take("one in use stays", machine.qmp.run("query-memory-devices"), machine)
    machine.command(give)
    machine.command("fill 60")
    ask_back(machine, "d0", LEFT)
    results.take("a free one goes", gone(machine, "d0"), machine)
    machine.command("check")
    results.take("the heap is in order", machine.saw("as it should be"), machine)


def joins_again(results, machine):
    plug(machine, "d1")
    results.take("another joins in its place", take_pages(machine), machine)
    machine.command("test memmap")
    results.take("it is there again after tests closed the heap", machine.saw(JOINED), machine)
    ask_back(machine, "d1", LEFT)
    results.take("and goes", gone(machine, "d1"), machine)
    results.take("without it there is less", not take_pages(machine), machine)


def main():
    results = live.Results()
    with live.Machine(sys.argv[1], mem="128M,slots=4,maxmem=2G", cpus="2") as machine:
        results.take("there is none at first", not take_pages(machine), machine)
        used_and_given_back(results, machine)
        joins_again(results, machine)
    return results.done()


if __name__ == "__main__":
    sys.exit(main())
