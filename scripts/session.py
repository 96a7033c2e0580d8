#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Type a session at the demo kernel's prompt, as a person would, and keep what was to be seen.

Writes a Markdown file with what the serial line said, command by command, and a picture of the
screen for each command that is marked with one.
"""

import argparse
import os
import tempfile

import prompt
import qemu

# What is said about it, the keys, and the picture taken afterwards.
SESSION = [
    ("The first screen says what it is, how much memory and how many CPUs there are, and what to "
     "try. `help` lists all commands, by subject:", "help\n", None),
    ("A file system is there to play with; all of its objects are collected.", "mkdir home\n", None),
    ("Tab completes commands and what may follow some of them: `wri`, tab.",
     "wri\thome/note \"remember the milk\"\n", None),
    ("", "cat home/note\n", None),
    ("A second name for a directory, inside itself: a ring.", "ln home home/again\n", None),
    ("", "tree\n", None),
    ("Its only name from outside goes, and with it all that is in it. Nothing was freed by hand, and "
     "nothing is lost: the collector finds that nobody can come there any more.", "rm home\n", None),
    ("", "gc\n", None),
    ("The same file system where holders are counted by hand.", "world counted\n", None),
    ("", "mkdir home\n", None),
    ("", "ln home home/again\n", None),
    ("Here the ring stays for ever: each of its objects is held by another one. The leak scan of the "
     "next storm finds it, before and after.", "rm home\n", None),
    ("Every CPU at the file system for three seconds, 4 MiB of files alive meanwhile. The line shows "
     "allocations, heap, cycles, and how long the world stood still.", "storm fs 3 4M\n", "storm.png"),
    ("", "storm queue 2\n", None),
    ("A mistake, made on purpose, and what is said about it: who allocated the object, who freed it.",
     "poke double-free\n", "poke.png"),
    ("A pointer to where no object is any more, and the path that leads to it.", "poke bad-pointer\n", None),
    ("Control-C ends what takes too long.", "storm fs 100\n\x03", None),
    ("", "check\n", None),
    ("", "ps\n", None),
]


def screen(text):
    """Lines as they stood at last: what a carriage return went over is gone, and so are keys."""
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        shown = []
        column = 0
        for char in line:
            if char == "\r":
                column = 0
            elif char == "\b":
                column = max(column - 1, 0)
            else:
                shown[column:column + 1] = [char]
                column += 1
        lines.append("".join(shown).rstrip())
    return lines


def play(machine, pictures):
    """Markdown, piece by piece; all lines between two remarks are one block."""
    yield "# A session at the demo kernel's prompt\n\n"
    yield "Typed and written down by `make session`. Times are those of a virtual machine without " \
          "hardware help.\n"
    block = screen(machine.until_prompt())[:-1]
    for remark, keys, picture in SESSION:
        if remark:
            yield "\n```text\n" + "\n".join(block).strip("\n") + "\n```\n\n" + remark + "\n"
            block = []
        machine.type(keys)
        block += screen(prompt.PROMPT + machine.until_prompt())[:-1]
        if picture:
            machine.picture(os.path.join(pictures, picture))
            yield "\n```text\n" + "\n".join(block).strip("\n") + "\n```\n"
            yield f"\n![The screen now](img/{picture})\n"
            block = []
    yield "\n```text\n" + "\n".join(block).strip("\n") + "\n```\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    qemu.add_options(parser)
    parser.add_argument("--write", required=True, help="the Markdown file")
    parser.add_argument("--pictures", required=True, help="folder for pictures, img/ of the file's")
    parser.add_argument("--limit", type=float, default=180, help="seconds for all of it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="marrow-") as folder:
        with prompt.Machine(options, folder) as machine:
            text = "".join(play(machine, options.pictures))
    text = text.replace("\n```text\n\n```\n", "")
    with open(options.write, "w", encoding="utf-8") as out:
        out.write(text)
    print(f"{options.write}: {len(SESSION)} commands")


if __name__ == "__main__":
    main()
