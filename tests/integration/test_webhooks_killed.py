# SPDX-License-Identifier: Apache-2.0
"""A receiver that fails at random, a daemon that is killed at random, and a stream of changes: every
event arrives, in order, repeated only under its own id."""

import os
import random
import signal
import threading
import time

import pytest
from emulator import Emulator
from receiver import Receiver, answer
from rosterd import Rosterd, wait_until

KILLS = 80 if os.environ.get("ROSTERD_SANITIZED") else 200
STATUSES = ["Registered", "Suspended", "Unregistered"]


class Unreliable:
    """Fails three requests of ten: refuses the connection, says nothing useful, or takes and then says
    that it did not.  Remembers what it has said yes to."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.life = 0  # of the daemon
        self.taken = []  # (life, event id, seq, request id)

    def __call__(self, request):
        with self.lock:
            if self.random.random() < 0.3:
                return self.random.choice([None, answer(500), answer(503), answer(429)])
            for event in request.events():
                self.taken.append((self.life, event["id"], event["seq"], request.id))
        return answer(200)


def change_some(chime, rng, users):
    for user in rng.sample(users, rng.randint(0, 3)):
        chime.patch_user(user, UserRegistrationStatus=rng.choice(STATUSES))


def live_and_die(roster, rng):
    """One life: --once or the daemon, ended by SIGKILL at a random moment."""
    if rng.random() < 0.5:
        roster.start(wait=False)
        if rng.random() < 0.5:
            time.sleep(0.03)
            for given in roster.accounts.values():
                given["request_timeout"] = f"{rng.randint(60, 600)}s"
            roster.write_config()
            roster.send_signal(signal.SIGHUP)
    else:
        command = roster.command
        roster.command = lambda *args: command("--once", *args)
        roster.start(wait=False)
        roster.command = command
    time.sleep(rng.uniform(0.01, 0.35))
    roster.stop(signal.SIGKILL)


@pytest.mark.parametrize("batch, kills", [("1", KILLS), ("7", KILLS // 4)])
def test_killed_at_random(tmp_path, batch, kills):
    seed = int(os.environ.get("ROSTERD_SEED", "0")) or random.randrange(1, 1 << 30)
    print("ROSTERD_SEED =", seed)
    rng = random.Random(seed)
    receiver = Unreliable(seed)
    os.chmod(tmp_path, 0o750)
    with Emulator(users=60) as chime, Receiver(receiver) as server:
        roster = Rosterd(tmp_path, chime, {"acme": {"baseline": "events"}})
        roster.webhooks["ops"] = {"url": server.url, "batch": batch}
        roster.write_config()
        users = [user["UserId"] for user in chime.users()]
        for _ in range(kills):
            change_some(chime, rng, users)
            live_and_die(roster, rng)
            receiver.life += 1
        change_some(chime, rng, users)
        with roster:
            roster.sync_now()
            # a reload has it try at once, without its backoff
            wait_until(lambda: roster.sql("SELECT pending FROM webhooks")[0]["pending"] == 0 or
                       roster.send_signal(signal.SIGHUP) or time.sleep(0.1),
                       timeout=180, message="all is delivered")
            assert roster.sql("PRAGMA integrity_check")[0]["integrity_check"] == "ok"
        stored = {event["seq"]: event["id"] for event in roster.events()}
        assert roster.sql("SELECT * FROM dead_letters") == []
    assert len(stored) > kills / 5

    # every event, none invented
    assert {seq for _, _, seq, _ in receiver.taken} == set(stored)
    # under its own id, whatever it came in
    assert all(stored[seq] == event for _, event, seq, _ in receiver.taken)
    if batch == "1":
        assert all(request == event for _, event, _, request in receiver.taken)
    # the same id never means other events
    members = {}
    for life, event, seq, request in receiver.taken:
        members.setdefault((request, life), []).append(seq)
    by_request = {}
    for (request, _), seqs in members.items():
        by_request.setdefault(request, set()).add(tuple(sorted(set(seqs))))
    assert all(len(sets) == 1 for sets in by_request.values())
    # in order: for the first time, and within each life
    first = list(dict.fromkeys(seq for _, _, seq, _ in receiver.taken))
    assert first == sorted(first)
    for life in {entry[0] for entry in receiver.taken}:
        seqs = [seq for at, _, seq, _ in receiver.taken if at == life]
        assert seqs == sorted(set(seqs)), f"life {life}"
