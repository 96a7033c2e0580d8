#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Free memory leaves the emulator: its resident set before, during and after a load, with a balloon.

The kernel fills most of its memory and frees it; nobody asks for more: its own scavenger has to find the
pages. At least 80 % of what was freed must have left the process. The last line counts results.
"""

import sys
import time

import live
import qemu

FILL, SHARE = 160, 0.8  # MiB; of what was freed
PATIENCE = 60


def wait_until(machine, resident):
    clock = machine.clock()
    while machine.resident() > resident and clock.had() < PATIENCE:
        time.sleep(0.1)
    return machine.resident()


def load(machine):
    """Fill and free; the kernel's words and the largest resident set meanwhile."""
    machine.send(f"fill {FILL}")
    peak = machine.resident()
    while not machine.saw(r"(\d+) KiB in objects; all freed"):
        peak = max(peak, machine.resident())
        time.sleep(0.02)
    freed = int(machine.match(r"(\d+) KiB in objects; all freed")[1]) / 1024
    return freed, max(peak, machine.resident())


def falls(machine):
    before = machine.resident()
    freed, peak = load(machine)
    after = wait_until(machine, peak - SHARE * freed)
    print(f"# resident: {before:.0f} MiB, {peak:.0f} MiB with {freed:.0f} MiB of objects, "
          f"{after:.0f} MiB afterwards: {(peak - after) / freed * 100:.0f} % of what was freed")
    return freed >= 0.9 * FILL and peak - before > SHARE * freed and peak - after >= SHARE * freed


def stays(machine):
    """Without a balloon nothing leaves: the measurement measures."""
    freed, peak = load(machine)
    machine.command("balloon 0")
    return peak - machine.resident() < 0.1 * freed and "host took 0 KiB" in machine.text()


def main():
    kernel = sys.argv[1]
    results = live.Results()
    with live.Machine(kernel, mem="256M", cpus="2",
                      extra=f"-device {qemu.machine_for(kernel).balloon},free-page-reporting=on") as machine:
        results.take("free memory leaves the emulator", falls(machine), machine)
        results.take("and again", falls(machine), machine)
        machine.command("check")
        results.take("the heap is in order", machine.saw("as it should be"), machine)
    with live.Machine(kernel, mem="256M", cpus="2") as machine:
        results.take("nothing leaves without a balloon", stays(machine), machine)
    return results.done()


if __name__ == "__main__":
    sys.exit(main())
