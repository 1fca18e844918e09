# SPDX-License-Identifier: Apache-2.0
"""The running daemon and its keys: a role for each account, renewal, keys that the service no longer
takes, endpoints that hang."""

import itertools
import json
import os
import signal
import subprocess
import time

import pytest

from aws import ROLE, Aws, json_keys, key_id, secret_of, time_text, token_of
from control import ask
from emulator import Emulator
from rosterd import Rosterd, wait_until

SOURCE = "AKIASOURCEKEYSOURCEK"
OTHER_ACCOUNT = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"


@pytest.fixture
def chime():
    """Two accounts; only keys that STS or others have given out are known."""
    with Emulator(users=250, accounts=["0f2c1d5e-8a41-4c6e-9b57-1f0e2d3c4b5a",
                                       OTHER_ACCOUNT]) as emulator:
        emulator.control("DELETE", "credentials")
        yield emulator


@pytest.fixture
def aws(chime):
    with Aws() as server:
        server.on_issue = chime.add_credential
        server.allow(SOURCE)
        yield server


NO_KEYS = {"access_key_id": None, "secret_access_key": None}


def again(roster):
    """A further run of each account without a reload, which would have all keys fetched anew."""
    done = len(roster.run_rows())
    ask(roster, "sync", wait=True)
    assert len(roster.run_rows()) > done


def helper(tmp_path, text):
    """A credential_process; each time that it runs shows in runs_of_helper()."""
    (tmp_path / "helper").write_text(f"#!/bin/sh\necho x >>{tmp_path}/ran\n{text}")
    (tmp_path / "helper").chmod(0o755)
    (tmp_path / "aws-config").write_text(f"[default]\ncredential_process = {tmp_path}/helper\n")


def runs_of_helper(tmp_path):
    return (tmp_path / "ran").read_text().count("x") if (tmp_path / "ran").exists() else 0


def account(role=None, **more):
    """A section with SOURCE's keys, or a role of them."""
    keys = {"access_key_id": SOURCE, "secret_access_key": secret_of(SOURCE)}
    if role:
        keys["role_arn"] = ROLE + role
    return dict(keys, **more)


@pytest.fixture
def roster(tmp_path, chime, aws):
    os.chmod(tmp_path, 0o750)
    r = Rosterd(tmp_path, chime, {"acme": account("acme")})
    r.env = {"AWS_ENDPOINT_URL_STS": aws.url, "HOME": str(tmp_path)}
    yield r
    r.stop()


def everything(roster):
    """All that was written, as one text of bytes."""
    files = b"".join(open(os.path.join(roster.folder, name), "rb").read()
                     for name in os.listdir(roster.folder) if name.startswith("roster.db"))
    return files + "\n".join(roster.lines).encode()


def test_a_role_for_each_account(roster, chime, aws):
    roster.accounts = {"acme": account("one", external_id="first"),
                       "beta": account("two", account_id=OTHER_ACCOUNT, external_id="second")}
    roster.write_config()
    with roster:
        roster.wait_line("acme: baseline taken: 250 users")
        roster.wait_line("beta: baseline taken: 250 users")
    sent = {r.form["RoleArn"]: r for r in aws.seen("AssumeRole")}
    assert len(aws.seen("AssumeRole")) == 2
    assert sent[ROLE + "one"].form["ExternalId"] == "first"
    assert sent[ROLE + "two"].form["ExternalId"] == "second"
    assert b"canary" not in everything(roster)
    assert all(entry["signature_ok"] for entry in chime.log())


def test_accounts_of_one_identity_share_its_keys(roster, chime, aws):
    roster.accounts = {"acme": account("one"), "beta": account("one", account_id=OTHER_ACCOUNT)}
    roster.write_config()
    with roster:
        roster.wait_line("acme: baseline taken")
        roster.wait_line("beta: baseline taken")
        again(roster)
    assert len(aws.seen("AssumeRole")) == 1


def test_renewal_ahead_of_time_may_fail(roster, aws):
    """800 s are left: new keys are asked for, but those at hand still do."""
    aws.life = 800
    with roster:
        roster.wait_line("acme: baseline taken")
        assert len(aws.seen("AssumeRole")) == 1
        aws.hook = lambda request: (403, {}, "")
        again(roster)
        line = roster.wait_line("acme: credentials could not be renewed, those at hand are good")
        assert "until 20" in line and "AssumeRole: STS answered 403" in line
        assert [run["outcome"] for run in roster.run_rows()] == ["complete"] * 2

        asked = len(aws.seen("AssumeRole"))
        again(roster)  # within a minute: not tried again
        assert len(aws.seen("AssumeRole")) == asked
        assert {run["outcome"] for run in roster.run_rows()} == {"complete"}


def test_renewal_ahead_of_time(roster, aws):
    aws.life = 800
    with roster:
        roster.wait_line("acme: baseline taken")
        aws.life, aws.generation = 3600, 1
        again(roster)
        wait_until(lambda: len(aws.seen("AssumeRole")) == 2, message="a renewal")
        again(roster)
        assert len(aws.seen("AssumeRole")) == 2
        assert {run["outcome"] for run in roster.run_rows()} == {"complete"}


def test_keys_that_never_last_are_not_renewed_with_each_run(roster, aws):
    aws.life = 800
    with roster:
        roster.wait_line("acme: baseline taken")
        for _ in range(4):
            again(roster)
        assert len(aws.seen("AssumeRole")) == 2


def test_once_renews_nothing_ahead_of_time(roster, aws):
    """The second account takes its turn once the first has had the keys."""
    aws.life = 800
    roster.settings["concurrency"] = 1
    roster.accounts = {"acme": account("one"), "beta": account("one", account_id=OTHER_ACCOUNT)}
    roster.write_config()
    roster.once()
    assert len(aws.seen("AssumeRole")) == 1


def test_renewal_at_the_last_minute_must_not(roster, aws):
    """500 s are left: only new keys will do."""
    aws.life = 500
    with roster:
        roster.wait_line("acme: baseline taken")
        aws.generation = 1
        again(roster)
        assert len(aws.seen("AssumeRole")) == 2
        aws.hook = lambda request: (403, {}, "")
        roster.accounts["acme"]["request_timeout"] = "90s"
        roster.write_config()
        roster.send_signal(signal.SIGHUP)
        roster.wait_line("acme: sync failed")
        assert roster.run_rows()[-1]["error"] == "AssumeRole: STS answered 403"
        aws.hook = None
        again(roster)


def test_expired_session_takes_fresh_keys_once(roster, chime, aws):
    roster.accounts["acme"]["max_results"] = 50
    roster.write_config()
    chime.fault("expired_session", page=2)
    chime.fault("expired_session", page=4)

    def hook(request):
        aws.generation += 1  # STS gives others each time

    aws.hook = hook
    with roster:
        roster.wait_line("acme: baseline taken: 250 users")
    assert len(aws.seen("AssumeRole")) == 3
    run = roster.run_rows()[-1]
    assert (run["outcome"], run["users"], run["pages"]) == ("complete", 250, 5)


def test_expired_session_goes_on_and_on(roster, chime, aws):
    chime.fault("expired_session", times="always")

    def hook(request):
        aws.generation += 1

    aws.hook = hook
    lines = roster.once(status=1)
    assert len(aws.seen("AssumeRole")) == 2
    assert len(chime.log()) == 2
    assert "ExpiredToken" in roster.run_rows()[-1]["error"]
    assert any("ExpiredToken" in line for line in lines)


def test_expired_session_and_no_other_keys(roster, chime, aws):
    """STS gives the same keys again."""
    chime.fault("expired_session", times="always")
    roster.once(status=1)
    error = roster.run_rows()[-1]["error"]
    assert error.startswith("page 1: the service answered 403 ExpiredTokenException")
    assert error.endswith("(assume-role from explicit has no others to give)")
    assert len(chime.log()) == 1 and len(aws.seen("AssumeRole")) == 2


def test_errors_are_cut_between_characters(roster, chime, aws):
    """Why there are no other keys is shown as far as there is room."""
    roster.accounts = {"acme": NO_KEYS}
    roster.write_config()
    roster.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = aws.url + "/container"
    chime.fault("expired_session", times="always")
    for length in (21, 22):
        aws.requests.clear()
        aws.hook = lambda request, words="x" * length + " " + "y" * 40: (
            (400, {}, words) if len(aws.requests) > 1 else None)
        roster.once(status=1)
        error = roster.run_rows()[-1]["error"]
        assert "(the container's credentials: it answered 400: xxx" in error


def test_keys_that_were_rotated(roster, chime, tmp_path):
    """A helper's keys say no expiry: what tells that they are over is the service."""
    def rotate(access_key):
        chime.control("DELETE", "credentials")
        chime.add_credential(access_key, secret_of(access_key))
        (tmp_path / "keys.new").write_text(json.dumps(
            {"Version": 1, "AccessKeyId": access_key, "SecretAccessKey": secret_of(access_key)}))
        os.rename(tmp_path / "keys.new", tmp_path / "keys.json")

    helper(tmp_path, f"cat {tmp_path}/keys.json\n")
    roster.accounts = {"acme": {**NO_KEYS}}
    roster.write_config()
    rotate("AKIA" + "A" * 16)
    with roster:
        roster.wait_line("acme: baseline taken")
        again(roster)
        assert runs_of_helper(tmp_path) == 1
        rotate("AKIA" + "B" * 16)
        again(roster)
        assert [run["outcome"] for run in roster.run_rows()] == ["complete"] * 3
        assert runs_of_helper(tmp_path) == 2


def test_keys_that_are_denied_are_kept(roster, chime, tmp_path):
    """AccessDenied and the like are about the policy: others would not help."""
    key = key_id("helper")
    chime.add_credential(key, secret_of(key))
    (tmp_path / "keys.json").write_text(json.dumps(
        {"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret_of(key)}))
    helper(tmp_path, f"cat {tmp_path}/keys.json\n")
    chime.fault("status", exception="ForbiddenException", times=1)
    roster.accounts = {"acme": {**NO_KEYS}}
    roster.write_config()
    roster.once(status=1)
    assert "ForbiddenException" in roster.run_rows()[-1]["error"]
    assert runs_of_helper(tmp_path) == 1


def test_keys_of_a_file_that_has_changed(roster, chime, tmp_path):
    """A file is read anew for each run, and at once when its keys have expired."""
    def put(access_key):
        chime.add_credential(access_key, secret_of(access_key), token_of(access_key))
        (tmp_path / "aws-credentials").write_text(
            f"[default]\naws_access_key_id={access_key}\n"
            f"aws_secret_access_key={secret_of(access_key)}\n"
            f"aws_session_token={token_of(access_key)}\n")

    roster.accounts = {"acme": {**NO_KEYS, "max_results": 50}}
    roster.write_config()
    put(key_id("first"))
    with roster:
        roster.wait_line("acme: baseline taken: 250 users")
        chime.control("DELETE", "credentials")
        put(key_id("second"))
        again(roster)
        # expired within a run: the tool that writes the file has been there meanwhile
        chime.fault("delay", page=2, delay_ms=2000)
        chime.fault("expired_session", page=3)
        asked = len(chime.log())
        roster.accounts["acme"]["request_timeout"] = "99s"
        roster.write_config()
        roster.send_signal(signal.SIGHUP)
        chime.wait_for(lambda log: len(log) >= asked + 1)
        put(key_id("third"))
        wait_until(lambda: roster.complete_runs() == 3, message="the third run")
    assert b"canary" not in everything(roster)


def test_a_hanging_instance_delays_nobody_else(roster, chime, aws):
    released = []
    aws.hook = lambda request: None if released else "hang"
    roster.accounts = {"acme": {**NO_KEYS},
                       "beta": account(account_id=OTHER_ACCOUNT)}
    chime.add_credential(SOURCE, secret_of(SOURCE))
    roster.env.update(AWS_EC2_METADATA_DISABLED="false", AWS_METADATA_SERVICE_TIMEOUT="60",
                      AWS_EC2_METADATA_SERVICE_ENDPOINT=aws.url)
    roster.write_config()
    with roster:
        roster.wait_line("beta: baseline taken: 250 users")
        wait_until(lambda: aws.requests, message="the instance metadata")
        assert [run["outcome"] for run in roster.sql(
            "SELECT outcome FROM runs WHERE account = 'acme'")] == ["running"]
        begin = time.monotonic()
        assert roster.stop() == 0
        assert time.monotonic() - begin < 20
    assert [run["outcome"] for run in roster.sql(
        "SELECT outcome FROM runs WHERE account = 'acme'")] == ["interrupted"]


def test_a_hanging_helper_delays_nobody_and_dies_with_the_daemon(roster, chime, tmp_path):
    helper = tmp_path / "helper"
    helper.write_text(f"#!/bin/sh\nsleep 600 &\necho $$ $! >{tmp_path}/pids.new\n"
                      f"mv {tmp_path}/pids.new {tmp_path}/pids\nwait\n")
    helper.chmod(0o755)
    (tmp_path / "aws-config").write_text(f"[default]\ncredential_process = {helper}\n")
    roster.accounts = {"acme": {**NO_KEYS}, "beta": account(account_id=OTHER_ACCOUNT)}
    chime.add_credential(SOURCE, secret_of(SOURCE))
    roster.write_config()
    with roster:
        roster.wait_line("beta: baseline taken: 250 users")
        wait_until(lambda: (tmp_path / "pids").exists(), message="the helper")
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        assert roster.stop() == 0

    def gone(pid):
        try:
            with open(f"/proc/{pid}/stat") as f:
                return f.read().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    wait_until(lambda: all(gone(pid) for pid in pids), message="the helper's end")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_check_that_is_interrupted_leaves_no_helper(roster, tmp_path, number):
    helper(tmp_path, f"echo $$ >{tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid\n"
           "exec sleep 600\n")
    roster.accounts = {"acme": {**NO_KEYS}}
    roster.write_config()
    with subprocess.Popen(roster.command("--check-config", "--credentials"), text=True,
                          env=roster.environment(), stderr=subprocess.PIPE,
                          stdout=subprocess.DEVNULL) as check:
        wait_until(lambda: (tmp_path / "pid").exists(), message="the helper")
        check.send_signal(number)
        assert "credentials could not be checked: interrupted" in check.communicate(timeout=60)[1]
    assert check.returncode == 74
    pid = (tmp_path / "pid").read_text().strip()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), message="the helper's end")


def test_a_check_asks_for_as_many_at_a_time_as_may_be_synced(roster, chime, aws, tmp_path):
    """Helpers that would show if another one ran: each has its own identity."""
    key = key_id("helper")
    (tmp_path / "keys.json").write_text(json.dumps(
        {"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret_of(key)}))
    helper(tmp_path, f"mkdir {tmp_path}/busy || exit 9\nsleep 0.2\nrmdir {tmp_path}/busy\n"
           f"cat {tmp_path}/keys.json\n")
    (tmp_path / "aws-config").write_text("".join(
        f"[profile p{i}]\ncredential_process = {tmp_path}/helper\n" for i in range(4)))
    roster.settings["concurrency"] = 1
    roster.accounts = {f"a{i}": {**NO_KEYS, "profile": f"p{i}", "account_id": f"a{i}"}
                       for i in range(4)}
    roster.write_config()
    done = roster.run("--check-config", "--credentials")
    assert done.returncode == 0 and done.stdout.count(": works: ") == 4, done.stdout
    assert runs_of_helper(tmp_path) == 4


def test_helpers_that_hang_take_no_turns(tmp_path):
    """More accounts than may be synced at a time wait for keys; once they have them, they take turns."""
    key = key_id("helper")
    ids = [f"{i}b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed" for i in range(4)]
    (tmp_path / "keys.json").write_text(json.dumps(
        {"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret_of(key)}))
    helper(tmp_path, f"for i in $(seq 500); do [ -e {tmp_path}/go ] && exec cat {tmp_path}/keys.json\n"
           "sleep 0.1; done\n")
    with Emulator(users=250, accounts=ids) as chime:
        for access_key in SOURCE, key:
            chime.add_credential(access_key, secret_of(access_key))
        accounts = {f"h{i}": {**NO_KEYS, "account_id": ids[i]} for i in range(3)}
        accounts["good"] = account(account_id=ids[3])
        roster = Rosterd(tmp_path, chime, accounts, concurrency=1, interval="1h")
        roster.env = {"HOME": str(tmp_path)}
        with roster:
            roster.wait_line("good: baseline taken: 250 users")
            wait_until(lambda: [run["outcome"] for run in roster.run_rows()].count("running") == 3,
                       message="all others")
            (tmp_path / "go").touch()
            wait_until(lambda: roster.complete_runs() == 4, message="the runs of those that waited")
        turns = [name for name, _ in itertools.groupby(r["account"] for r in chime.log())]
        assert len(chime.log()) > 4 and sorted(turns) == ids
    assert runs_of_helper(tmp_path) == 1


def test_what_a_helper_says_is_told_without_secrets(roster, chime, tmp_path):
    access_key = key_id("helper")
    chime.add_credential(access_key, secret_of(access_key), token_of(access_key))
    keys = json_keys(access_key, time_text(3600), "SessionToken", Version=1)
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    (tmp_path / "helper").write_text(
        f"#!/bin/sh\necho 'session ends soon; secret={secret_of(access_key)}' >&2\n"
        f"cat {tmp_path}/keys.json\n")
    (tmp_path / "helper").chmod(0o755)
    (tmp_path / "aws-config").write_text(
        f"[default]\ncredential_process = {tmp_path}/helper\n")
    roster.accounts = {"acme": {**NO_KEYS}}
    roster.write_config()
    with roster:
        roster.wait_line("acme: credential_process said: session ends soon; secret=…")
        roster.wait_line("acme: baseline taken: 250 users")
        assert b"canary" not in everything(roster)


def test_what_a_failing_helper_says_is_in_the_journal_alone(roster, tmp_path):
    helper(tmp_path, """echo '{"password": "hunter-canary", "at": "https://u:pw-canary@vault"}' \\
        'log in first' >&2; exit 3\n""")
    roster.accounts = {"acme": {**NO_KEYS}}
    roster.write_config()
    lines = roster.once(status=1)
    said = 'acme: credential_process said: {"password": "…", "at": "…"} log in first'
    assert said in lines
    assert roster.run_rows()[-1]["error"] == \
        "credential_process: it ended with status 3; the journal has what it said"
    assert b"canary" not in everything(roster) + "\n".join(lines).encode()


def test_no_secret_is_anywhere(roster, chime, aws, tmp_path):
    """Every kind of failure after keys have been had, and then every byte that was written."""
    (tmp_path / "jwt").write_text("canary.web.identity")
    roster.accounts = {
        "role": account("one"),
        "denied": account("denied", account_id="a"),
        "refused": account("two", account_id="b"),
    }
    roster.write_config()
    chime.fault("status", exception="ForbiddenException", times=1)
    roster.once(status=1)
    roster.env.update(AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "jwt"), AWS_ROLE_ARN=ROLE + "web")
    roster.accounts = {"web": dict(NO_KEYS)}
    roster.write_config()
    aws.hook = lambda request: (400, {}, "<ErrorResponse><Error><Code>InvalidIdentityToken</Code>"
                                "<Message>no: " + request.form["WebIdentityToken"] + "x" * 60
                                + "</Message></Error></ErrorResponse>")
    lines = roster.once(status=1)
    assert any("InvalidIdentityToken: no: …" in line for line in lines)
    done = roster.run("--check-config", "--credentials")
    assert "InvalidIdentityToken" in done.stdout
    everywhere = everything(roster) + "\n".join(lines).encode() + (done.stdout + done.stderr).encode()
    assert b"canary" not in everywhere


def test_reload_takes_other_credentials(roster, chime, aws):
    with roster:
        roster.wait_line("acme: baseline taken")
        aws.requests.clear()
        roster.accounts["acme"]["role_arn"] = ROLE + "another"
        roster.write_config()
        roster.send_signal(signal.SIGHUP)
        wait_until(lambda: roster.complete_runs() == 2, message="a second run")
        assert [r.form["RoleArn"] for r in aws.seen("AssumeRole")] == [ROLE + "another"]


def test_reload_takes_what_has_changed_in_files(roster, aws, tmp_path):
    """The section says the same; its profile names another role."""
    def put(role):
        (tmp_path / "aws-config").write_text(
            f"[default]\nrole_arn = {ROLE}{role}\nsource_profile = source\n[profile source]\n"
            f"aws_access_key_id = {SOURCE}\naws_secret_access_key = {secret_of(SOURCE)}\n")

    put("one")
    roster.accounts = {"acme": {**NO_KEYS}}
    roster.write_config()
    with roster:
        roster.wait_line("acme: baseline taken")
        put("two")
        again(roster)
        assert [r.form["RoleArn"] for r in aws.seen("AssumeRole")] == [ROLE + "one"]
        roster.sync_now()
        assert [r.form["RoleArn"] for r in aws.seen("AssumeRole")] == [ROLE + "one", ROLE + "two"]


def test_reload_begins_a_fetch_anew(roster, chime, tmp_path):
    """A helper that hangs is not waited for once the files name another one."""
    key = key_id("helper")
    chime.add_credential(key, secret_of(key))
    (tmp_path / "keys.json").write_text(json.dumps(
        {"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret_of(key)}))
    helper(tmp_path, "exec sleep 600\n")
    roster.accounts = {"acme": {**NO_KEYS}}
    roster.write_config()
    with roster:
        wait_until(lambda: runs_of_helper(tmp_path) == 1, message="the helper")
        helper(tmp_path, f"cat {tmp_path}/keys.json\n")
        roster.send_signal(signal.SIGHUP)
        roster.wait_line("acme: baseline taken")
        assert [run["outcome"] for run in roster.run_rows()] == ["complete"]


def test_a_fetch_that_nobody_waits_for_any_more(roster, chime, tmp_path):
    """Keys that were refused, and of which nobody knows when they expire, are not said to be good."""
    key = key_id("helper")
    chime.add_credential(key, secret_of(key))
    (tmp_path / "keys.json").write_text(json.dumps(
        {"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret_of(key)}))
    helper(tmp_path, f"cd {tmp_path}\n[ -e slow ] || exec cat keys.json\n"
                     "until [ -e fail ]; do sleep 0.05; done\necho no >&2\nexit 1\n")
    roster.accounts = {"acme": {**NO_KEYS}, "beta": {**NO_KEYS, "account_id": OTHER_ACCOUNT,
                                                     "interval": "1h"}}
    roster.write_config()
    with roster:
        roster.wait_line("acme: baseline taken")
        roster.wait_line("beta: baseline taken")
        chime.fault("expired_session", account=chime.account_id, times="always")
        (tmp_path / "slow").touch()
        ran = runs_of_helper(tmp_path)
        ask(roster, "sync", accounts=["acme"])
        wait_until(lambda: runs_of_helper(tmp_path) == ran + 1, message="the helper")
        del roster.accounts["acme"]
        roster.write_config()
        roster.send_signal(signal.SIGHUP)
        roster.wait_line("configuration reloaded")
        (tmp_path / "fail").touch()
        roster.wait_line("credential_process said: no")
        assert roster.stop() == 0
    assert not any("could not be renewed" in line for line in roster.lines), roster.lines


def memory_holds(pid, needles):
    """Which of the needles are in the memory of a process."""
    found = set()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            where, mode = line.split()[:2]
            begin, end = (int(address, 16) for address in where.split("-"))
            if not mode.startswith("rw") or end - begin > 1 << 30:  # a sanitizer's shadow
                continue
            try:
                memory.seek(begin)
                data = memory.read(end - begin)
            except (OSError, ValueError):
                continue
            # free() itself writes over the beginning
            found.update(needle for needle in needles if needle[-40:].encode() in data)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root looks into a process that is not dumpable")
def test_old_keys_are_gone_from_memory(roster, aws, chime):
    issued = []
    chime_knows = aws.on_issue

    def on_issue(access_key, secret, token):
        chime_knows(access_key, secret, token)
        issued.append((secret, token))

    aws.on_issue = on_issue
    aws.life = 500  # other keys for each run
    with roster:
        roster.wait_line("acme: baseline taken")
        for _ in range(3):
            aws.generation += 1
            again(roster)
        assert len(issued) == 4
        pid = roster.process.pid
        everything = {text for pair in issued for text in pair}
        assert memory_holds(pid, everything) == set(issued[-1])
