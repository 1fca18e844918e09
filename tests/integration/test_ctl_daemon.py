# SPDX-License-Identifier: Apache-2.0
"""The commands of rosterctl that ask a running rosterd, or do its work where none runs."""

import csv
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading

import pytest

from control import account, result, wait_idle
from rosterctl import Rosterctl, binary, environment
from rosterd import wait_until


@pytest.fixture
def tmp_path():
    """Not pytest's own: whenever one starts it closes the folder above to other users."""
    folder = tempfile.mkdtemp(prefix="rosterctl-")
    yield pathlib.Path(folder)
    shutil.rmtree(folder)


@pytest.fixture
def running(roster):
    """Started, with its baseline taken, and no run due for a long time."""
    roster.settings["interval"] = "1h"
    roster.write_config()
    roster.start()
    wait_idle(roster)
    return roster


@pytest.fixture
def ctl(roster):
    return Rosterctl("--config", roster.config)


def sentence(text):
    """One line without what comes and goes on a terminal."""
    return re.sub(r"\r\x1b\[K", "\n", text).strip("\n")


# ---- sync ----------------------------------------------------------------------------------------

def test_sync_of_another_database(running, ctl, tmp_path):
    """The rosterd that runs does nothing for it, and what to do is said."""
    other = str(tmp_path / "other.db")
    ctl.ok("backup", other)
    said = ctl.fails(69, "--database", other, "sync")
    assert said == f"rosterctl: the rosterd that runs keeps another database, {running.database}; leave out" \
        " --database, or name the configuration of the rosterd that you mean with --config."


def test_sync_waits(running, ctl, chime):
    user = chime.users(limit=1)[0]["UserId"]
    chime.patch_user(user, DisplayName="Changed")
    line, = ctl.ok("sync", "--wait").splitlines()
    assert re.fullmatch(r"acme: complete: 450 users on 3 pages in [\d.]+ s; "
                        r"0 added, 1 changed, 0 removed", line)
    assert running.users()[user]["display_name"] == "Changed"
    assert ctl.ok("sync", "-w", "acme").startswith("acme: complete")


def test_sync_does_not_wait_in_a_pipe(running, ctl, chime):
    chime.fault("delay", page=2, delay_ms=3000)
    runs = running.complete_runs()
    assert "rosterctl status" in ctl.ok("sync")
    assert running.complete_runs() == runs
    wait_until(lambda: running.complete_runs() == runs + 1, message="the run")


def test_sync_on_a_terminal_shows_how_far_it_is(running, ctl, chime):
    chime.fault("delay", page=3, delay_ms=1500)
    screen = ctl.screen("sync", columns=100)
    shown = sentence(screen).split("\n")
    assert any(re.match(r"acme: 88%, 400 of about 450 users, 2 pages, \d+ users/s", line)
               for line in shown), shown
    assert shown[-1].startswith("acme: complete: 450 users")
    # what stays is the last line alone
    assert screen.rstrip("\n").rsplit("\r\x1b[K", 1)[1] == shown[-1]


def test_sync_on_a_narrow_terminal(running, ctl, chime):
    chime.fault("delay", page=3, delay_ms=1000)
    screen = ctl.screen("sync", columns=20)
    for line in screen.split("\r\x1b[K")[1:-1]:
        assert len(line.rstrip("\n")) <= 20


def test_sync_on_a_dumb_terminal(running, ctl, chime):
    chime.fault("delay", page=3, delay_ms=500)
    screen = ctl.screen("sync", env={"TERM": "dumb"})
    assert "\x1b" not in screen and screen.count("\n") == 1


def test_sync_for_programs(running, ctl):
    row, = json.loads(ctl.ok("sync", "--format", "json"))
    run = running.run_rows()[-1]
    assert row == {"account": "acme", "outcome": "complete", "run_id": run["run_id"],
                   "elapsed_ms": row["elapsed_ms"], "pages": 3, "users": 450, "added": 0,
                   "changed": 0, "removed": 0, "retries": 0, "throttled": 0, "error": None}
    rows = list(csv.DictReader(io.StringIO(ctl.ok("sync", "-f", "csv"), newline="")))
    assert [(r["account"], r["outcome"]) for r in rows] == [("acme", "complete")]


def test_sync_that_fails(running, ctl, chime):
    chime.fault("status", exception="ForbiddenException", times=1)
    done = ctl.run("sync", "--wait")
    assert done.returncode == 1 and done.stderr == ""
    assert done.stdout.startswith("acme: not complete: ") and "403" in done.stdout


def test_sync_of_unknown_accounts(running, ctl):
    assert "did you mean acme?" in ctl.fails(1, "sync", "acne")


def test_sync_without_a_daemon(roster, ctl):
    roster.once()
    said = ctl.fails(69, "sync", "--wait")
    assert "rosterd does not run" in said and "systemctl start rosterd" in said


def test_sync_when_the_daemon_stops(running, ctl, chime):
    chime.fault("stall", page=2)
    child = subprocess.Popen([binary(), *ctl.general, "sync", "--wait"], env=environment(),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: account(running)["pages"] == 1, message="a page")
    running.stop()
    out, err = child.communicate(timeout=25)
    assert (child.returncode, out, err) == (74, "", "rosterctl: rosterd is stopping.\n")


def test_sync_when_the_daemon_dies(running, ctl, chime):
    chime.fault("stall", page=2)
    child = subprocess.Popen([binary(), *ctl.general, "sync", "--wait"], env=environment(),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: account(running)["pages"] == 1, message="a page")
    running.stop(signal.SIGKILL)
    out, err = child.communicate(timeout=25)
    assert (child.returncode, out) == (74, "") and "ended before it had answered" in err


def test_interrupting_sync_does_not_interrupt_the_run(running, ctl, chime):
    chime.fault("delay", page=2, delay_ms=1000)
    runs = running.complete_runs()
    child = subprocess.Popen([binary(), *ctl.general, "sync", "--wait"], env=environment())
    wait_until(lambda: account(running)["pages"] == 1, message="a page")
    child.send_signal(signal.SIGINT)
    assert child.wait(25) == -signal.SIGINT
    wait_until(lambda: running.complete_runs() == runs + 1, message="the run")


def test_a_daemon_of_another_database_is_not_asked(running, tmp_path):
    other = tmp_path / "other.db"
    with sqlite3.connect(running.database) as db, sqlite3.connect(other) as copy:
        db.backup(copy)
    ctl = Rosterctl("--config", running.config, "--database", str(other))
    said = ctl.fails(69, "sync", "--wait")
    assert running.database in said
    assert not any(row["live"] for row in json.loads(ctl.ok("status", "-f", "json")))


# ---- status --------------------------------------------------------------------------------------

def test_status_says_that_it_is_live(running, ctl):
    row, = json.loads(ctl.ok("status", "--format", "json"))
    assert row["live"] is True and row["state"] == "ok" and row["run_id"] is None
    screen = ctl.ok("status")
    assert f"rosterd 0.1.0 runs, pid {running.process.pid}: this is how it stands now." in screen
    assert "PROGRESS" not in screen


def test_status_of_a_run(running, ctl, chime):
    chime.fault("delay", page=3, delay_ms=60000)
    result(running, "sync")
    wait_until(lambda: account(running)["pages"] == 2, message="two pages")
    row, = json.loads(ctl.ok("status", "-f", "json"))
    assert (row["live"], row["state"], row["next_run_at"]) == (True, "running", None)
    assert (row["run_pages"], row["run_users"], row["run_expected"]) == (2, 400, 450)
    assert row["run_id"] == running.run_rows()[-1]["run_id"] and row["run_elapsed_ms"] > 0
    screen = ctl.ok("status")
    assert "PROGRESS" in screen and "88% of 450" in screen


def test_status_of_the_database(running, ctl):
    running.stop()
    row, = json.loads(ctl.ok("status", "--format", "json"))
    assert row["live"] is False and row["state"] == "ok" and row["users"] == 450
    screen = ctl.ok("status")
    assert "rosterd does not run: this is what the database says." in screen
    header, line = screen.splitlines()[:2]
    begin = header.index("NEXT RUN")
    assert not line[begin:header.index("LAST ERROR") if "LAST ERROR" in header else None].strip()


def test_status_after_a_crash_does_not_say_that_anything_runs(running, ctl, chime):
    chime.fault("stall", page=2)
    result(running, "sync")
    wait_until(lambda: account(running)["pages"] == 1, message="a page")
    running.stop(signal.SIGKILL)
    row, = json.loads(ctl.ok("status", "--format", "json"))
    assert (row["live"], row["state"]) == (False, "unfinished")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_status_of_one_who_may_read_and_not_ask(running, ctl, tmp_path):
    """The database's word, and why it is not the daemon's."""
    os.chmod(running.settings["control_socket"], 0o600)
    folder = str(tmp_path)
    while len(folder) > 4:
        os.chmod(folder, os.stat(folder).st_mode | 0o011)
        folder = os.path.dirname(folder)
    done = subprocess.run([binary(), *ctl.general, "status"], env=environment(), text=True, user=65534,
                          group=0, extra_groups=[], timeout=60, check=False, cwd="/",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    assert "This is what the database says; you may not ask rosterd" in done.stdout
    assert "450" in done.stdout


# ---- removals ------------------------------------------------------------------------------------

def hold(roster, ctl, chime, count=100):
    gone = {user["UserId"] for user in chime.users(limit=count)}
    chime.delete_users(sorted(gone))
    assert ctl.ok("sync", "--wait").endswith(
        f"0 removed; {count} removals are held, see 'rosterctl removals acme'\n")
    return gone


def test_removals_are_listed_and_accepted(running, ctl, chime):
    assert ctl.ok("removals", "acme") == "acme: no removals are held\n"
    assert ctl.ok("removals", "acme", "-f", "json") == "[]\n"
    assert "no removals of acme are held" in ctl.fails(1, "removals", "acme", "--accept")
    gone = hold(running, ctl, chime)
    assert {row["user_id"] for row in json.loads(ctl.ok("removals", "acme", "-f", "json"))} == gone
    screen = ctl.ok("removals", "acme").splitlines()
    assert screen[0].startswith("acme: 100 of 450 users are missing from the listing")
    assert len(screen) == 2 + 1 + 100
    nameless = [user for user_id, user in running.users().items()
                if user_id in gone and not user["primary_email"]]
    assert nameless  # they are told apart all the same
    for user in nameless:
        called = user["display_name"] or user["user_id"]
        assert any(line.startswith(f"acme     {called}") for line in screen), called
    assert "the removal of 100 users is accepted" in ctl.ok("removals", "acme", "--accept")
    wait_until(lambda: not gone & set(running.users()), message="the removals")
    assert ctl.ok("removals", "acme") == "acme: no removals are held\n"


def test_removals_are_accepted_without_a_daemon(roster, ctl, chime):
    roster.once()
    chime.delete_users(count=100)
    roster.once()
    assert "rosterd does not run" in ctl.ok("removals", "acme", "--accept")
    roster.once()
    assert len(roster.users()) == 350


def test_removals_of_unknown_accounts(running, ctl):
    assert "did you mean acme?" in ctl.fails(1, "removals", "acne")


# ---- forget --------------------------------------------------------------------------------------

@pytest.fixture
def two(roster, chime):
    """acme is configured, globex no longer is."""
    second = "11111111-2222-4333-8444-555555555555"
    chime.add_account(second, users=1500)
    roster.settings["interval"] = "1h"
    roster.accounts = {"acme": {}, "globex": {"account_id": second}}
    roster.write_config()
    roster.once()
    del roster.accounts["globex"]
    roster.write_config()
    roster.once()
    return roster


def left(roster):
    return roster.sql("SELECT (SELECT count(*) FROM users WHERE account = 'globex') +"
                      " (SELECT count(*) FROM accounts WHERE account = 'globex') AS n")[0]["n"]


FORGOTTEN = "globex is forgotten: 1500 users, 1 event and 1 run were deleted\n"


def test_forget_by_the_daemon(two, ctl):
    two.start()
    wait_idle(two)
    assert "take [account acme] out of the configuration" in ctl.fails(1, "forget", "acme")
    assert ctl.ok("forget", "globex") == FORGOTTEN
    assert left(two) == 0
    two.wait_line("globex was forgotten")
    assert "no account 'globex'" in ctl.fails(1, "forget", "globex")


def test_forget_without_a_daemon(two, ctl):
    assert "was configured when rosterd ran last" in ctl.fails(1, "forget", "acme")
    assert ctl.ok("forget", "globex") == FORGOTTEN
    assert left(two) == 0 and len(two.users()) == 450
    two.once()


def test_forget_on_a_terminal(two, ctl):
    two.start()
    wait_idle(two)
    assert sentence(ctl.screen("forget", "globex")).split("\n")[-1] + "\n" == FORGOTTEN


def test_writing_waits_for_nobody(two, ctl):
    """A rosterd that has the database and cannot be asked: --once, or one without a socket."""
    two.settings["control_socket"] = os.path.join(two.folder, "nowhere", "control")
    two.write_config()
    two.start()
    wait_until(lambda: two.complete_runs() > 2, message="a run")
    said = ctl.fails(75, "forget", "globex")
    assert f"in use by rosterd, pid {two.process.pid}" in said
    assert left(two) == 1501


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_leaves_the_files_to_their_owner(two, ctl):
    """What root writes where no rosterd runs, rosterd's user must be able to write afterwards."""
    for name in os.listdir(two.folder):
        if name.startswith("roster.db"):
            os.chown(os.path.join(two.folder, name), 65534, 65534)
    os.remove(two.database + ".lock")
    for suffix in ("-wal", "-shm"):
        if os.path.exists(two.database + suffix):
            os.remove(two.database + suffix)
    os.chown(two.folder, 65534, 65534)
    folder = os.path.dirname(two.folder)
    while len(folder) > 4:
        os.chmod(folder, os.stat(folder).st_mode | 0o011)
        folder = os.path.dirname(folder)
    assert ctl.ok("forget", "globex") == FORGOTTEN
    owners = {name: os.stat(os.path.join(two.folder, name)).st_uid for name in os.listdir(two.folder)
              if name.startswith("roster.db")}
    assert set(owners.values()) == {65534} and "roster.db.lock" in owners


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_one_who_may_not_write(two, ctl, tmp_path):
    folder = str(tmp_path)
    while len(folder) > 4:
        os.chmod(folder, os.stat(folder).st_mode | 0o011)
        folder = os.path.dirname(folder)
    done = subprocess.run([binary(), *ctl.general, "forget", "globex"], env=environment(), text=True,
                          user=65534, group=0, extra_groups=[], timeout=60, check=False, cwd="/",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 77 and "you may not write the database" in done.stderr
    assert left(two) == 1501


def test_there_is_nothing_to_write(ctl):
    assert "there is no database" in ctl.fails(66, "forget", "globex")


# ---- a daemon that does not behave ---------------------------------------------------------------

ANSWERS = {
    "nothing": b"",
    "no JSON": b"hello\n",
    "half a line": b'{"result":{"acc',
    "another object": b'{"yes":true}\n',
    "result of another type": b'{"result":[]}\n',
    "progress of nobody": b'{"progress":{"state":"running"}}\n',
    "progress of an unknown state": b'{"progress":{"account":"acme","state":"on fire"}}\n',
    "endless": b"x" * (5 << 20),
}


@pytest.mark.parametrize("backlog", [0, 8])
def test_status_of_a_daemon_that_does_not_answer(roster, ctl, backlog):
    roster.once()
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(roster.settings["control_socket"])
        listener.listen(backlog)
        if backlog == 0:  # nor takes another call
            waiting.connect(roster.settings["control_socket"])
        said = ctl.ok("status", timeout=25)  # a run's patience is longer
        assert " ok " in said and "This is what the database says; rosterd" in said


def serve(listener, answers):
    for answer in answers:
        connection = listener.accept()[0]
        connection.recv(65536)
        try:
            connection.sendall(answer)
        except OSError:  # it has heard enough
            pass
        connection.close()


def test_answers_that_are_none(roster, ctl):
    """Whoever listens there, rosterctl ends in peace."""
    roster.once()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(roster.settings["control_socket"])
    listener.listen()
    answers = [answer for answer in ANSWERS.values() for _ in range(2)]
    server = threading.Thread(target=serve, args=(listener, answers), daemon=True)
    server.start()
    for what in ANSWERS:
        assert "rosterd" in ctl.fails(74, "sync", "--wait"), what
        assert "this is what the database says" in ctl.ok("status").lower(), what
    server.join(25)
    listener.close()
