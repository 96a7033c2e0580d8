# SPDX-License-Identifier: MIT
"""mw_heap_check() once more, for where no code runs: the same invariants, in the same words."""

import gdb
from mw_memory import Reader, address_of, value


class Broken(Exception):
    """The first invariant that does not hold."""


def need(holds, what, at):
    if not holds:
        raise Broken(f"{what}, at {at:#x}")


def locks_held(heap):
    """Names of locks that somebody has: then structures may be between two states."""
    names = ["mw_page.heap", "mw_page.add", "mw_page.spans.lock", "mw_object.lock"]
    names += ["mw_gc.registry"] if heap.k["gc"] else []
    for name in names:
        if value(f"({name}).word"):
            yield name
    for cache in heap.all_caches():
        if heap.memory.pointer(cache.address) & 0xffffffff:
            yield f"lock of {heap.memory.text(cache.name)}"


# ---- the page heap ----

def check_run(heap, region, pn, tag, word):
    """A free run that begins at pn. Return: its pages."""
    pages = {"SINGLE": 1, "PAIR": 2, "HEAD": heap.payload(word)}[tag]
    at = heap.address(pn)
    need(pages and pn + pages <= region.frontier, "run->n && last < region->frontier", at)
    last = heap.word(heap.address(pn + pages - 1))
    end = {"SINGLE": "SINGLE", "PAIR": "PAIR", "HEAD": "END"}[tag]
    need(last & 7 == heap.tag[end], "again.first == run->first && again.n == run->n", at)
    if pages > 3:
        inner = heap.word(heap.address(pn + pages - 3 + 0))
        need(inner & 7 == heap.tag["INNER"] and heap.payload(inner) == pages,
             "again.first == run->first && again.n == run->n", at)
    if pn + pages < region.frontier:
        after = heap.word(heap.address(pn + pages)) & 7
        need(after not in (heap.tag["SINGLE"], heap.tag["PAIR"], heap.tag["HEAD"]),
             "no free run behind a free run", at)
    for inside in range(pn + 1, pn + pages - 1):
        tag_inside = heap.word(heap.address(inside)) & 7
        need(tag_inside in (heap.tag["NONE"], heap.tag["INNER"]),
             "tag == MW_TAG_NONE || tag == MW_TAG_INNER", heap.address(inside))
    return pages


def check_region(heap, region, found):
    at = region.address
    need(region.frontier + region.gap == region.ceiling,
         "region->frontier + region->gap == region->ceiling", at)
    need(region.ceiling + region.own <= region.end,
         "region->ceiling + region->own <= region->end", at)
    names = {number: name for name, number in heap.tag.items()}
    pn, free = region.first, 0
    while pn < region.frontier:
        word = heap.word(heap.address(pn))
        tag, pages = names[word & 7], 1
        if tag in ("SINGLE", "PAIR", "HEAD"):
            pages = check_run(heap, region, pn, tag, word)
            free += pages
        elif tag == "RAW":
            pages = heap.payload(word & ~heap.k["raw_stocked"])
            need(pages and pages <= region.frontier - pn, "raw run", heap.address(pn))
            found["kept" if heap.is_kept(word) else "raw"] += pages
        elif heap.span_at(heap.address(pn)):
            need(heap.span_at(heap.address(pn)) in heap.spans,
                 "a page of a span that is not in use", heap.address(pn))
            found["objects"] += 1
        else:
            need(tag != "END", "end without head", heap.address(pn))
            found["unknown"] += 1
        pn += pages
    need(free + region.used == region.frontier - region.first,
         "found.free + region->used == region->frontier - first", at)


def check_pages(heap):
    found = {"raw": 0, "objects": 0, "kept": 0, "unknown": 0}
    for region in heap.regions():
        check_region(heap, region, found)
    at = address_of("mw_page")
    need(found["raw"] == value("mw_page.raw"), "found.raw == mw_page.raw", at)
    need(found["objects"] + found["kept"] + found["unknown"] ==
         value("mw_page.objects") + value("mw_page.lent") + value("mw_page.lost"),
         "found.objects + found.records + found.unknown == mw_page.objects + mw_page.lent", at)


# ---- objects ----

def check_bitmaps(heap, span):
    memory, mask = heap.memory, (1 << heap.bits) - 1
    free = memory.words(span.free, span.words)
    remote = memory.words(span.remote, span.words)
    for w in range(span.words):
        places = min(max(span.count - w * heap.bits, 0), heap.bits)
        need(not ~free[w] & mask & ~((1 << places) - 1),
             "!(~free & ~mw_span_mask(span, w))", span.address)
        need(not free[w] & remote[w], "!(free & remote)", span.address)
    need(span.debug or not any(remote) or span.owner & heap.k["owner_pending"] or not span.cache,
         "!mw_word(&span->remote[w]) || mw_span_pending(span)", span.address)


def check_span(heap, span):
    at, k = span.address, heap.k
    first = span.base // heap.page_size * heap.page_size
    need(span.count and span.words, "span->count && span->words", at)
    need(span.base + span.count * span.stride <= first + span.pages * heap.page_size,
         "span->base + span->count * span->stride <= end", at)
    last = (span.count - 1) * span.stride
    need(last * span.magic >> heap.bits == span.count - 1,
         "mw_span_index(span, mw_span_object(span, last)) == last", at)
    check_bitmaps(heap, span)
    owner = span.owner & ~(k["owner_pending"] | k["owner_no_free"])
    if not span.cache:
        need(owner == k["owner_large"] and span.count == 1,
             "owner == MW_OWNER_LARGE && span->count == 1", at)
        need((span.holder != 0) == (not heap.memory.words(span.free, 1)[0] & 1),
             "(mw_span_holder(span) != 0) == !(mw_word(&span->free[0]) & 1)", at)
        return
    cache = heap.cache(span.cache)
    need(cache.live and cache.size == span.size,
         "span->cache->live && span->cache->size == span->size", at)
    where, full = heap.where.get(span.where, "?"), k["owner_full"]
    if span.debug:
        need(owner == k["owner_debug"] and where == "debug",
             "owner == MW_OWNER_DEBUG && span->where == MW_WHERE_DEBUG", at)
    elif where in ("current", "avail"):
        need(owner < k["max_cpus"], "owner < MW_MAX_CPUS", at)
    elif where == "full":
        need(owner & full and owner & ~full < k["max_cpus"],
             "(owner & MW_OWNER_FULL) && (owner & ~MW_OWNER_FULL) < MW_MAX_CPUS", at)
    elif where == "central some":
        need(owner == k["owner_none"] and heap.bitmap(span.free, span),
             "owner == MW_OWNER_NONE && mw_span_some_free(span)", at)
    else:
        need(where == "central full" and owner == k["owner_none"],
             "span->where == MW_WHERE_CENTRAL_FULL && owner == MW_OWNER_NONE", at)


def check_list(heap, head, inside, where):
    """A ring of spans. Return: how many."""
    count, before, at = 0, head, heap.memory.pointer(head)
    while at != head:
        span = heap.spans.get(at - inside)
        need(span, "a span in a list is in use", at - inside)
        need(heap.memory.pointer(at + heap.memory.word) == before,
             "it->next->prev == it && it->prev->next == it", at - inside)
        need(where is None or heap.where.get(span.where) == where, "span->where == where",
             span.address)
        count, before, at = count + 1, at, heap.memory.pointer(at)
        need(count <= len(heap.spans), "the ring closes", head)
    return count


def check_cpu(heap, at, slot_reader, none, link, owned_link):
    memory = heap.memory
    cpu = gdb.parse_and_eval(f"*(struct mw_cpu *){at}")
    owned = check_list(heap, address_of(f"((struct mw_cpu *){at})->owned"), owned_link, None)
    need(owned == int(cpu["owned_count"]), "owned == cpu->owned_count", at)
    slots = memory.words(address_of(f"((struct mw_cpu *){at})->slot"),
                         cpu["slot"].type.sizeof // memory.word)
    spans = 0
    for slot_at in slots:
        if slot_at == none:
            continue
        slot = slot_reader.at(memory, slot_at)
        count = bool(slot.span)
        for name, where in (("avail", "avail"), ("full", "full")):
            count += check_list(heap, slot_at + slot_reader.offsets[name + ".next"], link, where)
        need(count == slot.spans, "count == slot->spans", slot_at)
        if not slot.span:
            need(not slot.mask and not slot.ready, "!slot->mask && !slot->ready", slot_at)
        spans += slot.spans
    need(spans == owned, "spans == owned", at)


def check_objects(heap):
    for span in heap.spans.values():
        check_span(heap, span)
    kind = gdb.lookup_type("struct mw_span")
    link, owned_link = kind["link"].bitpos // 8, kind["owned"].bitpos // 8
    slots = Reader("struct mw_slot", ["ready", "mask", "span", "spans", "avail.next", "full.next"])
    count = gdb.parse_and_eval("mw_object.cpu").type.sizeof // heap.memory.word
    for at in heap.memory.words(address_of("mw_object.cpu"), count):
        if at:
            check_cpu(heap, at, slots, address_of("mw_slot_none"), link, owned_link)
    for cache in heap.all_caches():
        for name in ("some", "full"):
            head = cache.address + heap.read_cache.offsets[name + ".next"]
            check_list(heap, head, link, "central " + name)


def check_counts(heap):
    counted = {}
    for span in heap.spans.values():
        spans, pages = counted.get(span.cache, (0, 0))
        counted[span.cache] = (spans + 1, pages + span.pages)
    for cache in heap.all_caches():
        need(counted.get(cache.address, (0, 0)) == (cache.spans, cache.pages),
             f"{heap.memory.text(cache.name)}: spans and pages as counted on the way",
             cache.address)


def check(heap):
    """Raises Broken."""
    check_pages(heap)
    check_objects(heap)
    check_counts(heap)
