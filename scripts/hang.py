# SPDX-License-Identifier: MIT
"""Whether a program that runs still gets anywhere: by its processor time and its threads, not by the
clock, which says nothing on a machine that others use as well."""

import glob
import os
import time

SLEEP_SECONDS = 15  # in which no thread wants to run
LAST_SECONDS = 600
TICK = os.sysconf("SC_CLK_TCK")


class Watch:
    """One process, which may use so many processor seconds."""

    def __init__(self, pid, most):
        self.pid, self.most = pid, most
        self.used = self.moved_used = 0.0
        self.started = self.moved_at = time.monotonic()

    def look(self):
        """Why it hangs, or None."""
        now = time.monotonic()
        wants = self.measure()
        if wants or self.used > self.moved_used + 0.1:
            self.moved_at, self.moved_used = now, self.used
        if self.used > self.most:
            return "goes on for ever"
        if now - self.moved_at > SLEEP_SECONDS:
            return "all its threads sleep for ever"
        if now - self.started > LAST_SECONDS:
            return "gives no answer"
        return None

    def measure(self):
        """Processor seconds so far; return: a thread wants to run."""
        wants = False
        try:
            with open(f"/proc/{self.pid}/stat", encoding="utf-8") as stat:
                self.used = sum(int(n) for n in stat.read().rpartition(")")[2].split()[11:15]) / TICK
            for path in glob.glob(f"/proc/{self.pid}/task/*/stat"):
                with open(path, encoding="utf-8") as stat:
                    wants = wants or stat.read().rpartition(")")[2].split()[0] in "RD"
        except (OSError, IndexError):  # it has just ended
            pass
        return wants
