# SPDX-License-Identifier: Apache-2.0
"""The disk fails.  Each write, sync, truncation, creation and removal of a life fails once, with EIO or
ENOSPC, as chance has it: rosterd must not say that all is well when it is not, and the next life must
come to the same end.  What SQLite says of a sync that failed holds here, too: it has made nothing
durable, and another one that works does not make up for it."""

import errno
import os

import pytest
from crash import (Image, Phase, Scenario, check_reached, ledger, points,  # noqa: F401
                   read_steps, seeded, server, without_marks)
from emulator import Emulator
from powercut import Keep
from test_power_cut import Recording, record_change

PARTS = 3  # run side by side
SAMPLE = 16  # of the writes within a transaction


@pytest.fixture
def scenario(tmp_path, ledger, server):  # noqa: F811
    os.chmod(tmp_path, 0o750)
    with Emulator(users=12) as chime:
        yield Scenario(tmp_path, chime, ledger, server)


def check_honest(phase, lines):
    """Whoever ends with 0 has done everything; whoever does not says that it is the database."""
    s = phase.scenario
    if s.status == 0:
        image = phase.image()
        assert image.stories() == phase.stories
        users, wanted = image.users(), phase.users
        if any("every user will be read anew at each run" in line for line in lines):  # the key
            users, wanted = without_marks(users), without_marks(wanted)
        assert users == wanted
        assert image.tables["run_data"][-1]["outcome"] == "complete"
        assert image.cursors["ops"] == image.cursors["bulk"] == image.events[-1]["seq"]
    else:
        assert s.status > 0, f"killed by {-s.status}"
        assert any("database" in line for line in lines), lines


def fail_everywhere(phase, part, rng):
    chosen = points(phase.steps, rng, "sctu", SAMPLE)[part::PARTS]
    missed, noticed = [], 0
    log = phase.scenario.log
    for n in chosen:
        log.unlink()
        error = rng.choice([errno.EIO, errno.ENOSPC])
        try:
            lines = phase.disturbed(FAIL_AT=n, ERRNO=error, LOG=log)
            if not any(step.kind == "f" for step in read_steps(log)):
                missed.append(n)
            check_honest(phase, lines)
            noticed += phase.scenario.status != 0
            phase.check_recovery(lines)
        except AssertionError as e:
            e.add_note(f"{errno.errorcode[error]} at step {n}: "
                       f"{phase.steps[n - 1]._replace(data=b'')}")
            raise
    print(f"{phase.name}: {len(missed)} of {len(chosen)} points missed, {noticed} lives ended with an error")
    check_reached(missed, phase.steps)


@pytest.mark.parametrize("part", range(PARTS))
def test_first_life(scenario, part):
    fail_everywhere(Phase(scenario, "nothing", None), part, seeded("sample of writes and errors"))


@pytest.mark.parametrize("part", range(PARTS))
def test_every_kind_of_change(scenario, part):
    scenario.start()
    scenario.change()
    fail_everywhere(Phase(scenario, "changed", None), part, seeded("sample of writes and errors"))


class Doubtful(Recording):
    """A life in which a sync failed.  A transaction of which that is said may be there or not."""

    def check_found(self, files, so_far):
        image = Image(self.path, "rw")
        image.check()
        stored = {(e["seq"], e["id"]) for e in image.events}
        for hook, pairs in so_far.by_hook.items():
            assert set(pairs) <= stored, hook
        self.check_cursors(image, so_far)


def test_a_failed_sync_makes_nothing_durable(scenario):
    """The power is cut some time after a sync failed.  Nothing that was told may have rested on it."""
    rng = seeded("fates")
    record_change(scenario)
    syncs = [n for n, step in enumerate(scenario.last_steps, 1) if step.kind == "s"]
    cuts = 0
    for failing in syncs:
        scenario.begin_from("change")
        recording = Doubtful(scenario, f"failed-{failing}", status=None, FAIL_AT=failing,
                             ERRNO=errno.EIO)
        told_at = {n + 1 for n, step in enumerate(recording.steps) if step.kind == "n"}
        for n, disk, so_far in recording.moments(told_at | {len(recording.steps)}):
            for share in (0, 0, rng.random()):
                recording.cut(n, disk, so_far, Keep(rng, share), rng)
                cuts += 1
    print(f"{len(syncs)} syncs failed, {cuts} cuts")
    assert cuts > 10 * len(syncs)


class Neighbours(Scenario):
    """Six accounts, listed one after the other."""

    ACCOUNTS = [f"{i}9c0de00-5e1f-4c6e-9b57-1f0e2d3c4b5a" for i in range(6)]

    def start(self):
        self.roster.webhooks = {}
        self.roster.settings["concurrency"] = "1"
        self.roster.accounts = {f"a{i}": {"account_id": account, "baseline": "events"}
                                for i, account in enumerate(self.ACCOUNTS)}
        self.roster.write_config()
        self.roster.once()
        self.keep("listed")

    def image(self):
        image = Image(self.roster.database)
        image.check()
        return image

    def changes(self):
        """What the database has been told of users."""
        return sorted((story for story in self.image().stories() if story[0].startswith("user.")), key=str)

    def syncs(self, *args):
        """The numbers of the steps that sync the log, in a life from here on, and its lines."""
        steps, lines = self.record(*args)
        return [n for n, step in enumerate(steps, 1) if (step.kind, step.name) == ("s", "roster.db-wal")], lines

    def check_said(self, lines):
        """As many accounts are said to be complete as are."""
        said = sum(": complete: " in line for line in lines)
        runs = self.image().tables["run_data"][len(self.ACCOUNTS):]
        assert said == sum(run["outcome"] == "complete" for run in runs), lines
        return said


@pytest.fixture
def neighbours(tmp_path, ledger, server):  # noqa: F811
    os.chmod(tmp_path, 0o750)
    with Emulator(users=3, accounts=Neighbours.ACCOUNTS) as chime:
        made = Neighbours(tmp_path, chime, ledger, server)
        made.start()
        yield made


def test_an_end_is_synced_with_the_next_beginning(neighbours):
    one, _ = neighbours.syncs("a0")
    neighbours.begin_from("listed")
    all_, _ = neighbours.syncs()
    assert len(all_) - len(one) == len(neighbours.ACCOUNTS) - 1


def test_a_failed_sync_fails_an_end_and_the_next_beginning(neighbours):
    for account in neighbours.ACCOUNTS:
        neighbours.chime.patch_users({"UserRegistrationStatus": "Suspended"}, count=1, account=account)
    syncs, lines = neighbours.syncs()
    assert neighbours.check_said(lines) == len(neighbours.ACCOUNTS)
    changes = neighbours.changes()
    for n in syncs:
        neighbours.begin_from("listed")
        lines = neighbours.live(status=None, FAIL_AT=n, ERRNO=errno.EIO)
        said = neighbours.check_said(lines)
        assert neighbours.status != 0 or said == len(neighbours.ACCOUNTS)
        neighbours.live()
        assert neighbours.changes() == changes
