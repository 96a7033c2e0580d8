# SPDX-License-Identifier: MIT
"""Memory of what is debugged, in blocks, and its structures, many at a time.

A word at a time over a machine's stub is some thousand words a second. So memory is read in blocks,
which are kept for one command, and blocks of QEMU's come through a file when it runs on this machine.
"""

import os
import struct
import tempfile
from collections import namedtuple

import gdb

BLOCK = 16384
FILE_FROM = 16384  # bytes from which QEMU's way by a file is faster than its stub
CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


def value(expression):
    return int(gdb.parse_and_eval(expression))


def address_of(expression):
    return int(gdb.parse_and_eval(f"&({expression})"))


def has_symbol(name):
    return gdb.lookup_global_symbol(name) is not None or gdb.lookup_static_symbol(name) is not None


class Memory:
    """What a command reads; nothing runs meanwhile."""

    def __init__(self):
        self.inferior = gdb.selected_inferior()
        self.blocks = {}
        self.by_file = self.is_qemu()
        self.word = gdb.lookup_type("void").pointer().sizeof
        self.bytes_read = 0

    def is_qemu(self):
        connection = getattr(self.inferior, "connection", None)
        if not connection or "remote" not in connection.type:
            return False
        try:
            return gdb.execute("monitor info version", to_string=True)[:1].isdigit()
        except gdb.error:
            return False

    def read_by_file(self, address, size):
        with tempfile.TemporaryDirectory(prefix="marrow-") as folder:
            path = os.path.join(folder, "memory")
            gdb.execute(f"monitor memsave {address:#x} {size} {path}", to_string=True)
            if not os.path.exists(path) or os.path.getsize(path) != size:
                return None
            with open(path, "rb") as file:
                return file.read()

    def read_now(self, address, size):
        """Bytes, or None where there is nothing mapped."""
        self.bytes_read += size
        if self.by_file and size >= FILE_FROM:
            data = self.read_by_file(address, size)
            if data is not None:
                return data
        try:
            return bytes(self.inferior.read_memory(address, size))
        except gdb.MemoryError:
            return None

    def block(self, number):
        if number not in self.blocks:
            self.blocks[number] = self.read_now(number * BLOCK, BLOCK)
        return self.blocks[number]

    def read(self, address, size):
        """Bytes; raises gdb.MemoryError where something is not mapped."""
        if size >= 4 * BLOCK:
            data = self.read_now(address, size)
            if data is not None:
                return data
        parts, at, end = [], address, address + size
        while at < end:
            number, inside = divmod(at, BLOCK)
            n = min(end - at, BLOCK - inside)
            block = self.block(number)
            if block is None:
                data = self.read_now(at, n)
                if data is None:
                    raise gdb.MemoryError(f"no memory at {at:#x}")
                parts.append(data)
            else:
                parts.append(block[inside:inside + n])
            at += n
        return b"".join(parts)

    def words(self, address, count):
        code = "Q" if self.word == 8 else "I"
        return struct.unpack(f"<{count}{code}", self.read(address, count * self.word))

    def pointer(self, address):
        return self.words(address, 1)[0]

    def text(self, address, most=80):
        """A string that ends with 0."""
        out = b""
        while address and len(out) < most and b"\0" not in out:
            try:
                out += self.read(address + len(out), min(16, 4096 - (address + len(out)) % 4096))
            except gdb.MemoryError:
                break
        return out.split(b"\0")[0].decode("latin-1")


def find_field(kind, name):
    """(offset, type) of a member, inside of members without a name too."""
    for field in kind.strip_typedefs().fields():
        if field.name == name:
            return field.bitpos // 8, field.type
        if not field.name and field.type.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            try:
                offset, found = find_field(field.type, name)
                return field.bitpos // 8 + offset, found
            except KeyError:
                pass
    raise KeyError(f"{kind} has no {name}")


class Reader:
    """Some fields of a structure, taken out of bytes; names with '.' lead into inner ones."""

    def __init__(self, type_name, names):
        kind = gdb.lookup_type(type_name)
        self.size, self.offsets = kind.sizeof, {}
        wanted = []
        for name in names:
            offset, field_type = 0, kind
            for part in name.split("."):
                inside, field_type = find_field(field_type, part)
                offset += inside
            self.offsets[name] = offset
            wanted.append((offset, name.replace(".", "_"), CODES[field_type.strip_typedefs().sizeof]))
        wanted.sort()
        form, at = "<", 0
        for offset, _, code in wanted:
            form += f"{offset - at}x{code}"
            at = offset + struct.calcsize(code)
        self.form = struct.Struct(form)
        self.tuple = namedtuple(type_name.replace("struct ", ""),
                                [name for _, name, _ in wanted] + ["address"])

    def take(self, data, offset, address):
        return self.tuple(*self.form.unpack_from(data, offset), address)

    def at(self, memory, address):
        return self.take(memory.read(address, self.size), 0, address)
