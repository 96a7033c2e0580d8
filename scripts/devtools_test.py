#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Loads snapshots of scripts/heapdump.py into Chrome DevTools' own code, in a headless Chromium.

    devtools_test.py MAKE_HEAP

The browser serves its DevTools over the port for debugging; a page of that origin imports the module
that the Memory panel's worker runs, and asks it what the panel would: how many nodes, retained sizes,
retainers, and the comparison of two snapshots. Without Chromium the test is skipped.
"""

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

import hang
import heapdump
import heapdump_write

SCRIPT = """
(async () => {
  const base = '/devtools/entrypoints/heap_snapshot_worker/heap_snapshot_worker.js';
  const {HeapSnapshot, HeapSnapshotLoader} = await import(base);
  async function load(text) {
    const channel = new MessageChannel();
    new HeapSnapshot.SecondaryInitManager(channel.port2);
    const loader = new HeapSnapshotLoader.HeapSnapshotLoader({sendEvent() {}});
    loader.write(text);
    loader.close();
    return loader.buildSnapshot(channel.port1);
  }
  const one = await load(ONE), two = await load(TWO);
  const said = {nodes: one.nodeCount, bytes: one.totalSize, kept: {}, retainers: {}, diff: {}};
  for (let i = 0; i < one.nodeCount; i++) {
    const node = one.createNode(i * one.nodeFieldCount);
    said.kept[node.id()] = node.retainedSize();
    if (node.id() === TARGET) {
      const edges = one.createRetainingEdgesProvider(node.nodeIndex).serializeItemsRange(0, 100);
      for (const edge of edges.items)
        said.retainers[edge.name] = edge.node.id;
    }
  }
  const diff = two.calculateSnapshotDiff('one', one.aggregatesForDiff('[]'));
  for (const key of Object.keys(diff)) {
    const name = diff[key].name ?? key;
    said.diff[name] = [diff[key].addedCount, diff[key].removedCount];
  }
  return JSON.stringify(said);
})()
"""


class Browser:
    """A headless Chromium, and one page of it: just enough of its protocol, and of WebSocket."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={folder}",
             "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.port = self.find_port(os.path.join(folder, "DevToolsActivePort"))
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/json/new?http://127.0.0.1:{self.port}/json/version",
            method="PUT")
        with urllib.request.urlopen(request, timeout=300) as answer:
            target = json.load(answer)["webSocketDebuggerUrl"]
        self.open(target[target.index("/devtools/"):])
        self.last = 0
        clock = hang.Clock(self.process.pid)
        while clock.had() < 30:  # until the page is of that origin
            if self.evaluate("location.port")["result"].get("value") == str(self.port):
                break
            time.sleep(0.1)

    def find_port(self, path):
        clock = hang.Clock(self.process.pid)
        while clock.had() < 60:
            if os.path.exists(path):
                with open(path, encoding="ascii") as f:
                    text = f.read()
                if "\n" in text:
                    return int(text.split()[0])
            time.sleep(0.1)
        raise RuntimeError("Chromium did not say its port")

    def open(self, path):
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=300)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
                             "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
                             ).encode())
        self.stream = self.socket.makefile("rb")
        if b"101" not in self.stream.readline():
            raise RuntimeError("no WebSocket")
        while self.stream.readline() != b"\r\n":
            pass

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        head = struct.pack(">BBQ", 0x81, 0x80 | 127, len(data)) + mask
        pad = (mask * (len(data) // 4 + 1))[:len(data)]
        mixed = int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")
        self.socket.sendall(head + mixed.to_bytes(len(data), "big"))

    def receive(self):
        whole = b""
        while True:
            first, length = self.stream.read(2)
            length &= 127
            if length > 125:
                length = int.from_bytes(self.stream.read(2 if length == 126 else 8), "big")
            whole += self.stream.read(length)
            if first & 0x80:
                return whole.decode()

    def evaluate(self, script):
        self.last += 1
        self.send(json.dumps({"id": self.last, "method": "Runtime.evaluate", "params": {
            "expression": script, "awaitPromise": True, "returnByValue": True}}))
        while True:
            answer = json.loads(self.receive())
            if answer.get("id") == self.last:
                return answer["result"]

    def close(self):
        self.process.terminate()
        self.process.wait(20)


def snapshot(dump, path):
    with open(path, "w", encoding="utf-8") as f:
        heapdump_write.heapsnapshot(dump, f, None)
    with open(path, encoding="utf-8") as f:
        return f.read()


def check_answers(said, one, two, target):
    """Against what the dump says, and what is known to have come and gone."""
    kept = {obj.address: size for obj, size in heapdump_write.retained(one)}
    assert said["bytes"] == one.stats["alloc"], said["bytes"]
    start = one.params["start"]
    ids = {address: (address - start) // 4 for address in kept}
    wrong = {a: n for a, n in kept.items() if said["kept"].get(str(ids[a])) != n}
    assert not wrong, f"retained sizes: {wrong}"
    holders = {to: (obj.address, one.edge_name(obj, at)) for obj in one.objects
               for to, at in obj.edges if to is target}
    for address, name in holders.values():
        assert said["retainers"].get(name) == ids[address], (name, said["retainers"])
    before, after = ({o.address for o in d.objects} for d in (one, two))
    added = sum(a for a, _ in said["diff"].values())
    removed = sum(r for _, r in said["diff"].values())
    assert (added, removed) == (len(after - before), len(before - after)), said["diff"]


def main():
    if not shutil.which("chromium"):
        print("skipped: no chromium\n0 passed, 0 failed, 1 skipped")
        return 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        subprocess.run([sys.argv[1], folder], stdout=subprocess.DEVNULL, check=True)
        one, two = (heapdump.load(os.path.join(folder, n + ".dump")) for n in ("one", "two"))
        target = next(o for o in one.objects if o.label() == "struct inode")
        texts = [snapshot(d, os.path.join(folder, "x")) for d in (one, two)]
        script = SCRIPT.replace("ONE", json.dumps(texts[0])).replace("TWO", json.dumps(texts[1]))
        browser = Browser(os.path.join(folder, "profile"))
        try:
            answer = browser.evaluate(script.replace("TARGET", str((target.address - one.params["start"]) // 4)))
        finally:
            browser.close()
    if "exceptionDetails" in answer:
        sys.exit(f"DevTools could not load it: {json.dumps(answer['exceptionDetails'])[:1500]}")
    said = json.loads(answer["result"]["value"])
    check_answers(said, one, two, target)
    print(f"DevTools loaded {said['nodes']} nodes, {said['bytes']} bytes: retained sizes, retainers "
          "and the comparison are as known\n1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
