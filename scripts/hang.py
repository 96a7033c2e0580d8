#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether a program that runs still gets anywhere: by the time that it had, not by the clock, which says
nothing on a machine that others use as well.

The time that a process had is the clock's, less what its threads waited for a processor; but at least
its processor time, divided by the processors that it could use, and a twentieth of the clock's.

    hang.py SECONDS COMMAND...

runs a command and kills it, with status 124, when it has had so many seconds since it last said something.
"""

import glob
import os
import subprocess
import sys
import time

SLEEP_SECONDS = 15  # in which no thread wants to run
LAST_SECONDS = 600
LEAST_PART = 20
CORES = os.cpu_count() or 1


def processes(pid):
    """The process and those that it started."""
    yield pid
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path, encoding="ascii") as children:
                for child in children.read().split():
                    yield from processes(int(child))
        except OSError:  # it has just ended
            pass


class Clock:
    """The time that a process, with those that it started, had since it last got on."""

    def __init__(self, pid):
        self.pid = pid
        self.threads = {}  # number: (ran, waited), seconds; those that ended too
        self.wants = False  # a thread wants to run
        self.restart()

    def measure(self):
        self.wants = False
        for path in (path for pid in processes(self.pid) for path in glob.glob(f"/proc/{pid}/task/*/schedstat")):
            folder = os.path.dirname(path)
            try:
                with open(path, encoding="ascii") as stat:
                    ran, waited = (int(n) / 1e9 for n in stat.read().split()[:2])
                with open(folder + "/stat", encoding="utf-8", errors="replace") as stat:
                    self.wants = self.wants or stat.read().rpartition(")")[2].split()[0] in "RD"
            except (OSError, ValueError, IndexError):  # it has just ended
                continue
            self.threads[os.path.basename(folder)] = (ran, waited)
        return tuple(sum(times) for times in zip((0, 0), *self.threads.values()))

    def restart(self):
        """It got on."""
        self.ran, self.waited = self.measure()
        self.at = time.monotonic()

    def had(self):
        clock = time.monotonic() - self.at
        ran, waited = self.measure()
        usable = max(1, min(CORES, len(self.threads)))
        return max(clock - (waited - self.waited), (ran - self.ran) / usable, clock / LEAST_PART)

    def used(self):
        return self.measure()[0]


class Watch:
    """One process, which may use so many processor seconds in all."""

    def __init__(self, pid, most):
        self.most, self.used = most, 0.0
        self.all, self.quiet = Clock(pid), Clock(pid)
        self.moved_used = 0.0

    def look(self):
        """Why it hangs, or None."""
        self.used = self.quiet.used()
        if self.quiet.wants or self.used > self.moved_used + 0.1:
            self.moved_used = self.used
            self.quiet.restart()
        if self.used > self.most:
            return "goes on for ever"
        if self.quiet.had() > SLEEP_SECONDS:
            return "all its threads sleep for ever"
        if self.all.had() > LAST_SECONDS:
            return "gives no answer"
        return None


def run(command, limit, **more):
    """As subprocess.run() with a timeout, of the time that the process had."""
    more.setdefault("stdin", subprocess.DEVNULL)
    with subprocess.Popen(command, **more) as process:
        clock = Clock(process.pid)
        while True:
            try:
                out, errors = process.communicate(timeout=0.5)
                return subprocess.CompletedProcess(command, process.returncode, out, errors)
            except subprocess.TimeoutExpired:
                pass
            except BaseException:
                process.kill()
                raise
            if clock.had() > limit:
                process.kill()
                raise subprocess.TimeoutExpired(command, limit, *process.communicate())


def main():
    limit, command = float(sys.argv[1]), sys.argv[2:]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        clock, output = Clock(process.pid), process.stdout.fileno()
        os.set_blocking(output, False)
        while True:
            ended = process.poll() is not None
            try:
                said = os.read(output, 65536)
            except BlockingIOError:
                said = None
            if said:
                sys.stdout.buffer.write(said)
                sys.stdout.buffer.flush()
                clock.restart()
            elif ended or said == b"":
                status = process.wait()
                return status if status >= 0 else 128 - status
            else:
                if clock.had() > limit:
                    print(f"{command[-1]}: quiet for {limit:g} s of its own time, killed", file=sys.stderr)
                    process.kill()
                    process.wait()
                    return 124
                time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
