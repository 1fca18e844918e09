# SPDX-License-Identifier: Apache-2.0
"""A name server on loopback, and programs that ask it and nobody else.  It takes root: for port 53, and
for a mount namespace in which /etc/resolv.conf is another file."""

import os
import socket
import struct
import subprocess
import threading

A, AAAA = 1, 28
NXDOMAIN, SERVFAIL = 3, 2


def own_address():
    """One of 127/8 that no other test of this machine takes at this time."""
    number = os.getpid()
    return f"127.{64 + (number >> 14) % 64}.{(number >> 7) % 128}.{number % 128 + 1}"


def possible():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((own_address(), 53))
        except OSError:  # not root, or a name server that takes every address
            return False
    return subprocess.run(["unshare", "-m", "true"], check=False,
                          capture_output=True).returncode == 0


class Names:
    """A context manager.  names maps each name to a list of addresses (IPv4 or IPv6), to NXDOMAIN or
    SERVFAIL, or to None: no answer at all."""

    def __init__(self, folder, **names):
        self.names = names
        self.asked = []
        self.address = own_address()
        self.folder = folder
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))
        self.socket.settimeout(0.05)
        self.closing = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.files = {"resolv.conf": f"nameserver {self.address}\noptions timeout:1 attempts:2\n",
                      "nsswitch.conf": "hosts: files dns\n", "hosts": "127.0.0.1 localhost\n"}
        for name, text in self.files.items():
            (folder / name).write_text(text)

    def prefix(self):
        """A command that has another one ask here."""
        mounts = " && ".join(f'mount --bind "$0/{name}" "$(readlink -f /etc/{name})"'
                             for name in self.files)
        return ["unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', str(self.folder)]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.closing = True
        self.thread.join(10)
        self.socket.close()

    def serve(self):
        while not self.closing:
            try:
                query, asker = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            reply = self.answer(query)
            if reply:
                self.socket.sendto(reply, asker)

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        question = query[12:at + 5]
        name = ".".join(labels).lower()
        self.asked.append((name, kind))
        found = self.names.get(name, NXDOMAIN)
        if found is None:
            return None
        code, records = (found, []) if isinstance(found, int) else (0, self.records(found, kind))
        head = query[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(records), 0, 0)
        return head + question + b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(data)) + data for data in records)

    @staticmethod
    def records(addresses, kind):
        family = {A: socket.AF_INET, AAAA: socket.AF_INET6}.get(kind)
        return [socket.inet_pton(family, address) for address in addresses
                if family == (socket.AF_INET6 if ":" in address else socket.AF_INET)]
