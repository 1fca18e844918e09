# SPDX-License-Identifier: Apache-2.0
"""The disk is full, read-only or broken for a while, in every phase: rosterd says so once, goes on
trying, tells nobody what it could not keep, and recovers by itself once it can write.

The full disk is a small tmpfs in a mount namespace of this process alone; the other errors come from
the preloaded library."""

import collections
import contextlib
import ctypes
import errno
import os
import re
import signal
import subprocess
import time

import pytest
import rosterctl
from crash import Image, Scenario, check_cursors, check_delivered, ledger, server, tapped  # noqa: F401
from emulator import Emulator
from rosterd import wait_until

CLONE_NEWNS = 0x00020000
ATTEMPTS = 4  # while it lasts


# ---- two kinds of trouble ----

class FullDisk:
    name = "no space"
    says = "no space is left for the database"

    def __init__(self, folder):
        self.filler = os.path.join(folder, "filler")

    def begin(self, leave=0):
        """Fills it up to `leave` bytes."""
        with open(self.filler, "wb", buffering=0) as f:
            for size in (65536, 512):
                with contextlib.suppress(OSError):
                    while True:
                        f.write(b"x" * size)
            f.truncate(max(0, os.path.getsize(self.filler) - leave))

    def end(self):
        os.unlink(self.filler)


class BrokenDisk:
    """Every write and sync of the process fails."""

    def __init__(self, scenario, error):
        self.name = os.strerror(error)
        self.says = {errno.EIO: "look at the disk and the kernel's log",
                     errno.EROFS: "is on a read-only file system"}.get(error, FullDisk.says)
        self.path = scenario.fail
        scenario.roster.env = tapped(scenario.state, FAIL=self.path, ERRNO=error)

    def begin(self):
        self.path.write_text("wstcur")

    def end(self):
        self.path.unlink()


@pytest.fixture(scope="module")
def namespace():
    """Mounts of this process that nobody else sees, and that end with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(CLONE_NEWNS) != 0:
        pytest.skip("needs root for a mount namespace")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


@pytest.fixture
def scenario(tmp_path, ledger, server):  # noqa: F811
    os.chmod(tmp_path, 0o750)
    ledger.clear()
    with Emulator(users=12) as chime:
        yield Scenario(tmp_path, chime, ledger, server)


@pytest.fixture
def small(scenario, namespace):
    """A full disk that is not yet full."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0750", "tmpfs", scenario.state],
                   check=True)
    yield FullDisk(scenario.state)
    scenario.roster.stop(signal.SIGKILL)
    subprocess.run(["umount", "-l", scenario.state], check=True)


@pytest.fixture(params=["ENOSPC", "EDQUOT", "EIO", "EROFS", "full"])
def trouble(request, scenario):
    if request.param == "full":
        return request.getfixturevalue("small")
    return BrokenDisk(scenario, getattr(errno, request.param))


# ---- what must hold ----

def ask(scenario, *args):
    return rosterctl.run("--config", scenario.roster.config, "sync", *args)


def said(lines):
    """How often each complaint was made, without what differs from one to the next."""
    words = ("cannot", "failed", "wait", "keeps trying")
    return collections.Counter(re.sub(r"\d+", "N", line) for line in lines
                               if any(word in line for word in words))


def check_end(scenario):
    """All is as on the listing, and all of it was told once it was kept."""
    image = Image(scenario.roster.database)
    image.check()
    check_delivered(scenario.ledger, image)
    listed = {row["user_id"]: row["display_name"] for row in image.tables["user_data"]
              if row["removed_at"] is None}
    assert listed == {user["UserId"]: user.get("DisplayName") for user in scenario.chime.users()}
    assert image.tables["run_data"][-1]["outcome"] == "complete"
    return image


def settled(scenario):
    """Whether all webhooks have written down the end of the log."""
    image = Image(scenario.roster.database)
    last = image.events[-1]["seq"] if image.events else 0
    return all(image.cursors.get(hook) == last for hook in ("ops", "bulk", "journal"))


# ---- phases ----

def test_while_it_watches(scenario, trouble):
    """Runs that bring changes, requests that answer, cursors that move."""
    roster, ledger_ = scenario.roster, scenario.ledger
    scenario.start()
    with roster:
        wait_until(lambda: settled(scenario))
        before = Image(roster.database)
        trouble.begin()
        scenario.change()
        for _ in range(ATTEMPTS):
            assert ask(scenario, "--wait").returncode != 0
        line = roster.wait_line("the database cannot be written; rosterd keeps trying")
        assert trouble.says in line
        found = Image(roster.database)
        assert found.events == before.events and found.users() == before.users()
        check_cursors(ledger_, found)
        lines = list(roster.lines)
        assert max(said(lines).values()) == 1, said(lines)
        assert sum("keeps trying" in line for line in lines) == 1
        assert len(said(lines)) <= 3, said(lines)  # the runs, the journal, the webhooks
        trouble.end()
        roster.wait_line("the database can be written again", timeout=90)
        wait_until(lambda: settled(scenario), timeout=90)
        assert sum("the database can be written again" in line for line in roster.lines) == 1
    print(trouble.name, *roster.lines, sep="\n  ")
    check_end(scenario)


def start_in_vain(scenario, trouble):
    """Nothing can be kept, so nothing is begun.  Where there may be room later it waits for it and says
    so once; else it ends, and systemd tries again.  `--once` ends in any case."""
    roster = scenario.roster
    trouble.begin()
    done = roster.run("--once", timeout=60)
    assert done.returncode not in (0, 65, 78), done.stderr
    assert len(done.stderr.splitlines()) == 1 and "the database" in done.stderr
    if trouble.says != FullDisk.says:
        done = roster.run(timeout=60)
        assert done.returncode not in (0, 65, 78), done.stderr  # those would not be tried again
        assert len(done.stderr.splitlines()) == 1 and "the database" in done.stderr
        trouble.end()
        return
    roster.start(wait=False)
    assert trouble.says in roster.wait_line("the database cannot be written; rosterd keeps trying")
    time.sleep(12)  # it tries again every five seconds
    assert roster.process.poll() is None and len(roster.lines) == 1, roster.lines
    trouble.end()
    roster.wait_line("watches 1 account", timeout=90)
    assert ask(scenario, "--wait").returncode == 0
    roster.wait_line("the database can be written again", timeout=90)
    assert roster.stop() == 0
    assert len([line for line in roster.lines if trouble.says in line]) == 1


def test_when_it_starts(scenario, trouble):
    scenario.start()
    scenario.change()
    start_in_vain(scenario, trouble)
    scenario.live()
    check_end(scenario)


def test_when_nothing_is_there_yet(scenario, trouble):
    start_in_vain(scenario, trouble)
    scenario.live()
    check_end(scenario)


def test_it_can_be_stopped_while_it_waits(scenario, small):
    small.begin()
    roster = scenario.roster.start(wait=False)
    roster.wait_line("rosterd keeps trying")
    assert roster.stop() == 0
    assert len(roster.lines) == 2 and "stopping" in roster.lines[1], roster.lines
    small.end()


@pytest.mark.parametrize("leave", [200_000, 300_000, 400_000])
def test_during_the_first_listing(scenario, small, leave):
    """There is room for the schema, or a page or two, and no more."""
    scenario.chime.generate(288)
    scenario.roster.accounts["acme"]["max_results"] = "50"
    scenario.roster.write_config()
    small.begin(leave)
    roster = scenario.roster.start(wait=False)
    wait_until(lambda: any("the database" in line for line in roster.lines))
    if roster.process.poll() is None and ask(scenario, "--wait").returncode == 0:
        pytest.fail("it was to be too small")
    assert scenario.ledger.taken == {} or Image(roster.database).events
    small.end()
    if wait_or_ended(roster):  # it could not even make the schema, and has said so
        roster.start()
    wait_until(lambda: ask(scenario, "--wait").returncode == 0, timeout=90)
    wait_until(lambda: settled(scenario), timeout=90)
    assert roster.stop() == 0
    assert sum("keeps trying" in line for line in roster.lines) <= 1
    check_end(scenario)


def wait_or_ended(roster):
    """Whether it has ended by itself."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        roster.process.wait(1)
        return True
    return False


def test_the_last_checkpoint_has_no_room(scenario, small):
    """What is in the log cannot be moved into the database.  It stays there, and is there at the next
    start, however that comes about."""
    roster = scenario.roster
    with roster:
        wait_until(lambda: settled(scenario))
        scenario.chime.generate(200)
        assert ask(scenario, "--wait").returncode == 0
        wait_until(lambda: settled(scenario), timeout=90)
        small.begin()
    before = Image(roster.database)
    assert len(before.events) > 200 and os.path.getsize(roster.database + "-wal") > 0
    small.end()
    scenario.live()
    assert os.path.getsize(roster.database + "-wal") == 0
    image = check_end(scenario)
    assert image.events == before.events


def test_a_backup_has_no_room(scenario, small):
    roster = scenario.roster
    with roster:
        wait_until(lambda: settled(scenario))
        small.begin(leave=100_000)
        done = rosterctl.run("--config", roster.config, "backup", str(scenario.state / "copy.db"))
        assert done.returncode != 0 and len(done.stderr.splitlines()) == 1, done.stderr
        assert "No space left" in done.stderr and "copy.db" in done.stderr
        assert sorted(os.listdir(scenario.state)) == [
            "filler", "roster.db", "roster.db-shm", "roster.db-wal", "roster.db.key", "roster.db.lock"]
        small.end()
        assert ask(scenario, "--wait").returncode == 0
        done = rosterctl.run("--config", roster.config, "backup", str(scenario.state / "copy.db"))
        assert done.returncode == 0, done.stderr
        assert Image(scenario.state / "copy.db").events == Image(roster.database).events
    check_end(scenario)


def test_retention_has_no_room(scenario, trouble):
    """Deleting needs room, too.  What is old stays for now, and goes later."""
    scenario.start()
    scenario.roster.change_database("UPDATE event_data SET time = '2001-01-01T00:00:00.000Z'")
    old = len(Image(scenario.roster.database).events)
    scenario.roster.settings["retention"] = "30d"
    scenario.roster.write_config()
    trouble.begin()
    assert scenario.roster.run("--once").returncode != 0
    assert len(Image(scenario.roster.database).events) == old
    trouble.end()
    scenario.live()
    assert Image(scenario.roster.database).events == []
