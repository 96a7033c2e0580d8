#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Reads heap dumps ("go1.4 heap dump") and makes other things of them.

    heapdump.py text DUMP             totals by type, the objects that keep most, roots
    heapdump.py check DUMP            are the sums those of the statistics in it? Is it whole?
    heapdump.py heapsnapshot DUMP     for Chrome DevTools, to standard output or -o FILE
    heapdump.py dot DUMP [--most N]   the graph for Graphviz, of at most N=500 objects

A dump that is cut off or damaged is read up to there: what is wrong is said with the offset of the
record that could not be read, everything before it is used, and the status is 1. The format is that
of go.dev/wiki/heapdump14; what Marrow writes behind its end is in docs/design/watch.md.
"""

import argparse
import bisect
import sys
import zlib

HEADER = b"go1.4 heap dump\n"
MORE = b"marrow 1"
STATS = ("alloc total_alloc sys lookups mallocs frees heap_alloc heap_sys heap_idle heap_inuse "
         "heap_released heap_objects stack_inuse stack_sys mspan_inuse mspan_sys mcache_inuse "
         "mcache_sys buckhash_sys gc_sys other_sys next_gc last_gc pause_total_ns").split()
COLLECTED, POINTERS = 1, 2  # of a span
STRUCT, FLEX = 2, 4  # kinds of fields


class Damage(Exception):
    """What cannot be read; the offset is of the record that it is in."""

    def __init__(self, offset, why):
        super().__init__(f"offset {offset}: {why}")
        self.offset = offset


class Reader:
    """The format's numbers, strings and lists, from bytes in memory."""

    def __init__(self, data, at):
        self.data, self.at, self.record = data, at, at

    def fail(self, why):
        raise Damage(self.record, why)

    def number(self):
        value = shift = 0
        while True:
            if self.at >= len(self.data):
                self.fail("cut off inside a record")
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
            if shift > 63:
                self.fail("a number is too long")
        if value >> 64:
            self.fail("a number is too large")
        return value

    def numbers(self, count):
        return [self.number() for _ in range(count)]

    def bytes(self):
        length = self.number()
        if length > len(self.data) - self.at:
            self.fail(f"{length} bytes are said to follow, {len(self.data) - self.at} do")
        self.at += length
        return self.data[self.at - length:self.at]

    def text(self):
        return self.bytes().decode("utf-8", "replace")

    def fields(self, size):
        offsets = []
        while True:
            kind = self.number()
            if not kind:
                return offsets
            if kind > 3:
                self.fail(f"there is no kind of field {kind}")
            offset = self.number()
            if offset >= size:
                self.fail(f"a field at {offset} in {size} bytes")
            offsets.append(offset)


class Object:
    __slots__ = ("address", "contents", "fields", "type", "space", "stride", "hand", "edges")

    def __init__(self, address, contents, fields):
        self.address, self.contents, self.fields = address, contents, fields
        self.type = None  # a Type, when it is known
        self.space = "?"  # the name of its cache
        self.hand = False
        self.edges = ()  # (object, offset)

    @property
    def size(self):
        return len(self.contents)

    def label(self):
        return self.type.name if self.type else self.space


class Type:
    def __init__(self, address, size, name, fields):
        self.address, self.size, self.name, self.fields = address, size, name, fields


class Dump:
    """All that a dump says. After link() objects are sorted and know their edges."""

    def __init__(self):
        self.objects, self.types, self.spans = [], {}, []
        self.roots = []  # (name, address)
        self.ranges = []  # (name, address, contents, fields): stacks, data, bss
        self.threads, self.cpus, self.finalizers, self.due = [], [], [], []
        self.stats, self.params = {}, None
        self.buckets, self.samples = {}, []
        self.records = []  # (address, kind, function, value)
        self.damage = None

    # ---- reading, a function for each kind of record ----

    def read_object(self, r):
        address, contents = r.number(), r.bytes()
        self.objects.append(Object(address, contents, r.fields(len(contents))))

    def read_root(self, r):
        self.roots.append((r.text(), r.number()))

    def read_type(self, r):
        address, size, name = r.number(), r.number(), r.text()
        r.number()
        self.types.setdefault(address, Type(address, size, name, []))

    def read_thread(self, r):
        numbers = r.numbers(8)
        self.threads.append((numbers[2], numbers[1], r.text()))
        r.numbers(4)

    def read_frame(self, r):
        address, _, _ = r.numbers(3)
        contents = r.bytes()
        r.numbers(3)
        name = r.text()
        self.ranges.append((f"stack of {name or 'a thread'}", address, contents,
                            r.fields(len(contents))))

    def read_params(self, r):
        big, pointer, start, end, _ = r.numbers(5)
        if pointer not in (4, 8) or big > 1:
            r.fail("parameters of no machine")
        self.params = {"order": "big" if big else "little", "pointer": pointer, "start": start,
                       "end": end, "more": r.bytes(), "cpus": r.number()}

    def read_finalizer(self, r):
        self.finalizers.append(r.numbers(5))

    def read_itab(self, r):
        r.numbers(2)

    def read_cpu(self, r):
        self.cpus.append(r.numbers(3))

    def read_stats(self, r):
        self.stats = dict(zip(STATS, r.numbers(24)))
        self.stats["pause_ns"] = r.numbers(256)
        self.stats["num_gc"] = r.number()

    def read_due(self, r):
        self.due.append(r.numbers(5))

    def read_segment(self, r, name):
        address, contents = r.number(), r.bytes()
        self.ranges.append((name, address, contents, r.fields(len(contents))))

    def read_data(self, r):
        self.read_segment(r, "data")

    def read_bss(self, r):
        self.read_segment(r, "bss")

    def read_defer(self, r):
        r.numbers(7)

    def read_panic(self, r):
        r.numbers(6)

    def read_bucket(self, r):
        ident, size, depth = r.numbers(3)
        stack = []
        for _ in range(depth):
            function, file = r.text(), r.text()
            stack.append((function, file, r.number()))
        self.buckets[ident] = (size, stack, r.number(), r.number())

    def read_sample(self, r):
        self.samples.append(r.numbers(2))

    KINDS = {1: read_object, 2: read_root, 3: read_type, 4: read_thread, 5: read_frame,
             6: read_params, 7: read_finalizer, 8: read_itab, 9: read_cpu, 10: read_stats,
             11: read_due, 12: read_data, 13: read_bss, 14: read_defer, 15: read_panic,
             16: read_bucket, 17: read_sample}

    # ---- behind the end ----

    def read_more_type(self, r):
        address, size, name, count = r.number(), r.number(), r.text(), r.number()
        fields = []
        for _ in range(count):
            field = r.text()
            fields.append([field] + r.numbers(4))
        self.types[address] = Type(address, size, name, fields)

    def read_span(self, r):
        numbers = r.numbers(6)
        if not numbers[1]:
            r.fail("a span of objects without size")
        self.spans.append((*numbers, r.text()))

    def read_record(self, r):
        self.records.append((r.number(), r.text(), r.text(), r.number()))

    MORE_KINDS = {1: read_more_type, 2: read_span, 3: read_record}

    def read_records(self, r, kinds):
        while True:
            r.record = r.at
            kind = r.number()
            if not kind:
                return
            if kind not in kinds:
                r.fail(f"there is no kind of record {kind}")
            kinds[kind](self, r)

    def read(self, data):
        if data[:len(HEADER)] != HEADER:
            raise Damage(0, "this is no go1.4 heap dump")
        r = Reader(data, len(HEADER))
        self.read_records(r, self.KINDS)
        if not self.params:
            r.fail("the dump ends without parameters")
        r.record = r.at
        if self.params["more"] != MORE:
            if r.at != len(data):
                r.fail("something follows the end that was not announced")
            return
        if data[r.at:r.at + len(MORE) + 1] != MORE + b"\n":
            r.fail("what should follow the end of the dump does not")
        r.at += len(MORE) + 1
        self.read_records(r, self.MORE_KINDS)
        r.record, end = r.at, r.at
        if r.number() != zlib.adler32(data[:end]):
            r.fail("the sum of everything before it is another one")
        if r.at != len(data):
            r.fail("something follows the sum")

    # ---- who points where ----

    def find(self, address):
        """The object that an address is in, or None."""
        at = bisect.bisect_right(self.addresses, address) - 1
        if at < 0:
            return None
        found = self.objects[at]
        return found if address < found.address + max(found.size, 1) else None

    def targets(self, contents, fields):
        width = self.params["pointer"]
        for offset in fields:
            word = int.from_bytes(contents[offset:offset + width], self.params["order"])
            to = self.find(word)
            if to is not None:
                yield to, offset

    def name_objects(self):
        """From the spans: each object's type, its cache, and who manages it."""
        starts = sorted(self.spans)
        bases = [span[0] for span in starts]
        for obj in self.objects:
            at = bisect.bisect_right(bases, obj.address) - 1
            if at < 0:
                continue
            base, stride, _, count, kind, flags, space = starts[at]
            if obj.address < base + stride * count:
                obj.type, obj.space = self.types.get(kind), space
                obj.hand = not flags & COLLECTED
        for name, address in self.roots:
            if name == "hand-managed" and (obj := self.find(address)):
                obj.hand = True

    def link(self):
        self.objects.sort(key=lambda o: o.address)
        self.addresses = [o.address for o in self.objects]
        self.name_objects()
        if not self.params:
            return
        for obj in self.objects:
            if obj.fields:
                obj.edges = tuple(self.targets(obj.contents, obj.fields))

    def field_name(self, kind, offset, depth=0):
        """As a C programmer would write it: links[1].next; "" where no name is known."""
        best = None
        for field in kind.fields if kind else ():
            if field[2] <= offset and (best is None or field[2] >= best[2]):
                best = field
        if best is None or depth > 8:
            return ""
        name, how, start, count, inner = best
        inner = self.types.get(inner)
        width = self.params["pointer"]
        each = inner.size if inner and inner.size else width
        index = (offset - start) // each
        if how == FLEX or count > 1:
            name += f"[{index}]"
        if inner and (how in (STRUCT, FLEX)):
            within = self.field_name(inner, (offset - start) % each, depth + 1)
            name += "." + within if within else ""
        return name

    def edge_name(self, obj, offset):
        if obj.type and obj.type.size and obj.type.fields:
            flex = any(f[1] == FLEX for f in obj.type.fields)
            turn = 0 if flex else offset // obj.type.size
            name = self.field_name(obj.type, offset - turn * obj.type.size)
            if name:
                return f"[{turn}].{name}" if obj.size >= 2 * obj.type.size and not flex else name
        return f"+{offset}"

    def root_edges(self):
        """(what holds it, where in it, the object) of everything that is no object."""
        for name, address in self.roots:
            obj = self.find(address)
            if obj:
                yield name, None, obj
        for name, _, contents, fields in self.ranges:
            for obj, offset in self.targets(contents, fields) if self.params else ():
                yield name, offset, obj


def load(path):
    """The dump, linked; with .damage if there is any."""
    with open(path, "rb") as f:
        data = f.read()
    dump = Dump()
    try:
        dump.read(data)
    except Damage as damage:
        dump.damage = damage
    dump.link()
    return dump


def sums_agree(dump):
    """Every disagreement of the dump's objects with its own statistics, as text."""
    have = {"heap_objects": len(dump.objects), "alloc": sum(o.size for o in dump.objects)}
    have["heap_alloc"] = have["alloc"]
    if not dump.stats:
        yield "there are no statistics"
        return
    for name, value in have.items():
        if dump.stats[name] != value:
            yield f"{name}: {dump.stats[name]} in the statistics, {value} in objects"
    if dump.stats["mallocs"] - dump.stats["frees"] != len(dump.objects):
        yield "mallocs - frees is not the number of objects"
    for address, ident in dump.samples:
        if not dump.find(address) or ident not in dump.buckets:
            yield f"the sample {address:#x} is of no object, or of no bucket"


def main():
    import heapdump_write
    commands = {"text": heapdump_write.text, "heapsnapshot": heapdump_write.heapsnapshot,
                "dot": heapdump_write.dot, "check": heapdump_write.check}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("command", choices=commands)
    parser.add_argument("dump")
    parser.add_argument("-o", "--output", help="a file instead of standard output")
    parser.add_argument("--most", type=int, default=500, help="objects of a graph")
    options = parser.parse_args()
    try:
        dump = load(options.dump)
    except OSError as error:
        sys.exit(f"heapdump: {error}")
    if dump.damage:
        print(f"{options.dump}: {dump.damage}; {len(dump.objects)} objects before it are used",
              file=sys.stderr)
    out = open(options.output, "w", encoding="utf-8") if options.output else sys.stdout
    with out:
        ok = commands[options.command](dump, out, options)
    return 0 if ok and not dump.damage else 1


if __name__ == "__main__":
    sys.exit(main())
