# SPDX-License-Identifier: Apache-2.0
"""The control socket: what may be asked, who may ask, and that no client harms anything."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

import pytest

from control import Connection, account, ask, refusal, result, wait_idle
from rosterd import Rosterd, kinds, wait_until


@pytest.fixture
def running(roster):
    """Started, with its baseline taken, and no run due for a long time."""
    roster.settings["interval"] = "1h"
    roster.write_config()
    roster.start()
    wait_idle(roster)
    return roster


def path(roster):
    return roster.settings["control_socket"]


def states(answers, name="acme"):
    return [a["progress"]["state"] for a in answers
            if "progress" in a and a["progress"]["account"] == name]


def still_serves(roster):
    assert result(roster, "status")["pid"] == roster.process.pid


# ---- the socket ----------------------------------------------------------------------------------

def test_socket_comes_and_goes(running):
    info = os.stat(path(running))
    assert stat.S_ISSOCK(info.st_mode) and stat.S_IMODE(info.st_mode) == 0o660
    assert running.stop() == 0
    assert not os.path.exists(path(running))


def test_socket_of_a_killed_daemon_is_replaced(running):
    running.stop(signal.SIGKILL)
    assert os.path.exists(path(running))
    running.start()
    still_serves(running)


def test_a_folder_that_takes_no_socket(roster, tmp_path):
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("needs root and mount namespaces")
    place = tmp_path / "readonly"
    place.mkdir()
    roster.settings["control_socket"] = str(place / "control")
    roster.write_config()
    roster.start(prefix=["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o ro tmpfs '{place}' && exec \"$@\"", "sh"])
    assert roster.wait_line("rosterctl cannot reach this rosterd").endswith(
        f"cannot lock the control socket {place}/control: Read-only file system; give its directory to the user"
        " that rosterd runs as, or set control_socket")


def test_socket_of_another_daemon_is_left_alone(running, chime, tmp_path):
    os.mkdir(tmp_path / "other")
    other = Rosterd(tmp_path / "other", chime, control_socket=path(running))
    try:
        other.start()
        line = other.wait_line("rosterctl cannot reach this rosterd")
        assert "another rosterd listens" in line
        wait_until(lambda: other.complete_runs() == 1, message="its run")  # it works all the same
    finally:
        other.stop()
    still_serves(running)


def test_a_file_in_its_place_is_left_alone(roster):
    with open(path(roster), "w", encoding="utf-8") as f:
        f.write("precious")
    roster.start()
    assert "is no socket" in roster.wait_line("rosterctl cannot reach")
    assert roster.stop() == 0
    with open(path(roster), encoding="utf-8") as f:
        assert f.read() == "precious"


def test_without_its_directory_the_daemon_goes_on(roster, tmp_path):
    roster.settings["control_socket"] = str(tmp_path / "nowhere" / "control")
    roster.write_config()
    roster.start()
    assert "does not exist; create it" in roster.wait_line("rosterctl cannot reach")
    wait_until(lambda: roster.complete_runs() == 1, message="a run")


def test_once_has_no_socket(roster):
    roster.once()
    assert not os.path.exists(path(roster))


def test_a_new_path_takes_a_restart(running, tmp_path):
    running.settings["control_socket"] = str(tmp_path / "elsewhere")
    running.write_config()
    running.send_signal(signal.SIGHUP)
    running.wait_line("takes a restart")
    assert not os.path.exists(tmp_path / "elsewhere")


@pytest.mark.parametrize("groups, allowed", [([], False), ([0], True)], ids=["stranger", "member"])
def test_who_may_ask(chime, tmp_path, groups, allowed):
    """Even where the mode of the socket lets everybody in."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else; tests/systemd has the same")
    ask_as = ("import socket, sys\n"
              "s = socket.socket(socket.AF_UNIX); s.settimeout(25); s.connect(sys.argv[1])\n"
              "try: s.sendall(b'{\"request\":\"status\"}\\n')\n"
              "except BrokenPipeError: pass\n"
              "print(s.makefile().readline())\n")
    with tempfile.TemporaryDirectory() as public:
        os.chmod(public, 0o755)
        with Rosterd(tmp_path, chime, control_socket=f"{public}/control") as roster:
            wait_until(lambda: os.path.exists(path(roster)), message="the socket")
            os.chmod(path(roster), 0o666)
            done = subprocess.run([sys.executable, "-c", ask_as, path(roster)], text=True, timeout=60,
                                  stdout=subprocess.PIPE, check=True, cwd="/", user=65534,
                                  group=65534, extra_groups=groups)
            answer = json.loads(done.stdout)
            if allowed:
                assert answer["result"]["pid"] == roster.process.pid
            else:
                assert answer["error"]["code"] == "denied"
            still_serves(roster)


# ---- status --------------------------------------------------------------------------------------

def test_status(running):
    said = result(running, "status")
    assert said["database"] == running.database and said["config"] == running.config
    acme, = said["accounts"]
    assert acme["state"] == "idle"
    assert 0 < acme["next_run_ms"] <= 3600 * 1000


def test_status_of_a_run(running, chime):
    chime.fault("delay", page=3, delay_ms=60000)
    result(running, "sync")
    acme = wait_until(lambda: (a := account(running))["pages"] == 2 and a, message="two pages")
    assert (acme["state"], acme["users"], acme["expected"]) == ("running", 400, 450)
    assert acme["run_id"] == running.run_rows()[-1]["run_id"]
    assert acme["elapsed_ms"] > 0 and acme["next_run_ms"] == 0


def test_another_database_is_not_meant(running, tmp_path):
    code, message = refusal(running, "status", database=str(tmp_path / "other.db"))
    assert code == "other-database" and running.database in message
    result(running, "status", database=os.path.realpath(running.database))


# ---- sync ----------------------------------------------------------------------------------------

def test_sync_asks_for_a_run(running):
    runs = running.complete_runs()
    assert ask(running, "sync") == [{"result": {}}]
    wait_until(lambda: running.complete_runs() == runs + 1, message="the run")


def test_sync_waits_and_tells(running, chime):
    user = chime.users(limit=1)[0]["UserId"]
    chime.patch_user(user, DisplayName="Changed")
    chime.fault("delay", page=2, delay_ms=1500)
    answers = ask(running, "sync", accounts=["acme"], wait=True)
    assert running.users()[user]["display_name"] == "Changed"
    assert answers[-1] == {"result": {"accounts": 1, "complete": 1}}
    assert states(answers)[0] == "running" and states(answers)[-1] == "complete"
    on_the_way = [a["progress"] for a in answers if "progress" in a and a["progress"]["pages"] == 1]
    assert on_the_way[0]["users"] == 200 and on_the_way[0]["expected"] == 450
    end = answers[-2]["progress"]
    assert (end["pages"], end["users"], end["changed"]) == (3, 450, 1)
    assert end["run_id"] == running.run_rows()[-1]["run_id"]


def test_sync_during_a_run_lists_anew(running, chime):
    """The run that goes on has page 1 behind it: what changes there now, only another one sees."""
    user = chime.users(limit=1)[0]["UserId"]
    runs = len(running.run_rows())
    chime.fault("delay", page=3, delay_ms=2000)
    result(running, "sync")
    wait_until(lambda: account(running)["pages"] == 2, message="two pages")
    chime.patch_user(user, DisplayName="Late")
    answers = ask(running, "sync", wait=True)
    assert states(answers)[0] == "queued" and states(answers)[-1] == "complete"
    assert running.users()[user]["display_name"] == "Late"
    assert len(running.run_rows()) == runs + 2


def test_many_wait_for_the_same_run(running, chime):
    runs = len(running.run_rows())
    chime.fault("delay", page=1, delay_ms=2000)
    result(running, "sync")
    wait_until(lambda: account(running)["state"] == "running", message="a run")
    waiting = [Connection(running, {"request": "sync", "wait": True}) for _ in range(10)]
    for connection in waiting:
        assert connection.rest()[-1] == {"result": {"accounts": 1, "complete": 1}}
    assert len(running.run_rows()) == runs + 2


def test_sync_of_several_accounts(roster, chime):
    second = "11111111-2222-4333-8444-555555555555"
    chime.add_account(second, users=5)
    roster.settings["interval"] = "1h"
    roster.accounts = {"acme": {}, "globex": {"account_id": second}, "initech": {"account_id": "none"}}
    roster.write_config()
    with roster:
        wait_idle(roster, "acme", "globex", "initech")
        answers = ask(roster, "sync", wait=True)
        assert answers[-1] == {"result": {"accounts": 3, "complete": 2}}
        assert states(answers, "globex")[-1] == "complete"
        failed = [a["progress"] for a in answers if "progress" in a
                  and a["progress"]["state"] == "failed"]
        assert [f["account"] for f in failed] == ["initech"] and "404" in failed[0]["error"]
        runs = len(roster.run_rows())
        ask(roster, "sync", accounts=["globex"], wait=True)
        assert [r["account"] for r in roster.run_rows()[runs:]] == ["globex"]
        code, message = refusal(roster, "sync", accounts=["globex", "globbex"])
        assert code == "no-such-account" and "did you mean globex?" in message
        assert len(roster.run_rows()) == runs + 1


def test_a_wait_outlives_a_reload(running, chime):
    """The run that is waited for is interrupted by the reload, and begins anew."""
    chime.fault("stall", page=2)
    with Connection(running, {"request": "sync", "wait": True}) as waiting:
        wait_until(lambda: account(running)["pages"] == 1, message="a page")
        running.accounts["acme"]["request_timeout"] = "59s"
        running.write_config()
        running.send_signal(signal.SIGHUP)
        assert waiting.rest()[-1] == {"result": {"accounts": 1, "complete": 1}}
    assert [r["outcome"] for r in running.run_rows()[-2:]] == ["interrupted", "complete"]


def test_a_wait_ends_when_the_account_is_taken_out(running, chime):
    chime.fault("stall", page=2)
    with Connection(running, {"request": "sync", "wait": True}) as waiting:
        wait_until(lambda: account(running)["pages"] == 1, message="a page")
        running.accounts = {"other": {"account_id": "x"}}
        running.write_config()
        running.send_signal(signal.SIGHUP)
        answers = waiting.rest()
    assert answers[-1] == {"result": {"accounts": 1, "complete": 0}}
    assert "taken out" in answers[-2]["progress"]["error"]


def test_who_waits_is_told_that_the_daemon_stops(running, chime):
    chime.fault("stall", page=2)
    with Connection(running, {"request": "sync", "wait": True}) as waiting:
        wait_until(lambda: account(running)["pages"] == 1, message="a page")
        assert running.stop() == 0
        assert waiting.rest()[-1]["error"]["message"] == "rosterd is stopping"


def test_a_run_that_cannot_be_recorded_is_told(running):
    """The database is locked by another program, so the run cannot even start."""
    blocker = subprocess.Popen(["sqlite3", running.database], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        blocker.stdin.write("BEGIN IMMEDIATE; SELECT 'held';\n")
        blocker.stdin.flush()
        assert blocker.stdout.readline() == "held\n"
        answers = ask(running, "sync", wait=True)
    finally:
        blocker.communicate("ROLLBACK;\n", timeout=25)
    assert answers[-1] == {"result": {"accounts": 1, "complete": 0}}
    assert "another program" in answers[-2]["progress"]["error"]
    still_serves(running)


# ---- accept-removals -----------------------------------------------------------------------------

def held(roster):
    return {row["user_id"] for row in
            roster.sql("SELECT user_id FROM user_data WHERE missing = 1000000")}


def hold(roster, chime, count):
    """So many users vanish, more than may be removed; returns their ids."""
    before = set(roster.users())
    chime.delete_users(count=count)
    assert states(ask(roster, "sync", wait=True))[-1] == "complete"
    assert roster.account()["held_removals"] == count
    return before - {user["UserId"] for user in chime.users()}


def test_accepted_removals_are_carried_out(running, chime):
    gone = hold(running, chime, 100)
    assert held(running) == gone
    seq = running.last_seq()
    assert result(running, "accept-removals", account="acme") == {"held": 100}
    wait_until(lambda: running.account()["held_removals"] == 0, message="the removals")
    assert sorted(kinds(running.events(seq))) == sorted(("user.removed", user) for user in gone)
    assert held(running) == set()
    running.wait_line("the removal of 100 users was accepted")
    # that was for once
    wait_idle(running)
    hold(running, chime, 90)


def test_who_is_held_is_marked_whatever_the_limit(running, chime):
    """Also those who were missing before there were too many, and those who come to be."""
    gone = hold(running, chime, 60)
    assert held(running) == gone
    gone |= hold_more(running, chime, 30)
    assert held(running) == gone
    back = sorted(gone)[:85]
    for user in back:
        chime.add_user({"UserId": user, "AccountId": chime.account_id})
    ask(running, "sync", wait=True)
    assert held(running) == set() and running.account()["held_removals"] == 0
    assert set(back) <= set(running.users())
    assert not (gone - set(back)) & set(running.users())


def hold_more(roster, chime, count):
    ids = {user["UserId"] for user in chime.users(limit=count)}
    chime.delete_users(sorted(ids))
    ask(roster, "sync", wait=True)
    return ids


def test_what_was_accepted_is_not_any_number(running, chime):
    """100 were accepted; when 300 are missing after all, nobody goes, and that is told again."""
    hold(running, chime, 100)
    chime.fault("status", exception="ForbiddenException", times=1)  # the run of the acceptance
    result(running, "accept-removals", account="acme")
    wait_until(lambda: running.run_rows()[-1]["outcome"] == "failed", message="a failed run")
    wait_idle(running)
    seq = running.last_seq()
    chime.delete_users(count=200)
    ask(running, "sync", wait=True)
    told = [e for e in running.events(seq) if e["type"] == "sync.removals_held"]
    assert len(told) == 1 and json.loads(told[0]["detail"])["held"] == 300
    assert len(running.users()) == 450 and running.account()["held_removals"] == 300


def test_accepted_during_a_run(running, chime):
    """The state that the run began with does not undo it."""
    gone = hold(running, chime, 100)
    chime.fault("delay", page=2, delay_ms=1500)
    result(running, "sync")
    wait_until(lambda: account(running)["pages"] == 1, message="a page")
    result(running, "accept-removals", account="acme")
    wait_until(lambda: running.account()["held_removals"] == 0, message="the removals")
    assert not gone & set(running.users())


def test_nothing_to_accept(running):
    assert refusal(running, "accept-removals", account="acme") == \
        ("not-now", "no removals of acme are held")
    assert refusal(running, "accept-removals", account="amce")[0] == "no-such-account"


# ---- forget --------------------------------------------------------------------------------------

@pytest.fixture
def two(roster, chime):
    """acme is configured, globex no longer is; both have users, events and runs."""
    second = "11111111-2222-4333-8444-555555555555"
    chime.add_account(second, users=2500)
    roster.settings["interval"] = "1h"
    roster.accounts = {"acme": {"baseline": "events"},
                       "globex": {"account_id": second, "baseline": "events"}}
    roster.write_config()
    roster.once()
    chime.delete_users(count=10)
    chime.delete_users(count=10, account=second)
    roster.once()
    del roster.accounts["globex"]
    roster.write_config()
    roster.start()
    wait_idle(roster)
    return roster


COUNTS = "SELECT (SELECT count(*) FROM users WHERE account = 'globex')" \
         " + (SELECT count(*) FROM former_users WHERE account = 'globex')" \
         " + (SELECT count(*) FROM events WHERE account = 'globex' OR account IS NULL)" \
         " + (SELECT count(*) FROM runs WHERE account = 'globex' OR account IS NULL)" \
         " + (SELECT count(*) FROM accounts WHERE account = 'globex') AS n"


def left(roster):
    return roster.sql(COUNTS)[0]["n"]


def test_forget(two):
    kept = two.sql("SELECT * FROM users WHERE account = 'acme' ORDER BY user_id")
    events = two.sql("SELECT * FROM events WHERE account = 'acme' ORDER BY seq")
    told = two.sql("SELECT count(*) AS n FROM events WHERE account = 'globex'")[0]["n"]
    assert told > 2500
    answers = ask(two, "forget", account="globex")
    assert answers[-1]["result"] == {"users": 2500, "events": told, "runs": 2}
    assert len(answers) > 3 and all("progress" in a for a in answers[:-1])
    assert left(two) == 0
    assert two.sql("SELECT * FROM users WHERE account = 'acme' ORDER BY user_id") == kept
    assert two.sql("SELECT * FROM events WHERE account = 'acme' ORDER BY seq") == events
    assert two.sql("PRAGMA foreign_key_check") == []
    two.wait_line("globex was forgotten")
    assert refusal(two, "forget", account="globex")[0] == "no-such-account"
    # nothing of them is left in the file
    assert b"globex" not in open(two.database, "rb").read()


def test_forget_goes_on_without_the_client(two):
    with Connection(two, {"request": "forget", "account": "globex"}) as connection:
        assert "progress" in connection.read()
    wait_until(lambda: left(two) == 0, message="the end of it")
    two.wait_line("globex was forgotten")


def test_forget_that_is_cut_short_leaves_no_storm(two, chime):
    """Killed half way and configured again: a quiet baseline, and no user is told as new."""
    with Connection(two, {"request": "forget", "account": "globex"}) as connection:
        connection.read()
        two.stop(signal.SIGKILL)
    assert left(two) > 0
    seq = two.last_seq()
    two.accounts["globex"] = {"account_id": "11111111-2222-4333-8444-555555555555"}
    two.write_config()
    two.once("globex")
    assert [e["type"] for e in two.events(seq)] == ["sync.baseline"]
    assert two.sql("SELECT count(*) AS n FROM users WHERE account = 'globex'")[0]["n"] == 2490


def test_forget_refuses_a_configured_account(two):
    code, message = refusal(two, "forget", account="acme")
    assert code == "not-now" and "take [account acme] out" in message
    assert len(two.users()) == 2930


# ---- clients that do not behave ------------------------------------------------------------------

BAD = {
    "empty": b"\n",
    "no JSON": b"hello\n",
    "cut JSON": b'{"request":"sync"\n',
    "an array": b'["status"]\n',
    "a number": b"17\n",
    "null": b"null\n",
    "single quotes": b"{'request':'status'}\n",
    "no request": b'{"accounts":["acme"]}\n',
    "request of another type": b'{"request":["status"]}\n',
    "unknown request": b'{"request":"reboot"}\n',
    "request with NUL": b'{"request":"status\\u0000x"}\n',
    "NUL byte": b'{"request":"sta\0tus"}\n',
    "invalid UTF-8": b'{"request":"sync","accounts":["\xff\xfe"]}\n',
    "unknown member": b'{"request":"status","verbose":true}\n',
    "member of another request": b'{"request":"status","account":"acme"}\n',
    "accounts of another type": b'{"request":"sync","accounts":"acme"}\n',
    "accounts with a number": b'{"request":"sync","accounts":["acme",1]}\n',
    "no accounts in the list": b'{"request":"sync","accounts":[]}\n',
    "wait of another type": b'{"request":"sync","wait":"yes"}\n',
    "account missing": b'{"request":"forget"}\n',
    "account of another type": b'{"request":"forget","account":{}}\n',
    "deep": b'{"request":"status","x":' + b"[" * 20000 + b"]" * 20000 + b"}\n",
    "two objects": b'{"request":"status"}{"request":"status"}\n',
    "two lines": b'{"request":"status"}\n{"request":"status"}\n',
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "huge": b'{"request":"' + b"a" * 70000 + b'"}\n',
}


def test_malformed_requests(running):
    runs = len(running.run_rows())
    for name, line in BAD.items():
        code, message = refusal(running, line)
        assert code == "bad-request" and message.isprintable() and len(message) < 300, name
        assert "�" not in message
    still_serves(running)
    assert len(running.run_rows()) == runs


def test_one_who_never_stops_writing(running):
    """What is not read blocks the writer, not rosterd."""
    with Connection(running) as connection:
        with pytest.raises(OSError):
            for _ in range(10000):
                connection.socket.sendall(b"x" * 65536)
        assert connection.read()["error"]["code"] == "bad-request"
    still_serves(running)


@pytest.mark.parametrize("drip", [b"", b" "], ids=["silent", "dripping"])
def test_one_who_does_not_get_to_the_point(running, drip):
    with Connection(running) as connection:
        connection.socket.settimeout(0.3)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if drip:
                    connection.socket.sendall(drip)
                answer = connection.read()
                break
            except (socket.timeout, BlockingIOError):
                continue
        assert answer["error"]["message"] == "no request has come"
        still_serves(running)


def test_those_who_vanish(running):
    for sent in (b"", b'{"request":', b'{"request":"status"}\n', b'{"request":"sync","wait":true}\n'):
        for _ in range(20):
            Connection(running, sent).close()
    still_serves(running)
    wait_idle(running)
    assert running.run_rows()[-1]["outcome"] == "complete"


def test_half_closed_connections_are_answered(running):
    with Connection(running, {"request": "status"}) as connection:
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.read()["result"]["pid"] == running.process.pid
        assert connection.read() is None
    with Connection(running, b'{"request":"status"}') as connection:  # without its newline
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.read() is None
    still_serves(running)


def test_one_who_does_not_read(roster, chime):
    """An answer too large for the kernel's buffers waits for its reader, for a while, and delays
    nobody."""
    roster.settings.update(interval="1h", concurrency="1")
    roster.accounts.update((f"account-with-a-long-name-{i:04}", {"account_id": f"id-{i}"})
                           for i in range(999))
    roster.write_config()
    with roster:
        with Connection(roster, {"request": "status"}) as lazy:
            for _ in range(3):
                still_serves(roster)
            assert len(result(roster, "status")["accounts"]) == 1000
            # it is given up: what was sent is there, and then nothing
            wait_until(lambda: open_sockets(roster) == 1, timeout=60, message="the end of it")
            got = b""
            while piece := lazy.socket.recv(65536):
                got += piece
            assert got and not got.endswith(b"\n")
        still_serves(roster)


def open_sockets(roster):
    """How many descriptors of the daemon are its control socket, or connections to it."""
    with open("/proc/net/unix", encoding="utf-8") as f:
        inodes = {line.split()[6] for line in f if line.rstrip().endswith(" " + path(roster))}
    count = 0
    for fd in os.listdir(f"/proc/{roster.process.pid}/fd"):
        try:
            target = os.readlink(f"/proc/{roster.process.pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        count += target.startswith("socket:[") and target[8:-1] in inodes
    return count


def test_too_many_at_once(running):
    """Others are turned away while all places are taken, and none is kept for long."""
    crowd = [Connection(running) for _ in range(64)]
    assert refusal(running, b"")[0] == "busy"
    for connection in crowd:
        assert connection.rest()[0]["error"]["message"] == "no request has come"
    still_serves(running)
    wait_until(lambda: open_sockets(running) == 1, message="all connections to be closed")
