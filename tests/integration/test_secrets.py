# SPDX-License-Identifier: Apache-2.0
"""A secret is where it is used, and nowhere else.  Every kind of secret that rosterd can be given holds the
word "canary"; after a run in which all of them were used, and refused, whatever rosterd has written, said
or shows is searched for it."""

import base64
import glob
import json
import os
import resource
import signal
import subprocess

import pytest

from aws import ROLE, Aws, json_keys, key_id, secret_of, time_text
from emulator import Emulator
from receiver import Receiver, answer
from rosterctl import Rosterctl
from rosterd import Rosterd, wait_until

SOURCE = "AKIASOURCEKEYSOURCEK"
IDS = [f"{i}c1d5e8a-8a41-4c6e-9b57-1f0e2d3c4b5a" for i in range(5)]
SECRET = b"a canary in the webhook's secret"
PIN = "canary-pin"
NO_KEYS = {"access_key_id": None, "secret_access_key": None}

# As it stands, and within base64, at each of its three places.
NEEDLES = [b"canary"] + [base64.b64encode(b"x" * at + b"canary" + b"x" * 3)[at + 1:at + 8] for at in range(3)]


def canaries(data):
    """What is found, with what stands around it."""
    data = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    lower = data.lower()
    return [data[max(0, at - 60):at + 60] for needle in NEEDLES
            for at in [(lower if needle == b"canary" else data).find(needle)] if at >= 0]


@pytest.mark.parametrize("shift", range(3))
def test_canaries_are_found(shift):
    """The search itself."""
    assert canaries("x = Canary-1") and canaries(b"\0\1canary")
    assert canaries(base64.b64encode(b"abc"[:shift] + b"user:canary-password"))
    assert not canaries("no bird here") and not canaries(base64.b64encode(os.urandom(300)))


@pytest.fixture
def chime():
    with Emulator(users=60, accounts=IDS) as emulator:
        emulator.control("DELETE", "credentials")
        for account in IDS:
            emulator.patch_users({"PersonalPIN": PIN, "UserRegistrationStatus": "Registered"}, count=60,
                                 account=account)
        yield emulator


@pytest.fixture
def aws(chime):
    with Aws() as server:
        server.on_issue = chime.add_credential
        server.allow(SOURCE)
        server.container_token = "Bearer canary-container"
        yield server


def echo(request):
    """Refuses, and says in the answer all that it was sent."""
    return answer(500, json.dumps({"path": request.path, **request.headers}))


def helper(folder, chime):
    access_key = key_id("helper")
    chime.add_credential(access_key, *[json_keys(access_key, "")[name] for name in ("SecretAccessKey", "Token")])
    (folder / "keys.json").write_text(json.dumps(
        json_keys(access_key, time_text(3600), "SessionToken", Version=1)))
    (folder / "helper").write_text(f"#!/bin/sh\necho 'password=canary-said' >&2\ncat {folder}/keys.json\n")
    (folder / "helper").chmod(0o755)
    (folder / "aws-config").write_text(f"[profile helper]\ncredential_process = {folder}/helper\n")


@pytest.fixture
def everywhere(tmp_path, chime, aws):
    """A daemon that has been given a canary wherever one can be, has used it, and runs."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    state = tmp_path / "state"
    state.mkdir(mode=0o750)
    helper(folder, chime)
    (folder / "token").write_text("Bearer canary-container")
    with Receiver() as good, Receiver(echo) as bad:
        roster = Rosterd(state, chime, {
            "role": {"account_id": IDS[0], "access_key_id": SOURCE, "secret_access_key": secret_of(SOURCE),
                     "role_arn": ROLE + "one", "external_id": "canary-external"},
            "helper": {"account_id": IDS[1], "profile": "helper", **NO_KEYS},
            "container": {"account_id": IDS[2], "role_arn": ROLE + "box", "credential_source": "EcsContainer",
                          **NO_KEYS},
            "refused": {"account_id": IDS[3], "access_key_id": "AKIANOBODYKNOWSTHISK",
                        "secret_access_key": "canary-refused", "session_token": "canary-session"},
            "proxied": {"account_id": IDS[4], "access_key_id": SOURCE, "secret_access_key": secret_of(SOURCE),
                        "proxy": "http://user:canary-proxy@127.0.0.1:9"},
        }, metrics_file=str(state / "rosterd.prom"), interval="1h", log_level="debug")
        secret = "whsec_" + base64.b64encode(SECRET).decode()
        for name, receiver, more in (("good", good, {}), ("bad", bad, {}), ("pager", good, {
                "format": "pagerduty", "routing_key": "canary" + "0" * 26}), ("slack", bad, {"format": "slack"})):
            roster.webhooks[name] = {"url": f"http://127.0.0.1:{receiver.port}/canary-path/{name}?token=canary-query",
                                     "header": f"Authorization: Bearer canary-bearer-{name}", "events": "*", **more}
            if not more:
                roster.webhooks[name]["secret"] = secret
        # the file that rosterd reads is not among what it writes
        roster.config = str(folder / "rosterd.conf")
        os.unlink(state / "rosterd.conf")
        roster.env = {"PYTEST_CURRENT_TEST": "",  # which has the word in its name
                      "AWS_ENDPOINT_URL_STS": aws.url, "HOME": str(folder), "TMPDIR": str(state),
                      "AWS_CONFIG_FILE": str(folder / "aws-config"),
                      "AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.url + "/container",
                      "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(folder / "token")}
        roster.write_config()
        roster.good, roster.bad, roster.state = good, bad, state
        with roster:
            for name in ("role", "helper", "container"):
                roster.wait_line(f"{name}: baseline taken: 60 users")
            for name in ("refused", "proxied"):
                roster.wait_line(f"{name}: sync failed")
            wait_until(lambda: {"good", "pager"} <= {r.path.split("/")[-1].split("?")[0] for r in good.requests},
                       message="requests of the webhooks")
            roster.wait_line("webhook bad")
            roster.wait_line("webhook slack")
            yield roster


def test_each_secret_was_used(everywhere, aws, chime):
    """Else nothing that follows would mean anything."""
    seen = {r.path.split("/")[-1].split("?")[0]: r for r in everywhere.good.requests + everywhere.bad.requests}
    for name in ("good", "bad", "pager", "slack"):
        assert seen[name].headers["authorization"] == f"Bearer canary-bearer-{name}"
    assert "webhook-signature" in seen["good"].headers
    assert "canary" + "0" * 26 in seen["pager"].body.decode()
    assert {r.form["RoleArn"] for r in aws.seen("AssumeRole")} == {ROLE + "one", ROLE + "box"}
    assert aws.seen("GET /container")[0].headers["Authorization"] == "Bearer canary-container"
    assert any(r.form.get("ExternalId") == "canary-external" for r in aws.seen("AssumeRole"))


def test_no_secret_is_in_what_it_wrote_or_said(everywhere):
    files = glob.glob(f"{everywhere.state}/**", recursive=True)
    assert {"roster.db", "roster.db-wal", "rosterd.prom"} <= {os.path.basename(f) for f in files}
    found = {f: canaries(open(f, "rb").read()) for f in files if os.path.isfile(f)}
    found["stderr"] = canaries("\n".join(everywhere.lines))
    assert {where: what for where, what in found.items() if what} == {}
    assert "credential_process said: password=…" in "\n".join(everywhere.lines)


def test_no_secret_is_sent_to_others(everywhere):
    """The body of a webhook holds none but PagerDuty's own key; its headers hold those that are its own."""
    for request in everywhere.good.requests + everywhere.bad.requests:
        body = request.body.replace(b"canary" + b"0" * 26, b"") if "/pager" in request.path else request.body
        assert canaries(body) == []
        name = request.path.split("/")[-1].split("?")[0]
        others = [value for key, value in request.headers.items()
                  if not (key == "authorization" and value == f"Bearer canary-bearer-{name}")]
        assert canaries("\n".join(others)) == []


def test_no_secret_is_in_proc(everywhere):
    pid = everywhere.process.pid
    shown = {}
    for name in ("cmdline", "comm", "environ", "status", "stat", "maps", "mountinfo", "limits"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as f:
                shown[name] = f.read()
        except PermissionError:
            pass  # not dumpable: only root sees these
    assert "cmdline" in shown and "status" in shown
    assert {name: canaries(data) for name, data in shown.items() if canaries(data)} == {}


COMMANDS = [
    ["status"], ["users"], ["users", "--account", "role"], ["events"], ["runs"], ["export"], ["verify"],
    ["check", "suspended"], ["check", "sync"], ["check", "webhooks"], ["webhooks"], ["webhooks", "dead"],
    ["removals", "role"], ["query", "SELECT * FROM accounts, webhooks"], ["show", "nobody@example.com"],
    ["sync", "refused", "--wait"], ["webhooks", "test", "good"],
]


def test_rosterctl_tells_no_secret(everywhere):
    ctl = Rosterctl("--config", everywhere.config)
    for command in COMMANDS:
        for form in ([], ["--format", "json"]):
            done = ctl.run(*form, *command)
            assert done.returncode not in (2, 64) or command[0] == "check", f"{command}: {done.stderr}"
            assert canaries(done.stdout + done.stderr) == [], command
    copy = f"{everywhere.state}/copy.db"
    ctl.ok("backup", copy)
    with open(copy, "rb") as f:
        assert canaries(f.read()) == []


def test_checks_of_the_configuration_tell_no_secret(everywhere):
    for arguments in (["--check-config"], ["--check-config", "--credentials"]):
        done = everywhere.run(*arguments)
        assert canaries(done.stdout + done.stderr) == [], arguments
    # and each mistake, in a value that is secret
    good = open(everywhere.config, encoding="utf-8").read()
    for name in ("secret_access_key", "session_token", "secret", "header", "url", "routing_key", "proxy",
                 "external_id"):
        lines = [line + "\x01 \xff" if line.startswith(f"{name} = ") else line for line in good.splitlines()]
        everywhere.write_text("\n".join(lines) + "\n")
        done = everywhere.run("--check-config")
        assert done.returncode == 78 and name in done.stderr, f"{name}: {done.stderr}"
        assert canaries(done.stdout + done.stderr) == [], name
    everywhere.write_text(good)


def test_the_pin_was_offered_and_not_stored(everywhere):
    """store_personal_pin = no, as it is by default: of three accounts that were listed, nobody has one."""
    assert everywhere.sql("SELECT count(*) AS n FROM users WHERE personal_pin IS NULL")[0]["n"] == 180


def core_files(folder, command, env):
    """Which core files a process leaves that dies of SIGSEGV, may write one of any size, and can."""
    def let():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    os.makedirs(folder)
    with subprocess.Popen(command, cwd=folder, env=env, preexec_fn=let, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        if command[0] != "sleep":
            for line in process.stderr:
                if "watches" in line:
                    break
        process.send_signal(signal.SIGSEGV)
        process.communicate(timeout=60)
        assert process.returncode != 0
    return os.listdir(folder)


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY and os.geteuid() != 0,
                    reason="the limit of core files cannot be raised")
def test_a_crash_leaves_no_core_file(tmp_path, chime):
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as f:
        pattern = f.read().strip()
    if pattern.startswith(("|", "/")):
        pytest.skip(f"core files go to {pattern} here")
    os.chmod(tmp_path, 0o750)
    roster = Rosterd(tmp_path, chime, interval="1h")
    wait_until(lambda: core_files(str(tmp_path / "control"), ["sleep", "100"], os.environ) or
               os.rmdir(tmp_path / "control"), message="a core file of another program")
    assert core_files(str(tmp_path / "cwd"), roster.command(), roster.environment()) == []
