# SPDX-License-Identifier: MIT
"""The heap as its structures say it: regions, the page map, spans, caches, objects."""

import gdb
from mw_memory import Memory, Reader, address_of, has_symbol, value

SPAN = ("region base magic free owner count cache size pages in_use where flags generation "
        "link.next link.prev owned.next remote mark scanned debug stride words type records holder").split()
CACHE = ("id spans pages size stride asked name policy span_flags live some.next some.prev "
         "full.next full.prev").split()
REGION = "first end frontier ceiling gap id zone live used released own frame".split()
OBJECTS, RAW, STOCKED, FREE, UNTOUCHED, RECORDS = "objects", "pages", "stocked", "free", \
    "untouched", "records"


class Object:
    """A place for an object, live or not."""

    def __init__(self, span, index):
        self.span, self.index = span, index
        self.base = span.base + index * span.stride
        self.size = span.size


class Heap:
    """Everything is read once; make a new one when the machine has run."""

    def __init__(self):
        if not has_symbol("mw_debugger"):
            raise gdb.GdbError("This program has no Marrow in it, or one without MW_WATCH.")
        self.memory = Memory()
        constants = gdb.parse_and_eval("mw_debugger")
        self.k = {field.name: int(constants[field]) for field in constants.type.fields()}
        self.tag = {name: value(f"MW_TAG_{name}") for name in
                    "NONE RAW SINGLE PAIR HEAD END INNER".split()}
        self.where = {value(f"MW_WHERE_{name}"): name.lower().replace("_", " ") for name in
                      "NOWHERE CURRENT AVAIL FULL CENTRAL_SOME CENTRAL_FULL DEBUG".split()}
        self.bits = 8 * self.memory.word
        self.page_size = 1 << self.k["page_shift"]
        self.root_at, self.no_span = address_of("mw_map_root"), address_of("mw_span_none")
        self.root_size = gdb.parse_and_eval("mw_map_root").type.sizeof // self.memory.word
        self.read_span = Reader("struct mw_span", SPAN)
        self.read_cache = Reader("struct mw_cache", CACHE)
        self.read_region = Reader("struct mw_region", REGION)
        self.spans = {span.address: span for span in self.all_spans()}
        self.caches, self.names = {}, {}
        self.layouts, self.bitmaps = {}, {}

    # ---- pages ----

    def address(self, pn):
        return self.k["addr_base"] + (pn << self.k["page_shift"])

    def page(self, address):
        return (address - self.k["addr_base"]) >> self.k["page_shift"]

    def map_word(self, address, which):
        """One of the page map's two words for an address; 0 where there is none."""
        at = (address - self.k["addr_base"]) % (1 << self.bits)
        slot, word = at >> self.k["table_shift"], self.memory.word
        if slot >= self.root_size:
            return 0
        table = self.memory.pointer(self.root_at + slot * word)
        if not table:
            return 0
        leaf = (at & ((1 << self.k["table_shift"]) - 1)) >> self.k["leaf_shift"]
        words = self.memory.pointer(table + (2 * leaf + which) * word)
        inside = (at & ((1 << self.k["leaf_shift"]) - 1)) >> self.k["page_shift"]
        return self.memory.pointer(words + inside * word)

    def span_at(self, address):
        """The address of the descriptor of the span that an address is in; 0: it is in none."""
        span = self.map_word(address, 0)
        return 0 if span == self.no_span else span

    def word(self, address):
        """What the page map says of a page that is in no span; 0 where there is nothing."""
        return self.map_word(address, 1)

    def is_kept(self, word):
        """Of a RAW word: the run is out of the heap for good, lost by the port or records."""
        return word & self.k["raw_stocked"] and \
            (word & ((1 << self.k["payload_shift"]) - 1)) >> self.k["id_shift"] <= 1

    def payload(self, word):
        return word >> self.k["payload_shift"] & self.k["pn_mask"]

    def regions(self):
        count = value("mw_page.nr_regions")
        for at in self.memory.words(address_of("mw_page.by_address"), count):
            yield self.read_region.at(self.memory, at)

    def pieces(self, region):
        """(page number, pages, what, its span or 0), from the first page to the end."""
        at, gap = region.first, min(region.gap, region.ceiling - region.first)
        while at < region.ceiling - gap:
            word, span = self.word(self.address(at)), self.span_at(self.address(at))
            what, pages = self.look(word, span)
            if not 0 < pages <= region.ceiling - gap - at:
                pages = 1
            yield at, pages, what, span
            at += pages
        if gap:
            yield at, gap, UNTOUCHED, 0
        if region.end > region.ceiling:
            yield region.ceiling, region.end - region.ceiling, RECORDS, 0

    def look(self, word, span):
        tag = word & 7
        if span:
            return OBJECTS, self.spans[span].pages if span in self.spans else 1
        if tag == self.tag["RAW"]:
            stocked = word & self.k["raw_stocked"]
            if self.is_kept(word):
                return RECORDS, self.payload(word & ~self.k["raw_stocked"])
            return (STOCKED if stocked else RAW), self.payload(word & ~self.k["raw_stocked"])
        if tag == self.tag["PAIR"]:
            return FREE, 2
        if tag == self.tag["HEAD"]:
            return FREE, self.payload(word)
        return (RECORDS if tag == self.tag["NONE"] else FREE), 1

    # ---- spans and caches ----

    def fixed(self, expression):
        """(address, bytes, offset) of each record that was ever in use."""
        size = value(f"({expression}).size")
        chunk = value(f"({expression}).chunks")
        reader = Reader("struct mw_fixed_chunk", ["next", "base", "used"])
        while chunk:
            head = reader.at(self.memory, chunk)
            data = self.memory.read(head.base, head.used * size) if head.used else b""
            for i in range(head.used):
                yield head.base + i * size, data, i * size
            chunk = head.next

    def all_spans(self):
        """Every span that is in use and known to the page map."""
        for address, data, offset in self.fixed("mw_page.spans"):
            span = self.read_span.take(data, offset, address)
            owner = span.owner & ~(self.k["owner_pending"] | self.k["owner_no_free"])
            if span.in_use and owner != self.k["owner_gone"] and span.count and \
                    self.span_at(span.base) == address:
                yield span

    def cache(self, address):
        if address not in self.caches:
            self.caches[address] = self.read_cache.at(self.memory, address)
        return self.caches[address]

    def all_caches(self):
        table = address_of("mw_caches.by_id")
        count = gdb.parse_and_eval("mw_caches.by_id").type.sizeof // self.memory.word
        for at in self.memory.words(table, count):
            if at:
                yield self.cache(at)

    def cache_name(self, span):
        if not span.cache:
            return "large"
        if span.cache not in self.names:
            self.names[span.cache] = self.memory.text(self.cache(span.cache).name)
        return self.names[span.cache]

    def owner(self, span):
        """Who may allocate from it, in words."""
        owner = span.owner & ~(self.k["owner_pending"] | self.k["owner_no_free"])
        for name, text in (("none", "cache"), ("large", "-"), ("debug", "debug"), ("gone", "gone")):
            if owner == self.k["owner_" + name]:
                return text
        return f"CPU {owner & ~self.k['owner_full']}"

    def bitmap(self, address, span):
        """As one number, bits of objects only; address 0: none set."""
        if not address:
            return 0
        if address not in self.bitmaps:
            data = self.memory.read(address, span.words * self.memory.word)
            self.bitmaps[address] = int.from_bytes(data, "little")
        return self.bitmaps[address] & ((1 << span.count) - 1)

    def live(self, span):
        """A bit for each live object."""
        gone = self.bitmap(span.free, span) | self.bitmap(span.remote, span)
        return ~gone & ((1 << span.count) - 1)

    def live_objects(self, span):
        bits, index = self.live(span), 0
        while bits:
            skip = (bits & -bits).bit_length() - 1
            index += skip
            yield Object(span, index)
            bits >>= skip + 1
            index += 1

    def object_at(self, address):
        """The place that an address lies in, or None."""
        span = self.spans.get(self.span_at(address))
        if not span:
            return None
        offset = (address - span.base) % (1 << self.bits)
        index = offset * span.magic >> self.bits
        return Object(span, index) if index < span.count else None

    def is_live(self, thing):
        return self.live(thing.span) >> thing.index & 1
