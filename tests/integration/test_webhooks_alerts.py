# SPDX-License-Identifier: Apache-2.0
"""Alerts that begin, last and end: a real Alertmanager, and PagerDuty's protocol, fed by the daemon."""

import os
import signal
import sqlite3
import time

import pytest
from alertmanager import Alertmanager
from emulator import Emulator
from receiver import Receiver, answer
from rosterd import Rosterd, wait_until

REPEAT = 1  # seconds; an alert that is not told again ends by itself after four of them


@pytest.fixture
def chime():
    with Emulator(users=8) as emulator:
        emulator.patch_users({"UserRegistrationStatus": "Registered"}, count=8)
        yield emulator


@pytest.fixture
def roster(tmp_path, chime):
    os.chmod(tmp_path, 0o750)
    r = Rosterd(tmp_path, chime)
    yield r
    r.stop()


def use(roster, **keys):
    roster.webhooks["alerts"] = keys
    roster.write_config()


def status(chime, user, word):
    chime.patch_user(user, UserRegistrationStatus=word)


def test_alertmanager(roster, chime, tmp_path_factory):
    with Alertmanager(tmp_path_factory.mktemp("am")) as am:
        use(roster, url=f"{am.url}/api/v2/alerts", format="alertmanager", repeat=f"{REPEAT}s")

        def suspended():
            return {labels["user_id"] for labels in am.active()
                    if labels["alertname"] == "UserSuspended"}

        ana, bo, cleo = [user["UserId"] for user in chime.users(limit=3)]
        status(chime, cleo, "Suspended")  # known from the baseline
        with roster:
            roster.wait_line("baseline taken")
            wait_until(lambda: suspended() == {cleo}, message="who is suspended at the baseline")
            for user in (ana, bo):
                status(chime, user, "Suspended")
            roster.sync_now()
            wait_until(lambda: suspended() == {ana, bo, cleo})
            labels = [entry for entry in am.active() if entry["user_id"] == ana][0]
            assert labels == {"alertname": "UserSuspended", "account": "acme", "user_id": ana,
                              "account_id": chime.account_id, "severity": "warning"}
            # past the time when it would end by itself
            end = time.monotonic() + 7 * REPEAT
            while time.monotonic() < end:
                assert suspended() == {ana, bo, cleo}
                time.sleep(0.2)
            # Alertmanager loses everything, and knows it all again
            am.stop()
            time.sleep(1.5)
            am.start()
            wait_until(lambda: suspended() == {ana, bo, cleo}, timeout=60)
            # reinstated, removed
            status(chime, ana, "Registered")
            roster.sync_now()
            wait_until(lambda: suspended() == {bo, cleo})
            chime.delete_user(bo)
            roster.sync_now()
            wait_until(lambda: suspended() == {cleo})
            # an account that fails
            chime.fault("status", exception="ForbiddenException", times=-1)
            roster.send_signal(signal.SIGHUP)
            wait_until(lambda: [entry["alertname"] for entry in am.active()
                                if entry["alertname"] != "UserSuspended"] == ["RosterdSyncFailed"],
                       timeout=60)
            chime.clear_faults()
            roster.sync_now()
            wait_until(lambda: [entry["alertname"] for entry in am.active()] == ["UserSuspended"],
                       timeout=60)
    assert roster.sql("SELECT * FROM dead_letters") == []


def test_only_what_was_asked_for_lasts(roster, chime, tmp_path_factory):
    status(chime, chime.users(limit=1)[0]["UserId"], "Suspended")
    with Alertmanager(tmp_path_factory.mktemp("am")) as am:
        use(roster, url=f"{am.url}/api/v2/alerts", format="alertmanager", repeat="1s",
            events="sync.failed")
        with roster:
            roster.wait_line("baseline taken")
            time.sleep(2.5)
            assert am.active() == []


def test_refused_alerts_that_last_are_no_dead_letters(roster, chime):
    status(chime, chime.users(limit=1)[0]["UserId"], "Suspended")
    with Receiver(lambda request: answer(400, "not like this")) as receiver:
        use(roster, url=receiver.url, format="alertmanager", repeat="1s", events="user.suspended")
        with roster:
            roster.wait_line("refuses alerts that last: answered 400: not like this")
            receiver.wait(3)
            assert roster.sql("SELECT * FROM dead_letters") == []
            assert roster.sql("SELECT pending FROM webhooks")[0]["pending"] == 0


def test_many_who_are_suspended(tmp_path):
    with Emulator(users=450) as chime, Receiver() as receiver:
        os.chmod(tmp_path, 0o750)
        chime.patch_users({"UserRegistrationStatus": "Suspended"}, count=450)
        roster = Rosterd(tmp_path, chime)
        use(roster, url=receiver.url, format="alertmanager", repeat="1s")
        with roster:
            roster.wait_line("baseline taken")
            wait_until(lambda: len(seen(receiver)) == 450, message="everybody")
    assert max(len(request.json()) for request in receiver.taken()) <= 100


def test_one_refused_alert_does_not_silence_the_others(tmp_path):
    with Emulator(users=250) as chime:
        bad = chime.users(limit=1)[0]["UserId"]

        def behave(request):
            told = [alert["labels"].get("user_id") for alert in request.json()]
            return answer(400 if bad in told else 200)
        with Receiver(behave) as receiver:
            os.chmod(tmp_path, 0o750)
            chime.patch_users({"UserRegistrationStatus": "Suspended"}, count=250)
            roster = Rosterd(tmp_path, chime)
            use(roster, url=receiver.url, format="alertmanager", repeat="1s")
            with roster:
                roster.wait_line("baseline taken")
                wait_until(lambda: len(seen(receiver)) == 250, message="everybody")


def test_alerts_that_last_through_a_clock_set_back(roster, chime):
    status(chime, chime.users(limit=1)[0]["UserId"], "Suspended")
    with Receiver() as receiver:
        use(roster, url=receiver.url, format="alertmanager", repeat="1s")
        roster.once()
        with sqlite3.connect(roster.database) as db:
            db.execute("UPDATE user_data SET first_seen_at = '2099-01-01T00:00:00.000Z'")
        db.close()
        before = len(receiver.taken())
        with roster:
            told = receiver.wait(before + 1)[-1].json()
    assert all(alert["startsAt"] < alert["endsAt"] for alert in told) and told


def seen(receiver):
    return {alert["labels"]["user_id"] for request in receiver.taken() for alert in request.json()
            if "user_id" in alert["labels"]}


def test_pagerduty(roster, chime):
    with Receiver(lambda request: answer(202, '{"status":"success"}')) as receiver:
        use(roster, url=receiver.url, format="pagerduty", routing_key="0123456789abcdef0123456789abcdef",
            events="user.suspended")
        ana, bo = [user["UserId"] for user in chime.users(limit=2)]
        with roster:
            roster.wait_line("baseline taken")
            for user, word in ((ana, "Suspended"), (ana, "Unregistered"), (bo, "Suspended")):
                status(chime, user, word)
                roster.sync_now()
            chime.delete_user(bo)
            chime.delete_user(chime.users(limit=1, offset=3)[0]["UserId"])  # was not suspended
            roster.sync_now()
            wait_until(lambda: roster.sql("SELECT pending FROM webhooks")[0]["pending"] == 0)
    sent = [request.json() for request in receiver.taken()]
    assert [(s["event_action"], s["dedup_key"].rpartition("/")[2]) for s in sent] == [
        ("trigger", ana), ("resolve", ana), ("trigger", bo), ("resolve", bo)]
    assert sent[0]["dedup_key"] == sent[1]["dedup_key"]
    assert all(s["routing_key"] == "0123456789abcdef0123456789abcdef" for s in sent)
