# SPDX-License-Identifier: Apache-2.0
"""rosterctl's query, check, webhooks, backup, verify, and events that are followed."""

import csv
import datetime
import errno
import io
import json
import os
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

import pytest

import crash
from emulator import Emulator
from rosterctl import Rosterctl, binary, environment
from rosterd import TIMEOUT, Rosterd, wait_until


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tools")
    with Emulator(users=60) as chime:
        roster = Rosterd(folder, chime)
        roster.once()
        for user in chime.users(limit=3):
            chime.patch_user(user["UserId"], UserRegistrationStatus="Suspended")
        roster.once()
        yield roster


@pytest.fixture
def ctl(told):
    return Rosterctl("--config", told.config)


@pytest.fixture
def copy(told, tmp_path):
    """A database of one's own."""
    path = str(tmp_path / "copy.db")
    Rosterctl("-d", told.database).ok("backup", path)
    return path


@pytest.fixture(scope="module")
def large(told, tmp_path_factory):
    """One that takes a while to be read."""
    path = str(tmp_path_factory.mktemp("large") / "large.db")
    Rosterctl("-d", told.database).ok("backup", path)
    add_users(path, 1500)
    return path


def add_users(path, times):
    with sqlite3.connect(path) as db:
        names = [row[1] for row in db.execute("PRAGMA table_info(user_data)") if row[1] != "row"]
        columns = ", ".join(names)
        picked = ", ".join("n.value || '-' || user_id" if name == "user_id" else name
                           for name in names)
        db.execute("CREATE TEMP TABLE numbers AS WITH RECURSIVE t(value) AS (SELECT 1 UNION ALL"
                   f" SELECT value + 1 FROM t WHERE value < {times}) SELECT value FROM t")
        db.execute(f"INSERT INTO user_data ({columns}) SELECT {picked} FROM user_data u, numbers n")


# ---- query ----

def test_query_answers_in_every_format(told, ctl):
    sql = "SELECT license_type, count(*) AS n, 1.5 AS x, x'00ff' AS b FROM users GROUP BY 1 ORDER BY 1"
    want = [[row["license_type"], row["n"], 1.5, "00ff"] for row in told.sql(sql)]
    assert [list(row.values()) for row in json.loads(ctl.ok("query", sql, "-f", "json"))] == want
    rows = list(csv.reader(io.StringIO(ctl.ok("query", sql, "-f", "csv", binary_output=True).decode(),
                                       newline=""), strict=True))
    assert rows[0] == ["license_type", "n", "x", "b"]
    assert rows[1:] == [["" if v is None else str(v) for v in row] for row in want]
    assert ctl.ok("query", sql).splitlines()[0].split() == ["license_type", "n", "x", "b"]
    assert json.loads(ctl.ok("query", "SELECT 9e999 AS x, 'a\u00e9' AS detail", "-f", "json")) == \
        [{"x": "Inf", "detail": "a\u00e9"}]
    assert json.loads(ctl.ok("query", "SELECT cast(x'41ff42' AS TEXT) AS t", "-f", "ndjson")) == \
        {"t": "A\ufffdB"}
    assert ctl.ok("query", "SELECT 1 AS one; -- and no more\n;").splitlines() == ["one", "1"]


@pytest.mark.parametrize("sql", [
    "DELETE FROM user_data", "UPDATE event_data SET type = 'x'", "INSERT INTO sink_data VALUES (1)",
    "DROP TABLE user_data", "CREATE TEMP TABLE t (x)", "CREATE TABLE t (x)", "BEGIN IMMEDIATE",
    "ATTACH '{path}' AS other", "VACUUM INTO '{path}'", "PRAGMA journal_mode = DELETE",
    "PRAGMA query_only = OFF", "PRAGMA writable_schema = ON", "PRAGMA wal_checkpoint", "REINDEX",
    "SELECT load_extension('{path}')", "ANALYZE", "PRAGMA user_version = 7", "DETACH main",
    "SELECT * FROM pragma_journal_mode", "PRAGMA optimize", "SAVEPOINT s",
])
def test_query_only_reads(told, ctl, tmp_path, sql):
    def state():
        with open(told.database, "rb") as f:
            return f.read(), os.path.getsize(told.database + "-wal")

    before = state()
    path = str(tmp_path / "made")
    said = ctl.fails(2, "query", sql.replace("{path}", path))
    assert "SELECT" in said or "SQLite does not take the query" in said
    assert state() == before and os.listdir(tmp_path) == []


def test_query_says_what_is_wrong(ctl):
    assert "no such table: nobody" in ctl.fails(2, "query", "SELECT * FROM nobody")
    assert "syntax error" in ctl.fails(2, "query", "SELEKT 1")
    assert "is empty" in ctl.fails(2, "query", "  -- nothing")
    assert "more than one statement" in ctl.fails(2, "query", "SELECT 1; SELECT 2")
    assert "has parameters (:x)" in ctl.fails(2, "query", "SELECT :x")
    assert "takes a duration" in ctl.fails(2, "query", "--timeout", "soon", "SELECT 1")


# Hours of one opcode: each of many places compares half a value before it differs.
ONE_LONG_OPERATION = ("SELECT instr(replace(hex(zeroblob(480000)), '00', '00') || x'00',"
                      " replace(hex(zeroblob(240000)), '00', '00') || 'b')")


def test_query_counts_only_its_own_time(ctl):
    """A reader that takes its time does not make it fail."""
    sql = "SELECT hex(zeroblob(20000)) AS x FROM users"
    child = subprocess.Popen([binary(), *ctl.general, "query", "--timeout", "1s", "-f", "csv", sql],
                             env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
    time.sleep(2.5)  # the pipe is full long before
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, b"") and out.count(b"\r\n") == 61


def test_query_of_large_values_takes_little_memory(ctl):
    if os.environ.get("ROSTERD_SANITIZED"):
        pytest.skip("sanitizers take memory of their own")
    sql = "SELECT hex(zeroblob(400000)) AS x FROM users u, users v LIMIT 300"
    script = 'ulimit -v 120000; exec "$@" >/dev/null'
    done = subprocess.run(["sh", "-c", script, "sh", binary(), *ctl.general, "query", sql],
                          env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_query_has_an_end(ctl):
    endless = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT {} FROM t"
    assert "longer than 300ms" in ctl.fails(75, "query", "--timeout", "300ms",
                                            endless.format("count(*)"))
    assert "too big" in ctl.fails(2, "query",
                                  "SELECT group_concat(hex(zeroblob(1000000))) FROM users")
    assert "longer than 300ms" in ctl.fails(75, "query", "--timeout", "300ms", ONE_LONG_OPERATION)
    assert "too complex" in ctl.fails(2, "query", "SELECT 'a' LIKE hex(zeroblob(600))")
    sort = ("SELECT hex(zeroblob(400000)) || u.user_id AS x FROM users u, users v ORDER BY x")
    assert "too much memory" in ctl.fails(74, "query", sort, timeout=240)


HOSTILE = "a\x7f\u0085\u009b31m\u202e\u2066\u2028\u00e9\u2027\u202f\u2065"


def test_no_format_speaks_to_the_terminal(ctl):
    sql = f"SELECT '{HOSTILE}' AS detail, 1 AS n"
    for form in ("json", "ndjson"):
        text = ctl.ok("query", sql, "-f", form)
        assert "\\u007f\\u0085\\u009b31m\\u202e\\u2066\\u2028\u00e9\u2027\u202f\u2065" in text
        row = json.loads(text)
        assert (row[0] if form == "json" else row)["detail"] == HOSTILE
    screen = ctl.screen("query", sql + ", '\x1b[2J' AS e", "-f", "csv")
    assert not set("\x1b\x7f\u0085\u009b") & set(screen) and "31m" in screen and "?[2J" in screen
    assert HOSTILE in ctl.ok("query", sql, "-f", "csv")


def test_csv_formulas(ctl):
    for begin in ("=", "+", "-", "@", "\t", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"):
        text = ctl.ok("query", f"SELECT '{begin}A1' AS x", "-f", "csv", binary_output=True).decode()
        assert text == f"x\r\n\"'{begin}A1\"\r\n"
    assert "\uff21" in ctl.ok("query", "SELECT '\uff21A1' AS x", "-f", "csv")


# ---- check ----

PERFDATA = re.compile(r"'[^'=]+'=-?\d+[a-z%]*;\d*;\d*;0( |$)")


def probe(ctl, status, *args):
    done = ctl.run("check", *args)
    assert done.returncode == status, (done.returncode, done.stdout)
    assert done.stderr == "" and done.stdout.count("\n") == 1
    text, _, perf = done.stdout.rstrip("\n").partition(" | ")
    assert "|" not in text and re.fullmatch(f"({PERFDATA.pattern})*", perf + (" " if perf else "")), perf
    words = {0: "OK", 1: "WARNING", 2: "CRITICAL", 3: "UNKNOWN"}
    assert re.match(rf"[A-Z]+ {words[status]} - \S", text)
    return text, perf


def test_check_suspended(told, ctl):
    n = told.sql("SELECT count(*) AS n FROM suspended_users")[0]["n"]
    assert probe(ctl, 0, "suspended")[1] == f"'acme'={n};;;0"
    assert probe(ctl, 0, "suspended", "-w", str(n))[1] == f"'acme'={n};{n};;0"
    text, perf = probe(ctl, 1, "suspended", "--warning", str(n - 1), "--critical", str(n))
    assert f"acme: {n} of 60 users are suspended" in text and perf == f"'acme'={n};{n - 1};{n};0"
    probe(ctl, 2, "suspended", "--warning", "0", "--critical", str(n - 1))


def test_check_sync(told, ctl, copy):
    assert probe(ctl, 0, "sync", "--max-age", "1d")[0] == "SYNC OK - every account was read in time"
    time.sleep(1.1)
    assert "more than 1s" in probe(ctl, 2, "sync", "--max-age", "1s")[0]
    mine = Rosterctl("-d", copy)

    def with_account(**columns):
        with sqlite3.connect(copy) as db:
            for column, value in columns.items():
                db.execute(f"UPDATE account_data SET {column} = ?", (value,))

    with_account(last_error="the service | is down\nnow")
    text = probe(mine, 1, "sync", "--max-age", "1d")[0]
    assert "acme: the last run failed: the service / is down now" in text
    with_account(last_error=None, held_removals=7)
    assert "the removal of 7 users is held" in probe(mine, 1, "sync", "--max-age", "1d")[0]
    with_account(held_removals=0, last_complete_at=None)
    assert "no complete listing yet" in probe(mine, 1, "sync")[0]
    with_account(last_error="no such account")
    assert "no such account" in probe(mine, 2, "sync")[0]
    with_account(active=0)  # nobody reads it, and nobody wants to
    assert "no account" in probe(mine, 3, "sync")[0]


def test_check_webhooks(copy):
    mine = Rosterctl("-d", copy)
    assert probe(mine, 0, "webhooks")[0].startswith("WEBHOOKS OK")
    with sqlite3.connect(copy) as db:
        last = db.execute("SELECT max(seq) FROM event_data").fetchone()[0]
        db.execute("INSERT INTO sink_data (sink, cursor) VALUES ('webhook:ops', ?)", (last,))
    assert probe(mine, 0, "webhooks")[1] == "'ops'=0;;;0 'ops dead'=0;0;;0"
    with sqlite3.connect(copy) as db:
        db.execute("UPDATE sink_data SET cursor = ?, last_error = 'HTTP 503' WHERE sink LIKE 'web%'",
                   (last - 2,))
    assert "ops: 2 events are waiting: HTTP 503" in probe(mine, 1, "webhooks", "-w", "1")[0]
    with sqlite3.connect(copy) as db:
        db.execute("UPDATE sink_data SET last_error = 'stopped until a reload: HTTP 410'"
                   " WHERE sink LIKE 'web%'")
    assert "ops: stopped until a reload: HTTP 410" in probe(mine, 1, "webhooks")[0]
    time.sleep(1.1)
    assert "has been waiting for" in probe(mine, 2, "webhooks", "--max-age", "1s")[0]
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    with sqlite3.connect(copy) as db:
        db.execute("INSERT INTO dead_letter_data (seq, sink, time, error)"
                   " VALUES (?, 'webhook:ops', ?, 'HTTP 400')", (last, now))
    text, perf = probe(mine, 1, "webhooks", "--max-age", "1d")
    assert "ops: 1 event was given up in the last day" in text and "'ops dead'=1;0;;0" in perf
    assert [list(row.values()) for row in json.loads(mine.ok("webhooks", "dead", "-f", "json"))] == \
        [["ops", last, now, "HTTP 400"]]
    listed = json.loads(mine.ok("webhooks", "-f", "json"))
    assert [(w["webhook"], w["pending"]) for w in listed] == [("ops", 2)]
    assert mine.ok("webhooks", "list") == mine.ok("webhooks")


def test_check_is_cut_between_characters(copy):
    with sqlite3.connect(copy) as db:
        for number in range(4):
            db.execute("INSERT INTO sink_data (sink, cursor, last_error) VALUES (?, 0, ?)",
                       (f"webhook:{number}", "\u00e9" * 90))
    for pad in ("", "x"):
        with sqlite3.connect(copy) as db:
            db.execute("UPDATE sink_data SET sink = sink || ? WHERE sink LIKE 'web%'", (pad,))
        done = Rosterctl("-d", copy).run("check", "webhooks", "-w", "0", "--max-age", "1d",
                                         binary_output=True)
        text = done.stdout.decode("utf-8").partition(" | ")[0]
        assert done.returncode == 1 and text.count("waiting") > 1 and text.endswith("\u2026")


def test_check_cannot_tell(ctl, tmp_path):
    assert "there is no database" in probe(Rosterctl("-d", str(tmp_path / "no.db")), 3, "sync")[0]
    probe(ctl, 3, "sync", "--max-age", "old")
    probe(ctl, 3, "sync", "--nonsense")
    probe(ctl, 3, "shoes")
    probe(ctl, 3)
    probe(ctl, 3, "suspended", "-w", "many")
    probe(ctl, 3, "suspended", "-a", "nowhere")
    for general in (("-f", "xml"), ("--bogus",)):
        done = Rosterctl(*general).run("check", "sync")
        assert done.returncode == 3, done.stderr
    with open("/dev/full", "w", encoding="ascii") as full:
        done = ctl.run("check", "sync", "--max-age", "1d", stdout=full)
    assert done.returncode == 3 and "No space left" in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as broken:
        assert ctl.run("check", "sync", "--max-age", "1d", stdout=broken).returncode == 3


# ---- who may read, and how much it takes ----

def test_members_of_the_group_read_and_others_do_not(chime):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    folder = tempfile.mkdtemp(prefix="rosterctl-group-", dir="/tmp")
    try:
        os.chown(folder, 0, 5678)
        os.chmod(folder, 0o2750)  # what rosterd makes in it is the group's
        roster = Rosterd(folder, chime)
        os.chown(roster.config, 0, 5678)
        program = os.path.join(folder, "rosterctl")  # the build's folder may be closed to them
        shutil.copy(binary(), program)
        os.chmod(program, 0o755)

        def member(status, *args):
            done = subprocess.run([program, *args], env=environment(), stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=60, check=False,
                                  user=4321, group=5678, extra_groups=[])
            assert done.returncode == status, done.stderr
            return done.stdout + done.stderr

        with roster:
            wait_until(lambda: roster.complete_runs() == 1)
            assert len(member(0, "-c", roster.config, "users").splitlines()) == 451
            assert " ok " in member(0, "-c", roster.config, "status")
        assert len(member(0, "-c", roster.config, "users").splitlines()) == 451
        assert "failed" not in member(0, "-d", roster.database, "verify")
        assert "2\n" in member(0, "-d", roster.database, "query", "SELECT 1 + 1 AS n")
        for suffix in ("-wal", "-shm"):
            os.unlink(roster.database + suffix)
        assert "-wal and -shm" in member(66, "-d", roster.database, "users")
        assert len(Rosterctl("-d", roster.database).ok("users").splitlines()) == 451  # root may
        roster.once()
        for closed in (("-d", roster.database), ("-c", roster.config)):
            os.chmod(closed[1], 0o600)
            said = member(77, *closed, "users")
            assert f"{closed[1]} cannot be read: permission denied; join its group (usermod" in said
    finally:
        shutil.rmtree(folder)


def test_memory_does_not_grow_with_the_roster(copy):
    """The same for 60 users and for 60,000."""
    if os.environ.get("ROSTERD_SANITIZED"):
        pytest.skip("sanitizers take memory of their own")

    measure = ("import resource, subprocess, sys\n"
               "status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
               "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
               "sys.exit(status)")

    def most(*args):
        """In KiB, by a small process: what a child begins with counts as its own."""
        done = subprocess.run([sys.executable, "-I", "-S", "-c", measure, binary(), "-d", copy, *args],
                              env=environment(), capture_output=True, text=True, timeout=60,
                              check=True)
        return int(done.stdout)

    commands = [("users",), ("users", "-f", "json"), ("export",), ("export", "-f", "ndjson"),
                ("export", "--as-of", "now"), ("users", "-r", "Registered"), ("status",),
                ("query", "SELECT * FROM users", "-f", "csv"), ("show", "nobody@example.com")]
    before = [most(*args) for args in commands[:-1]]
    add_users(copy, 1000)
    after = [most(*args) for args in commands[:-1]]
    assert len(Rosterctl("-d", copy).ok("export").splitlines()) == 60061
    for args, small, large in zip(commands, before, after):
        assert large < 24 * 1024 and large < small + 4 * 1024, (args, small, large)
    Rosterctl("-d", copy).fails(1, *commands[-1])


# ---- backup, verify ----

def test_backup_while_the_daemon_writes(tmp_path):
    os.chmod(tmp_path, 0o750)
    with Emulator(users=3000) as chime:
        roster = Rosterd(tmp_path, chime, interval="10s")
        ctl = Rosterctl("-c", roster.config)
        with roster:
            for number in range(6):  # in the middle of the first import, and of mass changes
                path = str(tmp_path / f"backup-{number}.db")
                assert ctl.ok("backup", path) == ""
                assert os.stat(path).st_mode & 0o777 == 0o600
                assert not os.path.exists(path + "-wal")
                mine = Rosterctl("-d", path)
                assert "failed" not in mine.ok("verify")
                rows = json.loads(mine.ok("query", "SELECT u.n AS users, ifnull(r.n, 0) AS added FROM"
                                          " (SELECT count(*) AS n FROM users) u, (SELECT sum(added)"
                                          " AS n FROM runs) r", "-f", "json"))[0]
                assert rows["users"] == rows["added"]  # of one instant
                chime.patch_users({"DisplayName": f"n{number}"}, count=2000)
                roster.sync_now()
    assert json.loads(Rosterctl("-d", path).ok("status", "-f", "json"))[0]["users"] == 3000
    # rosterd goes on with a backup
    shutil.copy(path, roster.database)
    for suffix in ("-wal", "-shm"):
        if os.path.exists(roster.database + suffix):
            os.unlink(roster.database + suffix)
    with Emulator(users=3000, port=chime.port):
        roster.once()
    assert "failed" not in ctl.ok("verify")


@pytest.mark.parametrize("command", [["export", "-o"], ["backup"]])
def test_what_is_written_outlives_a_power_cut(ctl, tmp_path, command):
    """The file gets its name when it is whole, and then the folder is synced."""
    folder = tmp_path / "there"
    folder.mkdir()
    env = crash.tapped(folder, LOG=tmp_path / "steps")
    assert ctl.run(*command, str(folder / "file"), env=env).returncode == 0
    steps = crash.read_steps(tmp_path / "steps")
    assert steps[-2].kind == "r" and (steps[-1].kind, steps[-1].name) == ("s", "")
    env = crash.tapped(folder, FAIL_AT=len(steps), ERRNO=errno.EIO)
    done = ctl.run(*command, str(folder / "file"), env=env)
    assert done.returncode == 74 and "cannot give its name to" in done.stderr, done.stderr


def test_backup_refuses(told, ctl, tmp_path):
    assert "is the database itself" in ctl.fails(73, "backup", told.database)
    os.symlink(told.database, tmp_path / "link.db")
    assert "is the database itself" in ctl.fails(73, "backup", str(tmp_path / "link.db"))
    assert "cannot create the backup" in ctl.fails(66, "backup", str(tmp_path / "no" / "b.db"))
    assert ctl.ok("verify").count("  ok ") == 4


@pytest.mark.parametrize("command", [["export", "-o"], ["backup"]])
def test_the_files_of_the_database_are_no_target(told, ctl, tmp_path, command):
    os.symlink(os.path.dirname(told.database), tmp_path / "folder")
    name = os.path.basename(told.database)
    there = sorted(os.listdir(os.path.dirname(told.database)))
    for suffix in ("", "-wal", "-shm", "-journal", ".key", ".lock"):
        for path in (told.database + suffix, str(tmp_path / "folder" / (name + suffix))):
            assert "is the database itself" in ctl.fails(73, *command, path)
    os.link(told.database, tmp_path / "other-name")
    assert "is the database itself" in ctl.fails(73, *command, str(tmp_path / "other-name"))
    assert sorted(os.listdir(os.path.dirname(told.database))) == there


def test_backup_replaces_only_files(ctl, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in ctl.fails(73, "backup", str(tmp_path / "pipe"))
    assert "no regular file" in ctl.fails(73, "backup", "/dev/null")
    assert "is a directory" in ctl.fails(73, "backup", str(tmp_path))
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_readonly_file_system(told, copy, tmp_path):
    """A backup can be read there; a database of rosterd's without its other files cannot, by anybody."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("needs root and mount namespaces")
    place = tmp_path / "place"
    place.mkdir()
    shutil.copy(copy, place / "backup.db")
    shutil.copy(told.database, place / "roster.db")

    def users(name):
        script = f"mount --bind '{place}' '{place}' && mount -o remount,ro,bind '{place}' && exec \"$@\""
        return subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", binary(), "-d", place / name, "users"],
                              env=environment(), capture_output=True, text=True, timeout=60, check=False)

    done = users("backup.db")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 61), done.stderr
    done = users("roster.db")
    assert done.returncode == 66, done.stderr
    assert "is on a read-only file system, without its -wal and -shm files; read a copy" in done.stderr
    assert "root" not in done.stderr.replace(str(tmp_path), "") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_backup_beside_the_log_of_an_older_database(ctl, tmp_path, suffix):
    path = tmp_path / "b.db"
    (tmp_path / ("b.db" + suffix)).write_bytes(b"x")
    assert "remove it, or name another file" in ctl.fails(73, "backup", str(path))
    assert os.listdir(tmp_path) == ["b.db" + suffix]
    (tmp_path / ("b.db" + suffix)).write_bytes(b"")
    ctl.ok("backup", str(path))


def test_export_follows_a_link(ctl, tmp_path):
    (tmp_path / "real").write_text("before")
    os.symlink("real", tmp_path / "link")
    ctl.ok("export", "-o", str(tmp_path / "link"))
    assert os.path.islink(tmp_path / "link")
    assert (tmp_path / "real").read_text().startswith("account,")


@pytest.mark.parametrize("command", [["export", "-o"], ["backup"]])
@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_half_file(large, tmp_path, command, sig):
    for number in range(20):  # it may be done before the signal comes
        folder = tmp_path / str(number)
        folder.mkdir()
        child = subprocess.Popen([binary(), "-d", large, *command, str(folder / "out")],
                                 env=environment(), stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: os.listdir(folder), TIMEOUT)
            child.send_signal(sig)
            status = child.wait(60)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait(10)
        if status == -sig:
            break
        assert status == 0 and os.listdir(folder) == ["out"]
    assert status == -sig and os.listdir(folder) == []


def test_verify_finds(copy):
    mine = Rosterctl("-d", copy)

    def finds(check, what, *changes):
        with sqlite3.connect(copy, isolation_level=None) as db:
            db.execute("PRAGMA writable_schema = ON")
            for change in changes:
                db.execute(change)
        done = mine.run("verify", "-f", "json")
        assert done.returncode == 1, done.stderr
        assert any(row["check"] == check and row["result"] == "failed" and what in row["what"]
                   for row in json.loads(done.stdout)), done.stdout

    finds("cursors", "journal stands at event 999999", "UPDATE sink_data SET cursor = 999999")
    finds("references", "event_data refers to no row of account_data",
          "UPDATE event_data SET account_key = 77 WHERE seq = 1")
    finds("schema", "event_type is missing", "DROP INDEX event_type")
    finds("schema", "suspended_users is not as rosterd makes it",
          "DROP VIEW suspended_users", "CREATE VIEW suspended_users AS SELECT 1")
    finds("integrity", "user_email", "UPDATE sqlite_schema SET sql = replace(sql, 'primary_email)',"
          " 'display_name)') WHERE name = 'user_email'")


# ---- events --follow ----

class Follower:
    def __init__(self, *args):
        self.child = subprocess.Popen([binary(), *args], env=environment(), stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.seen = b""

    def events(self):
        while select.select([self.child.stdout], [], [], 0.05)[0]:
            piece = os.read(self.child.stdout.fileno(), 65536)
            if not piece:
                break
            self.seen += piece
        return [json.loads(line) for line in self.seen.split(b"\n")[:-1]]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(10)
        self.child.stdout.close()
        self.child.stderr.close()


def test_follow_goes_on_over_restarts(roster, chime):
    roster.once()
    users = [user["UserId"] for user in chime.users(limit=8)]
    for user in users[:2]:
        chime.patch_user(user, UserRegistrationStatus="Suspended", DisplayName="then")
    roster.once()

    def has(follower, user, name):
        return [e for e in follower.events() if e["user_id"] == user and
                any(c["new"] == name for c in e["changes"])]

    with Follower("-c", roster.config, "events", "--follow", "-f", "ndjson", "-t", "user.*") as f:
        wait_until(lambda: len(f.events()) >= 2, TIMEOUT)  # the last ten to begin with
        with roster:
            chime.patch_user(users[2], DisplayName="one")
            roster.sync_now()
            wait_until(lambda: has(f, users[2], "one"), TIMEOUT)
        chime.patch_user(users[3], DisplayName="two")
        with roster:
            wait_until(lambda: has(f, users[3], "two"), TIMEOUT)
        roster.start()
        roster.stop(signal.SIGKILL)
        chime.patch_user(users[4], DisplayName="three")
        roster.once()
        wait_until(lambda: has(f, users[4], "three"), TIMEOUT)
        # a backup takes the place of the database
        path = roster.database + ".backup"
        Rosterctl("-d", roster.database).ok("backup", path)
        for suffix in ("-wal", "-shm"):
            os.unlink(roster.database + suffix)
        os.replace(path, roster.database)
        chime.patch_user(users[5], DisplayName="four")
        roster.once()
        wait_until(lambda: has(f, users[5], "four"), TIMEOUT)
        assert f.child.poll() is None
        seen = [event["seq"] for event in f.events()]
        assert seen == [e["seq"] for e in roster.events() if e["type"].startswith("user.")]


def reads(pid):
    with open(f"/proc/{pid}/io", encoding="ascii") as io_file:
        return int(re.search(r"^syscr: (\d+)$", io_file.read(), re.M)[1])


def test_follow_asks_the_database_at_most_once_a_second(copy):
    """Though it changes all the time: whenever it is asked, its pages are read anew."""
    db = sqlite3.connect(copy, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    with Follower("-d", copy, "events", "--follow", "-f", "ndjson") as f:
        wait_until(f.events, TIMEOUT)
        bursts, last, count, begin = 0, 0, reads(f.child.pid), time.monotonic()
        while time.monotonic() - begin < 4:
            db.execute("UPDATE sink_data SET attempts = attempts + 1")
            db.execute("UPDATE event_data SET time = time WHERE seq = 1")
            time.sleep(0.02)
            now, moment = reads(f.child.pid), time.monotonic()
            if now != count and moment - last > 0.4:
                bursts, last = bursts + 1, moment
            count = now
        assert 1 <= bursts <= 5
        f.child.send_signal(signal.SIGINT)
        assert f.child.wait(10) == -signal.SIGINT
    db.close()


def test_follow_ends_with_its_reader(copy):
    with Follower("-d", copy, "events", "--follow", "-f", "ndjson") as f:
        wait_until(f.events, TIMEOUT)
        f.child.stdout.close()
        assert f.child.wait(TIMEOUT) == -signal.SIGPIPE and f.child.stderr.read() == b""


def test_follow_needs_lines(ctl):
    assert "ndjson" in ctl.fails(2, "events", "--follow", "-f", "json")
