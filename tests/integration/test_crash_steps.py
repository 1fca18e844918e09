# SPDX-License-Identifier: Apache-2.0
"""Killed at every step.  An undisturbed life tells which steps there are: each creation, write, sync,
truncation and removal below the state folder, each request, each line that tells an event.  Then for
each step: the same life, killed there; a second life, to its end; and a third, which must find
nothing to do.  The end must be that of the undisturbed life, whatever the step was."""

import os

import pytest
from crash import Phase, Scenario, check_reached, ledger, points, seeded, server  # noqa: F401
from emulator import Emulator

PARTS = 6  # run side by side
SAMPLE = 16  # of the writes within a transaction


def places(steps, rng):
    """Where to kill: in place of each step, and after each request was sent but before its answer
    came."""
    return ([("BEFORE", n) for n in points(steps, rng, "cstune", SAMPLE)] +
            [("AFTER", n) for n in points(steps, rng, "n", 0)])


def kill_everywhere(phase, part, rng):
    chosen = places(phase.steps, rng)
    mine = chosen[part::PARTS]
    missed = []
    for where, n in mine:
        try:
            if not phase.killed_at(**{where: n}):
                missed.append(n)
        except AssertionError as e:
            e.add_note(f"killed {where.lower()} step {n}: {phase.steps[n - 1]._replace(data=b'')}")
            raise
    print(f"{phase.name}: {len(phase.steps)} steps, {len(chosen)} points, {len(missed)} of {len(mine)} missed")
    check_reached(missed, phase.steps)


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


@pytest.mark.parametrize("part", range(PARTS))
def test_removals_that_are_held_and_accepted(scenario, part):
    """Five of eleven are missing at once: that is told once and they stay.  They go once that is accepted,
    which is spent only when all have gone."""
    rng = seeded("sample of writes")
    scenario.start()
    scenario.roster.accounts["acme"]["max_removals"] = "2"
    scenario.roster.write_config()
    for user in scenario.chime.users()[3:8]:
        scenario.chime.delete_user(user["UserId"])
    phase = Phase(scenario, "missing", None)
    assert [story[0] for story in phase.stories[-1:]] == ["sync.removals_held"]
    assert sum(listed for _, listed, *_ in phase.users) == 11
    kill_everywhere(phase, part, rng)

    scenario.begin_from("missing")
    scenario.roster.env = {}
    scenario.roster.once()
    scenario.roster.change_database("UPDATE account_data SET removals_accepted = held_removals")
    phase = Phase(scenario, "accepted", None)
    assert [story[0] for story in phase.stories[-5:]] == ["user.removed"] * 5
    assert phase.image().tables["account_data"][0]["removals_accepted"] == 0
    kill_everywhere(phase, part, rng)
