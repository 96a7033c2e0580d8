#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What machines do to kernels, from outside: the kernel survives, and says what it saw.

NMIs from QEMU's monitor while memory is filled and freed; a CPU that is deaf to a stop of the world. The
last line counts results.
"""

import sys
import time

import live
import qemu

NMIS = 10


def nmis(machine):
    """While it fills: each prints the registers of all CPUs, and the work goes on."""
    machine.send("fill 100")
    for _ in range(NMIS):
        machine.qmp.run("inject-nmi")
        time.sleep(0.05)
    machine.wait("all freed")
    clock = machine.clock()
    while machine.text().count("NMI: registers of all CPUs") < NMIS // 2:
        if clock.had() > 10:
            return False
        time.sleep(0.1)
    return machine.saw("CPU 3") and not machine.saw("panic")


def main():
    results = live.Results()
    with live.Machine(sys.argv[1], mem="256M", cpus="4") as machine:
        if qemu.machine_for(sys.argv[1]).nmi:
            results.take("NMIs during allocations", nmis(machine), machine)
        machine.command("check")
        results.take("the heap is in order", machine.saw("as it should be"), machine)
        machine.command("poke deaf")
        results.take("a deaf CPU is named", machine.saw(
            r"CPU 1 was deaf; the stop says that CPU 1 did not answer"), machine)
        results.take("and the world goes on", machine.saw("hears again: all stopped"), machine)
    return results.done()


if __name__ == "__main__":
    sys.exit(main())
