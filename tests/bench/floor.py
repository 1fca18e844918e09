#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the libraries alone take: SQLite that writes what rosterd writes, with its schema and settings, from
statements that copy whole rows, and the bare loop that downloads, one after the other: a program of one
thread can save only what the one waits while it does the other.  `make bench-floor` runs it; it prints
medians in the measure of tests/bench/sync.py, and judges nothing."""

import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from math import isqrt

from bench import ROUNDS, USERS, program, timed
from listings import SHARE_CHANGED
from service import Service, discard, once

SETTINGS = """
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
    PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA secure_delete = FAST; PRAGMA foreign_keys = OFF;
    PRAGMA cache_size = {}"""
USUAL_CACHE, CACHE_OF_AN_IMPORT = -12288, -24576  # KiB, negative: as src/store/store-cache.c has them
IMPORT_BATCH = 80000  # users in one transaction: about two seconds of a first import
CHANGED_BATCH = 3500  # as many as half a second's pages bring
MEMORY_OF = "import resource, subprocess, sys; subprocess.check_call(sys.argv[1:], stdout=subprocess.DEVNULL);" \
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"


def connect(path, cache, *attached):
    """As rosterd opens it, without its triggers, which do nothing for what it writes itself."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(SETTINGS.format(cache))
    for name, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    for i, other in enumerate(attached):
        db.execute(f"ATTACH ? AS other{i}", (other,))
    return db


def empty_copy(path, made):
    """A database with the same schema."""
    source = sqlite3.connect(path)
    schema = source.execute("SELECT sql FROM sqlite_schema WHERE sql NOT NULL AND name NOT LIKE 'sqlite_%'"
                            " ORDER BY type = 'table' DESC, rowid").fetchall()
    source.close()
    new = sqlite3.connect(made)
    new.executescript("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;")
    for sql, in schema:
        new.execute(sql)
    new.close()


def seconds(db, *statements):
    """Of the statements in one transaction."""
    begin = time.monotonic()
    db.execute("BEGIN IMMEDIATE")
    for sql, values in statements:
        db.execute(sql, values)
    db.execute("COMMIT")
    return time.monotonic() - begin


def close(db):
    """Seconds: what is in the log goes to its place, as when rosterd ends."""
    begin = time.monotonic()
    db.close()
    return time.monotonic() - begin


# -- the cases -----------------------------------------------------------------------------


def import_rows(source, users, folder):
    """Seconds of writing all users' rows in the order of the listing."""
    path = os.path.join(folder, "import.db")
    empty_copy(source, path)
    db = connect(path, CACHE_OF_AN_IMPORT, source)
    db.execute("INSERT INTO account_data SELECT * FROM other0.account_data")
    took = sum(seconds(db, ("INSERT INTO user_data SELECT * FROM other0.user_data WHERE row > ? AND row <= ?"
                            " ORDER BY row", (at, at + IMPORT_BATCH))) for at in range(0, users, IMPORT_BATCH))
    assert db.execute("SELECT count(*) FROM user_data").fetchone() == (users,)
    took += close(db)
    os.remove(path)
    return took


def change_rows(source, first_seq, folder):
    """Seconds of writing again what the last run wrote: each of its events, and the row that it is about."""
    path = os.path.join(folder, "changed.db")
    shutil.copyfile(source, path)
    os.sync()
    db = connect(path, USUAL_CACHE)
    events = [name for _, name, *_ in db.execute("PRAGMA table_info(event_data)") if name not in ("seq", "id")]
    columns = ", ".join(events)
    db.execute("CREATE TEMP TABLE told AS SELECT e.*, u.row FROM event_data e JOIN user_data u"
               " USING (user_id, account_key) WHERE e.seq >= ? ORDER BY u.row", (first_seq,))
    told = db.execute("SELECT count(*) FROM told").fetchone()[0]
    took = 0
    for at in range(0, told, CHANGED_BATCH):
        part = (at, at + CHANGED_BATCH)
        took += seconds(
            db, ("UPDATE user_data SET display_name = 'Round', last_changed_at = last_changed_at || '' WHERE row IN"
                 " (SELECT row FROM told WHERE rowid > ? AND rowid <= ?)", part),
            (f"INSERT INTO event_data (id, {columns}) SELECT printf('evt_f%031d', rowid), {columns} FROM told"
             " WHERE rowid > ? AND rowid <= ?", part))
    took += close(db)
    os.remove(path)
    return took, told


def open_and_close_runs(source, n, folder):
    """Seconds of a transaction for each account: one run ends, the next begins."""
    path = os.path.join(folder, "runs.db")
    empty_copy(source, path)
    db = connect(path, USUAL_CACHE, source)
    db.execute("INSERT INTO account_data SELECT * FROM other0.account_data")
    db.execute("INSERT INTO run_data (account_key, started_at, outcome) VALUES (1, '', 'running')")
    took = sum(seconds(
        db, ("UPDATE run_data SET outcome = 'complete', pages = 5, finished_at = started_at WHERE run_id = ?", (i,)),
        ("UPDATE account_data SET last_complete_at = '2026-01-01T00:00:00.000Z' WHERE key = 1", ()),
        ("INSERT INTO run_data (account_key, started_at, outcome) VALUES (1, '', 'running')", ()))
        for i in range(1, n + 1))
    took += close(db)
    os.remove(path)
    return took


def tell(what, ratios, told):
    print(f"{what:38} {statistics.median(ratios):5.2f} times   {told}", flush=True)


def single_account(service, folder):
    pages = os.path.join(folder, "pages")
    service.list_loop(keep=pages)
    roster = service.filled()
    parsed = [float(timed([program("parse-loop"), pages]).out.split()[0]) for _ in range(ROUNDS)]
    wrote = [import_rows(roster.database, service.users, folder) for _ in range(ROUNDS)]
    os.remove(pages)
    tell("first import: SQLite", [w / p for w, p in zip(wrote, parsed)],
         f"{statistics.median(wrote):.2f} s / {statistics.median(parsed):.2f} s of json-c")

    # Five, for the indexes of events to be longer than a page; what the last one wrote is written again.
    for i in range(5):
        service.chime.patch_users({"DisplayName": f"Floor {i}"}, count=service.users, every=SHARE_CHANGED)
        last = roster.last_seq()
        once(roster)
    loops, wrote = [], []
    for _ in range(ROUNDS):
        loops.append(service.list_loop().wall)
        took, told = change_rows(roster.database, last + 1, folder)
        wrote.append(took)
    assert told == -(-service.users // SHARE_CHANGED), told
    tell("1% changed: download, then SQLite", [(a + w) / a for w, a in zip(wrote, loops)],
         f"{statistics.median(loops):.2f} s + {statistics.median(wrote):.2f} s")
    discard(roster)


def many_accounts(folder):
    n = isqrt(USERS)
    ids = [f"{i:08x}-5e1f-4c6e-9b57-1f0e2d3c4b5a" for i in range(n)]
    with Service(folder, 1) as service:
        for account_id in ids:
            service.chime.add_account(account_id, users=n)
        roster = service.filled()
        loops = [service.list_loop(*ids, parallel=4).wall for _ in range(ROUNDS)]
        wrote = [open_and_close_runs(roster.database, n, folder) for _ in range(ROUNDS)]
        discard(roster)
    tell("many accounts: download, then commits", [(a + w) / a for w, a in zip(wrote, loops)],
         f"{statistics.median(loops):.2f} s + {statistics.median(wrote):.2f} s")


def libraries_memory(folder):
    """MiB of a program that links libcurl and downloads a thousand users."""
    with Service(folder, 1000) as service:
        done = subprocess.run([sys.executable, "-I", "-S", "-c", MEMORY_OF, program("list-loop"), service.chime.url,
                               service.chime.account_id], env=service.environment(), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=True)
    print(f"{'memory, 1,000 users: libcurl':38} {int(done.stdout) / 1024:5.1f} MiB", flush=True)


def main():
    with tempfile.TemporaryDirectory(prefix="rosterd-floor-") as folder:
        with Service(folder, USERS) as service:
            single_account(service, folder)
        many_accounts(folder)
        libraries_memory(folder)


main()
