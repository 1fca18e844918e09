# SPDX-License-Identifier: Apache-2.0
"""Memory runs out.  Allocations of a life fail, one or several in a row: rosterd must not crash, must not
say that all is well when it is not, and the next life must come to the same end.  ROSTERD_SEED chooses
others, ROSTERD_CRASH_ALL=1 takes all."""

import os
import random

import pytest
from crash import SANITIZED, Phase, Scenario, ledger, server  # noqa: F401
from emulator import Emulator

pytestmark = pytest.mark.skipif(SANITIZED, reason="sanitizers bring an allocator of their own")

PARTS = 3  # run side by side
SAMPLE = 30
IN_A_ROW = [1, 1, 2, 5, 40]
STATUSES = {0, 1, 74}  # all is well, an account could not be synced, anything else


@pytest.fixture
def scenario(tmp_path, ledger, server):  # noqa: F811
    os.chmod(tmp_path, 0o750)
    with Emulator(users=12) as chime:
        yield Scenario(tmp_path, chime, ledger, server)


def library():
    given = os.environ.get("MALLOC_FAIL_LIBRARY")
    if not given:
        pytest.fail("MALLOC_FAIL_LIBRARY is not set: run this by `make check TESTS=…`")
    return given


def starved(phase, tmp_path, **settings):
    """A life of the phase with these settings of malloc-fail.c.  Returns its lines, and how many
    allocations there were."""
    told = tmp_path / "allocations"
    phase.scenario.env = {"LD_PRELOAD": library(), "MALLOC_TELL": str(told)}
    phase.scenario.env.update({f"MALLOC_{name}": str(value) for name, value in settings.items()})
    try:
        return phase.disturbed(), int(told.read_text())
    finally:
        phase.scenario.env = {}


def without_marks(users):
    """Where there was no memory to recognise anybody by, no marks are made: the next life makes them."""
    return [(user_id, listed, row) for user_id, listed, _, row in users]


def check_honest(phase):
    s = phase.scenario
    assert s.status in STATUSES
    if s.status == 0:
        image = phase.image()
        assert image.stories() == phase.stories
        assert without_marks(image.users()) == without_marks(phase.users)
        assert image.tables["run_data"][-1]["outcome"] == "complete"


def end_waits(scenario):
    """A webhook that could not be asked for want of memory waits before it tries again."""
    roster = scenario.roster
    if os.path.exists(roster.database) and roster.sql("SELECT 1 FROM sqlite_schema WHERE name = 'sink_data'"):
        roster.change_database("UPDATE sink_data SET next_attempt_at = NULL")


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", ["nothing", "changed"])
def test_allocations_fail(scenario, tmp_path, name, part):
    if name == "changed":
        scenario.start()
        scenario.change()
    phase = Phase(scenario, name, None)
    rng = random.Random(int(os.environ.get("ROSTERD_SEED", part)))
    _, total = starved(phase, tmp_path)
    assert scenario.status == 0 and total > 1000
    chosen = range(1 + part, total + 1, PARTS) if os.environ.get("ROSTERD_CRASH_ALL") else \
        rng.sample(range(1, total + 1), SAMPLE)
    failed = 0
    for n in chosen:
        row = rng.choice(IN_A_ROW)
        try:
            lines, _ = starved(phase, tmp_path, FAIL_AT=n, FAIL_MORE=row - 1)
            check_honest(phase)
            failed += scenario.status != 0
            end_waits(scenario)
            phase.check_recovery(lines)
        except AssertionError as e:
            e.add_note(f"{row} allocations from {n} of {total}")
            raise
    print(f"{failed} of {len(chosen)} lives ended with an error")
    assert failed > len(chosen) / 4
