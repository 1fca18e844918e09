# SPDX-License-Identifier: Apache-2.0
"""The cases of a service that has run for a while: its rate, its memory, its rest, its readers, and how its
CPU grows with the number of users."""

import glob
import math
import os
import subprocess
import time

from bench import BUILD, PATIENCE, ROUNDS, figures, from_proc, median, program
from service import Service, discard, once, start, wait_for_baselines

RATE = 10
RATE_USERS = 60000  # half a minute
FEW_USERS = 1000
IDLE_ACCOUNTS = 100
IDLE_SECONDS = float(os.environ.get("BENCH_IDLE_SECONDS", "600"))
SETTLE_SECONDS = 2


def rate_limited(folder, users):
    """A service that refuses more than ten requests a second, and an account that is told so."""
    users = min(users, RATE_USERS)
    pages = math.ceil(users / 200)
    samples = []
    with Service(folder, users) as service:
        roster = service.filled({"acme": {"requests_per_second": str(RATE)}})
        service.chime.config(rate=RATE)
        for _ in range(ROUNDS):
            service.chime.reset()
            run, stats = once(roster), service.chime.stats()
            samples.append({"rosterd": figures(run), "pages": pages, "requests": stats["listing_requests"],
                            "throttled": stats["throttled"], "value": run.wall / (pages / RATE),
                            "throttled_percent": 100 * stats["throttled"] / stats["listing_requests"]})
    return samples


# -- memory --------------------------------------------------------------------------------


def most_memory(service):
    """Bytes of RSS at most, of a daemon that has imported all users and listed them once more."""
    roster = start(service.roster())
    try:
        wait_for_baselines(roster, 1)
        subprocess.run([f"{BUILD}/rosterctl", "--config", roster.config, "sync", "acme", "--wait"], check=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, env=roster.environment())
        kib = int(from_proc(f"/proc/{roster.process.pid}/status", "VmHWM").split()[0])
    finally:
        discard(roster)
    return kib * 1024


def memory(folder, users):
    samples = []
    with Service(folder, users) as many, Service(folder, FEW_USERS) as few:
        for _ in range(ROUNDS):
            all_of_them, base = most_memory(many), most_memory(few)
            samples.append({"users": users, "rss": all_of_them, "rss_1000": base, "mib_1000": base / (1 << 20),
                            "value": (all_of_them - base) / (users - FEW_USERS)})
    return samples


# -- rest ----------------------------------------------------------------------------------


def spent(pid):
    """Nanoseconds of CPU and how often it went to sleep of itself, over all threads."""
    cpu = switches = 0
    for task in glob.glob(f"/proc/{pid}/task/*"):
        with open(f"{task}/schedstat", encoding="ascii") as f:
            cpu += int(f.read().split()[0])
        switches += int(from_proc(f"{task}/status", "voluntary_ctxt_switches"))
    return cpu, switches


def idle(folder):
    """One sample, however many rounds: a hundred accounts that are not due."""
    ids = [f"{i:08x}-0000-4c6e-9b57-1f0e2d3c4b5a" for i in range(IDLE_ACCOUNTS)]
    with Service(folder, 0) as service:
        for account_id in ids:
            service.chime.add_account(account_id, users=20)
        roster = start(service.roster({f"account-{i}": {"account_id": ids[i]} for i in range(IDLE_ACCOUNTS)}))
        try:
            wait_for_baselines(roster, IDLE_ACCOUNTS)
            time.sleep(SETTLE_SECONDS)
            (cpu, switches), begin = spent(roster.process.pid), time.monotonic()
            time.sleep(IDLE_SECONDS)
            (cpu_after, switches_after), seconds = spent(roster.process.pid), time.monotonic() - begin
        finally:
            discard(roster)
    return [{"accounts": IDLE_ACCOUNTS, "seconds": seconds, "cpu": (cpu_after - cpu) / 1e9,
             "wakeups": switches_after - switches, "value": 100 * (cpu_after - cpu) / 1e9 / seconds}]


# -- readers -------------------------------------------------------------------------------


class Reader:
    """Another process that asks for one user after another."""

    def __init__(self, roster, account):
        self.process = subprocess.Popen([program("query-loop"), roster.database, account], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == "ready\n"

    def close(self):
        """What it has seen."""
        out, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, "query-loop failed"
        return dict(zip(("queries", "p50_usec", "p99_usec", "slowest_usec"), map(int, out.split())))


def readers(service):
    """Queries about acme: at rest, and while another account is listed for the first time."""
    other = "11111111-2222-4333-8444-555555555555"
    service.chime.add_account(other, users=service.users)
    samples = []
    for _ in range(ROUNDS):
        roster = service.filled({"acme": {}, "other": {"account_id": other}})
        reader = Reader(roster, "acme")
        time.sleep(min(10, service.users / 100000 + 0.5))
        rest, reader = reader.close(), Reader(roster, "acme")
        run, busy = once(roster, "other"), reader.close()
        samples.append({"rest": rest, "import": busy, "rosterd": figures(run),
                        "value": busy["p99_usec"] / rest["p99_usec"]})
        discard(roster)
    service.chime.delete_account(other)
    return samples


# -- growth --------------------------------------------------------------------------------


def slope(points):
    """Least squares through the logarithms of (x, y): the exponent of the growth."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x, mean_y = (sum(values) / len(logs) for values in zip(*logs))
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)


def growth(folder, users):
    """CPU of a first import and of a run without changes, from a thousandth of the users up to all.
    Nothing is subtracted: the start of the process is in each figure."""
    sizes = [users // 1000, users // 100, users // 10, users]
    samples = []
    with Service(folder, 0) as service:
        ids = {n: f"{n:08x}-9e37-4c6e-9b57-1f0e2d3c4b5a" for n in sizes}
        for n in sizes:
            service.chime.add_account(ids[n], users=n)
        for _ in range(ROUNDS):
            cpu = {"import": [], "unchanged": []}
            for n in sizes:
                roster = service.roster({"acme": {"account_id": ids[n]}})
                cpu["import"].append((n, once(roster).cpu))
                cpu["unchanged"].append((n, once(roster).cpu))
                discard(roster)
            samples.append(dict(cpu, value=slope(cpu["unchanged"]), value_import=slope(cpu["import"]),
                                last_decade=slope(cpu["unchanged"][-2:]),
                                last_decade_import=slope(cpu["import"][-2:])))
    return samples


def growth_curve(samples, kind):
    """The medians of the rounds, as points."""
    return [(n, median(samples, kind, i, 1)) for i, (n, _) in enumerate(samples[0][kind])]
