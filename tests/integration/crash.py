# SPDX-License-Identifier: Apache-2.0
"""What the crash tests share: the preloaded library that counts steps (tests/tools/crash-tap.c), its
log, a scenario with all kinds of changes, and what must hold after each crash."""

import collections
import os
import random
import re
import select
import shutil
import signal
import sqlite3
import struct
import threading
import time

import pytest
from receiver import Receiver, answer
from rosterd import Rosterd, marks_of

TIMES = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
SANITIZED = bool(os.environ.get("ROSTERD_SANITIZED"))
HEAD = struct.Struct("<IIIiQ")

Step = collections.namedtuple("Step", "kind name fd offset data")


def library():
    given = os.environ.get("CRASH_TAP_LIBRARY")
    if not given:
        pytest.fail("CRASH_TAP_LIBRARY is not set: run this by `make check TESTS=…`")
    return given


def tapped(folder, **settings):
    """The environment of a process whose steps in this folder are counted; settings are those of
    crash-tap.c without CRASH_."""
    env = {"LD_PRELOAD": library(), "CRASH_DIR": str(folder)}
    env.update({f"CRASH_{name}": str(value) for name, value in settings.items()})
    return env


def read_steps(path):
    with open(path, "rb") as f:
        data = f.read()
    steps, at = [], 0
    while at < len(data):
        kind, name_len, data_len, fd, offset = HEAD.unpack_from(data, at)
        at += HEAD.size
        name = data[at:at + name_len].decode()
        at += name_len
        steps.append(Step(chr(kind), name, fd, offset, data[at:at + data_len]))
        at += data_len
    return steps


def seeded(what):
    """A random.Random, with its seed printed; ROSTERD_SEED repeats it."""
    seed = int(os.environ.get("ROSTERD_SEED", "0")) or random.randrange(1, 1 << 30)
    print(f"{what}: ROSTERD_SEED={seed}")
    return random.Random(seed)


def points(steps, rng, kinds, sample):
    """The numbers of the steps of these kinds.  Within a transaction one write is like another, so that
    a sample of them will do.  A build with sanitizers is slow: it gets a sixth of the points, others
    each time.  ROSTERD_CRASH_ALL=1: all."""
    chosen = [n for n, step in enumerate(steps, 1) if step.kind in kinds]
    writes = [n for n, step in enumerate(steps, 1) if step.kind == "w"]
    if os.environ.get("ROSTERD_CRASH_ALL"):
        return sorted(chosen + writes)
    chosen += rng.sample(writes, min(sample, len(writes)))
    if SANITIZED:
        chosen = rng.sample(chosen, len(chosen) // 6)
    return sorted(chosen)


def check_reached(missed, steps):
    """Timers and requests come when they like: a life may have fewer steps than the one that was recorded,
    so that the last points are missed, and no others."""
    assert all(n > len(steps) / 2 for n in missed), f"{missed} of {len(steps)} steps never came"


# ---- what receivers have taken ----

def is_there(connection):
    """Whether the other end has not hung up."""
    ready, _, _ = select.select([connection], [], [], 0)
    try:
        return not ready or connection.recv(1, 0x2) != b""  # MSG_PEEK
    except OSError:
        return False


class Ledger:
    """Behaves as a receiver that takes an event only if the sender still waits for its answer.
    `slow` names the webhooks whose next request is answered late: a cursor that is moved before the
    answer is then written down before it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.slow = set()
        self.clear()

    def clear(self):
        with self.lock:
            self.taken = collections.defaultdict(list)  # by webhook: (seq, id)

    def __call__(self, request):
        hook = request.path.strip("/")
        with self.lock:
            late = hook in self.slow
            self.slow.discard(hook)
        if late:
            time.sleep(0.2)
        if not is_there(request.connection):
            return None
        with self.lock:
            self.taken[hook] += [(event["seq"], event["id"]) for event in request.events()]
        return answer(200)


# ---- the scenario ----

SUSPENDED = {"UserRegistrationStatus": "Suspended"}
REGISTERED = {"UserRegistrationStatus": "Registered"}


class Scenario:
    """One account of twelve users on three pages, two webhooks, and two listings.  start() is the
    first one; change() brings the second, in which somebody is added (suspended already), changed,
    suspended, reinstated, removed and back again."""

    def __init__(self, folder, chime, ledger, server):
        self.chime = chime
        self.ledger = ledger
        self.state = folder / "state"
        self.state.mkdir(mode=0o750)
        self.log = folder / "steps"
        self.fail = folder / "fail"
        self.env = {}  # of lives, besides the library's
        self.roster = Rosterd(folder, chime, {"acme": {"baseline": "events", "max_results": "5",
                                                       "max_removals": "100%"}},
                              database=str(self.state / "roster.db"))
        for name, batch in (("ops", 1), ("bulk", 3)):
            self.roster.webhooks[name] = {"url": f"http://127.0.0.1:{server.port}/{name}",
                                          "batch": batch, "events": "user.*, sync.*"}
        self.roster.write_config()

    def start(self):
        self.chime.patch_users(dict(REGISTERED, UserInvitationStatus="Accepted"), count=12)
        ids = [user["UserId"] for user in self.chime.users()]
        self.chime.patch_user(ids[1], SUSPENDED)
        self.roster.once()
        self.back = self.chime.get_user(ids[2])
        self.chime.delete_user(ids[2])
        self.roster.once()

    def change(self):
        ids = [user["UserId"] for user in self.chime.users()]
        self.chime.patch_user(ids[0], SUSPENDED, DisplayName="Changed", UserInvitationStatus="Failed")
        self.chime.patch_user(ids[1], REGISTERED)
        self.chime.delete_user(ids[6])
        self.chime.add_user(self.back)
        self.chime.add_user(dict(SUSPENDED, PrimaryEmail="new@example.com"))

    # -- lives -----------------------------------------------------------------------------

    def live(self, *args, status=0, **settings):
        """One life, by default to its end; the settings are the library's.  Returns its lines."""
        self.roster.env = {**tapped(self.state, **settings), **self.env}
        done = self.roster.run("--once", *args)
        assert status is None or done.returncode == status, f"{done.returncode}: {done.stderr}"
        self.status = done.returncode
        return done.stderr.splitlines()

    def record(self, *args, **settings):
        """One life to its end; returns its steps and lines."""
        if self.log.exists():
            self.log.unlink()
        lines = self.live(*args, LOG=self.log, **settings)
        self.last_steps = read_steps(self.log)
        return self.last_steps, lines

    # -- states ----------------------------------------------------------------------------

    def keep(self, name):
        """Puts the state folder away under a name, to begin from there again."""
        shutil.copytree(self.state, self.state.parent / name)

    def begin_from(self, name):
        for entry in os.scandir(self.state):
            os.unlink(entry.path)
        shutil.copytree(self.state.parent / name, self.state, dirs_exist_ok=True)
        self.ledger.clear()


def told(lines):
    """The lines of the journal that tell events, each for the first time."""
    return list(dict.fromkeys(line for line in lines if line.startswith("acme: ") and
                              "complete: " not in line))


# ---- what must hold ----

class Image:
    """What a database says, apart from times and random ids."""

    # of the rows that a run without news writes
    RUNNING = {"run_data": None, "account_data": ("last_attempt_at", "last_complete_at",
                                                  "next_run_at"),
               "sqlite_sequence": None}

    def __init__(self, path, mode="ro"):
        """mode "rw": recovers a rollback journal, as the first writer after a power cut does."""
        db = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, timeout=10)
        db.row_factory = sqlite3.Row
        try:
            self.integrity = [row[0] for row in db.execute("PRAGMA integrity_check")]
            self.broken = [tuple(row) for row in db.execute("PRAGMA foreign_key_check")]
            tables = [row[0] for row in db.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
            self.tables = {name: [dict(row) for row in db.execute(f"SELECT * FROM {name}")]
                           for name in tables}
            marks = marks_of(sorted(self.tables.get("mark_data", []), key=lambda row: row["id"]))
            self.tables["mark_data"] = [marks]  # however they are kept
        finally:
            db.close()
        self.events = sorted(self.tables.get("event_data", []), key=lambda e: e["seq"])
        self.cursors = {row["sink"].removeprefix("webhook:"): row["cursor"]
                        for row in self.tables.get("sink_data", [])}

    def check(self):
        assert self.integrity == ["ok"]
        assert self.broken == []
        last = max((e["seq"] for e in self.events), default=0)
        assert all(cursor <= last for cursor in self.cursors.values())
        assert len({e["id"] for e in self.events}) == len(self.events)
        self.check_rows_agree()

    def check_rows_agree(self):
        """Users are what their events have made of them: both or neither was committed."""
        rows = {row["user_id"]: row for row in self.tables.get("user_data", [])}
        there, status = {}, {}
        for e in self.events:
            if e["type"] in ("user.added", "user.returned", "user.removed"):
                there[e["user_id"]] = e["type"] != "user.removed"
            if e["field"] == "user_registration_status":
                status[e["user_id"]] = e["new_value"]
        assert there == {user: row["removed_at"] is None for user, row in rows.items()}
        for user, value in status.items():
            assert rows[user]["user_registration_status"] == value

    def users(self):
        hidden = ("row", "first_seen_at", "last_changed_at", "removed_at")
        marks = self.tables["mark_data"][0]
        return sorted((row["user_id"], row["removed_at"] is None, row["row"] in marks,
                       tuple((k, v) for k, v in row.items() if k not in hidden))
                      for row in self.tables["user_data"])

    def stories(self):
        """The events without what differs from life to life, in order."""
        return [tuple(e[name] for name in ("type", "user_id", "primary_email", "field", "old_value", "new_value")) +
                tuple(TIMES.sub("TIME", e[name] or "") for name in ("changes", "detail", "user_image"))
                for e in self.events]

    def settled(self):
        """All but what a run without news may write."""
        left = {}
        for name, rows in self.tables.items():
            hidden = self.RUNNING.get(name, ())
            if hidden is not None:
                left[name] = [{k: v for k, v in row.items() if k not in hidden} for row in rows]
        return left


def without_marks(users):
    """Where there was nothing to recognise anybody by, no marks are made: the next life makes them."""
    return [(user_id, listed, row) for user_id, listed, _, row in users]


def check_delivered(ledger, image, after=0):
    """Each webhook has taken every event later than `after`, in order, and nothing else; and no
    cursor has passed an event that was not taken."""
    stored = [(e["seq"], e["id"]) for e in image.events if e["seq"] > after]
    for hook in ("ops", "bulk"):
        assert list(dict.fromkeys(ledger.taken[hook])) == stored, hook
        assert image.cursors[hook] == (stored[-1][0] if stored else after)


def check_cursors(ledger, image, after=0):
    """At any moment: a webhook's cursor has passed only what was taken."""
    for hook in ("ops", "bulk"):
        passed = {(e["seq"], e["id"]) for e in image.events
                  if after < e["seq"] <= image.cursors.get(hook, 0)}
        assert passed <= set(ledger.taken[hook]), hook
        invented = {pair for pair in ledger.taken[hook]} - {(e["seq"], e["id"])
                                                            for e in image.events}
        assert not invented, hook


FAILED = ("sync.failed", "sync.recovered")


class Phase:
    """Where a life begins, and what it must come to."""

    def __init__(self, scenario, name, slow_page):
        self.scenario = scenario
        self.name = name
        self.slow_page = slow_page
        scenario.keep(name)
        before = self.image() if os.path.exists(scenario.roster.database) else None
        self.after = before.events[-1]["seq"] if before else 0
        self.begin()
        self.steps, lines = scenario.record()
        end = self.check_end(lines)
        self.stories, self.users = end.stories(), end.users()
        self.lines = dict(zip(self.stories[self.first(end):], told(lines)))
        self.known = set(self.lines.values())

    def image(self):
        return Image(self.scenario.roster.database)

    def image_of_copy(self):
        """What is in the database, and would be rolled back by the next writer, is left to it."""
        copy = self.scenario.state.parent / "copy"
        shutil.copytree(self.scenario.state, copy)
        try:
            return Image(copy / "roster.db", "rw")
        finally:
            shutil.rmtree(copy)

    def first(self, image):
        """How many events are older than this phase."""
        return sum(event["seq"] <= self.after for event in image.events)

    def begin(self):
        s = self.scenario
        s.begin_from(self.name)
        s.ledger.slow = {"bulk"}
        s.chime.clear_faults()
        if self.slow_page:  # longer than the transaction of a run may last: there are two of them
            s.chime.fault("delay", page=self.slow_page, delay_ms=700)

    def check_end(self, lines):
        image = self.image()
        image.check()
        check_delivered(self.scenario.ledger, image, self.after)
        assert len(told(lines)) == len(image.events) - self.first(image)
        return image

    def killed_at(self, **where):
        """One trial; returns whether the step was reached."""
        lines = self.disturbed(**where)
        died = self.scenario.status == -signal.SIGKILL
        assert died or self.scenario.status == 0, lines
        self.check_recovery(lines)
        return died

    def disturbed(self, **settings):
        """A life that something happens to.  Returns its lines; what it has left is whole."""
        s = self.scenario
        self.begin()
        lines = s.live(status=None, **settings)
        if os.path.exists(s.roster.database) and os.path.getsize(s.roster.database):
            image = self.image_of_copy()
            image.check()
            check_cursors(s.ledger, image, self.after)
        return lines

    def check_recovery(self, lines):
        """The life after it comes to the end that the undisturbed one came to, and the next one has
        nothing to do.  Runs that failed, and said so, may have been told."""
        s = self.scenario
        s.chime.clear_faults()
        lines += s.live()
        image = self.image()
        image.check()
        check_delivered(s.ledger, image, self.after)
        stories = [story for story in image.stories() if story[0] not in FAILED]
        assert sorted(stories, key=str) == sorted(self.stories, key=str)
        assert image.users() == self.users
        known = [line for line in told(lines) if line in self.known]
        assert known == [self.lines[story] for story in stories[self.first(image):]]
        assert len(told(lines)) == len(image.events) - self.first(image)
        settled, taken = image.settled(), {k: list(v) for k, v in s.ledger.taken.items()}
        assert told(s.live()) == []
        assert self.image().settled() == settled
        assert s.ledger.taken == taken


@pytest.fixture(scope="module")
def ledger():
    return Ledger()


@pytest.fixture(scope="module")
def server(ledger):
    with Receiver(ledger) as receiver:
        yield receiver
