# SPDX-License-Identifier: Apache-2.0
"""Delivery to webhooks: what arrives, in which order, and what becomes of what cannot be delivered."""

import base64
import contextlib
import email.utils
import hashlib
import hmac
import json
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import time

import pytest
import rosterctl
from emulator import Emulator
from receiver import Receiver, answer
from rosterd import Rosterd, wait_until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def few():
    """An emulator with five users."""
    with Emulator(users=5) as emulator:
        yield emulator


@pytest.fixture
def receiver():
    with Receiver() as r:
        yield r


def hooked(folder, chime, receiver=None, account=None, **keys):
    """A rosterd whose first listing raises an event for each user, and one webhook, ops."""
    os.chmod(folder, 0o750)
    roster = Rosterd(folder, chime, {"acme": dict({"baseline": "events"}, **(account or {}))})
    given = {"url": receiver.url} if receiver else {}
    roster.webhooks["ops"] = dict(given, **keys)
    roster.write_config()
    return roster


def webhook(roster, name="ops"):
    return roster.sql("SELECT * FROM webhooks WHERE webhook = ?", name)[0]


def dead(roster):
    return roster.sql("SELECT * FROM dead_letters ORDER BY seq")


def seqs(requests):
    return [event["seq"] for request in requests for event in request.events()]


def all_seqs(roster):
    return [event["seq"] for event in roster.events()]


# ---- what arrives ----

def test_a_suspension_arrives(roster, chime, receiver):
    roster.webhooks["ops"] = {"url": receiver.url, "secret": SECRET, "events": "user.suspended",
                              "header": "X-Team: people"}
    roster.write_config()
    victim = chime.users(limit=1)[0]["UserId"]
    chime.patch_user(victim, UserRegistrationStatus="Registered", PrimaryEmail="ana@example.com")
    with roster:
        roster.wait_line("baseline taken")
        chime.patch_user(victim, UserRegistrationStatus="Suspended")
        request, = receiver.wait(1)
    stored = [e for e in roster.events() if e["type"] == "user.suspended"][0]
    event = request.json()
    assert (request.method, request.headers["content-type"]) == ("POST", "application/json")
    assert request.headers["user-agent"].startswith("rosterd/")
    assert request.headers["x-team"] == "people"
    assert event["id"] == stored["id"] == request.id
    assert (event["seq"], event["type"], event["time"]) == \
        (stored["seq"], "user.suspended", stored["time"])
    assert event["account"] == {"name": "acme", "id": chime.account_id}
    assert event["user"]["primary_email"] == "ana@example.com"
    assert event["changes"][0] == {"field": "user_registration_status", "old": "Registered",
                                   "new": "Suspended"}
    assert "personal_pin" not in request.body.decode()
    # Standard Webhooks 1.0, computed anew
    stamp = request.headers["webhook-timestamp"]
    assert abs(time.time() - int(stamp)) < 600
    key = base64.b64decode(SECRET[len("whsec_"):])
    signed = f"{request.id}.{stamp}.".encode() + request.body
    want = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{want}"
    assert webhook(roster)["pending"] == 0
    assert webhook(roster)["last_success_at"] is not None


def test_once_delivers_what_is_due(tmp_path, few, receiver):
    roster = hooked(tmp_path, few, receiver)
    roster.once()
    assert seqs(receiver.taken()) == all_seqs(roster)
    assert len(receiver.taken()) == 6  # five users and the baseline
    roster.once()
    assert len(receiver.taken()) == 6


def test_lists(tmp_path, receiver):
    with Emulator(users=450) as chime:
        roster = hooked(tmp_path, chime, receiver, batch="100")
        roster.once()
    requests = receiver.taken()
    assert [len(r.json()) for r in requests[:-1]] == [100] * (len(requests) - 1)
    assert seqs(requests) == all_seqs(roster) and len(all_seqs(roster)) > 450
    assert len({r.id for r in requests}) == len(requests)
    assert all(r.id.startswith("batch_") for r in requests)


def test_a_list_of_one_has_the_id_of_its_event(tmp_path, few, receiver):
    roster = hooked(tmp_path, few, receiver, batch="100", events="sync.*")
    roster.once()
    request, = receiver.taken()
    event, = request.json()
    assert event["type"] == "sync.baseline" and request.id == event["id"]


def test_globs_and_accounts(tmp_path, receiver):
    other = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"
    with Emulator(users=2) as chime:
        chime.add_account(other, users=3)
        roster = hooked(tmp_path, chime, receiver, events="user.add*", accounts="beta")
        roster.accounts["beta"] = {"baseline": "events", "account_id": other}
        roster.write_config()
        roster.once()
    got = [request.json() for request in receiver.taken()]
    assert [(e["type"], e["account"]["name"]) for e in got] == [("user.added", "beta")] * 3
    # it has read on over what is not for it
    assert webhook(roster)["pending"] == 0


def test_minimal_personal_data(tmp_path, few, receiver):
    roster = hooked(tmp_path, few, receiver)
    roster.settings["personal_data"] = "minimal"
    roster.write_config()
    user = few.users(limit=1)[0]
    few.patch_user(user["UserId"], PrimaryEmail="canary@example.com", DisplayName="Canary Bird",
                   PersonalPIN="424242424242")
    roster.once()
    few.patch_user(user["UserId"], DisplayName="Other Bird", PrimaryEmail="canary2@example.com")
    roster.once()
    said = b"".join(request.body for request in receiver.taken())
    assert b"Bird" not in said and b"canary" not in said and b"4242" not in said
    assert user["UserId"].encode() in said


def test_many_events_in_order(tmp_path, receiver):
    with Emulator(users=3000) as chime:
        roster = hooked(tmp_path, chime, receiver)
        roster.once(timeout=100)
    assert seqs(receiver.taken()) == all_seqs(roster)
    assert len(all_seqs(roster)) > 3000


# ---- answers ----

def failing(times, said):
    """Fails so many times, then takes."""
    left = [times]

    def behave(request):
        left[0] -= 1
        return said(request) if left[0] >= 0 else answer(200)
    return behave


def drip(request):
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    for _ in range(200):
        yield b"x"
        yield 0.1


def silent(request):
    yield 30


def half(request):
    yield b"HTTP/1.1 200 OK\r\nContent-"


RETRIED = {
    "408": lambda r: answer(408), "425": lambda r: answer(425), "429": lambda r: answer(429),
    "500": lambda r: answer(500, "<h1>Oh\x07 no</h1>"), "503": lambda r: answer(503),
    "302": lambda r: answer(302, headers={"Location": "https://other.example/t0ken"}),
    "closed": lambda r: None, "silent": silent, "half": half,
}


@pytest.mark.parametrize("name", RETRIED)
def test_what_is_tried_again(tmp_path, few, name):
    with Receiver(failing(1, RETRIED[name])) as receiver:
        roster = hooked(tmp_path, few, receiver, events="sync.*", timeout="1s")
        with roster:
            line = roster.wait_line("webhook ops (http://127.0.0.1:")
            wait_until(lambda: webhook(roster)["attempts"] == 1, message="an attempt")
            row = webhook(roster)
            assert row["pending"] == 1 and row["last_error"] and row["next_attempt_at"]
            first, second = receiver.wait(2)[:2]
            roster.wait_line("takes events again after 1 failed attempt")
            wait_until(lambda: webhook(roster)["attempts"] == 0, message="success")
    assert first.id == second.id and first.body == second.body
    assert first.headers["webhook-timestamp"] <= second.headers["webhook-timestamp"]
    assert "s3cret-path" not in "\n".join(roster.lines) and "t0ken" not in line
    if name == "302":
        assert "redirect to https://other.example, which is not followed" in line
    if name == "500":
        assert "<h1>Oh? no</h1>" in line
    assert webhook(roster)["last_error"] is None and dead(roster) == []


@pytest.mark.parametrize("said", [drip, lambda r: answer(200, "y" * 1000000),
                                  lambda r: answer(204), lambda r: answer(202, "no JSON")])
def test_a_status_of_success_is_enough(tmp_path, few, said):
    with Receiver(said) as receiver:
        roster = hooked(tmp_path, few, receiver, events="sync.*", timeout="1s")
        lines = roster.once()
        assert len(receiver.taken()) == 1
    assert webhook(roster)["pending"] == 0
    assert not any("webhook" in line for line in lines)


@pytest.mark.parametrize("said", ["no such thing: /hook/s3cret-path", "Cannot POST s3cret-path",
                                  "bad token c4nary-token", "cut\0s3cret-path", "query qu3ry-key",
                                  '{"path":"\\/hook\\/s3cret-path"}', "no hook s3cret-pat...",
                                  "...4nary-token is no token", "what is u3ry-k?"])
def test_a_secret_that_the_receiver_repeats_is_not_told(tmp_path, few, said):
    with Receiver(lambda request: answer(500, said)) as receiver:
        roster = hooked(tmp_path, few, url=f"{receiver.url}?k=qu3ry-key", events="sync.*",
                        header="Authorization: Bearer c4nary-token")
        lines = "\n".join(roster.once(status=1))
    assert "answered 500" in lines
    for secret in ("s3cret", "c4nary", "qu3ry", "4nary-token", "u3ry-k"):
        assert secret not in lines and secret not in webhook(roster)["last_error"]


def test_a_closed_port(tmp_path, few):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    roster = hooked(tmp_path, few, url=f"http://127.0.0.1:{port}/x", events="sync.*")
    lines = roster.once(status=1)
    assert any("webhook ops (http://127.0.0.1:" in line and "does not take events" in line
               for line in lines), lines
    assert webhook(roster)["pending"] == 1


def test_not_before_it_is_due(tmp_path, few):
    with Receiver(lambda r: answer(503, headers={"Retry-After": "600"})) as receiver:
        roster = hooked(tmp_path, few, receiver, events="sync.*")
        assert any("does not take events" in line for line in roster.once(status=1))
        assert not any("does not take events" in line for line in roster.once(status=1))
        assert webhook(roster)["attempts"] == len(receiver.taken()) == 1


def test_an_unknown_host(tmp_path, few):
    roster = hooked(tmp_path, few, url="https://no-such-host.invalid/x", events="sync.*")
    lines = roster.once(status=1)
    assert any("https://no-such-host.invalid" in line and "resolve" in line for line in lines), lines


def test_a_bad_certificate(tmp_path, few, tmp_path_factory):
    d = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", d / "key",
                    "-out", d / "cert", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                    "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(d / "cert", d / "key")
    with Receiver(tls=context) as receiver:
        roster = hooked(tmp_path, few, receiver, events="sync.*")
        lines = roster.once(status=1)
        assert any("certificate" in line for line in lines), lines
        assert receiver.taken() == []
        # with its authority it is taken
        roster.webhooks["ops"]["ca_file"] = d / "cert"
        roster.write_config()
        with roster:
            receiver.wait(1)


def test_retry_after(tmp_path, few):
    said = []

    def behave(request):
        kind = len(said)
        said.append(time.monotonic())
        if kind == 0:
            return answer(429, headers={"Retry-After": "3"})
        if kind == 1:
            return answer(503, headers={"Retry-After":
                                        email.utils.formatdate(time.time() + 4, usegmt=True)})
        return answer(200)
    with Receiver(behave) as receiver:
        roster = hooked(tmp_path, few, receiver, events="sync.*")
        with roster:
            receiver.wait(3, timeout=60)
    assert said[1] - said[0] >= 2.9
    assert said[2] - said[1] >= 2.9  # a date has whole seconds


@pytest.mark.parametrize("value, most", [("99999999999999999999", 4000), ("-5", 5), ("soon", 5),
                                         ("Sun, 06 Nov 1994 08:49:37 GMT", 5)])
def test_absurd_retry_after(tmp_path, few, value, most):
    with Receiver(lambda r: answer(429, headers={"Retry-After": value})) as receiver:
        roster = hooked(tmp_path, few, receiver, events="sync.*")
        roster.once(status=1)
    due = roster.sql("SELECT (julianday(next_attempt_at) - julianday('now')) * 86400 AS s"
                     " FROM webhooks")[0]["s"]
    assert due <= most
    if most > 100:
        assert due > 3500


def refuse_some(wanted):
    def behave(request):
        bad = any(wanted(event) for event in request.events())
        return answer(400, "I do not like it") if bad else answer(200)
    return behave


@pytest.mark.parametrize("batch", ["1", "4"])
def test_one_event_is_refused(tmp_path, few, batch):
    with Receiver(refuse_some(lambda event: event["seq"] == 3)) as receiver:
        roster = hooked(tmp_path, few, receiver, batch=batch)
        lines = roster.once()
        taken = [r for r in receiver.taken() if r.answered.startswith(b"HTTP/1.1 200")]
    assert sorted(seqs(taken)) == [1, 2, 4, 5, 6] == seqs(taken)
    letter, = dead(roster)
    assert (letter["webhook"], letter["seq"]) == ("ops", 3)
    assert letter["error"] == "answered 400: I do not like it"
    assert any("1 event was given up, the last with seq 3, and kept as dead letter" in line
               for line in lines), lines
    assert webhook(roster)["pending"] == 0


def test_all_that_was_given_up_is_told(tmp_path, few):
    """At the end, what came within a minute; and of what is not for the webhook nothing."""
    with Receiver(refuse_some(lambda event: event["seq"] in (2, 4, 5))) as receiver:
        roster = hooked(tmp_path, few, receiver, events="user.*")
        lines = roster.once()
    assert [letter["seq"] for letter in dead(roster)] == [2, 4, 5]
    assert webhook(roster)["cursor"] == 6
    told = [line.split("): ")[1].split(", and")[0] for line in lines if "given up" in line]
    assert told == ["1 event was given up, the last with seq 2",
                    "2 events were given up, the last with seq 5"]


def test_gone_stops_until_reload(tmp_path, few):
    gone = [True]
    with Receiver(lambda r: answer(410 if gone[0] else 200)) as receiver:
        roster = hooked(tmp_path, few, receiver)
        with roster:
            roster.wait_line("is stopped until the configuration is reloaded")
            roster.sync_now()  # that was a reload: it tries once, and stops again
            receiver.wait(2)
            time.sleep(1.5)
            assert len(receiver.taken()) == 2
            assert webhook(roster)["last_error"].startswith("stopped until a reload: answered 410")
            gone[0] = False
            roster.sync_now()
            receiver.wait(2 + 6)
            wait_until(lambda: webhook(roster)["pending"] == 0)
    assert sorted(set(seqs(receiver.taken()))) == all_seqs(roster)
    assert dead(roster) == []


def test_given_up_after(tmp_path, few):
    with Receiver(lambda r: answer(500)) as receiver:
        roster = hooked(tmp_path, few, receiver, give_up_after="3s")
        with roster:
            roster.wait_line("events were given up", timeout=60)
            wait_until(lambda: len(dead(roster)) == 6, timeout=60)
            assert webhook(roster)["pending"] == 0
            # what comes later is kept and tried
            few.patch_user(few.users(limit=1)[0]["UserId"], DisplayName="New")
            roster.sync_now()
            wait_until(lambda: webhook(roster)["pending"] == 1)
            receiver.behave = lambda request: answer(200)
            before = len(receiver.taken())
            roster.send_signal(signal.SIGHUP)
            last = receiver.wait(before + 1)[-1]
    assert last.json()["type"] == "user.updated"
    assert len(dead(roster)) == 6
    assert all(letter["error"] == "answered 500" for letter in dead(roster))


def test_a_machine_that_was_off_gives_nothing_up(tmp_path, few):
    """Attempts that failed, four days off, and no network yet when it is back."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    roster = hooked(tmp_path, few, url=f"http://127.0.0.1:{port}/x")
    roster.once(status=1)
    with sqlite3.connect(roster.database) as db:
        db.execute("UPDATE sink_data SET attempts = 50, failing_since = '2020-01-01T00:00:00.000Z',"
                   " next_attempt_at = '2020-01-01T00:00:01.000Z' WHERE sink = 'webhook:ops'")
        db.execute("UPDATE event_data SET time = '2020-01-01T00:00:00.000Z'")
    db.close()
    roster.once(status=1)
    assert webhook(roster)["attempts"] == 51
    assert dead(roster) == [] and webhook(roster)["pending"] == 6


# ---- cursors ----

@pytest.mark.parametrize("gaps, keys", [((999, 1499, 2999), {"batch": "10"}),
                                        ((99, 99, 179), {"format": "alertmanager"})])
def test_events_far_apart_fail_together(tmp_path, gaps, keys):
    """What one request tells lies far apart in the log, and is read anew for each attempt, in other
    portions than at first: some have nothing in them for this webhook, or nothing that is an alert."""
    with Emulator(users=2) as chime, Receiver(failing(3, lambda r: answer(503))) as receiver:
        roster = hooked(tmp_path, chime, receiver, events="user.suspended", **keys)
        kept = roster.webhooks
        roster.webhooks = {}
        roster.write_config()
        roster.once()
        first = roster.last_seq()
        with sqlite3.connect(roster.database) as db:
            for gap in gaps:
                for kind, count in (("user.registered", gap), ("user.suspended", 1)):
                    db.executemany(
                        "INSERT INTO event_data (id, time, type, account_key, user_id, changes)"
                        " SELECT 'evt_' || hex(randomblob(16)), strftime('%Y-%m-%dT%H:%M:%fZ'), ?,"
                        " account_key, user_id, '[]' FROM user_data LIMIT 1", [(kind,)] * count)
        db.close()
        roster.webhooks = kept
        roster.webhooks["ops"]["replay_from"] = str(first + 1)
        roster.write_config()
        with roster:
            wait_until(lambda: webhook(roster)["pending"] == 0, timeout=60)
    told = receiver.taken()
    assert len(told) == 4 and len({request.id for request in told}) == 1
    assert [len(request.json()) for request in told] == [3] * 4
    if "batch" in keys:
        assert seqs(told) == [first + sum(gaps[:n]) + n for n in (1, 2, 3)] * 4
    assert dead(roster) == []

def test_killed_and_started_again(tmp_path, few):
    with Receiver(lambda r: answer(503)) as receiver:
        roster = hooked(tmp_path, few, receiver)
        roster.start()
        receiver.wait(1)
        wait_until(lambda: webhook(roster)["attempts"] > 0)
        roster.stop(signal.SIGKILL)
        receiver.behave = lambda request: answer(200)
        first = len(receiver.taken())
        with roster:
            requests = receiver.wait(first + 6)
    assert seqs(requests[first:]) == all_seqs(roster)
    assert {r.id for r in requests[:first]} == {requests[first].id}


def test_a_new_webhook_begins_at_present(tmp_path, few, receiver):
    roster = hooked(tmp_path, few, receiver)
    del roster.webhooks["ops"]
    roster.write_config()
    roster.once()
    roster.webhooks["late"] = {"url": receiver.url}
    roster.webhooks["all"] = {"url": receiver.url + "/all", "replay_from": "1"}
    roster.webhooks["some"] = {"url": receiver.url + "/some", "replay_from": "4"}
    roster.write_config()
    roster.once()
    few.patch_user(few.users(limit=1)[0]["UserId"], DisplayName="New")
    roster.once()
    by_path = {}
    for request in receiver.taken():
        by_path.setdefault(request.path.rpartition("/")[2], []).extend(seqs([request]))
    assert by_path == {"s3cret-path": [7], "all": [1, 2, 3, 4, 5, 6, 7], "some": [4, 5, 6, 7]}


def test_added_by_a_reload(tmp_path, few, receiver):
    roster = hooked(tmp_path, few, receiver)
    given = roster.webhooks.pop("ops")
    roster.write_config()
    with roster:
        roster.wait_line("baseline taken")
        roster.webhooks["ops"] = given
        roster.sync_now()
        few.patch_user(few.users(limit=1)[0]["UserId"], DisplayName="New")
        roster.sync_now()
        request = receiver.wait(1)[0]
    assert request.json()["type"] == "user.updated"


def test_a_removed_webhook_keeps_its_cursor(tmp_path, few, receiver):
    roster = hooked(tmp_path, few, receiver)
    roster.once()
    given = roster.webhooks.pop("ops")
    roster.write_config()
    few.patch_user(few.users(limit=1)[0]["UserId"], DisplayName="Meanwhile")
    roster.once()
    assert roster.sql("SELECT * FROM webhooks") == []
    roster.webhooks["ops"] = given
    roster.write_config()
    roster.once()
    assert seqs(receiver.taken()) == [1, 2, 3, 4, 5, 6, 7]
    # but not for longer than 30 days
    del roster.webhooks["ops"]
    roster.write_config()
    roster.once()
    with sqlite3.connect(roster.database) as db:
        db.execute("UPDATE sink_data SET retired_at = '2020-01-01T00:00:00.000Z'"
                   " WHERE retired_at IS NOT NULL")
    db.close()
    few.patch_user(few.users(limit=1)[0]["UserId"], DisplayName="Much later")
    roster.once()
    roster.webhooks["ops"] = given
    roster.write_config()
    roster.once()
    assert len(receiver.taken()) == 7


def test_what_waits_for_a_removed_webhook_is_told(tmp_path, few, receiver):
    """A renamed section is another webhook; what the old one has yet to take is not lost in silence."""
    told = "webhook ops is configured no more: up to 6 events from seq 1 on will not be delivered"
    with Receiver(lambda r: answer(503)) as failing:
        roster = hooked(tmp_path, few, failing)
        with roster:
            failing.wait(1)
            roster.wait_line("baseline taken")
            roster.webhooks = {"new": {"url": receiver.url}}
            roster.write_config()
            roster.send_signal(signal.SIGHUP)
            roster.wait_line(told)
            wait_until(lambda: roster.sql("SELECT webhook FROM webhooks") == [{"webhook": "new"}])
            assert receiver.taken() == []
            assert rosterctl.run("--config", roster.config, "webhooks", "replay", "new", "--from",
                                 "1").returncode == 0
            receiver.wait(6)
            roster.webhooks = {}
            roster.write_config()
            wait_until(lambda: webhook(roster, "new")["pending"] == 0)
            roster.send_signal(signal.SIGHUP)
            roster.wait_line("configuration reloaded", count=2)
        assert seqs(receiver.taken()) == all_seqs(roster) == [1, 2, 3, 4, 5, 6]
        assert sum("is configured no more" in line for line in roster.lines) == 1


def test_what_waits_for_a_webhook_that_is_gone_at_the_start_is_told(tmp_path, few):
    with Receiver(lambda r: answer(503)) as failing:
        roster = hooked(tmp_path, few, failing)
        roster.once(status=1)
    del roster.webhooks["ops"]
    roster.write_config()
    assert sum("webhook ops is configured no more: up to 6 events from" in line
               for line in roster.once()) == 1
    assert not any("is configured no more" in line for line in roster.once())


def test_a_changed_section_goes_on_from_its_cursor(tmp_path, few):
    with Receiver(lambda r: answer(503)) as old, Receiver() as new:
        roster = hooked(tmp_path, few, old)
        with roster:
            old.wait(1)
            roster.webhooks["ops"]["url"] = new.url
            roster.write_config()
            roster.send_signal(signal.SIGHUP)
            requests = new.wait(6)
    assert seqs(requests) == [1, 2, 3, 4, 5, 6]
    assert requests[0].id == old.taken()[0].id


def test_a_reload_tries_at_once(tmp_path, few):
    with Receiver(lambda r: answer(503, headers={"Retry-After": "3000"})) as receiver:
        roster = hooked(tmp_path, few, receiver)
        with roster:
            receiver.wait(1)
            receiver.behave = lambda request: answer(200)
            roster.send_signal(signal.SIGHUP)
            receiver.wait(7)


def test_a_reload_that_fails_half_way_loses_nothing(tmp_path, few, receiver):
    """An account has got another name; that webhooks are told of it cannot be written."""
    roster = hooked(tmp_path, few, receiver, events="user.*", accounts="acme")
    with roster:
        receiver.wait(5)
        with sqlite3.connect(roster.database) as db:
            db.execute("CREATE UNIQUE INDEX one_only ON sink_data (substr(sink, 1, 7))")
        db.close()
        roster.accounts["beta"] = roster.accounts.pop("acme")
        roster.webhooks["ops"]["accounts"] = "beta"
        roster.webhooks["late"] = {"url": receiver.url + "/late"}
        few.patch_user(few.users(limit=1)[0]["UserId"], DisplayName="New")
        roster.sync_now()
        roster.wait_line("webhooks go on with the old configuration")
        event = receiver.wait(6)[-1].json()
        assert (event["type"], event["account"]["name"]) == ("user.updated", "beta")
        with sqlite3.connect(roster.database) as db:
            db.execute("DROP INDEX one_only")
        db.close()
        few.patch_user(few.users(limit=1)[0]["UserId"], DisplayName="Newer")
        roster.sync_now()
        receiver.wait(8)
    assert {request.path.rpartition("/")[2] for request in receiver.taken()[6:]} == \
        {"late", "s3cret-path"}


# ---- one delays no other ----

def test_a_slow_one_delays_nobody(tmp_path, receiver):
    with Emulator(users=450) as chime, Receiver(silent) as slow:
        roster = hooked(tmp_path, chime, slow, timeout="10s")
        roster.webhooks["quick"] = {"url": receiver.url, "batch": "1000"}
        roster.write_config()
        with roster:
            roster.wait_line("baseline taken")
            wait_until(lambda: webhook(roster, "quick")["pending"] == 0)
            wait_until(lambda: roster.complete_runs() >= 1)
            assert webhook(roster, "ops")["pending"] == len(all_seqs(roster)) > 450
            assert seqs(receiver.taken()) == all_seqs(roster)
            begin = time.monotonic()
            assert roster.stop() == 0
            assert time.monotonic() - begin < 15


def endless(request):
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"1\r\nx\r\n"
        yield 0.1


def test_an_answer_without_end_holds_nothing_up(tmp_path, few):
    """The status says that the event was taken; what is said beside it is of no interest."""
    with Receiver(endless) as chatty:
        roster = hooked(tmp_path, few, chatty, timeout="10min")
        with roster:
            chatty.wait(6)
            wait_until(lambda: webhook(roster)["pending"] == 0)
            assert seqs(chatty.taken()) == all_seqs(roster)


# ---- summed up for people ----

def test_a_mass_change_is_one_message(tmp_path, receiver):
    with Emulator(users=450) as chime:
        chime.patch_users({"UserRegistrationStatus": "Registered"}, count=450)
        roster = hooked(tmp_path, chime, receiver, {"baseline": "quiet"}, format="slack",
                        events="user.*")
        with roster:
            roster.wait_line("baseline taken")
            chime.patch_users({"UserRegistrationStatus": "Suspended"}, count=430)
            roster.sync_now()
            request, = receiver.wait(1)
            wait_until(lambda: webhook(roster)["pending"] == 0)
            assert len(receiver.taken()) == 1
    said = json.dumps(request.json(), ensure_ascii=False)
    assert "430" in said and "410 more" in said
    assert request.id.startswith("batch_")


def test_a_digest_is_not_held_for_ever(tmp_path, receiver):
    """A run that takes its time: the first of what it brought is told meanwhile."""
    with Emulator(users=450) as chime:
        chime.patch_users({"UserRegistrationStatus": "Registered"}, count=450)
        roster = hooked(tmp_path, chime, receiver, {"baseline": "quiet"}, format="slack",
                        events="user.*")
        with roster:
            roster.wait_line("baseline taken")
            chime.patch_users({"UserRegistrationStatus": "Suspended"}, count=450)
            chime.fault("stall", page=3, times=1)
            roster.accounts["acme"]["request_timeout"] = "40s"
            roster.write_config()
            roster.send_signal(signal.SIGHUP)
            first, = receiver.wait(1, timeout=60)
            assert "400" in json.dumps(first.json())
            assert [r["outcome"] for r in roster.run_rows()][-1] == "running"


# ---- trouble of our own ----

def test_the_disk_is_full_while_a_cursor_moves(tmp_path, few, receiver):
    place = tmp_path / "state"
    place.mkdir()
    roster = hooked(tmp_path, few, receiver)
    roster.settings["database"] = str(place / "roster.db")
    roster.write_config()
    # the small file system lives in a mount namespace of its own
    script = f"mount -t tmpfs -o size=2m tmpfs {place} && exec \"$@\""
    roster.start(wait=False, prefix=["unshare", "--mount", "sh", "-c", script, "sh"])
    roster.wait_line("baseline taken")
    inside = f"/proc/{roster.process.pid}/root{place}"

    def seen(column):
        done = subprocess.run(["nsenter", "--mount", "-t", str(roster.process.pid), "sqlite3",
                               "-readonly", f"{place}/roster.db", f"SELECT {column} FROM webhooks"],
                              capture_output=True, text=True, check=True, timeout=30)
        return int(done.stdout)

    receiver.wait(6)
    wait_until(lambda: seen("pending") == 0)

    # an event that is committed but not yet taken: its cursor moves when the disk is full
    receiver.behave = failing(1, lambda r: answer(503, headers={"Retry-After": "3"}))
    few.patch_user(few.users(limit=1)[0]["UserId"], DisplayName="New")
    receiver.wait(7, timeout=60)
    wait_until(lambda: seen("attempts") == 1)
    with open(f"{inside}/filler", "wb", buffering=0) as filler:
        for size in (65536, 512):
            with contextlib.suppress(OSError):
                while True:
                    filler.write(b"x" * size)
    receiver.wait(8)
    roster.wait_line("cannot be written down for now")
    assert seen("attempts") == 1  # what the database says is of before
    os.unlink(f"{inside}/filler")
    roster.wait_line("can be written down again", timeout=60)
    wait_until(lambda: seen("pending") == 0)
    assert seen("attempts") == 0
    assert sorted(set(seqs(receiver.taken()))) == list(range(1, 8))
    roster.stop()
