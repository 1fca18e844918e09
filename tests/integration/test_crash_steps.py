# SPDX-License-Identifier: Apache-2.0
"""Killed at every step.  An undisturbed life tells which steps there are: each creation, write, sync,
truncation and removal below the state folder, each request, each line that tells an event.  Then for
each step: the same life, killed there; a second life, to its end; and a third, which must find
nothing to do.  The end must be that of the undisturbed life, whatever the step was."""

import os
import signal

import pytest
from crash import (Image, Scenario, check_cursors, check_delivered, ledger, seeded,  # noqa: F401
                   server, told)
from emulator import Emulator

PARTS = 6  # run side by side
SAMPLE = 40  # of the writes within a transaction; ROSTERD_CRASH_ALL=1: all of them


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

    def image(self):
        return Image(self.scenario.roster.database)

    def first(self, image):
        """Where the events of this phase begin."""
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
        s = self.scenario
        self.begin()
        lines = s.live(status=None, **where)
        died = s.status == -signal.SIGKILL
        assert died or s.status == 0, lines
        if os.path.exists(s.roster.database) and os.path.getsize(s.roster.database):
            image = self.image()
            image.check()
            check_cursors(s.ledger, image, self.after)
        s.chime.clear_faults()
        lines += s.live()
        image = self.check_end(lines)
        # nothing is lost, invented or told otherwise
        assert sorted(image.stories(), key=str) == sorted(self.stories, key=str)
        assert image.users() == self.users
        assert told(lines) == [self.lines[story] for story in image.stories()[self.first(image):]]
        # and all is done
        settled, taken = image.settled(), {k: list(v) for k, v in s.ledger.taken.items()}
        assert told(s.live()) == []
        assert self.image().settled() == settled
        assert s.ledger.taken == taken
        return died


def points(steps, rng):
    """Where to kill: in place of each step, and after each request was sent but before its answer
    came.  Within a transaction one write is like another, so that a sample of them will do."""
    writes = [n for n, step in enumerate(steps, 1) if step.kind == "w"]
    if not os.environ.get("ROSTERD_CRASH_ALL"):
        writes = rng.sample(writes, min(SAMPLE, len(writes)))
    before = sorted(writes + [n for n, step in enumerate(steps, 1) if step.kind != "w"])
    after = [n for n, step in enumerate(steps, 1) if step.kind == "n"]
    return [("BEFORE", n) for n in before] + [("AFTER", n) for n in after]


def kill_everywhere(phase, part, rng):
    chosen = points(phase.steps, rng)
    mine = chosen[part::PARTS]
    died = 0
    for where, n in mine:
        try:
            died += phase.killed_at(**{where: n})
        except AssertionError as e:
            e.add_note(f"killed {where.lower()} step {n}: {phase.steps[n - 1]._replace(data=b'')}")
            raise
    print(f"{phase.name}: {len(phase.steps)} steps, {len(chosen)} points, {died} of {len(mine)} died")
    # requests to two webhooks and the service take turns as they like: the last few may not come
    assert died >= len(mine) * 0.9


@pytest.fixture
def scenario(tmp_path, ledger, server):  # noqa: F811
    os.chmod(tmp_path, 0o750)
    with Emulator(users=12) as chime:
        yield Scenario(tmp_path, chime, ledger, server)


@pytest.mark.parametrize("part", range(PARTS))
def test_first_life(scenario, part):
    """Schema, first listing with all its events, delivery, checkpoint."""
    rng = seeded("sample of writes")
    phase = Phase(scenario, "nothing", None)
    kinds = {(step.kind, step.name) for step in phase.steps}
    assert {("c", "roster.db"), ("c", "roster.db-wal"), ("s", "roster.db"), ("s", "roster.db-wal"),
            ("s", ""), ("n", ""), ("e", "")} <= kinds
    assert len(phase.stories) == 13  # twelve users, one baseline
    kill_everywhere(phase, part, rng)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_kind_of_change(scenario, part):
    rng = seeded("sample of writes")
    scenario.start()
    scenario.change()
    phase = Phase(scenario, "changed", 3)
    assert {story[0] for story in phase.stories[-8:]} == {
        "user.suspended", "user.invitation_failed", "user.updated", "user.reinstated",
        "user.returned", "user.added", "user.removed"}
    kill_everywhere(phase, part, rng)
