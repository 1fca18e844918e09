# SPDX-License-Identifier: Apache-2.0
"""Records that are recognised by their bytes, and pages that are asked for ahead."""

import json
import os
import random
import sqlite3

import pytest

from emulator import Emulator
from rosterd import Rosterd, wait_until

SLOW_WAY = "ROSTERD_READ_EVERY_RECORD"  # see src/daemon/sync-apply.c
USERS = 300


def differs(name):
    """Columns that two databases of the same history need not share."""
    return name in ("id", "time", "started_at", "finished_at", "detail") or name.endswith(
        ("_at", "_seen", "_changed"))


def history(roster):
    """Everything that is public and no time."""
    told = {}
    for view in ("users", "former_users", "events", "runs", "status_counts"):
        rows = roster.sql(f"SELECT * FROM {view}")
        for row in rows:
            if row.get("changes"):
                row["changes"] = [change for change in json.loads(row["changes"])
                                  if not differs(change["field"])]
        told[view] = [{name: value for name, value in row.items() if not differs(name)}
                      for row in rows]
    return told


def change(chime, dice):
    """Something happens to the directory."""
    def some(count):
        return [user["UserId"] for user in
                chime.users(offset=dice.randrange(USERS - 60), limit=count)]

    what = dice.randrange(8)
    if what == 0:
        chime.patch_users({"DisplayName": f"N{dice.random()}"}, user_ids=some(5))
    elif what == 1:
        chime.patch_users({"UserRegistrationStatus": dice.choice(["Suspended", "Registered"])},
                          user_ids=some(20))
    elif what == 2:
        for user in some(3):
            chime.delete_user(user)
    elif what == 3:
        chime.add_user({"PrimaryEmail": f"new{dice.random()}@example.com"}, position="front")
    elif what == 4:
        chime.shuffle(seed=dice.randrange(1000))
    elif what == 5:
        chime.duplicate(some(1)[0], patch={"DisplayName": f"Twin{dice.random()}"})
    elif what == 6:
        chime.patch_user(some(1)[0], DisplayName=7)  # which cannot be read
    else:  # the same to whoever reads it
        user = chime.users(offset=dice.randrange(USERS - 60), limit=1)[0]
        chime.delete_user(user["UserId"])
        chime.add_raw(json.dumps(dict(reversed(user.items())), indent=1), position="front")


@pytest.mark.parametrize("seed", [1, 2])
def test_both_ways_tell_the_same(tmp_path, seed):
    print(f"seed {seed}")
    dice = random.Random(seed)
    with Emulator(users=USERS, seed=seed) as chime:
        rosters = []
        for way in ("fast", "slow"):
            (tmp_path / way).mkdir()
            rosters.append(Rosterd(tmp_path / way, chime, accounts={"acme": {
                "max_results": "70", "missing_listings": "2"}}))
        fast, slow = rosters
        slow.env[SLOW_WAY] = "1"
        for step in range(8):
            for _ in range(step and dice.randrange(5)):
                change(chime, dice)
            for roster in rosters:
                roster.once()
            assert history(fast) == history(slow), f"seed {seed}, step {step}"
        assert len(fast.marks()) > USERS / 2
        assert not slow.marks()


def test_a_database_without_marks_only_costs_time(roster, chime):
    roster.once()
    before = roster.users()
    roster.change_database("DELETE FROM mark_data")
    os.unlink(roster.database + ".key")
    chime.patch_users({"DisplayName": "New"}, count=3)
    seq = roster.last_seq()
    roster.once()
    after = roster.users()
    assert len(after) == len(before)
    assert sum(after[user] != before[user] for user in after) == 3
    assert [event["type"] for event in roster.events(seq)] == ["user.updated"] * 3


def test_a_key_that_cannot_be_written_only_costs_time(roster, chime):
    os.mkdir(roster.database + ".key")
    for _ in range(2):
        lines = roster.once()
        assert sum("read anew at each run: cannot write" in line for line in lines) == 1, lines
    assert not roster.marks() and len(roster.users()) == len(chime.users())


def test_a_row_corrected_by_hand_is_read_anew(roster, chime):
    """What the listing says holds, whoever wrote the row."""
    roster.once()
    user = chime.users(limit=1)[0]["UserId"]
    name = roster.users()[user]["display_name"]
    roster.change_database("UPDATE user_data SET display_name = 'by hand' WHERE user_id = ?", user)
    roster.once()
    assert roster.users()[user]["display_name"] == name
    assert len(roster.marks()) == 450  # and known again


def segments(roster):
    """Of the base and of the log."""
    return tuple(roster.sql("SELECT count(*) FILTER (WHERE NOT id >> 31 & 1) AS base,"
                            " count(*) FILTER (WHERE id >> 31 & 1) AS log FROM mark_data")[0].values())


def test_base_and_log(roster, chime):
    """What has changed stands in the log until that is long; a record as it was before vouches for nothing."""
    roster.once()
    assert segments(roster) == (0, 3)
    roster.once()
    assert segments(roster) == (3, 0)
    marks = roster.marks()
    name = chime.users(limit=1)[0]["DisplayName"]
    for step, now in enumerate(["New", name, "New"]):
        chime.patch_users({"DisplayName": now}, count=1)
        seq = roster.last_seq()
        roster.once()
        assert [event["type"] for event in roster.events(seq)] == ["user.updated"]
        assert [row["display_name"] for row in roster.users().values()].count("New") == (now == "New")
        assert segments(roster) == (3, step + 1)
        assert len(roster.marks()) == 450 and (roster.marks() == marks) == (now == name)
    chime.patch_users({"DisplayName": "All"}, count=300)
    roster.once()
    roster.once()
    assert segments(roster) == (3, 0)
    assert len(roster.marks()) == 450


def test_pins_come_and_go_with_their_setting(roster, chime):
    """Marks that were made when PINs were stored do not vouch for rows that have lost theirs."""
    chime.patch_users({"PersonalPIN": "123456"}, count=450)
    pins = "SELECT count(personal_pin) AS n FROM users"
    for setting, count in (("yes", 450), ("no", 0), ("yes", 450), ("no", 0)):
        roster.settings["store_personal_pin"] = setting
        roster.write_config()
        roster.once()
        assert roster.sql(pins)[0]["n"] == count


def test_the_next_page_is_asked_for_first(roster, chime):
    """Page 1 cannot be applied while somebody else writes; page 2 is asked for all the same."""
    chime.fault("delay", page=1, delay_ms=2000)
    with roster:
        wait_until(lambda: roster.sql("SELECT 1 FROM runs WHERE outcome = 'running'"),
                   message="a run")
        other = sqlite3.connect(roster.database, timeout=25)
        try:
            other.execute("BEGIN IMMEDIATE")
            wait_until(lambda: [entry for entry in chime.log() if entry["page"] == 2],
                       message="page 2")
            assert not other.execute("SELECT * FROM users").fetchall()
        finally:
            other.rollback()
            other.close()
        wait_until(lambda: len(roster.users()) == 450 or roster.account()["last_error"],
                   message="an end of the run")


def test_bytes_that_never_stay_the_same(tmp_path):
    """All users' records are written otherwise for each run: marks are then not renewed each time."""
    with Emulator(users=0) as chime, Rosterd(tmp_path, chime, interval="1h") as roster:
        renewed, before = [], None
        wait_until(roster.complete_runs, message="the first run")
        for step in range(6):
            chime.delete_users(count=20)
            for i in range(20):
                chime.add_raw("{" + " " * step + f'"UserId":"u{i}"' + "}")
            roster.sync_now()
            marks = roster.marks()
            assert len(marks) == 20
            renewed.append(marks != before)
            before = marks
        assert renewed == [True, True, False, True, False, False]
        assert {event["type"] for event in roster.events()} <= {"sync.baseline", "user.added"}
