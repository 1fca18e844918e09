#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two days in twelve minutes: rosterd with fast clocks (tests/tools/clock-fast.c), several accounts that
change all the time, a service, a network and webhook receivers that fail now and then, reloads, and
people who ask.  The first day fills the database up to its retention; on the second nothing may grow.
`make soak` runs it; figures go to soak.json.  test_soak.py runs a short one."""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests", part) for part in ("integration", "emulator")]
BUILD = os.environ.get("abs_top_builddir", os.getcwd())

import rosterctl  # noqa: E402
from emulator import Emulator  # noqa: E402
from proxy import Proxy  # noqa: E402
from receiver import Receiver, answer  # noqa: E402
from rosterd import Rosterd, wait_until  # noqa: E402

HOUR, DAY = 3600, 86400
KIB, MIB = 1024, 1 << 20
USERS = 150
ACCOUNTS = {"acme": "0f2c1d5e-8a41-4c6e-9b57-1f0e2d3c4b5a",
            "globex": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
            "initech": "2b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"}
# Listed once.  So many that SQLite's page cache (16 MiB) is full from then on: it is not what grows.
BULK, BULK_USERS = "3b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", 40000
STATUSES = ["Registered", "Suspended", "Unregistered", "Registered"]

# Each for one or a few requests.
SERVICE_FAULTS = [
    ("status", {"exception": "ThrottledClientException", "retry_after": 20}),
    ("status", {"exception": "ServiceFailureException"}), ("html502", {}), ("reset", {}),
    ("reset_mid_body", {}), ("cut_body", {}), ("cut_json", {}), ("garbage", {}), ("stall", {}),
    ("empty_body", {}), ("null_users", {}), ("token_loop", {}), ("expired_token_page", {}),
    ("user_without_id", {}), ("invalid_utf8", {}), ("deep_nesting", {"where": "top"}),
    ("enormous_body", {"bytes": 33 << 20}), ("status", {"exception": "ForbiddenException"}),
]
NETWORK_FAULTS = [{"latency": 0.02, "jitter": 0.05}, {"reset_after": 9000}, {"end_after": 500},
                  {"silent_after": 9000, "links": 2}, {"end_kept": "reset"}, {"end_kept": "end"},
                  {"piece": 1400, "loss": 0.05}]
ASKED = [("status",), ("users", "--registration", "Suspended"), ("runs",), ("export",), ("query",
         "SELECT type, count(*) FROM events GROUP BY type"), ("webhooks", "list"), ("verify",)]

# What may not grow: how much more it may be in the last third than in the first, in the median.
# "allocated" is exact, but each request under way takes 128 KiB for what it receives, and a page or two:
# so its floor counts, the least of each third, when little was under way; over the thousands of runs of a
# whole soak the allowance is some 20 bytes a run.  What the kernel counts comes in steps of 132 KiB and is
# reused with gaps: two such steps are noise.  Descriptors and threads come and go with connections and look-ups, of which
# a handful are open at a time.  The database holds a day's events: chance makes some days larger.
ALLOWED = {
    "allocated": lambda first: 64 * KIB,
    "rss_anon": lambda first: 264 * KIB,
    "heap": lambda first: 264 * KIB,
    "rss": lambda first: 400 * KIB,
    "descriptors": lambda first: 3,
    "sockets": lambda first: 3,
    "watched": lambda first: 3,
    "threads": lambda first: 1,
    "database": lambda first: 256 * KIB + first // 10,
    "wal": lambda first: MIB + first // 2,
}


def sample(roster):
    """What rosterd has and keeps, now."""
    pid = roster.process.pid
    status = {}
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            name, _, value = line.partition(":")
            status[name] = value.split()
    heap, inside = 0, False
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as f:
        for line in f:
            if "-" in line.split(" ", 1)[0]:
                inside = line.rstrip().endswith("[heap]")
            elif inside and line.startswith("Rss:"):
                heap += int(line.split()[1]) * KIB
    links, watched = [], 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
            if links[-1] == "anon_inode:[eventpoll]":
                with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
                    watched += f.read().count("tfd:")
        except FileNotFoundError:  # closed in the meantime
            pass
    wal = roster.database + "-wal"
    with open(roster.env["HEAP_TELL"], encoding="ascii") as f:
        allocated = int(f.read())
    return {"allocated": allocated,
            "rss": int(status["VmRSS"][0]) * KIB, "rss_anon": int(status["RssAnon"][0]) * KIB,
            "heap": heap, "threads": int(status["Threads"][0]), "descriptors": len(links),
            "sockets": sum(link.startswith("socket:") for link in links), "watched": watched,
            "database": os.path.getsize(roster.database),
            "wal": os.path.getsize(wal) if os.path.exists(wal) else 0}


def thirds(samples, name):
    """The first and the last third, each as one number."""
    values = [s[name] for s in samples]
    n = len(values) // 3
    typical = min if name == "allocated" else statistics.median
    return typical(values[:n]), typical(values[-n:])


def judge(samples, names):
    """Sentences about what has grown."""
    grown = []
    for name in names:
        first, last = thirds(samples, name)
        if last > first + ALLOWED[name](int(first)):
            grown.append(f"{name} grew from {first:.0f} to {last:.0f}")
    return grown


class Ear:
    """What a receiver does, and which events it has said yes to."""

    def __init__(self, rng, failing):
        self.rng = rng
        self.failing = failing  # the share of requests that it fails
        self.taken = []  # seqs, in order, repetitions left out
        self.known = set()

    def __call__(self, request):
        if self.rng.random() < self.failing:
            return self.rng.choice([None, answer(500), answer(503), answer(429), (2.0, b"late")])
        for event in request.events():
            if event["seq"] not in self.known:
                self.known.add(event["seq"])
                self.taken.append(event["seq"])
        return answer(200)


class World:
    """Everything but rosterd, one step of it at a time."""

    def __init__(self, folder, factor, seed):
        self.rng = random.Random(seed)
        self.factor = factor
        self.folder = folder
        self.start = int(time.time())
        self.begun = time.monotonic()
        fast = {"LD_PRELOAD": os.environ["CLOCK_FAST_LIBRARY"], "CLOCK_FAST": str(factor),
                "CLOCK_FAST_FROM": str(self.start)}
        os.environ.update(fast, CLOCK_FAST_WALL="1")  # for the emulator, which inherits them
        self.chime = Emulator(users=0).start()
        for name in [*fast, "CLOCK_FAST_WALL"]:
            del os.environ[name]
        for n, account in enumerate(ACCOUNTS.values()):
            self.chime.add_account(account, users=USERS, seed=n + 1)
        self.chime.add_account(BULK, users=BULK_USERS)
        self.away = {account: [] for account in ACCOUNTS.values()}
        self.network = Proxy(self.chime.port, seed=seed).__enter__()
        self.ears = {"good": Ear(self.rng, 0), "moody": Ear(self.rng, 0.3), "dead": Ear(self.rng, 1)}
        self.receivers = {name: Receiver(ear) for name, ear in self.ears.items()}
        self.roster = self.make_roster(fast)
        self.done = {"changes": 0, "faults": 0, "network": 0, "reloads": 0, "asked": 0, "refused": 0}
        self.turn = 0

    def make_roster(self, fast):
        helper = os.path.join(self.folder, "helper")
        with open(helper, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\necho '" + json.dumps({
                "Version": 1, "AccessKeyId": self.chime.access_key,
                "SecretAccessKey": self.chime.secret_key}) + "'\n")
        os.chmod(helper, 0o755)
        with open(os.path.join(self.folder, "aws-config"), "w", encoding="ascii") as f:
            f.write(f"[default]\ncredential_process = {helper}\n")
        # ten minutes are two seconds and a half
        patience = {"request_timeout": "10min", "connect_timeout": "10min", "max_results": "50"}
        roster = Rosterd(self.folder, self.chime, {
            "acme": dict(patience, account_id=ACCOUNTS["acme"], endpoint=self.network.url),
            "globex": dict(patience, account_id=ACCOUNTS["globex"],
                           access_key_id=None, secret_access_key=None),
            "initech": dict(patience, account_id=ACCOUNTS["initech"],
                            endpoint=f"http://localhost:{self.chime.port}"),
            "bulk": {"account_id": BULK, "interval": "30d"}},
            interval="1min", retention="1d",
            metrics_file=os.path.join(self.folder, "metrics.prom"))
        for name, receiver in self.receivers.items():
            roster.webhooks[name] = {"url": receiver.url, "timeout": "10min",
                                     "batch": "20" if name == "moody" else "1",
                                     "give_up_after": "2h" if name == "dead" else "30d"}
        roster.write_config()
        roster.env = dict(fast, HEAP_TELL=os.path.join(self.folder, "heap"), LD_PRELOAD=" ".join(
            os.environ[name] for name in ("CLOCK_FAST_LIBRARY", "HEAP_TELL_LIBRARY")))
        return roster

    def hours(self):
        return (time.monotonic() - self.begun) * self.factor / HOUR

    # -- what happens ----------------------------------------------------------------------

    def change(self):
        """Some statuses change, some leave, some of those who left come back: the same people."""
        account = self.rng.choice(list(ACCOUNTS.values()))
        ids = [user["UserId"] for user in self.chime.users(account=account)]
        for user in self.rng.sample(ids, 3):
            self.chime.patch_user(user, account=account,
                                  UserRegistrationStatus=self.rng.choice(STATUSES),
                                  DisplayName=f"Name {self.rng.randrange(1000)}")
        away = self.away[account]
        if len(away) < 5:
            leaver = self.chime.get_user(self.rng.choice(ids), account=account)
            self.chime.delete_user(leaver["UserId"], account=account)
            away.append(leaver)
        else:
            self.chime.add_user(away.pop(0), account=account)
        if self.rng.random() < 0.1:
            self.chime.shuffle(self.rng.randrange(1 << 30), account=account)
        self.done["changes"] += 1

    def fail_service(self):
        action, details = self.rng.choice(SERVICE_FAULTS)
        self.chime.clear_faults()
        self.chime.fault(action, account=self.rng.choice(list(ACCOUNTS.values())),
                         page=self.rng.randint(1, 3), times=self.rng.randint(1, 8), **details)
        self.done["faults"] += 1

    def fail_network(self):
        if self.network.faults == type(self.network.faults)():
            self.network.set(**self.rng.choice(NETWORK_FAULTS))
            self.done["network"] += 1
        else:
            self.network.set()

    def reload(self):
        """Something else each time: an account goes, a mistake, it comes back, a detail changes."""
        kind = self.done["reloads"] % 4
        if kind == 0:
            self.initech = self.roster.accounts.pop("initech")
        elif kind == 2:
            self.roster.accounts["initech"] = self.initech
        elif kind == 3:
            self.roster.accounts["acme"]["max_results"] = self.rng.choice(["50", "60", "70"])
        if kind == 1:
            self.roster.write_text("[rosterd]\nno_such_key = 1\n")
            self.done["refused"] += 1
        else:
            self.roster.write_config()
        self.roster.send_signal(signal.SIGHUP)
        self.done["reloads"] += 1

    def ask(self):
        """rosterctl, by real time: only what it asks and gets counts here."""
        done = rosterctl.run("--database", self.roster.database,
                             *self.rng.choice(ASKED))
        assert done.returncode == 0, f"{done.args}: {done.stderr}"
        self.done["asked"] += 1

    def step(self):
        self.turn += 1
        self.change()
        for every, action in ((3, self.ask), (8, self.fail_service), (10, self.fail_network),
                              (16, self.reload)):
            if self.turn % every == 0:
                action()
        for receiver in self.receivers.values():
            with receiver.lock:
                receiver.requests.clear()

    # -- the end ---------------------------------------------------------------------------

    def calm(self):
        """Everything works again; returns sentences about what is wrong then."""
        self.chime.clear_faults()
        self.network.set()
        self.network.cut()
        for ear in self.ears.values():
            ear.failing = 0
        if "initech" not in self.roster.accounts:
            self.roster.accounts["initech"] = self.initech
        self.roster.write_config()
        self.roster.send_signal(signal.SIGHUP)
        done = self.roster.sql("SELECT max(run_id) AS n FROM runs")[0]["n"]

        def complete():
            rows = self.roster.sql("SELECT account, max(run_id) AS n FROM runs WHERE run_id > ? AND"
                                   " outcome = 'complete' GROUP BY account", done + 3)
            return len(rows) == len(ACCOUNTS)
        wait_until(complete, 120, "complete runs")
        wait_until(lambda: not any(row["pending"] for row in
                                   self.roster.sql("SELECT pending FROM webhooks")) or
                   self.roster.send_signal(signal.SIGHUP) or time.sleep(0.5), 120, "all is delivered")
        return self.compare() + self.delivered()

    def compare(self):
        wrong = []
        for name, account in ACCOUNTS.items():
            there = {user["UserId"]: user.get("UserRegistrationStatus")
                     for user in self.chime.users(account=account)}
            here = {row["user_id"]: row["user_registration_status"] for row in self.roster.sql(
                "SELECT * FROM users WHERE account = ?", name)}
            if here != there:
                wrong.append(f"the roster of {name} is not that of the service")
        if self.roster.sql("PRAGMA integrity_check")[0]["integrity_check"] != "ok":
            wrong.append("the database is damaged")
        return wrong

    def delivered(self):
        wrong = []
        last = self.roster.last_seq()
        for name in ("good", "moody"):
            taken = self.ears[name].taken
            if taken != sorted(taken) or taken != list(range(1, last + 1)):
                wrong.append(f"webhook {name} has taken {len(taken)} of {last} events, or not in order")
        return wrong

    def close(self):
        status = self.roster.stop()
        self.network.__exit__()
        for receiver in self.receivers.values():
            receiver.close()
        self.chime.stop()
        return status


def live(world, hours, pause, samples=None, every=None):
    """Steps of the world, until so many hours have passed and something of everything has happened;
    samples are taken on the way."""
    until = world.hours() + hours
    due = time.monotonic()
    while world.hours() < until or (samples is not None and not all(world.done.values())):
        world.step()
        assert world.roster.process.poll() is None, f"rosterd ended: {world.roster.lines[-20:]}"
        if samples is not None and time.monotonic() >= due:
            samples.append(dict(sample(world.roster), hours=round(world.hours(), 2)))
            due += every
        time.sleep(pause)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def figures(world, samples, names, began):
    runs = {row["outcome"]: row["n"] for row in world.roster.sql(
        "SELECT outcome, count(*) AS n FROM runs GROUP BY outcome")}
    table = {}
    for name in ALLOWED:
        first, last = thirds(samples, name)
        table[name] = {"first_third": first, "last_third": last,
                       "most": max(s[name] for s in samples), "judged": name in names}
    return {"seed": world.seed, "factor": world.factor, "hours": round(world.hours(), 1),
            "seconds": round(time.monotonic() - began), "samples": len(samples),
            "cpu_seconds": cpu_seconds(world.roster.process.pid),
            "runs": world.roster.sql("SELECT max(run_id) AS n FROM runs")[0]["n"],
            "runs_kept": runs, "events": world.roster.last_seq(), "done": world.done,
            "table": table}


def show(result):
    print(f"seed {result['seed']}: {result['hours']} hours in {result['seconds']} s, {result['runs']} runs"
          f" (kept: {result['runs_kept']}), {result['events']} events, CPU {result['cpu_seconds']:.1f} s;"
          f" {result['done']}")
    print(f"{'':14}{'first third':>14}{'last third':>14}{'most':>14}")
    for name, row in result["table"].items():
        print(f"{name:14}{row['first_third']:14.0f}{row['last_third']:14.0f}{row['most']:14.0f}"
              f"{'' if row['judged'] else '  (not judged)'}")


def soak(folder, warm, measure, factor=240, every=2.0, pause=0.25, names=tuple(ALLOWED), seed=None):
    """Returns the figures, and sentences about what is wrong."""
    seed = seed or random.randrange(1, 1 << 30)
    print("seed", seed, flush=True)
    began = time.monotonic()
    world = World(folder, factor, seed)
    world.seed = seed
    samples = []
    try:
        world.roster.start()
        wait_until(lambda: world.roster.sql("SELECT 1 FROM runs WHERE account = 'bulk' AND outcome ="
                                            " 'complete'"), 300, "the long listing")
        live(world, warm, pause)
        live(world, measure, pause, samples, every)
        result = figures(world, samples, names, began)
        wrong = judge(samples, names) + world.calm()
    finally:
        status = world.close()
    if status != 0:
        wrong.append(f"rosterd ended with {status}")
    result.update(wrong=wrong, series=samples)
    return result, wrong


def main():
    parser = argparse.ArgumentParser(description="rosterd for two days of fast time")
    parser.add_argument("--warm", type=float, default=25, help="hours before measuring")
    parser.add_argument("--measure", type=float, default=24, help="hours that are measured")
    parser.add_argument("--factor", type=int, default=240)
    parser.add_argument("--seed", type=int)
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="rosterd-soak.")
    os.chmod(folder, 0o750)
    try:
        result, wrong = soak(folder, args.warm, args.measure, args.factor, seed=args.seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with open("soak.json", "w", encoding="ascii") as f:
        json.dump(result, f, indent=1)
    show(result)
    for sentence in wrong:
        print("WRONG:", sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
