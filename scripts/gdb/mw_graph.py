# SPDX-License-Identifier: MIT
"""Who points where: roots, layouts of types, references, and the way from a root to an object."""

import re
import struct
from collections import deque

import gdb
from mw_heap import Object
from mw_memory import Reader, address_of, has_symbol, value

# Marrow's own state: it holds addresses of objects, and keeps none alive.
OWN = "mw_map_root mw_base mw_page mw_object mw_caches mw_gc mw_special mw_page_stocks mw_cpus mw_cpu_none mw_profile".split()
MOST_STACK = 8 << 20


class Layouts:
    """Offsets of the words of an object that are, or may be, pointers."""

    def __init__(self, heap):
        self.heap, self.memory = heap, heap.memory
        self.made = {}
        self.present = has_symbol("mw_gc")
        if self.present:
            self.type = Reader("struct mw_type", ["name", "layout", "fields", "field_count", "size"])
            self.layout = Reader("struct mw_layout", ["size", "flex", "flex_stride", "plain",
                                                      "by_mask", "mask", "flex_step", "steps"])
            self.step = Reader("struct mw_step", ["op", "offset", "count", "stride"])
            self.tags = Reader("struct mw_step", ["tag.mask", "tag.match"])
            self.field = Reader("struct mw_field", ["name", "offset", "count", "kind"])
            self.ops = {value(f"MW_OP_{op}"): op for op in
                        "POINTERS WORDS TAGGED LOOP NEXT END".split()}

    def type_name(self, type_at):
        return self.memory.text(self.type.at(self.memory, type_at).name) if type_at else ""

    def field_name(self, type_at, offset):
        """Name of the field at an offset, as the type lists it."""
        if not type_at:
            return ""
        kind = self.type.at(self.memory, type_at)
        best = ""
        for i in range(kind.field_count):
            field = self.field.at(self.memory, kind.fields + i * self.field.size)
            if field.offset <= offset:
                best = self.memory.text(field.name)
        return best

    def offsets(self, type_at, size):
        """(offset, None or (offset of the tag, mask, match)) of each; None: every word may be one."""
        layout_at = self.type.at(self.memory, type_at).layout if type_at and self.present else 0
        return self.of_layout(layout_at, size)

    def of_layout(self, layout_at, size):
        if not layout_at:
            return None
        if (layout_at, size) not in self.made:
            self.made[layout_at, size] = list(self.expand(layout_at, size))
        return self.made[layout_at, size]

    def expand(self, layout_at, size):
        layout = self.layout.at(self.memory, layout_at)
        if layout.plain:
            return
        first = gdb.lookup_type("struct mw_layout")["step"].bitpos // 8 + layout_at
        steps = [(self.step.at(self.memory, first + i * self.step.size),
                  self.tags.at(self.memory, first + i * self.step.size))
                 for i in range(layout.steps)]
        if layout.flex < size or layout.flex != (1 << self.heap.bits) - 1:
            yield from self.run(steps, 0, 0)
            at = layout.flex
            while size - at >= layout.flex_stride:
                yield from self.run(steps, layout.flex_step, at)
                at += layout.flex_stride
            return
        at = 0
        while size - at >= layout.size:
            if layout.by_mask:
                yield from ((at + bit * self.memory.word, None) for bit in range(self.heap.bits)
                            if layout.mask >> bit & 1)
            else:
                yield from self.run(steps, 0, at)
            at += layout.size

    def run(self, steps, at, base):
        """One turn of the steps from @at on."""
        loops, word = [], self.memory.word
        while self.ops[steps[at][0].op] != "END":
            step, tag = steps[at]
            op, here = self.ops[step.op], base + step.offset
            if op == "LOOP":
                loops.append([at, step.count, step.stride, base])
                base = here
            elif op == "NEXT":
                loop = loops[-1]
                loop[1] -= 1
                if loop[1]:
                    base += loop[2]
                    at = loop[0]
                else:
                    base = loops.pop()[3]
            elif op == "TAGGED":
                yield from ((here + (2 * i + 1) * word, (here + 2 * i * word, tag.tag_mask,
                                                         tag.tag_match))
                            for i in range(step.count))
            else:
                yield from ((here + i * word, None) for i in range(step.count))
            at += 1


class Graph:
    """Words that lead from roots and objects to objects."""

    def __init__(self, heap):
        self.heap, self.memory = heap, heap.memory
        self.layouts = Layouts(heap)
        self.code = "Q" if self.memory.word == 8 else "I"
        self.window = [(heap.address(region.first), heap.address(region.end))
                       for region in heap.regions()]
        self.low = min((lo for lo, _ in self.window), default=0)
        self.high = max((hi for _, hi in self.window), default=0)

    # ---- what is read ----

    def words(self, lo, hi):
        """(address, word) of each word in [lo, hi) that is an address in a region."""
        word = self.memory.word
        lo = -(-lo // word) * word
        count = max(0, (hi - lo) // word)
        if not count:
            return
        try:
            data = self.memory.read(lo, count * word)
        except gdb.MemoryError:
            return
        low, high = self.low, self.high
        for i, found in enumerate(struct.unpack(f"<{count}{self.code}", data)):
            if low <= found < high:
                yield lo + i * word, found

    def of_object(self, thing):
        """(address, word) of what the collector follows in an object."""
        span = thing.span
        if not span.flags & self.heap.k["span_pointers"]:
            return
        offsets = self.layouts.offsets(span.type, thing.size)
        if offsets is None:
            yield from self.words(thing.base, thing.base + thing.size)
            return
        if not offsets:
            return
        data = self.memory.read(thing.base, thing.size)
        for offset, tag in offsets:
            found, = struct.unpack_from("<" + self.code, data, offset)
            if tag and struct.unpack_from("<" + self.code, data, tag[0])[0] & tag[1] != tag[2]:
                continue
            if self.low <= found < self.high:
                yield thing.base + offset, found

    # ---- roots ----

    def roots(self):
        """(name, lo, hi) of each range that is looked at; what it holds lives."""
        for name, lo, hi in data_ranges():
            yield from without_own(name, lo, hi)
        yield from self.registered()
        yield from self.special()
        yield from stacks(self.heap)

    def registered(self):
        if not self.layouts.present:
            return
        root, reader = value("mw_gc.roots"), Reader("struct mw_root", ["name", "lo", "hi", "next"])
        while root:
            one = reader.at(self.memory, root)
            yield "root " + self.memory.text(one.name), one.lo, one.hi
            root = one.next
        pins = gdb.parse_and_eval("mw_gc.pins").type.sizeof // self.memory.word
        reader = Reader("struct mw_pin", ["object", "owner", "next"])
        for pin in self.memory.words(address_of("mw_gc.pins"), pins):
            while pin:
                one = reader.at(self.memory, pin)
                yield "pin of " + self.memory.text(one.owner), pin, pin + self.memory.word
                pin = one.next

    def special(self):
        """Functions' arguments, and objects whose finalizer is due."""
        if not self.layouts.present or not value("mw_special.ready"):
            return
        for name in ("FINALIZER", "CLEANUP"):
            pool = f"mw_special.pool[MW_RECORD_{name}]"
            size = value(f"({pool}).size")
            for address, _, _ in self.heap.fixed(pool):
                yield f"{name.lower()} record", address + self.memory.word, address + size

    def hand_objects(self):
        """Objects that are freed by hand and may hold pointers are roots."""
        k = self.heap.k
        for span in self.heap.spans.values():
            if span.flags & k["span_pointers"] and not span.flags & k["span_collected"]:
                yield from self.heap.live_objects(span)

    # ---- questions ----

    def references(self, lo, hi):
        """(where, address of the word, word, followed) of each word that leads into [lo, hi)."""
        for name, start, end in self.roots():
            for at, word in self.words(start, end):
                if lo <= word < hi:
                    yield name, at, word, True
        pointers = self.heap.k["span_pointers"]
        for span in self.heap.spans.values():
            for thing in self.in_span(span, lo, hi):
                followed = span.flags & pointers and \
                    thing[1] in (at for at, _ in self.of_object(thing[0]))
                yield thing[0], thing[1], thing[2], bool(followed)

    def in_span(self, span, lo, hi):
        """(object, address, word) for live objects of a span that hold such a word."""
        live, end = self.heap.live(span), span.base + span.count * span.stride
        if not live:
            return
        for at, word in self.words(span.base, end):
            if not lo <= word < hi:
                continue
            index = (at - span.base) // span.stride
            thing = Object(span, index)
            if live >> index & 1 and at < thing.base + thing.size:
                yield thing, at, word

    def path(self, target):
        """[(what, address of the word)] from a root to the object; None: there is no way."""
        seen, queue = {}, deque()

        def follow(source, words):
            for at, word in words:
                thing = self.heap.object_at(word)
                if thing and thing.base not in seen and self.heap.is_live(thing):
                    seen[thing.base] = (source, at)
                    queue.append(thing)

        for name, lo, hi in self.roots():
            follow(name, self.words(lo, hi))
        for thing in self.hand_objects():
            seen.setdefault(thing.base, (None, 0))
            follow(thing, self.of_object(thing))
        while queue and target.base not in seen:
            thing = queue.popleft()
            follow(thing, self.of_object(thing))
        if target.base not in seen:
            return None
        way, at = [], target.base
        while at is not None:
            source, word = seen[at]
            if source is None:
                break
            way.append((source, word))
            at = source.base if isinstance(source, Object) else None
        return way[::-1]


# ---- what is not the heap's ----

def data_ranges():
    """The program's own data."""
    if has_symbol("kernel_main"):
        yield "data", address_of("arch_data_start"), address_of("arch_data_end")
        yield "bss", address_of("arch_roots_start"), address_of("arch_bss_end")
        return
    for line in gdb.execute("info files", to_string=True).splitlines():
        found = re.match(r"\s*(0x\w+) - (0x\w+) is (\.data|\.bss)( in (.*))?$", line)
        if found and not found[5]:
            yield found[3][1:], int(found[1], 16), int(found[2], 16)


def without_own(name, lo, hi):
    """The parts of a range that are not Marrow's own."""
    own = sorted((address_of(symbol), gdb.parse_and_eval(symbol).type.sizeof)
                 for symbol in OWN if has_symbol(symbol))
    for start, size in own:
        if lo <= start < hi:
            yield name, lo, start
            lo = start + size
    yield name, lo, hi


def stacks(heap):
    """Registers are in no range: they are written into a stack, or shown by the caller's frame."""
    chosen, frame = gdb.selected_thread(), gdb.selected_frame()
    bounds = [(lo, hi, name) for name, _, lo, hi in kernel_threads(heap)]
    for thread in gdb.selected_inferior().threads():
        if not thread.is_valid():
            continue
        thread.switch()
        sp = int(gdb.newest_frame().read_register("sp"))
        name, end = f"stack of thread {thread.num}", None
        for lo, hi, of in bounds:
            if lo <= sp < hi:
                name, end = f"stack of {of}", hi
        yield name, sp, end or mapped_until(heap.memory, sp)
    if chosen:
        chosen.switch()
        frame.select()
    for name, sp, lo, hi in kernel_threads(heap):
        if lo <= sp < hi:
            yield f"stack of {name}", sp, hi


def mapped_until(memory, start):
    at = start
    while at < start + MOST_STACK:
        try:
            memory.read(at, 1)
        except gdb.MemoryError:
            break
        at = (at | 4095) + 1
    return at


def kernel_threads(heap):
    """(name, stack pointer or 0 if it runs, stack, its end) of each of the kernel's threads."""
    if not has_symbol("thread_for_each"):
        return
    reader = Reader("struct thread", ["sp", "name", "stack", "stack_end", "all.next", "state"])
    head = address_of("'kernel/thread.c'::all")
    inside = gdb.lookup_type("struct thread")["all"].bitpos // 8
    running = value("THREAD_RUNNING")
    at = heap.memory.pointer(head)
    while at and at != head:
        one = reader.at(heap.memory, at - inside)
        yield (heap.memory.text(one.name), 0 if one.state == running else one.sp, one.stack,
               one.stack_end)
        at = one.all_next
