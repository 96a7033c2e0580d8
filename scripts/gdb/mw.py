# SPDX-License-Identifier: MIT
"""The commands `mw ...` of gdb: what is in Marrow's heap, on a live machine and in a core.

    (gdb) source scripts/gdb/mw.py
    (gdb) mw info

Only `mw check call` runs code of the program; all else reads memory.
"""

import collections
import os
import re
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# Sourced again after a change: read everything again.
for module in [name for name in sys.modules if name.startswith("mw_")]:
    del sys.modules[module]

# pylint: disable=wrong-import-position
import mw_check
import mw_graph
import mw_heap
import mw_memory
from mw_memory import Reader, has_symbol, value

LETTERS = {mw_heap.OBJECTS: "o", mw_heap.RAW: "p", mw_heap.STOCKED: "s", mw_heap.FREE: ".",
           mw_heap.UNTOUCHED: "-", mw_heap.RECORDS: "m"}
USED = "opsm"
ROWS = 12
MOST = 200


def symbol(address):
    """Name and offset of what an address is in, or ''."""
    text = gdb.execute(f"info symbol {address:#x}", to_string=True).strip()
    return "" if text.startswith("No symbol") else text.split(" in section")[0]


def parse(text, default=None):
    if not text and default is not None:
        return default
    if not text:
        raise gdb.GdbError("An address is missing.")
    return int(gdb.parse_and_eval(text).cast(gdb.lookup_type("unsigned long")))


def kib(pages, heap):
    return pages * heap.page_size >> 10


class Command(gdb.Command):
    """One of the commands; @run gets a heap that was just read."""

    def __init__(self, name, run):
        super().__init__("mw " + name, gdb.COMMAND_DATA)
        self.run, self.__doc__ = run, run.__doc__

    def invoke(self, argument, _from_tty):
        try:
            self.run(mw_heap.Heap(), argument.strip())
        except gdb.MemoryError as error:
            raise gdb.GdbError(f"The heap cannot be read: {error}") from error


# ---- info, spans ----

def info(heap, _argument):
    """The heap in numbers: regions, pages, objects, the collector."""
    pages = dict.fromkeys(LETTERS, 0)
    for region in heap.regions():
        print(f"region {heap.address(region.first):#x} to {heap.address(region.end):#x}, "
              f"physical {region.frame * heap.page_size:#x}, zone {region.zone}, "
              f"{kib(region.end - region.first, heap)} KiB")
        for _, count, what, _ in heap.pieces(region):
            pages[what] += count
    print("pages: " + ", ".join(f"{count} {what}" for what, count in pages.items() if count))
    live = size = collected = 0
    for span in heap.spans.values():
        count = bin(heap.live(span)).count("1")
        live += count
        size += count * span.size
        if span.flags & heap.k["span_collected"]:
            collected += count
    print(f"{len(heap.spans)} spans, {live} live objects, {size} bytes, "
          f"{collected} of the objects are collected")
    if heap.k["gc"]:
        print(f"{value('mw_gc.cycles')} cycles, goal {value('mw_gc.pace.goal')} bytes, "
              f"longest pause {value('mw_gc.pause_max')} ns"
              + (", a cycle is under way" if value("mw_gc.collecting") else ""))
    stacks = [f"{name[9:]} {hi - lo}" for name, lo, hi in mw_graph.stacks(heap)]
    print("stacks, bytes in use: " + ", ".join(stacks))
    held = list(mw_check.locks_held(heap))
    if held:
        print("held locks: " + ", ".join(held))


def spans(heap, argument):
    """Spans, all or those of a cache: mw spans [CACHE]. "large" are those of one object each."""
    shown = 0
    print(f"{'span':18} {'first object':18} pages {'cache':20} {'size':>7} {'live':>5} of "
          f"{'places':6} {'owner':7} list")
    for span in sorted(heap.spans.values(), key=lambda span: span.base):
        name = heap.cache_name(span)
        if argument and argument != name:
            continue
        shown += 1
        if shown > MOST and not argument:
            continue
        print(f"{span.address:#018x} {span.base:#018x} {span.pages:5} {name:20} {span.size:7} "
              f"{bin(heap.live(span)).count('1'):5} of {span.count:<6} {heap.owner(span):7} "
              f"{heap.where.get(span.where, '?')}")
    if shown > MOST and not argument:
        print(f"and {shown - MOST} more; name a cache to see all of its spans")
    if argument and not shown:
        print(f"No span belongs to a cache \"{argument}\".")


# ---- whatis ----

def print_trace(heap, what, at):
    reader = Reader("struct mw_trace", ["when", "cpu", "depth"])
    trace = reader.at(heap.memory, at)
    if not trace.depth:
        return
    pcs = at + gdb.lookup_type("struct mw_trace")["pcs"].bitpos // 8
    print(f"{what} on CPU {trace.cpu} at {trace.when} ns, from:")
    for pc in heap.memory.words(pcs, min(trace.depth, 12)):
        print(f"    {pc:#x} {symbol(pc - 1)}")


def print_tracks(heap, thing):
    """Who allocated it, where the cache is tracked."""
    span = thing.span
    if not span.debug:
        return
    debug = gdb.parse_and_eval(f"*(struct mw_debug_span *){span.debug}")
    if not int(debug["flags"]) & heap.k["debug_track"]:
        return
    track = gdb.lookup_type("struct mw_debug_track")
    at = int(debug["track"].address) + thing.index * track.sizeof
    print_trace(heap, "allocated", at + track["allocated"].bitpos // 8)
    print_trace(heap, "freed", at + track["freed"].bitpos // 8)


def state_of(heap, thing):
    bit = 1 << thing.index
    if heap.bitmap(thing.span.free, thing.span) & bit:
        return "free"
    return "freed by another CPU" if heap.bitmap(thing.span.remote, thing.span) & bit else "live"


def name_of(graph, thing, at=None):
    """'inode 0x...' and, for a word in it, its field."""
    span = thing.span
    name = graph.layouts.type_name(span.type) or graph.heap.cache_name(span)
    text = f"{name} {thing.base:#x}"
    if at is not None:
        field = graph.layouts.field_name(span.type, at - thing.base)
        text += f".{field}" if field else f"+{at - thing.base:#x}"
    return text


def print_records(heap, thing):
    """Special records on the object."""
    span = thing.span
    if not span.records:
        return
    if span.records & 1:
        index = gdb.parse_and_eval(f"*(struct mw_records *){span.records - 1}")
        lists = [index["bucket"][i] for i in range(4 << int(index["pool"]))]
    else:
        lists = [gdb.parse_and_eval(f"(struct mw_record *){span.records}")]
    names = {value(f"MW_RECORD_{name}"): name.lower() for name in
             "FINALIZER WEAK KEY CLEANUP TAG".split()}
    for record in lists:
        while int(record):
            offset = int(record["offset"])
            if thing.base <= span.base + offset < thing.base + max(thing.size, 1):
                kind = names.get(int(record["kind"]), "a special")
                print(f"record: {kind} at {int(record):#x}")
            record = record["next"]


def print_path(graph, thing):
    way = graph.path(thing)
    if way is None:
        print("no way from a root leads to it" + ("" if thing.span.flags & graph.heap.k[
            "span_collected"] else " (it is freed by hand)"))
        return
    print("reached from:")
    for source, at in way:
        print("    " + (f"{source}, word at {at:#x} {symbol(at)}".rstrip()
                        if isinstance(source, str) else name_of(graph, source, at)))


def describe_object(heap, thing, address):
    graph, span = mw_graph.Graph(heap), thing.span
    kind = "collected" if span.flags & heap.k["span_collected"] else "freed by hand"
    print(f"{state_of(heap, thing)} object {thing.base:#x}, {thing.size} bytes, "
          + (f"address is {address - thing.base:#x} into it" if address != thing.base else "base"))
    print(f"class {heap.cache_name(span)}, {kind}, "
          + ("may hold pointers" if span.flags & heap.k["span_pointers"] else "no pointers")
          + (f", type {graph.layouts.type_name(span.type)}" if span.type else ", no type"))
    print(f"span {span.address:#x}, object {thing.index} of {span.count}, {span.pages} pages, "
          f"owner: {heap.owner(span)}")
    if span.mark:
        marked = heap.bitmap(span.mark, span) >> thing.index & 1
        print(f"{'marked' if marked else 'not marked'}, generation {span.generation} "
              f"(now {value('mw_gc.sweeping.generation')})")
    print_tracks(heap, thing)
    print_records(heap, thing)
    if heap.is_live(thing):
        print_path(graph, thing)


def whatis(heap, argument):
    """What an address is: object, class, cache, type, who allocated it, marked, path from a root."""
    address = parse(argument)
    thing = heap.object_at(address)
    if thing:
        describe_object(heap, thing, address)
        return
    span = heap.span_at(address)
    if span:
        print(f"in span {span:#x}, where no object is: before the first or behind the last")
        return
    pn = heap.page(address)
    for region in heap.regions():
        if not region.first <= pn < region.end:
            continue
        for first, pages, what, _ in heap.pieces(region):
            if first <= pn < first + pages:
                print(f"page {pn - first} of a run of {pages}, {what}: "
                      f"{heap.address(first):#x} to {heap.address(first + pages):#x}")
                return
    name = symbol(address)
    print(f"not the heap's" + (f": {name}" if name else ""))


# ---- find-refs ----

def find_refs(heap, argument):
    """Words that lead to an object, in roots and in live objects: mw find-refs ADDRESS."""
    address = parse(argument)
    thing = heap.object_at(address)
    lo, hi = (thing.base, thing.base + max(thing.size, 1)) if thing else (address, address + 1)
    graph, found = mw_graph.Graph(heap), 0
    print(f"references to [{lo:#x}, {hi:#x}):")
    for source, at, word, followed in graph.references(lo, hi):
        found += 1
        if found > MOST:
            continue
        into = f" -> +{word - lo:#x}" if word != lo else ""
        if isinstance(source, str):
            print(f"    {source}, word at {at:#x} {symbol(at)}".rstrip() + into)
        else:
            print(f"    {name_of(graph, source, at)}{into}"
                  + ("" if followed else " (the collector does not look there)"))
    if found > MOST:
        print(f"    and {found - MOST} more")
    print(f"{found} references")


# ---- map ----

def letter(count, each):
    """As the monitor's map: what is used is seen, were it one page; capitals: most is used."""
    used = {what: n for what, n in count.items() if what in USED}
    if not used:
        return "." if "." in count else "-"
    best = max(used, key=used.get)
    return best.upper() if 2 * sum(used.values()) > each else best


def draw(heap, argument):
    """A map of all pages, a letter for some: mw map [COLUMNS]."""
    columns = parse(argument, 64)
    for region in heap.regions():
        each = -(-(region.end - region.first) // (columns * ROWS))
        print(f"{heap.address(region.first):#x} to {heap.address(region.end):#x}, a letter for "
              f"{kib(each, heap)} KiB")
        row, count, filled = "", {}, 0
        for _, pages, what, _ in heap.pieces(region):
            while pages:
                n = min(pages, each - filled)
                count[LETTERS[what]] = count.get(LETTERS[what], 0) + n
                filled, pages = filled + n, pages - n
                if filled == each:
                    row, count, filled = row + letter(count, each), {}, 0
        row += letter(count, filled) if filled else ""
        for at in range(0, len(row), columns):
            print("  " + row[at:at + columns])
    print("o objects, p pages, s in stocks, m records, in capitals where most is used; "
          ". free, - untouched")


# ---- check ----

Cpu = collections.namedtuple("Cpu", "names pc sp link state clear set result wait")

# By the beginning of gdb's name for a CPU: all registers that a call may change; the pointers to code and stack, and
# where to return to, if that is a register; where interrupts are turned off, by clearing which bits and setting which;
# what a function of one byte returns; the instruction that waits for an interrupt, where only memory says who waits.
CPUS = {
    "i386": Cpu("rip rsp rbp rax rbx rcx rdx rsi rdi r8 r9 r10 r11 r12 r13 r14 r15 eflags", "rip", "rsp", None, "eflags",
                0x200, 0, "(unsigned char)$al", None),
    "riscv": Cpu("pc ra sp s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 t0 t1 t2 t3 t4 t5 t6 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 sstatus",
                 "pc", "sp", "ra", "sstatus", 2, 0, "(unsigned char)$a0", 0x10500073),
    "aarch64": Cpu("pc sp cpsr " + " ".join(f"x{i}" for i in range(31)), "pc", "sp", "x30", "cpsr", 0, 0x80,
                   "(unsigned char)$x0", 0xd503207f),
}


def cpu():
    name = gdb.selected_inferior().architecture().name()
    return next((known for begin, known in CPUS.items() if name.startswith(begin)), None)


def sleeps():
    """Does the chosen CPU of a machine wait in hlt or wfi? Then nothing that gdb asks of it would run."""
    if cpu().wait:
        return value("*(unsigned int *)($pc - 4)") == cpu().wait
    text = gdb.execute("monitor info registers -a", to_string=True)
    number = gdb.selected_thread().num - 1
    found = re.search(rf"CPU#{number}\b(.*?)(?=CPU#|\Z)", text, re.S)
    return found is not None and "HLT=1" in found[1]


def call_on_cpu(function):
    """As gdb's own call, which wants to return to the program's entry: a kernel has left that."""
    known = cpu()
    before = {name: value(f"${name}") & (1 << 64) - 1 for name in known.names.split()}
    stack = (before[known.sp] - 256) & ~15
    back = gdb.Breakpoint(f"*{before[known.pc]:#x}", internal=True, temporary=True)
    back.condition = f"${known.sp} == {stack:#x}"
    try:
        if known.link:
            gdb.execute(f"set ${known.link} = {before[known.pc]:#x}")
            gdb.execute(f"set ${known.sp} = {stack:#x}")
        else:
            gdb.selected_inferior().write_memory(stack - 8, before[known.pc].to_bytes(8, "little"))
            gdb.execute(f"set ${known.sp} = {stack - 8:#x}")
        state = before[known.state] & ~known.clear | known.set
        gdb.execute(f"set ${known.state} = {state:#x}")  # no interrupt meanwhile
        gdb.execute(f"set ${known.pc} = {mw_memory.address_of(function):#x}")
        gdb.execute("continue", to_string=True)
        return value(known.result)
    finally:
        for name, number in before.items():
            gdb.execute(f"set ${name} = {number:#x}")


def call_check():
    """The program's own checks, by the chosen CPU or thread; no other one runs meanwhile."""
    machine = mw_memory.Memory().by_file
    if machine and sleeps():
        raise gdb.GdbError("This CPU sleeps: choose one that does not (thread N), or stop at a "
                           "breakpoint. mw check needs no CPU.")
    locking = gdb.parameter("scheduler-locking")
    gdb.execute("set scheduler-locking on")
    try:
        return bool(call_on_cpu("mw_heap_check") if machine else value("(int)mw_heap_check()"))
    finally:
        gdb.execute(f"set scheduler-locking {locking}")


def check(heap, argument):
    """Every structure against its invariants; `mw check call`: by the program's own code."""
    held = list(mw_check.locks_held(heap))
    if argument == "call":
        if held:
            raise gdb.GdbError("Somebody holds " + ", ".join(held) + ": it could wait for ever.")
        print("mw_heap_check() says that all is well" if call_check() else
              "mw_heap_check() found something; the console says what")
        return
    if argument:
        raise gdb.GdbError("mw check, or mw check call")
    try:
        mw_check.check(heap)
        print(f"all is well: {len(heap.spans)} spans, {sum(1 for _ in heap.all_caches())} caches")
    except mw_check.Broken as broken:
        print(f"does not hold: {broken}")
    if held:
        print("but somebody is in the middle of a change, and holds: " + ", ".join(held))


# ---- all together ----

class Mw(gdb.Command):
    """Marrow's heap: mw info, spans, whatis, find-refs, map, check."""

    def __init__(self):
        super().__init__("mw", gdb.COMMAND_DATA, prefix=True)


if has_symbol("mw_debugger") or not gdb.objfiles():
    Mw()
    for command_name, function in (("info", info), ("spans", spans), ("whatis", whatis),
                                   ("find-refs", find_refs), ("map", draw), ("check", check)):
        Command(command_name, function)
else:
    print("This program has no Marrow in it, or one without MW_WATCH: no mw commands.")
