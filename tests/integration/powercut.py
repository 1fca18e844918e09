# SPDX-License-Identifier: Apache-2.0
"""What a disk may hold after the power was cut, given the log of a process's steps.

The model is as mean as POSIX allows, and as SQLite asks for no more than: what was synced is there;
of what was written since, any write may be there or not, whatever came before or after it, and any
sector of one; a file that was created, renamed or removed may be so or not until the folder itself is
synced; a sync that failed has made nothing durable, and nor does a later one for the writes before."""

import os

SECTORS = (512, 4096)


class File:
    def __init__(self, durable=b""):
        self.durable = durable
        self.pending = []  # [step, whether it is certain]

    def sync(self):
        for entry in self.pending:
            if entry[1] is None:
                entry[1] = True
        if all(certain for _, certain in self.pending):
            self.durable = self.content(lambda step, size: True)
            self.pending = []

    def sync_failed(self):
        for entry in self.pending:
            if entry[1] is None:
                entry[1] = False  # whatever is synced from now on

    def content(self, keep):
        data = bytearray(self.durable)
        for step, certain in self.pending:
            if step.kind == "t":
                if certain or keep(step, 0):
                    data[step.offset:] = b""
                    data.extend(bytes(step.offset - len(data)))
            else:
                self.put(data, step, certain, keep)
        return bytes(data)

    @staticmethod
    def put(data, step, certain, keep):
        size = len(step.data) if certain else keep.sector or len(step.data)
        for at in range(0, len(step.data), size):
            if certain or keep(step, at):
                begin, piece = step.offset + at, step.data[at:at + size]
                data.extend(bytes(max(0, begin + len(piece) - len(data))))
                data[begin:begin + len(piece)] = piece


class Keep:
    """Decides which of the writes that were not synced are on the disk."""

    def __init__(self, rng, share, sector=None):
        self.rng, self.share, self.sector = rng, share, sector

    def __call__(self, step, at):
        return self.rng.random() < self.share


def fates(rng):
    """Nothing of it, all of it, some of the writes, some of the sectors."""
    return [Keep(rng, 0), Keep(rng, 1), Keep(rng, rng.random())] + [
        Keep(rng, rng.random(), sector) for sector in SECTORS]


class Disk:
    """Takes steps one by one; at any moment tells what could be left."""

    def __init__(self, folder=None):
        """folder: a state that is durable already."""
        self.names = {}  # as the process sees them
        for entry in os.scandir(folder) if folder else ():
            if not entry.name.endswith("-shm"):
                with open(entry.path, "rb") as f:
                    self.names[entry.name] = File(f.read())
        self.durable = dict(self.names)
        self.pending = []  # changes of the folder: {name: File or None}

    def _change(self, **names):
        self.pending.append(names)
        for name, file in names.items():
            if file:
                self.names[name] = file
            else:
                self.names.pop(name, None)

    def apply(self, step):
        if step.kind in "wt":
            self.names[step.name].pending.append([step, None])
        elif step.kind == "c":
            self._change(**{step.name: File()})
        elif step.kind == "u":
            self._change(**{step.name: None})
        elif step.kind == "r":
            self._change(**{step.data.decode(): self.names[step.name], step.name: None})
        elif step.kind == "s" and step.name:
            self.names[step.name].sync()
        elif step.kind == "f" and step.data == b"s" and step.name:
            self.names[step.name].sync_failed()
        elif step.kind == "s":
            self.durable, self.pending = dict(self.names), []

    def after_the_cut(self, keep):
        """{name: content} of one of the disks that could be found."""
        names = dict(self.durable)
        for change in self.pending:
            if keep.rng.random() < keep.share:
                names.update(change)
        return {name: file.content(keep) for name, file in names.items() if file}


def write_out(files, folder, rng):
    """Puts such a disk into an empty folder; sometimes with what a -shm file of before may hold."""
    for entry in os.scandir(folder):
        os.unlink(entry.path)
    for name, content in files.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(content)
    if "roster.db" in files and rng.random() < 0.5:
        with open(os.path.join(folder, "roster.db-shm"), "wb") as f:
            f.write(rng.randbytes(32768))
