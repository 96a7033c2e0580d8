#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How long mm/ keeps interrupts off: a table of instructions, for each public call its worst case over the
tests' loads, on one CPU under -icount. Fails if one exceeds the bound, or its own in LONGER.

--write makes docs/bench/pinned.md of it.
"""

import argparse
import re
import subprocess
import sys

import ktap
import qemu

TESTS = ("page,page_fit,page_limits,page_regions,page_race,object,object_cpus,object_frees,cache,linux,gc,gc_race,special,"
         "special_many,safe,safe_held,leak")
BOUND = 20000  # 10 microseconds at two instructions a nanosecond
# Where interrupts are off for longer, for how long at most, and why.
LONGER = {
    "mw_fixed_check": (None, "the structure checker walks all records of a kind; nobody else may be inside then"),
    "mw_stock_refill": (40000, "a batch of single pages for a CPU's stock, taken under the heap's lock"),
    "mw_records_release": (40000, "1000 objects with records in one span that is searched"),
    "mw_record_attach": (40000, "the same"),
    "mw_slot_more_ahead": (40000, "the same, which is swept"),
}
DOCUMENT = "docs/bench/pinned.md"
TEXT = """# Interrupts off

Made by `make pinned`: instructions between the pin that turned interrupts off and its unpin, counted by QEMU
(`-icount shift=0`), one CPU; for each function of `mm/` that was called from outside, the longest over the tests
`{tests}` at a fifth of their rounds. *in* says which function had pinned. On more CPUs who waits for
a lock has to add what its owner does.

The bound is {bound} instructions, some 10 microseconds. What exceeds it:

{longer}

"""


def measure(kernel, tests):
    options = qemu.parse(["--kernel", kernel, "--icount", "--mem", "256M", "--append",
                          f"test={tests} tsc_hz=1000000000 rounds=20"])
    done = subprocess.run(qemu.command(options) + ["-display", "none", "-serial", "stdio", "-monitor", "none"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    lines = [ktap.ESCAPES.sub("", line).rstrip() for line in done.stdout.decode("utf-8", "replace").split("\n")]
    verdict = ktap.Verdict(lines, done.returncode)
    places = [[int(entry, 16), int(site, 16), int(caller, 16), int(most), int(times)] for entry, site, caller, most, times in
              re.findall(r"^# pinned (\w+) (\w+) (\w+) (\d+) (\d+)$", "\n".join(lines), re.M)]
    if not verdict.good() or not places or "# pinned places lost: 0" not in lines:
        verdict.print("pinned")
        sys.exit("the tests did not pass, so nothing was measured")
    return places


def function(symbols, address):
    return symbols.name(address - 1).partition("+")[0].partition(".")[0]


def worst(kernel, places):
    """{function that is called: (most, times, function that pinned)}"""
    symbols, calls = ktap.Symbols(kernel), {}
    for entry, site, caller, most, times in places:
        name, pinned = function(symbols, entry), function(symbols, site)
        if pinned == "mw_unlock" != name:  # who gave the lock back says more
            pinned = function(symbols, caller)
        before = calls.get(name, (0, 0, ""))
        longest = max((most, pinned), (before[0], before[2]))
        calls[name] = longest[0], before[1] + times, longest[1]
    return calls


def table(calls):
    yield "| call | longest | times | in |"
    yield "|---|---:|---:|---|"
    for name, (most, times, site) in sorted(calls.items(), key=lambda item: -item[1][0]):
        yield f"| `{name}()` | {most} | {times} | {'' if site == name else f'`{site}()`'} |"


def write(lines):
    longer = "\n".join(f"- `{site}()`, {f'up to {most}' if most else 'without a bound'}: {why}"
                       for site, (most, why) in LONGER.items())
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(TEXT.format(tests=TESTS, bound=BOUND, longer=longer) + "\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("kernel")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--tests", default=TESTS)
    options = parser.parse_args()
    calls = worst(options.kernel, measure(options.kernel, options.tests))
    lines = list(table(calls))
    print("\n".join(lines))
    if options.write:
        write(lines)
    failed = 0
    for name, (most, _, site) in calls.items():
        bound = LONGER.get(site, (BOUND, ""))[0]
        if bound and most > bound:
            print(f"{name}(): {most} instructions with interrupts off, in {site}()")
            failed += 1
    print(f"{len(calls) - failed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
