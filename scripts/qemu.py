# SPDX-License-Identifier: MIT
"""The machine: options to a QEMU command line, and the control socket (QMP) of a running one."""

import argparse
import collections
import json
import os
import socket
import time

OVMF = "/usr/share/OVMF/OVMF_%s_4M.fd"
PASS = 33  # what the kernel has QEMU exit with; 0 and 1 are also QEMU's own
PANIC = 37

Machine = collections.namedtuple("Machine", "program options serial balloon gdb nmi slots")

# By the number that an ELF file has for its CPU: the program, the machine with its CPU unless another is asked for,
# the device that virtio's consoles are on, and the balloon, the gdb that knows it, whether there are NMIs, and slots for
# memory modules.
MACHINES = {
    62: Machine("qemu-system-x86_64", ["-cpu", "max", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"],
                "virtio-serial-pci,disable-modern=on,max_ports=1,ioeventfd=off", "virtio-balloon-pci", "gdb", True,
                True),
    243: Machine("qemu-system-riscv64", ["-M", "virt", "-global", "virtio-mmio.ioeventfd=off"],
                 "virtio-serial-device,max_ports=1", "virtio-balloon-device", "gdb-multiarch", False, False),
    183: Machine("qemu-system-aarch64", ["-M", "virt,gic-version=3", "-cpu", "max", "-global", "virtio-mmio.ioeventfd=off",
                                         "-semihosting-config", "enable=on,target=native"],
                 "virtio-serial-device,max_ports=1", "virtio-balloon-device", "gdb-multiarch", False, False),
}


def machine_for(kernel):
    """The entry of MACHINES for a kernel; of a CD, and of a file that only QEMU can say what is wrong with, a PC's."""
    try:
        with open(kernel or os.devnull, "rb") as file:
            head = file.read(60)
            number = 183 if head[56:] == b"ARM\x64" else int.from_bytes(head[18:20], "little")  # an arm64 Image has none
            return MACHINES.get(number, MACHINES[62])
    except OSError:
        return MACHINES[62]


def add_options(parser):
    """The options that describe a machine; command() takes the parsed result."""
    boot = parser.add_mutually_exclusive_group(required=True)
    boot.add_argument("--kernel", metavar="ELF", help="boot this directly")
    boot.add_argument("--iso", help="boot this CD")
    parser.add_argument("--append", default="", help="kernel command line, with --kernel")
    parser.add_argument("--cpus", default="1")
    parser.add_argument("--mem", default="256M")
    parser.add_argument("--cpu", help="CPU model")
    parser.add_argument("--firmware", choices=["bios", "uefi"], default="bios")
    parser.add_argument("--accel", default="", help="not TCG: kvm, for instance")
    parser.add_argument("--thread", choices=["single", "multi"], default="multi",
                        help="CPUs in turn in one host thread, or each in its own")
    parser.add_argument("--icount", action="store_true",
                        help="count instructions instead of time: the same run each time")
    parser.add_argument("--qemu", help="the program")
    parser.add_argument("--extra", default="", help="more options of QEMU, separated by spaces")


def parse(words):
    """The options of a machine, as a script's arguments would give them."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(words)


def command(options):
    """The argument list, without displays, serial lines and control sockets."""
    # KVM is never chosen without being asked for: where it is emulated it is a thousand times
    # slower than TCG.
    accel = options.accel or "tcg,thread=" + ("single" if options.icount else options.thread)
    machine = machine_for(options.kernel)
    line = [options.qemu or machine.program, "-accel", accel, "-nodefaults", "-no-reboot",
            "-smp", options.cpus, "-m", options.mem] + machine.options
    line += ["-cpu", options.cpu] if options.cpu else []
    if options.icount:
        line += ["-icount", "shift=0,sleep=off", "-rtc", "base=2020-01-01,clock=vm"]
    if options.firmware == "uefi":
        for unit, part, how in ((0, "CODE", "readonly=on"), (1, "VARS", "snapshot=on")):
            line += ["-drive", f"if=pflash,format=raw,unit={unit},{how},file={OVMF % part}"]
    if options.kernel:
        line += ["-kernel", options.kernel, "-append", options.append]
    else:
        line += ["-cdrom", options.iso]
    return line + options.extra.split()


def export_option(options, path):
    """A virtio console; what the kernel writes to it goes to that file (scripts/export.py)."""
    return ["-chardev", f"file,id=export,path={path}", "-device", machine_for(options.kernel).serial,
            "-device", "virtconsole,chardev=export"]


class Qmp:
    """QEMU's control socket."""

    def __init__(self, path, limit=100):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(limit)
        end = time.monotonic() + limit
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.lines.readline()  # the greeting
        self.run("qmp_capabilities")

    def run(self, name, **arguments):
        request = {"execute": name, "arguments": arguments}
        self.socket.sendall(json.dumps(request).encode())
        while True:
            line = self.lines.readline()
            if not line:
                raise OSError("QEMU closed its control socket")
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise OSError(f"{name}: {answer['error'].get('desc')}")

    def monitor(self, line):
        """A command of the human monitor; its text."""
        return self.run("human-monitor-command", **{"command-line": line})


def socket_option(path):
    return ["-qmp", f"unix:{path},server=on,wait=off"]


def remove(path):
    if os.path.exists(path):
        os.unlink(path)
