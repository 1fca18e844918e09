# SPDX-License-Identifier: Apache-2.0
"""Bad networks between rosterd and the receivers of webhooks, all kinds at once: every event arrives,
in order and under its own id, and nobody waits for another's network."""

import contextlib

import pytest
from control import ask
from emulator import Emulator
from proxy import Proxy
from receiver import Receiver
from rosterd import Rosterd, wait_until

USERS = 12
ROUNDS = 4
MODEM = 7000  # bytes a second: 56 kbit/s

# What the network of each webhook does.
FAULTS = {
    "calm": {},
    "latency": {"latency": 0.1, "jitter": 0.1},
    "modem": {"rate": MODEM},
    "pieces": {"piece": 3},
    "loss": {"piece": 300, "loss": 0.2, "resend": 0.5},
    "no-answer": {"reset_after": 0},
    "half-an-answer": {"reset_after": 9},
    "cut-answer": {"end_after": 9},
    "half-open": {"silent_after": 0},
    "silent": {"silent_after": 9},
    "kept-ends": {"end_kept": "end"},
    "kept-resets": {"end_kept": "reset"},
    "now-and-then": {"links": 3, "reset_after": 0},
}
# These get everything in spite of it; the others once it is over.
PASSABLE = ["calm", "latency", "modem", "pieces", "loss", "kept-ends", "kept-resets", "now-and-then"]


def took(receiver, name):
    """(id, seq) of all that came for a webhook."""
    return [(event["id"], event["seq"]) for request in receiver.taken()
            if request.path == f"/{name}" for event in request.events()]


def judge(name, got, stored):
    """What is wrong with what has come: nothing, it is to be hoped."""
    wrong = []
    if {seq for _, seq in got} != set(stored):
        wrong.append(f"seqs {sorted({seq for _, seq in got})}")
    if any(stored.get(seq) != event for event, seq in got):
        wrong.append("an id that is not the event's")
    first = list(dict.fromkeys(seq for _, seq in got))
    if first != sorted(first):
        wrong.append(f"order {first}")
    if name in ("calm", "latency", "modem", "pieces", "loss") and len(got) != len(stored):
        wrong.append(f"{len(got)} came for {len(stored)}")
    return wrong


@pytest.mark.parametrize("batch", ["1", "5"])
def test_every_fault(tmp_path, batch):
    with contextlib.ExitStack() as stack:
        chime = stack.enter_context(Emulator(users=USERS))
        receiver = stack.enter_context(Receiver())
        proxies = {name: stack.enter_context(Proxy(receiver.port)) for name in FAULTS}
        roster = Rosterd(tmp_path, chime, {"acme": {"baseline": "events"}}, interval="1h")
        for name, proxy in proxies.items():
            roster.webhooks[name] = {"url": f"{proxy.url}/{name}", "batch": batch, "timeout": "15s"}
            proxy.set(**FAULTS[name])
        roster.write_config()
        users = [user["UserId"] for user in chime.users()]
        stack.enter_context(roster)
        for turn in range(ROUNDS):
            chime.patch_users({"DisplayName": f"Name {turn}"}, user_ids=users[turn::ROUNDS])
            assert ask(roster, "sync", wait=True)[-1]["result"]["complete"] == 1

        def pending():
            return {row["webhook"]: row["pending"] for row in roster.sql("SELECT * FROM webhooks")}

        # nobody waits for another's network
        wait_until(lambda: not any(pending()[name] for name in PASSABLE), 120, lambda: str(pending()))
        assert all(count > 0 for name, count in pending().items() if name not in PASSABLE)
        stored = {event["seq"]: event["id"] for event in roster.events()}
        assert len(stored) > USERS
        wrong = {name: judge(name, took(receiver, name), stored) for name in PASSABLE}
        assert {name: said for name, said in wrong.items() if said} == {}

        for proxy in proxies.values():
            proxy.set()
            proxy.cut()
        wait_until(lambda: not any(pending().values()), 120, lambda: str(pending()))
        wrong = {name: judge(name, took(receiver, name), stored) for name in FAULTS}
        assert {name: said for name, said in wrong.items() if said} == {}
        assert roster.sql("SELECT * FROM dead_letters") == []
