# SPDX-License-Identifier: MIT
"""A running demo kernel at its prompt: commands go in, words come out, the machine is changed meanwhile."""

import os
import re
import subprocess
import tempfile
import threading
import time

import hang
import qemu

PROMPT = "marrow> "
PATIENCE = 60


class Machine:
    def __init__(self, kernel, extra="", append="", **options):
        words = ["--kernel", kernel, "--append", append, "--extra=" + extra]
        for name, value in options.items():
            words += ["--" + name, value]
        self.folder = tempfile.TemporaryDirectory(prefix="marrow-")
        control = os.path.join(self.folder.name, "qmp")
        line = qemu.command(qemu.parse(words)) + qemu.socket_option(control)
        line += ["-display", "none", "-monitor", "none", "-serial", "stdio"]
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.bytes, self.said, self.start, self.lock = "", "", 0, threading.Lock()
        threading.Thread(target=self.listen, daemon=True).start()
        self.qmp = qemu.Qmp(control)
        self.wait(re.escape(PROMPT))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def listen(self):
        for byte in iter(lambda: self.process.stdout.read1(4096), b""):
            with self.lock:
                self.bytes += byte.decode("latin-1")
                self.said = self.bytes.replace("\r", "")

    def text(self):
        """What was said since the last command."""
        with self.lock:
            return self.said[self.start:]

    def raw(self):
        """All that was ever said, carriage returns too."""
        with self.lock:
            return self.bytes

    def match(self, pattern):
        return re.search(pattern, self.text())

    def saw(self, pattern):
        if self.process.poll() is not None and not self.match(pattern):
            raise OSError(f"the machine ended with {self.process.returncode}:\n{self.text()}")
        return bool(self.match(pattern))

    def wait(self, pattern, seconds=PATIENCE):
        clock = self.clock()
        while not self.saw(pattern):
            if clock.had() > seconds:
                raise OSError(f"no {pattern!r} in:\n{self.text()}")
            time.sleep(0.02)
        return self.match(pattern)

    def clock(self):
        """Of the time that the machine has, which is less than the clock's on a busy host."""
        return hang.Clock(self.process.pid)

    def send(self, command):
        with self.lock:
            self.start = len(self.said)
        self.keys(command + "\n")

    def keys(self, keys):
        self.process.stdin.write(keys.encode())
        self.process.stdin.flush()

    def command(self, command):
        """To the next prompt; what was said."""
        self.send(command)
        self.wait("\n" + re.escape(PROMPT))
        return self.text()

    def resident(self):
        """MiB of the emulator that are in memory."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) / 1024


class Results:
    def __init__(self):
        self.passed = self.failed = 0

    def take(self, name, good, machine):
        self.passed += bool(good)
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.passed + self.failed} {name}", flush=True)
        if not good:
            print("".join(f"    {line}\n" for line in machine.text().splitlines()[-40:]), end="")

    def done(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0
