#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long rosterctl takes to list, filter and export a million users, against `sqlite3 -csv` with the
same rows, in turns, in the same run; and how much memory.  `make bench-rosterctl` runs it; it prints
medians and ratios, and judges nothing."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

from bench import BUILD, ROUNDS, USERS

from emulator import Emulator
from rosterd import Rosterd

SINCE = ("SELECT account, primary_email, display_name, user_registration_status, ifnull((SELECT time FROM"
         " events e WHERE e.user_id = u.user_id AND e.account = u.account AND (e.field ="
         " 'user_registration_status' OR e.type = 'user.returned') ORDER BY e.seq DESC LIMIT 1),"
         " first_seen_at), user_invitation_status FROM users u")
SUSPENDED = "user_registration_status = 'Suspended'"
# what is asked, of rosterctl and of sqlite3 (None: no such question)
ASKED = [
    ("list", ["users"], "SELECT * FROM users"),
    ("list, same", ["users"], SINCE),  # the very columns of the table
    ("export csv", ["export"], "SELECT * FROM users"),
    ("export ndjson", ["export", "-f", "ndjson"], "SELECT * FROM users"),
    ("one account", ["export", "-a", "acme"], "SELECT * FROM users WHERE account = 'acme'"),
    ("suspended", ["export", "-r", "Suspended"], f"SELECT * FROM users WHERE {SUSPENDED}"),
    ("glob", ["export", "-e", "*@mail.example.org"],
     "SELECT * FROM users WHERE primary_email GLOB '*@mail.example.org'"),
    ("query", ["query", "-f", "csv", "SELECT * FROM users"], "SELECT * FROM users"),
    ("as of now", ["export", "--as-of", "now"], "SELECT * FROM users"),
    ("status", ["status"], None),
]


# By a small process: what a child begins with counts as its own.
MEASURE = """
import resource, subprocess, sys, time
begin = time.monotonic()
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
print(time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def run(command):
    """Seconds, and the most memory in MiB."""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", MEASURE, *command], capture_output=True,
                          text=True, check=True)
    seconds, kib = done.stdout.split()
    return float(seconds), int(kib) / 1024


def measure(roster):
    for name, ours, sql in ASKED:
        mine = [f"{BUILD}/rosterctl", "-d", roster.database, *ours]
        theirs = ["sqlite3", "-readonly", "-csv", "-header", roster.database, sql or "SELECT 1"]
        times = [(run(mine), run(theirs)) for _ in range(ROUNDS)]
        ours_s = statistics.median(a[0] for a, _ in times)
        memory = max(a[1] for a, _ in times)
        line = f"{name:14} {ours_s:6.2f} s  {memory:5.1f} MiB"
        if sql:
            theirs_s = statistics.median(b[0] for _, b in times)
            line += f"   sqlite3 {theirs_s:6.2f} s   ratio {ours_s / theirs_s:.2f}"
        print(line, flush=True)


def main():
    folder = os.environ.get("BENCH_FOLDER") or tempfile.mkdtemp(prefix="rosterctl-bench-")
    try:
        with Emulator(users=USERS) as chime:
            roster = Rosterd(folder, chime)
            if not os.path.exists(roster.database):
                roster.once(timeout=3600)
        rows = json.loads(subprocess.run([f"{BUILD}/rosterctl", "-d", roster.database, "query", "-f",
                                          "ndjson", "SELECT count(*) AS n FROM users"],
                                         capture_output=True, check=True).stdout)["n"]
        print(f"{rows} users, {os.path.getsize(roster.database) / 1e6:.0f} MB, {ROUNDS} rounds")
        measure(roster)
    finally:
        if "BENCH_FOLDER" not in os.environ:
            shutil.rmtree(folder)


main()
