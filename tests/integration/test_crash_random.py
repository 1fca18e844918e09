# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at random moments, while users come, change, go and return: after each the database is
whole, no event is lost, changed or invented, and no cursor has passed what was not taken.
ROSTERD_KILLS=1000 (`make crash-thousand`) kills a thousand times instead of a hundred (with
sanitizers: forty)."""

import os
import random
import signal
import time

import pytest
from crash import (SANITIZED, Image, Scenario, check_cursors, check_delivered, ledger, seeded,  # noqa: F401
                   server)
from emulator import Emulator

KILLS = int(os.environ.get("ROSTERD_KILLS", "40" if SANITIZED else "100"))
SETTLE = 25  # after so many lives all must come to rest
STATUSES = ["Registered", "Suspended", "Unregistered"]


class Village:
    """Changes the listing at random, and knows what it then is."""

    def __init__(self, chime, rng):
        self.chime, self.rng = chime, rng
        self.gone = []

    def live_on(self):
        ids = [user["UserId"] for user in self.chime.users()]
        for _ in range(self.rng.randint(0, 4)):
            self.rng.choice([self.change, self.change, self.leave, self.return_, self.arrive])(ids)

    def change(self, ids):
        self.chime.patch_user(self.rng.choice(ids), UserRegistrationStatus=self.rng.choice(STATUSES),
                              DisplayName=f"N{self.rng.random()}")

    def leave(self, ids):
        if len(ids) > 20:
            user = ids.pop(self.rng.randrange(len(ids)))
            self.gone.append(self.chime.get_user(user))
            self.chime.delete_user(user)

    def return_(self, ids):
        if self.gone:
            user = self.gone.pop(self.rng.randrange(len(self.gone)))
            self.chime.add_user(user, position=self.rng.choice(["front", "back"]))
            ids.append(user["UserId"])

    def arrive(self, ids):
        if len(ids) < 40:
            ids.append(self.chime.add_user({"UserRegistrationStatus": self.rng.choice(STATUSES),
                                            "PrimaryEmail": f"u{self.rng.random()}@example.com"}))

    def statuses(self):
        return {user["UserId"]: user.get("UserRegistrationStatus") for user in self.chime.users()}


def die_once(scenario, rng, span):
    """A --once that is killed somewhere in the time that one takes."""
    roster = scenario.roster
    command = roster.command
    roster.command = lambda *args: command("--once", *args)
    roster.start(wait=False)
    roster.command = command
    time.sleep(rng.uniform(0, span))
    return roster.stop(signal.SIGKILL)


def die_serving(scenario, rng, span):
    """The service, killed somewhere in or after a run that it was told to begin."""
    roster = scenario.roster
    roster.start()
    roster.accounts["acme"]["request_timeout"] = f"{rng.randint(60, 600)}s"
    roster.write_config()
    roster.send_signal(signal.SIGHUP)
    time.sleep(rng.uniform(0, span))
    return roster.stop(signal.SIGKILL)


def check_goes_on(before, now):
    """What was committed is as it was; cursors only move on."""
    assert now.events[:len(before.events)] == before.events
    for sink, cursor in before.cursors.items():
        assert now.cursors[sink] >= cursor, sink


def check_settled(scenario, village):
    """A life to its end brings all up to date, and another one changes nothing."""
    scenario.live()
    image = Image(scenario.roster.database)
    image.check()
    check_delivered(scenario.ledger, image)
    listed = {row["user_id"]: row["user_registration_status"]
              for row in image.tables["user_data"] if row["removed_at"] is None}
    assert listed == village.statuses()
    scenario.live()
    again = Image(scenario.roster.database)
    assert again.settled() == image.settled()
    return again


@pytest.mark.parametrize("seed", [1, 2, None, None], ids=["seed-1", "seed-2", "fresh-1", "fresh-2"])
def test_killed_at_random_moments(tmp_path, ledger, server, seed):  # noqa: F811
    rng = random.Random(seed) if seed else seeded("changes and moments")
    os.chmod(tmp_path, 0o750)
    ledger.clear()
    died, lives = 0, 0
    with Emulator(users=24, seed=rng.randrange(1, 1000)) as chime:
        scenario = Scenario(tmp_path, chime, ledger, server)
        village = Village(chime, rng)
        begun = time.monotonic()
        image = check_settled(scenario, village)
        span = (time.monotonic() - begun) / 2
        while died < KILLS // 4:
            lives += 1
            assert lives < KILLS, "they end before they are killed"
            village.live_on()
            ledger.slow = {rng.choice(["ops", "bulk"])} if rng.random() < 0.3 else set()
            die = rng.choice([die_once, die_serving])
            died += die(scenario, rng, span) == -signal.SIGKILL
            now = Image(scenario.roster.database)
            now.check()
            check_goes_on(image, now)
            check_cursors(ledger, now)
            image = now
            if lives % SETTLE == 0 or died == KILLS // 4:
                now = check_settled(scenario, village)
                check_goes_on(image, now)
                image = now
    print(f"{died} of {lives} lives were killed, {len(image.events)} events")
    assert len(image.events) > 24
