# SPDX-License-Identifier: Apache-2.0
"""Bad networks between rosterd and the service, all kinds of them at once, each with an account of its
own: a listing comes through exactly or fails with a reason, nobody is removed by a failure, and rosterd
answers all the while."""

import contextlib
import os
import re
import socket
import threading
import time

from control import ask
from emulator import Emulator
from proxy import Proxy
from rosterd import Rosterd, kinds, wait_until

USERS = 60
PAGE = {"max_results": "20"}  # three pages of some 10 KB
MODEM = 7000  # bytes a second: 56 kbit/s
HERE = "127.0.0.1:PORT"
GIVEN_UP = r" \(given up after 6 attempts\)$"

LONG_PAGE = "always silent on page 2"  # which is longer than the others

# What every piece meets, or only some connections: the listing is complete.
OVERCOME = {
    "calm": ({}, {}),
    "latency": ({"latency": 0.15}, {}),
    "jitter": ({"latency": 0.02, "jitter": 0.3}, {}),
    "modem": ({"rate": MODEM}, {}),
    "tiny pieces": ({"piece": 5}, {}),
    "loss": ({"piece": 1400, "loss": 0.2}, {}),
    "everything at once": ({"piece": 1400, "loss": 0.1, "latency": 0.02, "jitter": 0.05,
                            "rate": 4 * MODEM, "links": 1, "reset_after": 15000}, {}),
    "reset before an answer": ({"links": 2, "reset_after": 0}, {}),
    "reset within an answer": ({"links": 2, "reset_after": 5000}, {}),
    "reset on the second page": ({"links": 1, "reset_after": 15000}, {}),
    "end within an answer": ({"links": 2, "end_after": 5000}, {}),
    "end within the headers": ({"links": 2, "end_after": 30}, {}),
    "half-open": ({"links": 1, "silent_after": 0}, {"request_timeout": "1s"}),
    "silent within an answer": ({"links": 1, "silent_after": 5000}, {"request_timeout": "2s"}),
    "silent after every page": ({"silent_after": 15000}, {"request_timeout": "2s"}),
    "a kept connection ends": ({"end_kept": "end"}, {}),
    "a kept connection is reset": ({"end_kept": "reset"}, {}),
}

# What every connection meets: the run fails, and says so.
LASTING = {
    "resets before an answer": ({"reset_after": 0}, {}, "page 1: .*reset by peer" + GIVEN_UP),
    "resets within an answer": ({"reset_after": 5000}, {},
                                "page 1: the answer broke off: .*reset by peer" + GIVEN_UP),
    "ends within an answer": ({"end_after": 5000}, {}, "page 1: the answer was cut: .*" + GIVEN_UP),
    "ends within the headers": ({"end_after": 30}, {},
                                "page 1: the answer was cut in its headers" + GIVEN_UP),
    "always half-open": ({"silent_after": 0}, {"request_timeout": "3s"},
                         f"page 1: no answer in time from {HERE}: .*" + GIVEN_UP),
    LONG_PAGE: ({"silent_after": 15000}, {"request_timeout": "2s"},
                                f"page 2: no answer in time from {HERE}: .*" + GIVEN_UP),
    "too slow": ({"rate": 1000}, {"request_timeout": "2s"},
                 f"page 1: no answer in time from {HERE}: .*" + GIVEN_UP),
    "refused": ("refuse", {}, f"page 1: no connection to {HERE}: Connection refused" + GIVEN_UP),
    "no handshake": ("no handshake", {"connect_timeout": "1s"},
                     f"page 1: no answer in time from {HERE}: .*" + GIVEN_UP),
}
CASES = list(OVERCOME) + list(LASTING) + ["refused at first"]


class Watchdog:
    """In place of systemd: how often rosterd has said that it is alive."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.alive = 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        with contextlib.suppress(OSError):
            while True:
                self.alive += b"WATCHDOG=1" in self.socket.recv(65536)

    def environment(self):
        return {"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": "300000"}


class Account:
    """One case: an account, its way to the service, and what has changed there."""

    def __init__(self, number, name, chime):
        self.section = f"case{number}"
        self.name = name
        self.chime = chime
        self.id = f"{number:08d}-2222-4333-8444-555555555555"
        chime.add_account(self.id, users=USERS, seed=number)
        if name == LONG_PAGE:
            chime.patch_users({"DisplayName": "x" * 12000}, count=1, start=30, account=self.id)
        users = chime.users(account=self.id)
        self.gone, self.suspended = users[0]["UserId"], users[USERS - 1]["UserId"]
        chime.patch_user(self.suspended, account=self.id, UserRegistrationStatus="Registered")
        self.added = None
        self.proxy = Proxy(chime.port, seed=number)

    def keys(self):
        given = (OVERCOME.get(self.name) or LASTING.get(self.name) or ({}, {}))[1]
        return dict(PAGE, account_id=self.id, endpoint=self.proxy.url, max_removals="100%", **given)

    def change(self):
        """One leaves, one comes, one is suspended; returns the events that tell of it."""
        self.chime.delete_user(self.gone, account=self.id)
        self.chime.patch_user(self.suspended, account=self.id, UserRegistrationStatus="Suspended")
        self.added = self.chime.add_user({"PrimaryEmail": "new@example.com",
                                          "UserRegistrationStatus": "Registered"}, account=self.id)

    def changes(self):
        return {("user.removed", self.gone), ("user.suspended", self.suspended),
                ("user.added", self.added)}

    def at_the_service(self):
        return {user["UserId"]: (user.get("PrimaryEmail"), user.get("DisplayName"),
                                 user.get("UserRegistrationStatus"))
                for user in self.chime.users(account=self.id)}

    def in_the_roster(self, roster):
        return {row["user_id"]: (row["primary_email"], row["display_name"],
                                 row["user_registration_status"])
                for row in roster.sql("SELECT * FROM users WHERE account = ?", self.section)}

    def run(self, roster, after=0):
        """Its first run behind that of the given number that has ended."""
        rows = roster.sql("SELECT * FROM runs WHERE account = ? AND run_id > ? AND outcome <>"
                          " 'running' ORDER BY run_id LIMIT 1", self.section, after)
        return rows[0] if rows else None

    def events(self, roster, after):
        return kinds(roster.sql("SELECT * FROM events WHERE account = ? AND seq > ? ORDER BY seq",
                                self.section, after))


def begin_faults(accounts):
    for name, account in accounts.items():
        fault = (OVERCOME.get(name) or LASTING.get(name) or ("refuse",))[0]
        if fault == "no handshake":
            account.proxy.deafen()
        elif fault == "refuse":
            account.proxy.refuse()
            account.proxy.cut()
        else:
            account.proxy.cut()
            account.proxy.set(**fault)


def is_exact(account, roster, seq):
    """What is wrong with an account whose listing was complete: nothing, it is to be hoped."""
    wrong = []
    if account.in_the_roster(roster) != account.at_the_service():
        wrong.append("the roster is not that of the service")
    told = [event for event in account.events(roster, seq) if event[0].startswith("user.")]
    if len(told) != 3 or set(told) != account.changes():
        wrong.append(f"events {told}")
    return wrong


def judge(account, roster, run, before, seq):
    """What is wrong after the first run with faults."""
    if account.name not in LASTING:
        if run["outcome"] != "complete":
            return [f"{run['outcome']}: {run['error']}"]
        return is_exact(account, roster, seq)
    wrong = []
    error = LASTING[account.name][2].replace("PORT", str(account.proxy.port))
    if run["outcome"] != "failed" or not re.search(error, run["error"]):
        wrong.append(f"{run['outcome']}: {run['error']}")
    if run["removed"] or not set(before) <= set(account.in_the_roster(roster)):
        wrong.append("somebody was removed")
    untrue = set(account.events(roster, seq)) - account.changes() - {("sync.failed", None)}
    if untrue:
        wrong.append(f"events {untrue}")
    return wrong


def answers_while_waiting(roster, account, watchdog):
    """rosterd says what it does, and that it is alive, while a request of its hangs."""
    proxy = account.proxy
    wait_until(proxy.open_links, message="a hanging request")
    answers = lives = 0
    for _ in range(200):
        alive = watchdog.alive
        status = ask(roster, "status")[-1]["result"]["accounts"]
        with contextlib.suppress(TimeoutError):
            wait_until(lambda alive=alive: watchdog.alive > alive or not proxy.open_links(), 25)
        if not proxy.open_links():
            continue  # the request may have ended before rosterd spoke
        state = [a["state"] for a in status if a["account"] == account.section]
        answers += state == ["running"]
        lives += watchdog.alive > alive
        if answers > 3 and lives > 3:
            return
    raise AssertionError(f"{answers} answers and {lives} signs of life")


def first_runs(roster, accounts, after):
    def ended():
        runs = {name: account.run(roster, after) for name, account in accounts.items()}
        return runs if all(runs.values()) else None
    return wait_until(ended, 180, lambda: str({name: account.run(roster, after)
                                               for name, account in accounts.items()}))


def test_every_fault(tmp_path):
    os.chmod(tmp_path, 0o750)
    watchdog = Watchdog(tmp_path)
    with contextlib.ExitStack() as stack:
        chime = stack.enter_context(Emulator(users=0))
        accounts = {name: Account(n, name, chime) for n, name in enumerate(CASES)}
        for account in accounts.values():
            stack.enter_context(account.proxy)
        roster = Rosterd(tmp_path, chime, {a.section: a.keys() for a in accounts.values()},
                         interval="1h", concurrency="64")
        roster.once()
        before = {name: a.in_the_roster(roster) for name, a in accounts.items()}
        seq, after = roster.last_seq(), roster.run_rows()[-1]["run_id"]
        for account in accounts.values():
            account.change()
        roster.env = watchdog.environment()
        stack.enter_context(roster)
        begin_faults(accounts)
        assert "result" in ask(roster, "sync")[-1]
        time.sleep(0.3)  # for an attempt or two; there are six, in eight seconds or so
        accounts["refused at first"].proxy.accept()
        answers_while_waiting(roster, accounts["always half-open"], watchdog)
        runs = first_runs(roster, accounts, after)
        wrong = {name: judge(account, roster, runs[name], before[name], seq)
                 for name, account in accounts.items()}
        assert {name: said for name, said in wrong.items() if said} == {}

        # the storm is over
        for account in accounts.values():
            account.proxy.set()
            account.proxy.accept()
            account.proxy.cut()
        answers = ask(roster, "sync", wait=True)
        assert "result" in answers[-1], answers[-1]
        wrong = {name: is_exact(account, roster, seq) for name, account in accounts.items()}
        assert {name: said for name, said in wrong.items() if said} == {}
        for name in LASTING:
            told = [kind for kind, _ in accounts[name].events(roster, seq) if kind[:5] == "sync."]
            assert told == ["sync.failed", "sync.recovered"], name
