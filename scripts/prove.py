#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prove the properties in proofs/words.c for all values of their arguments, and refute the wrong ones;
and have z3 answer the questions of proofs/*.smt2 as they say.

clang compiles the file without optimizing, opt inlines and unrolls, and this script turns each
function, which must be plain arithmetic on integers by then, into bit-vectors for z3: is there an
argument for which it returns false, or shifts by too much, or divides by 0? For proved_X there must
be none, for refuted_X one. A function of which nothing can be said fails.

Arguments: flags for the compiler. Each set of flags in BUILDS is a run of its own.
"""

import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile

SOURCE = "proofs/words.c"
BASE = ("-std=gnu11 -O2 -Xclang -disable-llvm-passes -S -emit-llvm -fwrapv -ffreestanding "
        "-fno-discard-value-names -Wall -Wextra -Werror -Imm/include -DMW_PORT_LEVEL=3 -U__GCC_ASM_FLAG_OUTPUTS__").split()
PASSES = ("cgscc(inline),function(sroa,loop(loop-rotate,indvars),loop-unroll<O3;full-unroll-max=64>,sccp,instsimplify)")
BUILDS = {
    "64 bits": [],
    "64 bits, kernel's map": ["-DMW_ADDR_BASE=0xffff800000000000", "-DMW_ADDR_BITS=40"],
    "64 bits, widest map": ["-DMW_ADDR_BITS=48"],
    "64 bits, pages of 64 KiB": ["-DMW_PAGE_SHIFT=16"],
    "64 bits, soft bits": ["-DMW_SOFT_BITS=1"],
    "32 bits": ["-m32"],
    "32 bits, soft bits": ["-m32", "-DMW_SOFT_BITS=1"],
}
LIMIT = 120  # seconds for one property

BINARY = {"add": "bvadd", "sub": "bvsub", "mul": "bvmul", "and": "bvand", "or": "bvor",
          "xor": "bvxor", "shl": "bvshl", "lshr": "bvlshr", "ashr": "bvashr", "udiv": "bvudiv",
          "urem": "bvurem"}
COMPARE = {"eq": "=", "ult": "bvult", "ule": "bvule", "ugt": "bvugt", "uge": "bvuge",
           "slt": "bvslt", "sle": "bvsle", "sgt": "bvsgt", "sge": "bvsge"}


class Unknown(Exception):
    """An instruction that has no translation here."""


def constant(value, bits):
    return f"(_ bv{value % (1 << bits)} {bits})"


class Function:
    """One function of the IR: blocks of instructions, their values by name."""

    def __init__(self, name, arguments, lines):
        self.name = name
        self.arguments = re.findall(r"i(\d+)[^,%]* (%[\w.]+)", arguments)
        self.define, self.widths, self.known = [], {}, {}
        self.instructions, self.block_of, self.edges, self.result = {}, {}, {}, []
        self.must = []
        block = "%entry"
        for line in lines:
            label = re.match(r"([\w.]+):", line)
            if label:
                block = "%" + label.group(1)
                continue
            self.take(block, re.sub(r", !.*| #\d+$", "", line.strip()))

    def take(self, block, line):
        value = re.match(r"(%[\w.]+) = (?:tail |notail )?(.*)", line)
        if value:
            self.instructions[value.group(1)] = value.group(2)
            self.block_of[value.group(1)] = block
        elif line.startswith("br i1"):
            condition, yes, no = re.fullmatch(
                r"br i1 ([^,]+), label (%[\w.]+), label (%[\w.]+)", line).groups()
            self.edges.setdefault(yes, []).append((block, condition, True))
            self.edges.setdefault(no, []).append((block, condition, False))
        elif line.startswith("br label"):
            self.edges.setdefault(line.split()[-1], []).append((block, None, True))
        elif line.startswith("ret"):
            self.result.append((block, line.split()[-1]))
        elif line and not re.match(r"(store|call void @llvm\.(lifetime|memset|assume))", line):
            raise Unknown(line)

    def translate(self):
        if any(line.startswith("phi") and self.loops(self.block_of[name])
               for name, line in self.instructions.items()):
            raise Unknown("a loop that was not unrolled")
        return self.question()

    def loops(self, block):
        """Can @block be reached from itself?"""
        seen, todo = set(), [block]
        while todo:
            for source, _, _ in self.edges.get(todo.pop(), []):
                if source == block:
                    return True
                if source not in seen:
                    seen.add(source)
                    todo.append(source)
        return False

    def question(self):
        """SMT-LIB: satisfiable where the function returns false or does what is undefined."""
        for bits, name in self.arguments:
            self.known[name] = f"|{name}|"
            self.define.append(f"(declare-const |{name}| (_ BitVec {bits}))")
        false = [f"(and {self.reached(block)} (= {self.operand(value, 1)} {constant(0, 1)}))"
                 for block, value in self.result]
        wrong = false + [f"(not {must})" for must in self.must]
        return "\n".join(self.define + [f"(assert (or {' '.join(wrong)}))", "(check-sat)"])

    def named(self, name, text, sort):
        self.define.append(f"(define-fun |{name}| () {sort} {text})")
        self.known[name] = f"|{name}|"
        return self.known[name]

    def edge(self, source, condition, taken):
        if condition is None:
            return self.reached(source)
        test = f"(= {self.operand(condition, 1)} {constant(taken, 1)})"
        return f"(and {self.reached(source)} {test})"

    def reached(self, block):
        if block == "%entry":
            return "true"
        name = "reached " + block
        if name not in self.known:
            ways = [self.edge(*edge) for edge in self.edges[block]]
            self.named(name, f"(or {' '.join(ways)} false)", "Bool")
        return self.known[name]

    def operand(self, text, bits):
        if text in ("true", "false"):
            return constant(text == "true", 1)
        if re.fullmatch(r"-?\d+", text):
            return constant(int(text), bits)
        if text not in self.known:
            self.value(text)
        return self.known[text]

    def value(self, name):
        if name not in self.instructions:
            raise Unknown(f"{name} is neither an integer nor an argument")
        text, bits = self.formula(name, self.instructions[name])
        self.named(name, text, f"(_ BitVec {bits})")

    def formula(self, name, line):
        binary = re.fullmatch(r"(\w+) (?:exact |nuw |nsw )*i(\d+) ([^,]+), (.+)", line)
        if binary and binary.group(1) in BINARY:
            return self.binary(name, binary.group(1), int(binary.group(2)), *binary.groups()[2:])
        compare = re.fullmatch(r"icmp (\w+) i(\d+) ([^,]+), (.+)", line)
        if compare:
            bits = int(compare.group(2))
            a, b = (self.operand(o, bits) for o in compare.groups()[2:])
            kind = compare.group(1)
            test = f"(not (= {a} {b}))" if kind == "ne" else f"({COMPARE[kind]} {a} {b})"
            return f"(ite {test} {constant(1, 1)} {constant(0, 1)})", 1
        cast = re.fullmatch(r"(zext|sext|trunc) i(\d+) ([^ ]+) to i(\d+)", line)
        if cast:
            old, new = int(cast.group(2)), int(cast.group(4))
            of = self.operand(cast.group(3), old)
            if cast.group(1) == "trunc":
                return f"((_ extract {new - 1} 0) {of})", new
            kind = "zero" if cast.group(1) == "zext" else "sign"
            return f"((_ {kind}_extend {new - old}) {of})", new
        return self.rarer(name, line)

    def binary(self, name, kind, bits, a, b):
        a, b = self.operand(a, bits), self.operand(b, bits)
        if kind in ("shl", "lshr", "ashr"):
            self.require(name, f"(bvult {b} {constant(bits, bits)})")
        elif kind in ("udiv", "urem"):
            self.require(name, f"(not (= {b} {constant(0, bits)}))")
        return f"({BINARY[kind]} {a} {b})", bits

    def require(self, name, fact):
        self.must.append(f"(=> {self.reached(self.block_of[name])} {fact})")

    def rarer(self, name, line):
        choice = re.fullmatch(r"select i1 ([^,]+), i(\d+) ([^,]+), i\d+ (.+)", line)
        if choice:
            bits = int(choice.group(2))
            a, b = (self.operand(o, bits) for o in choice.groups()[2:])
            return f"(ite (= {self.operand(choice.group(1), 1)} {constant(1, 1)}) {a} {b})", bits
        phi = re.fullmatch(r"phi i(\d+) (.*)", line)
        if phi:
            return self.phi(self.block_of[name], int(phi.group(1)), phi.group(2))
        zeros = re.fullmatch(r"call i(\d+) @llvm\.ct([lt])z\.i\d+\(i\d+ ([^,]+), i1 true\)", line)
        if zeros:
            return self.zeros(name, int(zeros.group(1)), zeros.group(2), zeros.group(3))
        part = re.fullmatch(r"extractvalue \{ i(\d+), i1 \} (%[\w.]+), ([01])", line)
        if part:
            return self.product(int(part.group(1)), self.instructions[part.group(2)],
                                part.group(3))
        raise Unknown(line)

    def phi(self, block, bits, text):
        ways = re.findall(r"\[ ([^,]+), (%[\w.]+) \]", text)
        formula = constant(0, bits)
        for value, source in ways:
            for edge in self.edges[block]:
                if edge[0] == source:
                    formula = f"(ite {self.edge(*edge)} {self.operand(value, bits)} {formula})"
        return formula, bits

    def zeros(self, name, bits, end, of):
        """A chain of tests, from the bit that counts last."""
        of = self.operand(of, bits)
        self.require(name, f"(not (= {of} {constant(0, bits)}))")
        formula = constant(bits, bits)
        for count in range(bits - 1, -1, -1):
            bit = count if end == "t" else bits - 1 - count
            formula = (f"(ite (= ((_ extract {bit} {bit}) {of}) {constant(1, 1)}) "
                       f"{constant(count, bits)} {formula})")
        return formula, bits

    def product(self, bits, line, which):
        call = re.fullmatch(r"call \{ i\d+, i1 \} @llvm\.umul\.with\.overflow\.i\d+\("
                            r"i\d+ ([^,]+), i\d+ ([^)]+)\)", line)
        if not call:
            raise Unknown(line)
        a, b = (f"((_ zero_extend {bits}) {self.operand(o, bits)})" for o in call.groups())
        half = (2 * bits - 1, bits) if which == "1" else (bits - 1, 0)
        of = f"((_ extract {half[0]} {half[1]}) (bvmul {a} {b}))"
        if which == "0":
            return of, bits
        return f"(ite (= {of} {constant(0, bits)}) {constant(0, 1)} {constant(1, 1)})", 1


def functions(flags, folder):
    source, inlined = os.path.join(folder, "source.ll"), os.path.join(folder, "inlined.ll")
    subprocess.run(["clang"] + BASE + flags + [SOURCE, "-o", source], check=True)
    subprocess.run(["opt", "-S", "-passes=" + PASSES, "-unroll-threshold=100000", source, "-o",
                    inlined], check=True)
    with open(inlined, encoding="utf-8") as file:
        text = file.read()
    for name, arguments, body in re.findall(
            r"^define [^@]*@((?:proved|refuted)_\w+)\((.*?)\)[^{\n]*\{\n(.*?)^\}", text,
            re.M | re.S):
        yield name, arguments, body.splitlines()


def judge(job):
    """Return: name, what is wrong or None."""
    name, arguments, lines = job
    try:
        question = Function(name, arguments, lines).translate()
    except Unknown as unknown:
        return name, f"cannot be translated: {unknown}"
    done = subprocess.run(["z3", f"-T:{LIMIT}", "-in"], input=question, stdout=subprocess.PIPE,
                          text=True, check=False)
    answer = done.stdout.strip()
    wanted = "unsat" if name.startswith("proved_") else "sat"
    return name, None if answer == wanted else f"z3 says {answer.splitlines()[:1]}, not {wanted}"


def answers(path):
    """Faults of a file of questions. Each has the answer that is due behind it."""
    with open(path, encoding="utf-8") as file:
        wanted = re.findall(r"^\(check-sat\) ; (\w+)$", file.read(), re.M)
    done = subprocess.run(["z3", f"-T:{LIMIT}", path], stdout=subprocess.PIPE, text=True,
                          check=False)
    given = done.stdout.split()
    print(f"{path}: {len(wanted)} questions")
    if not wanted or given != wanted:
        print(f"not ok {path}: {given}, not {wanted}")
        return 0, 0, 1
    return wanted.count("unsat"), wanted.count("sat"), 0


def main():
    with open(SOURCE, encoding="utf-8") as file:
        stated = set(re.findall(r"^(?:PROPERTY|WRONG)\((\w+),", file.read(), re.M))
    proved = refuted = failed = 0
    for path in sorted(glob.glob("proofs/*.smt2")):
        counts = answers(path)
        proved, refuted, failed = (a + b for a, b in zip((proved, refuted, failed), counts))
    for build, flags in BUILDS.items():
        with tempfile.TemporaryDirectory() as folder:
            jobs = list(functions(flags + sys.argv[1:], folder))
        lost = stated - {name.partition("_")[2] for name, _, _ in jobs}
        if lost or not jobs:
            failed += 1
            print(f"not ok {build}: not in the compiler's output: {' '.join(sorted(lost))}")
        with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            for name, wrong in pool.map(judge, jobs):
                if wrong:
                    failed += 1
                    print(f"not ok {build}: {name}: {wrong}")
                elif name.startswith("proved_"):
                    proved += 1
                else:
                    refuted += 1
        print(f"{build}: {len(jobs)} functions", flush=True)
    print(f"{proved} properties proved for all values, {refuted} wrong ones refuted")
    print(f"{proved + refuted} passed, {failed} failed")
    return 1 if failed or not proved or not refuted else 0


if __name__ == "__main__":
    sys.exit(main())
