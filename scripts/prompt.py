# SPDX-License-Identifier: MIT
"""The demo kernel in QEMU, as somebody at its prompt has it: a screen, and keys on the serial line."""

import os
import select
import subprocess
import time

import hang
import qemu

PROMPT = "marrow> "
CONTROL_C = "\x03"


class Machine:
    def __init__(self, options, folder):
        self.path = os.path.join(folder, "qmp")
        line = qemu.command(options) + qemu.socket_option(self.path) + [
            "-display", "none", "-vga", "std", "-serial", "stdio", "-monitor", "none"]
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.limit, self.clock = options.limit, hang.Clock(self.process.pid)

    def until_prompt(self):
        """What is said until the prompt stands there and nothing follows it."""
        seen = b""
        while self.clock.had() < self.limit:
            if select.select([self.process.stdout], [], [], 0.5)[0]:
                more = os.read(self.process.stdout.fileno(), 4096)
                if not more:
                    break
                seen += more
            elif seen.endswith(PROMPT.encode()):
                return seen.decode("utf-8", "replace")
        raise SystemExit("no prompt came; the last was:\n" + seen.decode("utf-8", "replace")[-2000:])

    def type(self, keys):
        for key in keys:
            time.sleep(1.5 if key == CONTROL_C else 0)  # what it ends has begun by then
            self.process.stdin.write(key.encode())
            self.process.stdin.flush()
            time.sleep(0.02)

    def picture(self, path):
        qemu.Qmp(self.path).run("screendump", filename=os.path.abspath(path), format="png")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
