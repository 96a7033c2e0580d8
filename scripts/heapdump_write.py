# SPDX-License-Identifier: MIT
"""What scripts/heapdump.py makes of a dump: text, .heapsnapshot, DOT."""

import collections
import json

import heapdump


def reached(dump):
    """Objects in the order in which a search from the roots comes to them, and their first parents."""
    parent = {}
    order = []
    for _, _, obj in dump.root_edges():
        if obj not in parent:
            parent[obj] = None
            order.append(obj)
    for obj in order:
        for to, _ in obj.edges:
            if to not in parent:
                parent[to] = obj
                order.append(to)
    return order, parent


def dominators(dump):
    """
    For each reached object the nearest one that all ways from the roots go through; None: none. By
    the iteration of Cooper, Harvey and Kennedy over the order of a depth-first search.
    """
    roots = list(dict.fromkeys(obj for _, _, obj in dump.root_edges()))
    number, after = {}, []
    for root in roots:
        if root in number:
            continue
        number[root] = -1
        walk = [(root, iter(root.edges))]
        while walk:
            obj, edges = walk[-1]
            to = next((to for to, _ in edges if to not in number), None)
            if to is not None:
                number[to] = -1
                walk.append((to, iter(to.edges)))
                continue
            walk.pop()
            number[obj] = len(after)
            after.append(obj)
    top = len(after)  # the node above all roots
    sources = [[] for _ in range(top)]
    for obj in after:
        for to, _ in obj.edges:
            sources[number[to]].append(number[obj])
    for root in roots:
        sources[number[root]].append(top)
    above = [None] * top + [top]
    changed = True
    while changed:
        changed = False
        for n in range(top - 1, -1, -1):
            best = None
            for source in sources[n]:
                if above[source] is None:
                    continue
                if best is None:
                    best = source
                    continue
                other = source
                while best != other:
                    while best < other:
                        best = above[best]
                    while other < best:
                        other = above[other]
            if best != above[n]:
                above[n] = best
                changed = True
    return after, above, top


def retained(dump):
    """(object, bytes that would go with it) of all that is reached."""
    after, above, top = dominators(dump)
    sizes = [obj.size for obj in after] + [0]
    for n, obj in enumerate(after):  # whoever is dominated comes before
        if above[n] != top:
            sizes[above[n]] += sizes[n]
    return zip(after, sizes)


# ---- text ----


def text(dump, out, _):
    count, size = collections.Counter(), collections.Counter()
    for obj in dump.objects:
        key = (obj.label(), "by hand" if obj.hand else "collected")
        count[key] += 1
        size[key] += obj.size
    print(f"{len(dump.objects)} objects, {sum(size.values())} bytes", file=out)
    print(f"{'bytes':>12} {'objects':>9}  type or cache", file=out)
    for key, total in sorted(size.items(), key=lambda item: (-item[1], item[0])):
        print(f"{total:12} {count[key]:9}  {key[0]} ({key[1]})", file=out)
    print("\nkeep most:", file=out)
    for obj, total in sorted(retained(dump), key=lambda item: (-item[1], item[0].address))[:20]:
        print(f"{total:12} {obj.address:#18x}  {obj.label()}", file=out)
    holders = collections.Counter()
    for name, _, _ in dump.root_edges():
        holders[name.split("+")[0]] += 1
    print("\nroots:", file=out)
    for name, number in holders.most_common(30):
        print(f"{number:12}  {name}", file=out)
    lost = len(dump.objects) - len(reached(dump)[0])
    print(f"\n{lost} objects are reached from no root", file=out)
    return True


def check(dump, out, _):
    faults = list(heapdump.sums_agree(dump))
    for fault in faults:
        print(fault, file=out)
    if not faults and not dump.damage:
        print(f"{len(dump.objects)} objects, {dump.stats['alloc']} bytes, as the statistics say",
              file=out)
    return not faults


# ---- Chrome DevTools ----

NODE_FIELDS = ["type", "name", "id", "self_size", "edge_count", "trace_node_id", "detachedness"]
NODE_TYPES = ["hidden", "array", "string", "object", "code", "closure", "regexp", "number", "native",
              "synthetic", "concatenated string", "sliced string", "symbol", "bigint",
              "object shape"]
EDGE_FIELDS = ["type", "name_or_index", "to_node"]
EDGE_TYPES = ["context", "element", "property", "internal", "hidden", "shortcut", "weak"]
OBJECT, NATIVE, SYNTHETIC = (NODE_TYPES.index(t) for t in ("object", "native", "synthetic"))
PROPERTY, SHORTCUT = EDGE_TYPES.index("property"), EDGE_TYPES.index("shortcut")


class Snapshot:
    """
    Nodes with their edges. An object has the same id in every dump, so that two can be compared.
    Ids of holders are odd.
    """

    def __init__(self):
        self.strings, self.places = [], {}
        self.nodes, self.edges = [], []

    def string(self, value):
        if value not in self.places:
            self.places[value] = len(self.strings)
            self.strings.append(value)
        return self.places[value]

    def node(self, kind, name, ident, size):
        self.nodes.append((kind, self.string(name), ident, size))
        self.edges.append([])
        return len(self.nodes) - 1

    def edge(self, source, kind, name, target):
        self.edges[source].append((kind, self.string(name), target * len(NODE_FIELDS)))

    def document(self):
        meta = {
            "node_fields": NODE_FIELDS,
            "node_types": [NODE_TYPES, "string", "number", "number", "number", "number", "number"],
            "edge_fields": EDGE_FIELDS,
            "edge_types": [EDGE_TYPES, "string_or_number", "node"],
            "trace_function_info_fields": ["function_id", "name", "script_name", "script_id", "line",
                                           "column"],
            "trace_node_fields": ["id", "function_info_index", "count", "size", "children"],
            "sample_fields": ["timestamp_us", "last_assigned_id"],
            "location_fields": ["object_index", "script_id", "line", "column"],
        }
        nodes, edges = [], []
        for (kind, name, ident, size), out in zip(self.nodes, self.edges):
            nodes += [kind, name, ident, size, len(out), 0, 0]
            for edge in out:
                edges += edge
        return {"snapshot": {"meta": meta, "node_count": len(self.nodes),
                             "edge_count": len(edges) // len(EDGE_FIELDS),
                             "trace_function_count": 0},
                "nodes": nodes, "edges": edges, "trace_function_infos": [], "trace_tree": [],
                "samples": [], "locations": [], "strings": self.strings}


def object_id(dump, obj, number):
    """
    From the address: DevTools keeps 32 bits of an id, and an object has 8 bytes at least. So
    address == start of the heap + 4 * id. In more than 16 GiB only the order is left.
    """
    start, end = dump.params["start"], dump.params["end"]
    if end - start <= 16 << 30:
        return (obj.address - start) // 8 * 2
    return 2 * number


def heapsnapshot(dump, out, _):
    """A holder is what has roots of one name: a thread's stack, data, pins of one owner."""
    snapshot = Snapshot()
    top = snapshot.node(SYNTHETIC, "", 1, 0)
    roots = snapshot.node(SYNTHETIC, "(GC roots)", 3, 0)
    snapshot.edge(top, SHORTCUT, "roots", roots)
    holders = {}
    place = {}
    if not dump.params:
        print("{}", file=out)
        return False
    for number, obj in enumerate(dump.objects):
        kind = NATIVE if obj.hand else OBJECT
        place[obj] = snapshot.node(kind, obj.label(), object_id(dump, obj, number), obj.size)
    held = set()
    edges = [(name.split("+")[0], name if at is None else f"+{at}", obj)
             for name, at, obj in dump.root_edges()]
    held.update(reached(dump)[0])
    # DevTools leaves out what is reached from nowhere.
    edges += [("(reached from no root)", f"{obj.address:#x}", obj) for obj in dump.objects
              if obj not in held]
    for number, name in enumerate(sorted({edge[0] for edge in edges})):
        holders[name] = snapshot.node(SYNTHETIC, f"({name})", 5 + 2 * number, 0)
        snapshot.edge(roots, PROPERTY, name, holders[name])
    for name, where, obj in edges:
        snapshot.edge(holders[name], PROPERTY, where, place[obj])
    for obj in dump.objects:
        for to, offset in obj.edges:
            snapshot.edge(place[obj], PROPERTY, dump.edge_name(obj, offset), place[to])
    json.dump(snapshot.document(), out, separators=(",", ":"))
    return True


# ---- Graphviz ----


def quoted(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def dot(dump, out, options):
    order, _ = reached(dump)
    shown = set(order[:options.most])
    print("digraph heap {\n\trankdir=LR;\n\tnode [shape=box, fontname=monospace];", file=out)
    for obj in order[:options.most]:
        style = ", style=dashed" if obj.hand else ""
        label = quoted(f"{obj.label()}\n{obj.address:#x}, {obj.size}".replace("\n", "\\n"))
        print(f"\tn{obj.address:x} [label={label.replace(chr(92) * 2, chr(92))}{style}];", file=out)
        for to, offset in obj.edges:
            if to in shown:
                print(f"\tn{obj.address:x} -> n{to.address:x} "
                      f"[label={quoted(dump.edge_name(obj, offset))}];", file=out)
    names = {}
    for name, _, obj in dump.root_edges():
        name = name.split("+")[0]
        if obj not in shown or name == "hand-managed":
            continue
        if name not in names:
            names[name] = f"r{len(names)}"
            print(f"\t{names[name]} [label={quoted(name)}, shape=ellipse];", file=out)
        print(f"\t{names[name]} -> n{obj.address:x};", file=out)
    if len(order) > len(shown):
        print(f"\trest [label=\"and {len(order) - len(shown)} more\", shape=none];", file=out)
    print("}", file=out)
    return True
