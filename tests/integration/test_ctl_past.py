# SPDX-License-Identifier: Apache-2.0
"""The roster as it was: what the real daemon saw in random days, asked for again afterwards."""

import datetime
import json
import random
import time

import pytest

from emulator import Emulator
from rosterctl import Rosterctl
from rosterd import Rosterd

STATUSES = ["Registered", "Suspended", "Unregistered", None]
INVITATIONS = ["Pending", "Accepted", "Failed", None]


def now():
    time.sleep(0.005)  # the milliseconds that follow are another time
    text = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")
    time.sleep(0.005)
    return text[:-3] + "Z"


def happen(dice, chime):
    """Something happens to a few people."""
    for user in dice.sample(chime.users(limit=1000), 12):
        change = {}
        if dice.random() < 0.6:
            change["UserRegistrationStatus"] = dice.choice(STATUSES)
        if dice.random() < 0.4:
            change["UserInvitationStatus"] = dice.choice(INVITATIONS)
        if dice.random() < 0.4:
            change["DisplayName"] = dice.choice(["Ana", 'B "o"', "Cléo\\", "田中", None])
        if dice.random() < 0.2:
            change["PrimaryEmail"] = f"p{dice.randrange(10**6)}@Example.com"
        if dice.random() < 0.2:
            change["Shoe"] = {"size": dice.randrange(40), "of": ["x", 1.50, None]}
        chime.patch_user(user["UserId"], **change)


def export(ctl, *args):
    rows = json.loads(ctl.ok("export", "--format", "json", *args))
    return sorted(rows, key=lambda row: row["user_id"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_days_are_told_exactly(tmp_path, seed):
    dice = random.Random(seed)
    with Emulator(users=120, seed=seed) as chime:
        roster = Rosterd(tmp_path, chime, accounts={"acme": {"max_removals": "100%"}})
        ctl = Rosterctl("--config", roster.config)
        away, days, before = [], [], now()
        for _ in range(7):
            roster.once()
            days.append((now(), export(ctl), export(ctl, "--former")))
            happen(dice, chime)
            for user in away[:4]:
                chime.add_user(user)
            away = away[4:]
            for user in dice.sample(chime.users(limit=1000), 5):
                away.append(user)
                chime.delete_user(user["UserId"])
            chime.generate(1 + dice.randrange(3))
    assert len(roster.events()) > 60
    assert {event["type"] for event in roster.events()} >= {
        "user.added", "user.removed", "user.returned", "user.suspended", "user.updated"}
    for at, listed, former in days:
        assert export(ctl, "--as-of", at) == listed, at
        assert export(ctl, "--former", "--as-of", at) == former, at
    assert "is not known" in ctl.fails(65, "export", "--as-of", before)
    at, listed, _ = days[2]
    suspended = [row for row in listed if row["user_registration_status"] == "Suspended"]
    assert export(ctl, "--as-of", at, "--registration", "suspended") == suspended != []
    # the table and its times
    lines = ctl.ok("users", "--as-of", at).splitlines()
    assert len(lines) == 1 + len(listed)


def test_times_are_of_the_zone_of_whoever_asks(tmp_path):
    with Emulator(users=3) as chime:
        roster = Rosterd(tmp_path, chime)
        roster.once()
    ctl = Rosterctl("--config", roster.config)
    seen = datetime.datetime.fromisoformat(
        roster.sql("SELECT min(first_seen_at) AS t FROM users")[0]["t"].replace("Z", "+00:00"))
    there = seen + datetime.timedelta(hours=5, minutes=30)  # what clocks in Kolkata showed
    kolkata = {"TZ": "IST-5:30"}
    time.sleep(1.1)
    text = (there + datetime.timedelta(seconds=-1)).strftime("%Y-%m-%d %H:%M:%S.%f")
    assert "is not known" in ctl.fails(65, "export", "--as-of", text, env=kolkata)
    text = (there + datetime.timedelta(seconds=1)).strftime("%Y-%m-%d %H:%M:%S.%f")
    assert len(json.loads(ctl.ok("export", "-f", "json", "--as-of", text, env=kolkata))) == 3
    assert len(export(ctl, "--as-of", text + "+05:30")) == 3
    # the same digits in UTC are hours ahead
    assert "in the future" in ctl.fails(2, "export", "--utc", "--as-of", text, env=kolkata)
    assert "Z  " in ctl.ok("users", env={"TZ": "IST-5:30"})
    screen = ctl.screen("users", columns=200, env={"TZ": "IST-5:30", "NO_COLOR": "1"})
    assert there.strftime("%Y-%m-%d %H:%M:%S  ") in screen
    screen = ctl.screen("--utc", "users", columns=200, env={"TZ": "IST-5:30", "NO_COLOR": "1"})
    assert seen.strftime("%Y-%m-%d %H:%M:%SZ  ") in screen
