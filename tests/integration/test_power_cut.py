# SPDX-License-Identifier: Apache-2.0
"""The power is cut.  A life is recorded, write by write; powercut.py tells what the disk could hold
at any moment of it.  Whatever it holds: the database is whole, every event that somebody was told is
in it as it was told, and rosterd goes on from there to the same end, as if nothing had happened.

ROSTERD_CUTS: how many moments of each recording are looked at (besides every sync)."""

import os
import re
import sqlite3
import subprocess
import sys

import pytest
from crash import (SANITIZED, Image, Scenario, check_delivered, ledger, read_steps,  # noqa: F401
                   seeded, server, tapped, told)
from emulator import Emulator
from powercut import SECTORS, Disk, Keep, fates, write_out

CUTS = int(os.environ.get("ROSTERD_CUTS", "300"))
PARTS = 3  # of those with the real rosterd, run side by side
RESUMED = 3  # random moments in each of them, besides its share of the syncs


class Told:
    """Who was told what, up to some step."""

    def __init__(self):
        self.by_hook = {"ops": [], "bulk": []}
        self.lines = []
        self.paths = {}  # of the request under way, by descriptor

    def apply(self, step):
        if step.kind == "e":
            self.lines += told(step.data.decode().splitlines())
        elif step.kind == "n":
            text = step.data.decode(errors="replace")
            head = re.match(r"(GET|POST) /(\w+)", text)
            if head:
                self.paths[step.fd] = head[2]
            if self.paths[step.fd] in self.by_hook:
                self.by_hook[self.paths[step.fd]] += [
                    (int(seq), event) for event, seq in
                    re.findall(r'"id":"(evt_[^"]+)","seq":(\d+)', text)]


class Recording:
    """A life from a state on, and what it came to."""

    def __init__(self, scenario, name, **settings):
        self.scenario = scenario
        self.name = name
        self.path = scenario.roster.database
        self.before = Image(self.path) if os.path.exists(self.path) else None
        scenario.keep(name)  # with what a reader may have made beside it
        self.after = self.before.events[-1]["seq"] if self.before else 0
        scenario.ledger.clear()
        self.steps, _ = scenario.record(**settings)
        self.end = Image(self.path)
        self.syncs = [n for n, step in enumerate(self.steps) if step.kind == "s"]
        self.first = sum(e["seq"] <= self.after for e in self.end.events)

    def moments(self, wanted):
        """Yields (index, disk, told) for each wanted index, in order: all steps before it are done."""
        disk = Disk(self.scenario.state.parent / self.name)
        so_far = Told()
        for n, step in enumerate(self.steps + [None]):
            if n in wanted:
                yield n, disk, so_far
            if step:
                disk.apply(step)
                so_far.apply(step)

    def cut(self, n, disk, so_far, keep, rng, resume=False):
        """One trial: the power is cut before step n, with this fate of what was not synced."""
        files = disk.after_the_cut(keep)
        write_out(files, self.scenario.state, rng)
        try:
            if resume:
                self.resume(so_far)
            else:
                self.check_found(files, so_far)
        except (AssertionError, sqlite3.Error) as e:
            e.add_note(f"cut before step {n} of {len(self.steps)}, after "
                       f"{''.join(step.kind for step in self.steps[max(0, n - 30):n])}; of what was "
                       f"not synced {keep.share:.0%} is there, by {keep.sector or 'whole writes'}")
            raise

    def check_found(self, files, so_far):
        """What is in the folder is whole, and holds all that was told."""
        known = [(hook, pair) for hook, pairs in so_far.by_hook.items() for pair in pairs]
        if not files.get("roster.db"):
            assert not known and not so_far.lines and not self.before
            return
        image = Image(self.path, "rw")
        if self.before:
            assert image.events[:self.first] == self.end.events[:self.first]
        elif not image.tables:
            assert not known and not so_far.lines
            return
        image.check()
        # a beginning of what is there in the end
        assert image.events == self.end.events[:len(image.events)]
        stored = {(e["seq"], e["id"]) for e in image.events}
        assert all(pair in stored for _, pair in known)
        assert len(image.events) - self.first >= len(so_far.lines)
        self.check_cursors(image, so_far)

    def check_cursors(self, image, so_far):
        new = [(e["seq"], e["id"]) for e in image.events[self.first:]]
        for hook, pairs in so_far.by_hook.items():
            passed = [pair for pair in new if pair[0] <= image.cursors.get(hook, 0)]
            assert set(passed) <= set(pairs), hook
        assert sum(seq <= image.cursors.get("journal", 0) for seq, _ in new) <= len(so_far.lines)

    def resume(self, so_far):
        """The real rosterd goes on; the end must be that of the recorded life."""
        s = self.scenario
        with s.ledger.lock:
            s.ledger.taken.clear()
            for hook, pairs in so_far.by_hook.items():
                s.ledger.taken[hook] = list(pairs)
        s.live()
        image = Image(self.path)
        image.check()
        check_delivered(s.ledger, image, self.after)
        assert sorted(image.stories(), key=str) == sorted(self.end.stories(), key=str)
        assert image.users() == self.end.users()
        assert told(s.live()) == []
        assert Image(self.path).settled() == image.settled()


def cut_everywhere(recording, rng):
    """Every sync, before and after, and random moments; each with all kinds of fates."""
    random_ones = rng.choices(range(len(recording.steps)), k=max(1, CUTS // 5))
    wanted = set(recording.syncs) | {n + 1 for n in recording.syncs} | set(random_ones)
    done = 0
    for n, disk, so_far in recording.moments(wanted):
        for keep in fates(rng):
            recording.cut(n, disk, so_far, keep, rng)
            done += 1
    print(f"{recording.name}: {len(recording.steps)} steps, {len(recording.syncs)} syncs, {done} cuts")
    assert done >= 5 * len(recording.syncs)


def resume_everywhere(recording, part, rng):
    """Part of the syncs (with sanitizers: every other one of it), and some random moments."""
    random_ones = rng.sample(range(len(recording.steps)), RESUMED)
    wanted = set(recording.syncs[part::2 * PARTS if SANITIZED else PARTS]) | set(random_ones)
    for n, disk, so_far in recording.moments(wanted):
        recording.cut(n, disk, so_far, rng.choice(fates(rng)), rng, resume=True)


@pytest.fixture
def scenario(tmp_path, ledger, server):  # noqa: F811
    os.chmod(tmp_path, 0o750)
    with Emulator(users=12) as chime:
        yield Scenario(tmp_path, chime, ledger, server)


def record_first(scenario):
    return Recording(scenario, "first")


def record_change(scenario):
    scenario.start()
    scenario.change()
    scenario.chime.fault("delay", page=3, delay_ms=700)
    recording = Recording(scenario, "change")
    scenario.chime.clear_faults()
    return recording


def make_old(path, new):
    """A database of the first version with the rows of a new one."""
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(top, "tests", "unit", "data", "schema-v1.sql"), encoding="utf-8") as f:
        schema = [s for s in f.read().split(";\n") if s and "sqlite_sequence" not in s]
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    for statement in sorted(schema, key=lambda s: not s.startswith("CREATE TABLE")):
        db.execute(statement)
    db.execute("ATTACH ? AS new", (new,))
    for name, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"
                            " AND name NOT LIKE 'sqlite%'").fetchall():
        columns = ", ".join(row[1] for row in db.execute(f"PRAGMA table_info({name})"))
        db.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM new.{name}")
    db.execute("PRAGMA application_id = 0x524F5354")
    db.execute("PRAGMA user_version = 1")
    db.close()


def record_migration(scenario):
    scenario.start()
    scenario.change()
    new = scenario.state.parent / "new.db"
    os.rename(scenario.roster.database, new)
    for entry in os.scandir(scenario.state):
        os.unlink(entry.path)
    make_old(scenario.roster.database, str(new))
    return Recording(scenario, "migration")


RECORDINGS = [record_first, record_change, record_migration]


@pytest.mark.parametrize("record", RECORDINGS)
def test_all_that_was_told_is_there(scenario, record):
    cut_everywhere(record(scenario), seeded("moments and fates"))


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("record", RECORDINGS)
def test_rosterd_goes_on(scenario, record, part):
    resume_everywhere(record(scenario), part, seeded("moments and fates"))


class Large(Recording):
    """Webhooks are told of the baseline alone, and the journal of what is amiss."""

    def check_cursors(self, image, so_far):
        baseline = {(e["seq"], e["id"]) for e in image.events if e["type"] == "sync.baseline"}
        for hook, pairs in so_far.by_hook.items():
            assert {pair for pair in baseline if pair[0] <= image.cursors.get(hook, 0)} <= set(pairs)


def test_the_log_begins_anew(tmp_path, ledger, server):  # noqa: F811
    """A listing so large that the write-ahead log is moved into the database while the run goes on, and
    is then written over from its beginning."""
    rng = seeded("fates")
    os.chmod(tmp_path, 0o750)
    with Emulator(users=8000) as chime:
        scenario = Scenario(tmp_path, chime, ledger, server)
        # 40 pages in five seconds: what is no news is committed every two
        scenario.roster.accounts["acme"].update(max_results="200", requests_per_second="8")
        scenario.roster.settings["log_level"] = "warning"
        for webhook in scenario.roster.webhooks.values():
            webhook["events"] = "sync.*"
        scenario.roster.write_config()
        recording = Large(scenario, "large")
    steps = recording.steps
    created = next(n for n, step in enumerate(steps) if step.kind == "c" and step.name.endswith("-wal"))
    moved = next(n for n in recording.syncs if n > created and steps[n].name == "roster.db")
    anew = next(n for n in range(moved, len(steps)) if steps[n].kind == "w" and
                steps[n].name.endswith("-wal") and steps[n].offset == 0)
    syncs = [n for n in recording.syncs if n > anew][:2]
    wanted = {moved - rng.randrange(100), moved, moved + 1, anew + 1, *syncs, *(n + 1 for n in syncs)}
    for n, disk, so_far in recording.moments(wanted):
        keep = rng.choice([Keep(rng, 0), Keep(rng, rng.random(), rng.choice(SECTORS))])
        recording.cut(n, disk, so_far, keep, rng)


# ---- that this would find something ----

WRITER = """
import socket, sqlite3, sys
a, b = socket.socketpair()
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = " + sys.argv[2])
db.execute("PRAGMA synchronous = " + sys.argv[3])
db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)")
for n in range(12):
    db.execute("INSERT INTO t VALUES (?, ?)", (n, "x" * 3000))
    if n == 6:
        db.execute("PRAGMA wal_checkpoint(RESTART)")
    a.send(b"%d" % n)
"""


@pytest.mark.parametrize("mode, synchronous, lossy", [
    ("WAL", "FULL", False), ("WAL", "NORMAL", True), ("WAL", "OFF", True),
    ("DELETE", "EXTRA", False), ("DELETE", "OFF", True), ("MEMORY", "FULL", True)])
def test_the_model_finds_what_is_not_durable(tmp_path, mode, synchronous, lossy):
    """A writer that tells of each row once it is committed: by SQLite's own word it is safe with FULL in
    WAL mode and EXTRA with a rollback journal, and with nothing else here."""
    rng = seeded("fates")
    state = tmp_path / "state"
    state.mkdir()
    path, log = state / "t.db", tmp_path / "steps"
    env = dict(os.environ, **tapped(state, LOG=log))
    subprocess.run([sys.executable, "-c", WRITER, path, mode, synchronous], env=env, check=True,
                   timeout=60)
    steps, disk, last, lost = read_steps(log), Disk(), -1, 0
    assert sum(step.kind == "n" for step in steps) == 12
    for step in steps:
        disk.apply(step)
        if step.kind == "n":
            last = int(step.data)
        for keep in fates(rng):
            write_out(disk.after_the_cut(keep), state, rng)
            lost += not holds(path, last)
    assert (lost > 0) == lossy, f"{lost} lost"


def holds(path, last):
    """Whether the database is whole and has the rows up to last."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        if db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            return False
        rows = db.execute("SELECT n FROM t ORDER BY n").fetchall() if last >= 0 else []
        return [n for n, in rows][:last + 1] == list(range(last + 1))
    except sqlite3.Error:
        return False
    finally:
        db.close()
