# SPDX-License-Identifier: MIT
"""Where a source could be wrong in a small way: sites of mutation operators, line by line.

A mutation changes one line, or swaps two, and keeps the number of lines, so that nothing else of the object
file changes. Assertions are left alone: without one a right program does the same.
"""

import collections
import hashlib
import re

# @line: from 0. @lines: what stands there instead, one line or two.
Mutation = collections.namedtuple("Mutation", "path line operator old new")

LEFT_ALONE = re.compile(r"^\s*#|ASSERT|__builtin_unreachable|^\s*(?:\*|/\*|//)|^\s*(?:extern|typedef)\b|^\w.*\)$")
STATEMENT = re.compile(r"^(\t+)(?!return\b|break\b|continue\b|goto\b|case\b|default\b|else\b|if\b|for\b|while\b|do\b)"
                       r"([\w*(&!][^{}]*);$")
DECLARATION = re.compile(r"^(?:static |const |volatile |unsigned |struct |enum |union |size_t |bool |char |int |long |void |"
                         r"uint\d+_t |uintptr_t |mw_\w+_t |_Atomic|u?int\b)[\w *(),]*[\w*]+(?:\[.*\])?(?: =.*)?(?:, .*)?$")
STORE = re.compile(r"^(?:atomic_store\w*\(|mw_set_word\(|__atomic_store_n\(|[\w.>\-\[\]*]+ = )")
FLAG = re.compile(r"(?<=[&|] )~?((?:MW|TEST|ARCH)_[A-Z]+_)[A-Z0-9_]+|\b((?:MW|ARCH)_[A-Z]+_)[A-Z0-9_]+(?= [&|])")
RETURNS = re.compile(r"^(?:static |inline |MW_\w+ |_Noreturn |__attribute__\(\([^)]*\)\)\)? )*(.*?)(\*?)\b\w+\($")


def code(line):
    """The line with texts, characters and comments blanked, of the same length."""
    def blank(match):
        return " " * len(match.group(0))
    return re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|/\*.*?\*/|//.*', blank, line)


def replaced(line, match, text, group=0):
    return line[:match.start(group)] + text + line[match.end(group):]


def by_pattern(pattern, changes):
    """An operator that replaces a match by what @changes gives for its text."""
    def sites(line):
        for match in re.finditer(pattern, code(line)):
            for text in changes(match.group(0)):
                yield replaced(line, match, text)
    return sites


def relational(text):
    yield {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}[text.strip()].join("  ")


def boundary(text):
    number, suffix = re.fullmatch(r"(0x[0-9a-f]+|\d+)([ulUL]*)", text).groups()
    value = int(number, 0)
    yield f"{value + 1}{suffix}"
    if value:
        yield f"{value - 1}{suffix}"


def statement(line):
    match = STATEMENT.match(line) if line == code(line).rstrip() or '"' in line else None
    if match and match[2].count("(") == match[2].count(")") and not DECLARATION.match(match[2]):
        return match
    return None


def deleted(line):
    match = statement(line)
    if match and not re.search(r"\+\+|--|[+-]= |fetch_(?:add|sub)|lock|pin", match[2]):
        yield match[1] + ";"


def counter(line):
    match = statement(line)
    if match and re.search(r"\+\+|--|[+-]= |fetch_(?:add|sub)", match[2]):
        yield match[1] + ";"


def locks(line):
    text = code(line)
    for pattern, to in ((r"\bmw_lock\((?!.*\bmw_lock)([^()]|\([^()]*\))*\)", "mw_port_pin()"),
                        (r"\bmw_unlock\([^;]*, (\w+)\)", r"mw_port_unpin(\1)"),
                        (r"\bmw_port_pin\(\)", "0ul"), (r"\bmw_port_unpin\((\w+)\)", r"(void)(\1)"),
                        (r"\bmw_(?:lock|unlock)_pinned\([^;]*\)", "(void)0")):
        for match in re.finditer(pattern, text):
            yield replaced(line, match, match.expand(to))


def flags(known):
    def sites(line):
        for match in FLAG.finditer(code(line)):
            name = match.group(0).lstrip("~")
            others = [f for f in known.get(match[1] or match[2], ()) if f != name]
            for other in others[:3]:
                yield replaced(line, match, match.group(0).replace(name, other))
            yield replaced(line, match, match.group(0).replace(name, "0"))
    return sites


def functions(lines):
    """(first line of the body, its last, what an early return says)"""
    for number, line in enumerate(lines):
        if line != "{" or not number:
            continue
        first = number - 1
        while first > 0 and re.match(r"\s", lines[first]):
            first -= 1
        head = re.match(r"^(.*?)\b(\w+)\(", re.sub(r"__attribute__\(\(.*?\)\)\)?", "", lines[first]))
        end = next((n for n in range(number, len(lines)) if lines[n] == "}"), None)
        if not head or end is None or "_Noreturn" in head[1]:
            continue
        kind = head[1]
        if "*" in kind:
            value = ("return NULL;",)
        elif re.search(r"\bvoid\b", kind):
            value = ("return;",)
        elif re.search(r"\bbool\b", kind):
            value = ("return false;", "return true;")
        elif re.search(r"\bstruct\b|\bunion\b", kind):
            continue
        else:
            value = ("return 0;",)
        yield number + 1, end, value


def function_of(mutation):
    """Its first line and its last, counted from 1; what is in none is alone."""
    with open(mutation.path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    number = mutation.line
    first = next((n for n in range(number, -1, -1) if lines[n] in ("{", "}")), 0)
    last = next((n for n in range(number, len(lines)) if lines[n] == "}"), number)
    return (first + 1, last + 1) if lines[first] == "{" else (number + 1, number + 1)


def early_returns(lines):
    for first, end, values in functions(lines):
        for number in range(first, end):
            match = re.match(r"^(\t)(?!\t)(?!return)[\w*(].*[;{]$", lines[number])
            declares = match and DECLARATION.match(lines[number].strip().rstrip(";"))
            if match and not declares and not LEFT_ALONE.search(lines[number]):
                for value in values:
                    # The rest of the body stays, so that nothing is unused.
                    yield number, f"\tif (1) {value} " + lines[number].lstrip()


RELAXED = re.compile(r"(?:atomic_store_explicit|__atomic_store_n|mw_set_word)\(&(.*?), (.*?)(?:, (?:memory_order_relaxed|__ATOMIC_RELAXED))?\)$")
PURE = r"(?!sizeof\b|mw_word\b|mw_min\b|mw_max\b|mw_round_)\b\w+\("


def store_of(text):
    """(where, what), or None if others may rely on when it happens."""
    match = RELAXED.match(text)
    if match and (text.startswith("mw_set_word") or re.search("relaxed|RELAXED", text)):
        return match.groups()
    return tuple(re.split(r" = ", text, maxsplit=1)) if " = " in text else None


def matters(one, two):
    """Does their order? Plain and relaxed stores that have nothing to do with each other are anybody's to order."""
    stores = store_of(one), store_of(two)
    if None in stores or any(re.search(PURE, value) for _, value in stores):
        return True
    (here, this), (there, that) = stores
    return here == there or bool(re.search(re.escape(here) + r"(?!\w)", that) or re.search(re.escape(there) + r"(?!\w)", this))


def swaps(lines):
    for number in range(len(lines) - 1):
        one, two = statement(lines[number]), statement(lines[number + 1])
        if one and two and one[1] == two[1] and STORE.match(one[2]) and STORE.match(two[2]) and matters(one[2], two[2]):
            before = lines[number - 1].strip() if number else ""
            if not before.endswith((")", "else", "do")):  # the body of an if without braces
                yield number, lines[number + 1], lines[number]


LINES = {
    "relational": by_pattern(r"(?<=[\w)\]]) (?:<=|>=|==|!=|<|>) (?=[\w(*&!~-])", relational),
    "logical": by_pattern(r" && | \|\| ", lambda text: (" || " if "&&" in text else " && ",)),
    "negation": by_pattern(r"(?<=[(\s])!(?=[\w(*])", lambda text: ("",)),
    "boundary": by_pattern(r"(?<![\w.])(?:0x[0-9a-f]+|\d+)[uUlL]*(?![\w.])", boundary),
    "arithmetic": by_pattern(r"(?<=[\w)\]]) (?:\+|-|<<|>>) (?=[\w(*&~])",
                             lambda text: ({" + ": " - ", " - ": " + ", " << ": " >> ", " >> ": " << "}[text],)),
    "condition": by_pattern(r"(?<=\bif )\((?=[^;]*\)$)", lambda text: ("(1 || ", "(0 && ")),
    "order": by_pattern(r"memory_order_(?:acquire|release|acq_rel|seq_cst)|__ATOMIC_(?:ACQUIRE|RELEASE|SEQ_CST)",
                        lambda text: ("memory_order_relaxed" if text[0] == "m" else "__ATOMIC_RELAXED",)),
    "deleted": deleted,
    "counter": counter,
    "lock": locks,
}


def of_file(path, known_flags):
    """{operator: [Mutation]} of all sites."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    found = collections.defaultdict(list)
    operators = dict(LINES, flag=flags(known_flags))
    comment = False
    for number, line in enumerate(lines):
        inside = comment or line.lstrip().startswith("/*")
        comment = inside and "*/" not in line
        if inside or LEFT_ALONE.search(line) or not line.startswith("\t"):
            continue
        for name, sites in operators.items():
            found[name] += [Mutation(path, number, name, (line,), (new,)) for new in sites(line) if new != line]
    for number, new in early_returns(lines):
        found["return"].append(Mutation(path, number, "return", (lines[number],), (new,)))
    for number, first, second in swaps(lines):
        found["swap"].append(Mutation(path, number, "swap", (second, first), (first, second)))
    return found


def flags_of(paths):
    """{prefix: names} that are defined anywhere."""
    known = collections.defaultdict(list)
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for name in re.findall(r"^\s*(?:#define )?((?:MW|ARCH)_[A-Z]+_[A-Z0-9_]+)(?: =| \(?\(?\w*\)?\s?(?:1|0x)|,)",
                                   file.read(), re.M):
                prefix = re.match(r"[A-Z]+_[A-Z]+_", name)[0]
                if name not in known[prefix]:
                    known[prefix].append(name)
    return known


def identity(mutation):
    """Of a place and a change, wherever the line moves to."""
    text = "\n".join((mutation.path, mutation.operator) + tuple(s.strip() for s in mutation.old + mutation.new))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def apply(mutation, text):
    lines = text.split("\n")
    at = slice(mutation.line, mutation.line + len(mutation.old))
    assert tuple(lines[at]) == mutation.old
    lines[at] = mutation.new
    return "\n".join(lines)
