#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prepare what a compiler made of C for the engine of pairs (hosttest/pairs.h): 64-bit x86, AT&T's syntax.

    pairs_asm.py places|marks < in.s > out.s

marks: before an instruction stores to memory that is not the frame's, the byte of its page in pairs_dirty[] is set.
Flags and registers stay. What calls memset(), memcpy() or memmove() calls pairs_memset() and so on, which set it too.
places: besides, a no-op of five bytes stands before each instruction that touches such memory, with its address in the
section pairs_places; the engine makes a call of it. Its last byte says how far on the instruction is.
"""

import re
import sys

INSTRUCTION = re.compile(r"^\s+((?:(?:lock|rep|repz|repnz|notrack)[;\s]\s*)*)([a-z][a-z0-9]*)(?:\s+([^#]*?))?\s*(?:#.*)?$")
STRINGS = re.compile(r"^(?:stos|movs|lods|scas|cmps)[bwlq]?$")
CALLS = re.compile(r"^(\s+(?:call|jmp)\s+)(memset|memcpy|memmove)(@PLT)?\s*$")
NO_ACCESS = re.compile(r"^(?:lea|nop|prefetch)")
READ_ONLY = re.compile(r"^(?:cmp[bwlq]?$|test|push|call|jmp|mul|imul|div|idiv|bt[wlq]?$|ucomis|comis|fld|fild)")
WIDE = re.compile(r"%[xyz]mm")

# %ax is then the page's number within the window of addresses, its two bytes swapped: see pairs_memory.c.
MARK = """\tpushq\t%rax
\tleaq\t{at}, %rax
\tleaq\t0(,%rax,8), %rax
\tleaq\t(%rax,%rax), %rax
\tbswapl\t%eax
\tmovzwl\t%ax, %eax
\tmovb\t$-1, pairs_dirty(%rax)
\tpopq\t%rax
"""


def operands(text):
    """Between commas that are not in parentheses."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", text)] if text else []


def is_memory(operand, mnemonic):
    operand = operand.lstrip("*")
    if operand.startswith(("$", "%")) and not re.match(r"%[fg]s:", operand):
        return False
    return "(" in operand or ":" in operand or not re.match(r"j|call|loop", mnemonic)


def is_frame(operand):
    """Of the stack, which no other CPU knows."""
    return bool(re.search(r"\(%r[sb]p\)", operand))


class Writer:
    def __init__(self, places):
        self.places, self.count = places, 0

    def place(self, mark):
        """Where a call can come, and what stands between it and its instruction."""
        n = self.count = self.count + 1
        sys.stdout.write(f".Lpairs_{n}:\t.byte 0x0f, 0x1f, 0x44, 0x00, .Lpairs_of_{n} - .Lpairs_{n}\n"
                         f"\t.pushsection pairs_places, \"a\", @progbits\n\t.quad\t.Lpairs_{n}\n\t.popsection\n"
                         f"{mark}.Lpairs_of_{n}:\n")

    def instruction(self, prefix, mnemonic, parts):
        mark = ""
        if STRINGS.match(mnemonic) and not any("mm" in part for part in parts):
            mark = "\tcall\tpairs_mark_string\n" if mnemonic[:4] in ("stos", "movs") else ""
        else:
            touched = [part for part in parts if is_memory(part, mnemonic) and not is_frame(part)]
            if not touched or NO_ACCESS.match(mnemonic):
                return
            at = touched[-1]
            stores = mnemonic.startswith("xchg") or (is_memory(parts[-1], mnemonic) and not READ_ONLY.match(mnemonic))
            if stores and not re.match(r"%[fg]s:", at):
                mark = MARK.format(at=at)
                if any(WIDE.search(part) for part in parts):
                    mark += MARK.format(at=f"15{at}" if at[0] == "(" else f"15+{at}")
        if self.places:
            self.place(mark)
        else:
            sys.stdout.write(mark)


def main():
    writer, held = Writer(sys.argv[1] == "places"), ""
    for line in sys.stdin:
        line = CALLS.sub(r"\1pairs_\2", line.rstrip("\n")) + "\n"
        found = INSTRUCTION.match(line)
        if re.match(r"^\s+(?:lock|rep|repz|repnz)\s*$", line):
            held += line
            continue
        if found:
            writer.instruction(found[1], found[2], operands(found[3]))
        elif re.match(r"^\s+[a-z]", line):
            sys.exit(f"pairs_asm.py: what is this? {line}")
        sys.stdout.write(held + line)
        held = ""


if __name__ == "__main__":
    main()
