# SPDX-License-Identifier: Apache-2.0
"""rosterctl webhooks test and replay, against the real rosterd and receivers."""

import signal
import time

import pytest

from control import Connection, refusal, result, wait_idle
from receiver import Receiver, answer
from rosterctl import Rosterctl
from rosterd import wait_until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver():
    with Receiver() as r:
        yield r


@pytest.fixture
def hooked(roster, receiver):
    """acme with one webhook, ops, that is told everything; not started."""
    roster.settings["interval"] = "1h"
    roster.webhooks["ops"] = {"url": receiver.url, "secret": SECRET, "replay_from": "1"}
    roster.write_config()
    return roster


@pytest.fixture
def ctl(roster):
    return Rosterctl("--config", roster.config)


def settle(roster):
    """The baseline is taken and told."""
    wait_idle(roster)
    wait_until(lambda: roster.sql("SELECT pending FROM webhooks")[0]["pending"] == 0,
               message="the webhook to catch up")


def told(roster, chime, receiver, count=3):
    """So many suspensions, all delivered; returns their seqs."""
    chime.patch_users({"UserRegistrationStatus": "Registered"}, count=450)
    roster.start()
    settle(roster)
    seq = roster.last_seq()
    chime.patch_users({"UserRegistrationStatus": "Suspended"}, count=count)
    Rosterctl("--config", roster.config).ok("sync", "--wait")
    wait_until(lambda: roster.sql("SELECT pending FROM webhooks")[0]["pending"] == 0,
               message="the webhook to catch up")
    assert len(receiver.requests) >= count
    return [event["seq"] for event in roster.events(seq)]


# ---- test ----------------------------------------------------------------------------------------

def test_a_test_arrives_in_every_format(hooked, ctl, receiver):
    shapes = ["json", "cloudevents", "slack", "teams", "alertmanager", "pagerduty"]
    hooked.webhooks = {shape: {"url": receiver.url, "format": shape, "secret": SECRET,
                               "events": "user.suspended"} for shape in shapes}
    hooked.webhooks["pagerduty"]["routing_key"] = "0123456789abcdef0123456789abcdef"
    hooked.write_config()
    hooked.start()
    wait_idle(hooked)
    for shape in shapes:
        receiver.requests.clear()
        assert ctl.ok("webhooks", "test", shape) == \
            f"{shape}: http://127.0.0.1:{receiver.port} took it, with status 200\n"
        request, = receiver.requests
        assert "rosterd-test" in request.body.decode(), shape
        assert request.headers["webhook-signature"] and request.headers["webhook-id"]
        # it opens nothing
        if shape == "pagerduty":
            assert request.json()["event_action"] == "resolve"
        if shape == "alertmanager":
            assert request.json()[0]["endsAt"]
    assert all(row["last_error"] is None for row in hooked.sql("SELECT * FROM webhooks"))


def test_a_test_names_people_as_webhooks_may(hooked, ctl, receiver):
    hooked.settings["personal_data"] = "minimal"
    hooked.write_config()
    hooked.start()
    wait_idle(hooked)
    receiver.requests.clear()
    ctl.ok("webhooks", "test", "ops")
    assert [r for r in receiver.requests if b"rosterd-test" in r.body]
    assert not [r for r in receiver.requests if b"@example.com" in r.body]


NOT_TAKEN = {
    "403": lambda request: answer(403, "who are you?"),
    "500": lambda request: answer(500),
    "did not take it": lambda request: None,
    "302": lambda request: answer(302, headers={"Location": "http://127.0.0.1:1/"}),
}


def test_a_test_that_is_not_taken(hooked, ctl, receiver):
    hooked.webhooks["ops"]["events"] = "user.suspended"
    hooked.write_config()
    hooked.start()
    wait_idle(hooked)
    for said, behave in NOT_TAKEN.items():
        receiver.behave = behave
        sentence = ctl.fails(1, "webhooks", "test", "ops")
        assert said in sentence and f"http://127.0.0.1:{receiver.port}" in sentence
        assert "/hook" not in sentence
    # what is due to be delivered is not held up by it
    assert hooked.sql("SELECT attempts FROM webhooks")[0]["attempts"] == 0


def test_nobody_waits_for_a_slow_receiver(hooked, ctl, receiver):
    """rosterctl may be interrupted; rosterd goes on meanwhile, and forgets the test."""
    hooked.webhooks["ops"].update(events="user.suspended", timeout="60s")
    hooked.write_config()

    def slow(request):
        yield 30

    receiver.behave = slow
    hooked.start()
    wait_idle(hooked)
    with Connection(hooked, {"request": "test-webhook", "webhook": "ops"}) as waiting:
        assert waiting.read() == {"progress": {}}
        wait_until(lambda: receiver.requests, message="the test")
        assert result(hooked, "status")["pid"] == hooked.process.pid
        ctl.ok("sync", "--wait")
    assert result(hooked, "status")["pid"] == hooked.process.pid
    begun = time.monotonic()
    assert hooked.stop() == 0
    assert time.monotonic() - begun < 15


def test_a_test_outlives_a_reload(hooked, ctl, receiver):
    """The webhook is taken out of the configuration while its test is under way."""
    hooked.webhooks["ops"]["events"] = "user.suspended"
    hooked.write_config()

    def slow(request):
        yield 1.5
        yield answer(200)

    receiver.behave = slow
    hooked.start()
    wait_idle(hooked)
    with Connection(hooked, {"request": "test-webhook", "webhook": "ops"}) as waiting:
        wait_until(lambda: receiver.requests, message="the test")
        hooked.webhooks.clear()
        hooked.write_config()
        hooked.send_signal(signal.SIGHUP)
        hooked.wait_line("configuration reloaded")
        assert waiting.rest()[-1]["result"]["status"] == 200
    assert refusal(hooked, "test-webhook", webhook="ops")[0] == "no-such-webhook"


def test_tests_that_cannot_be_made(hooked, ctl):
    hooked.once()
    assert "only a running rosterd can try a webhook out" in ctl.fails(69, "webhooks", "test", "ops")
    hooked.start()
    wait_idle(hooked)
    assert "did you mean ops?" in ctl.fails(1, "webhooks", "test", "opps")
    assert "takes a webhook's name" in ctl.fails(2, "webhooks", "test")


# ---- replay --------------------------------------------------------------------------------------

def test_replay(hooked, ctl, chime, receiver):
    seqs = told(hooked, chime, receiver)
    first = {r.json()["seq"]: r.id for r in receiver.requests}
    receiver.requests.clear()
    assert ctl.ok("webhooks", "replay", "ops", "--from", str(seqs[1])) == \
        f"ops: is told the events from {seqs[1]} on again\n"
    wait_until(lambda: len(receiver.requests) == len(seqs) - 1, message="the events")
    assert [r.json()["seq"] for r in receiver.requests] == seqs[1:]
    assert all(r.id == first[r.json()["seq"]] for r in receiver.requests)
    hooked.wait_line("webhook ops is told the events")


def test_replay_takes_dead_letters_back(hooked, ctl, chime, receiver):
    receiver.behave = lambda request: answer(400)
    hooked.start()
    wait_until(lambda: hooked.sql("SELECT * FROM dead_letters"), message="a dead letter")
    assert ctl.ok("webhooks", "dead").count("ops") == 1
    receiver.behave = lambda request: answer(200)
    receiver.requests.clear()
    ctl.ok("webhooks", "replay", "ops", "--from", "1")
    wait_until(lambda: receiver.requests, message="the event")
    assert hooked.sql("SELECT * FROM dead_letters") == []


def test_replay_without_a_daemon(hooked, ctl, chime, receiver):
    seqs = told(hooked, chime, receiver)
    hooked.stop()
    receiver.requests.clear()
    assert ctl.ok("webhooks", "replay", "ops", "--from", str(seqs[-1])) == \
        f"ops: is told the events from {seqs[-1]} on again, once rosterd runs\n"
    assert "has yet to be told" in ctl.fails(1, "webhooks", "replay", "ops", "--from", "999999")
    assert "knows no webhook opps" in ctl.fails(1, "webhooks", "replay", "opps", "--from", "1")
    hooked.start()
    wait_until(lambda: receiver.requests, message="the event")
    assert receiver.requests[0].json()["seq"] == seqs[-1]


def test_replays_that_make_no_sense(hooked, ctl, chime, receiver):
    told(hooked, chime, receiver)
    for args, status, said in ((("ops",), 2, "--from"), (("ops", "--from", "0"), 2, "first event"),
                               (("ops", "--from", "x"), 2, "whole number"),
                               (("opps", "--from", "1"), 1, "did you mean ops?"),
                               (("ops", "--from", str(hooked.last_seq() + 2)), 1, "yet to be told")):
        assert said in ctl.fails(status, "webhooks", "replay", *args)
    cursor = hooked.sql("SELECT cursor FROM webhooks")[0]["cursor"]
    assert cursor == hooked.last_seq()


# ---- forget --------------------------------------------------------------------------------------

def test_what_is_forgotten_is_not_told(hooked, ctl, chime, receiver):
    """Also what had been read for a message that was not taken."""
    second = "11111111-2222-4333-8444-555555555555"
    chime.add_account(second, users=3)
    chime.patch_users({"UserRegistrationStatus": "Registered"}, count=1)
    hooked.accounts["globex"] = {"account_id": second, "baseline": "events"}
    hooked.webhooks["ops"].update(format="slack", events="user.*")
    hooked.write_config()
    receiver.behave = lambda request: answer(503, headers={"Retry-After": "600"})
    hooked.start()
    wait_idle(hooked)
    wait_until(lambda: receiver.requests, message="a message")
    assert b"globex" in receiver.requests[0].body
    del hooked.accounts["globex"]
    hooked.write_config()
    hooked.send_signal(signal.SIGHUP)
    wait_until(lambda: len(receiver.requests) > 1, message="the message, again")
    ctl.ok("forget", "globex")
    receiver.requests.clear()
    receiver.behave = lambda request: answer(200)
    chime.patch_users({"UserRegistrationStatus": "Suspended"}, count=1)
    hooked.sync_now()
    wait_until(lambda: receiver.requests, message="what comes later")
    assert [b"globex" in request.body for request in receiver.requests] == [False]


def test_nothing_is_pending_once_it_is_forgotten(hooked, ctl, chime, receiver, tmp_path):
    """The end of the log was never told, and is gone."""
    second = "11111111-2222-4333-8444-555555555555"
    chime.add_account(second, users=3)
    hooked.settings["metrics_file"] = tmp_path / "rosterd.prom"
    hooked.write_config()
    hooked.once()
    hooked.accounts["globex"] = {"account_id": second, "baseline": "events"}
    hooked.write_config()
    receiver.behave = lambda request: answer(503, headers={"Retry-After": "600"})
    hooked.once("globex", status=1)
    assert hooked.sql("SELECT pending FROM webhooks")[0]["pending"] == 4
    del hooked.accounts["globex"]
    hooked.write_config()
    hooked.once(status=1)
    ctl.ok("forget", "globex")
    hooked.once()
    assert 'rosterd_webhook_pending_events{webhook="ops"} 0\n' in \
        hooked.settings["metrics_file"].read_text()
