#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every `mw` command of gdb: on the kernel in QEMU, on a core of its memory, on a hosted process and
on a core of that one. The same commands, and the same answers, with the machine gone."""

import os
import re
import subprocess
import sys
import tempfile
import time

import hang
import qemu

HERE = os.path.dirname(os.path.abspath(__file__))
NODES = 200
COMMANDS = f"alloc 100;alloc 3000;pages 7;alloc 64K;graph {NODES};look 0;halt"
results = []


def check(name, good, text=""):
    results.append(bool(good))
    if not good:
        print(f"not ok {name}\n" + "\n".join("    " + line for line in text.splitlines()[-30:]))


# What is asked everywhere, and what the answer must hold.
READ_ONLY = {
    "mw info": r"region 0x[0-9a-f]+ to .*\n(.*\n)*pages: .*objects.*\n\d+ spans, \d+ live objects(.*\n)*stacks, .*: .* \d+",
    "mw map": r"(?m)^  [opsmOPSM.-]{10,}$",
    "mw check": r"all is well: \d+ spans, \d+ caches",
    "mw spans": r"0x[0-9a-f]+ 0x[0-9a-f]+ +\d+ \S+ +\d+ +\d+ of \d+",
}
GRAPH = {
    "mw spans no-such-cache": r'No span belongs to a cache "no-such-cache"',
    "mw spans large": r"(?m)large +65536 +1 of 1 ",
    "mw whatis graph_root": (
        r"live object 0x[0-9a-f]+, \d+ bytes, base\nclass .*, collected, may hold pointers, "
        r"type struct graph_node\n(.*\n)*(not )?marked, generation (\d+) \(now \3\)\n"
        r"reached from:\n    bss, word at 0x[0-9a-f]+ graph_root"),
    "mw whatis graph_root->left->right->left": (
        r"reached from:\n    .*graph_root\n    struct graph_node 0x[0-9a-f]+\.left\n"
        r"    struct graph_node 0x[0-9a-f]+\.right\n    struct graph_node 0x[0-9a-f]+\.left\n"),
    "mw whatis (char *)graph_root + 9": r"address is 0x9 into it",
    "mw find-refs graph_root->left": (
        r"    struct graph_node 0x[0-9a-f]+\.left\n(.*\n)*"
        r"    struct graph_node 0x[0-9a-f]+\.parent\n(.*\n)*[3-9] references"),
    "mw whatis &mw_page": r"not the heap's: mw_page",
    "mw whatis 0": r"not the heap's\n",
}
PLANTED = {
    "mw_page.raw = mw_page.raw + 1": r"found\.raw == mw_page\.raw",
    "mw_object.builtin[20].spans = mw_object.builtin[20].spans + 1": r"spans and pages as counted",
    "mw_page.by_address[0]->used = mw_page.by_address[0]->used + 1":
        r"found\.free \+ region->used == region->frontier - first",
}


def undo(assignment):
    return assignment[:-1].replace(" + ", " - ") + "1"


def gdb(arguments, commands, limit=100):
    """Output of each command, by its text."""
    line = [qemu.machine_for(sys.argv[1]).gdb, "-q", "-nx", "-batch", "-iex", "set pagination off", "-iex",
            "set confirm off", "-iex", "set debuginfod enabled off"] + arguments
    for command in commands:
        line += ["-ex", f"echo \\n@@ {command}\\n", "-ex", command.partition(" # ")[0]]
    line += ["-ex", "echo \\n@@ end\\n"]
    try:
        done = hang.run(line, limit, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = done.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode("utf-8", "replace") + "\nnot done in time"
    parts = re.split(r"\n@@ (.*)\n", text)
    answers = dict(zip(parts[1::2], parts[2::2]))
    check("gdb came to its end", "end" in answers, text)
    return answers


def expect(where, answers, wanted):
    for command, pattern in wanted.items():
        text = answers.get(command, "(not asked)")
        check(f"{where}: {command}", re.search(pattern, text), text)


def looks(answers):
    """Addresses that the kernel's console told, asked of the map."""
    text = answers["mw spans"]
    return re.findall(r"(0x[0-9a-f]+) +\d+ (alloc-112|alloc-3072)", text)


def on_qemu(kernel, folder):
    """A live machine, stopped at the command `look`; leaves a core. Return: its answers."""
    options = qemu.parse(["--kernel", kernel, "--cpus", "2", "--mem", "128M"])
    options.append = f'run="{COMMANDS}"'
    socket, core = os.path.join(folder, "gdb"), os.path.join(folder, "core")
    console = os.path.join(folder, "console")
    line = qemu.command(options) + ["-display", "none", "-monitor", "none", "-serial",
                                    f"file:{console}", "-S", "-chardev",
                                    f"socket,path={socket},server=on,wait=off,id=gdb",
                                    "-gdb", "chardev:gdb"]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL) as machine:
        try:
            while not os.path.exists(socket) and machine.poll() is None:
                time.sleep(0.02)
            commands = ["hbreak run_look", "continue"] + list(READ_ONLY) + list(GRAPH)
            commands += ["mw check call"]
            for plant in PLANTED:
                commands += [f"set var {plant}", f"mw check # {plant}"]
                commands += [f"set var {undo(plant)}"]
            commands += ["mw check call # again", "set var mw_page.raw = mw_page.raw + 1",
                         "mw check call # broken", "set var mw_page.raw = mw_page.raw - 1",
                         "set var mw_page.heap.word = 1", "mw check # held", "mw check call # held",
                         "set var mw_page.heap.word = 0", "thread 2", "mw check call # asleep",
                         "thread 1", f"monitor dump-guest-memory -p {core}", "mw whatis",
                         "continue # to the end"]
            answers = gdb(["-ex", f"target remote {socket}", "-x",
                           os.path.join(HERE, "gdb/mw.py"), kernel], commands)
            status = machine.wait(20)
        finally:
            machine.kill()
    check("the kernel goes on after all that", status == qemu.PASS, str(status))
    with open(console, encoding="utf-8") as file:
        return answers, file.read(), core


def live(answers, console):
    expect("QEMU", answers, READ_ONLY | GRAPH)
    expect("QEMU", answers, {f"mw check # {plant}": "does not hold: .*" + pattern
                             for plant, pattern in PLANTED.items()})
    expect("QEMU", answers, {
        "mw check call": "all is well", "mw check call # again": "all is well",
        "mw check call # broken": "found something", "mw check # held": "holds: mw_page.heap",
        "mw check call # held": "Somebody holds mw_page.heap",
        "mw check call # asleep": "This CPU sleeps|all is well", "mw whatis": "An address is missing"})
    check("the kernel's own words for it", "found.raw == mw_page.raw" in console, console)
    told = re.findall(r"^(0xffff\w+), (112|3072) bytes usable", console, re.M)
    seen = [(base, name.partition("-")[2]) for base, name in looks(answers)]
    check("the console and gdb speak of the same objects", told and set(told) <= set(seen),
          f"{told} {seen}")


def same_answers(where, first, second, but=()):
    for command in list(READ_ONLY) + list(GRAPH):
        if command in first and command not in but:
            check(f"{where}: the same answer to {command}", first[command] == second[command],
                  first[command] + "-- and --\n" + second[command])


def on_core(kernel, core, answers):
    commands = list(READ_ONLY) + list(GRAPH) + ["mw check call"]
    more = gdb(["-x", os.path.join(HERE, "gdb/mw.py"), kernel, core][2:] +
               ["-x", os.path.join(HERE, "gdb/mw.py")], commands)
    expect("core", more, READ_ONLY | GRAPH)
    same_answers("core", answers, more)


def on_host(program, folder):
    """A hosted process, stopped in a test, and a core of it."""
    core = os.path.join(folder, "host.core")
    asked = dict(READ_ONLY)
    asked |= {"mw whatis pages": r"page 0 of a run of 3, pages",
              "mw whatis main": r"not the heap's: main", "mw find-refs pages": r"\d+ references"}
    commands = list(asked) + ["mw check call", f"generate-core-file {core}", "kill"]
    answers = gdb(["-ex", "set follow-fork-mode child", "-ex", "break mw_print_buddyinfo", "-ex",
                   "run watch.meminfo_says_it > /dev/null", "-ex", "up", "-x",
                   os.path.join(HERE, "gdb/mw.py"), program], commands)
    expect("process", answers, asked | {"mw check call": "all is well"})
    more = gdb([program, core, "-ex", "up", "-x", os.path.join(HERE, "gdb/mw.py")],
               list(asked))
    expect("process's core", more, asked)


def another_machine(kernel):
    """One of which QEMU writes no core."""
    with tempfile.TemporaryDirectory(prefix="marrow-") as folder:
        answers, console, _ = on_qemu(kernel, folder)
        live(answers, console)


def main():
    if len(sys.argv) == 2:
        another_machine(sys.argv[1])
        print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
        return 0 if all(results) else 1
    kernel, program = sys.argv[1:3]
    with tempfile.TemporaryDirectory(prefix="marrow-") as folder:
        answers, console, core = on_qemu(kernel, folder)
        live(answers, console)
        on_core(kernel, core, answers)
        on_host(program, folder)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
