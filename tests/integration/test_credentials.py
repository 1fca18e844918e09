# SPDX-License-Identifier: Apache-2.0
"""`rosterd --check-config --credentials`: every provider in good days and bad ones."""

import json
import os
import signal
import stat
import time
from email.utils import formatdate

import pytest

from aws import IMDS_PREFIX, ROLE, Aws, json_keys, secret_of, shown, sts_xml, time_text
from rosterd import Rosterd

SOURCE = "AKIASOURCEKEYSOURCEK"


@pytest.fixture
def aws():
    with Aws() as server:
        server.allow(SOURCE)
        yield server


@pytest.fixture
def check(tmp_path, aws):
    """check(env, **account) runs the check for one account, acme; returns its line."""
    def run(env=None, status=None, files=None, **account):
        for name, text in (files or {}).items():
            (tmp_path / name).write_bytes(text.encode())
        keys = dict({"account_id": "0f2c", "endpoint": "http://127.0.0.1:1"}, **account)
        roster = Rosterd(tmp_path, None, {"acme": keys})
        roster.env = dict({"AWS_ENDPOINT_URL_STS": aws.url, "HOME": str(tmp_path)}, **(env or {}))
        done = roster.run("--check-config", "--credentials", timeout=60)
        assert "canary" not in done.stdout + done.stderr
        assert done.returncode in ((0, 1) if status is None else (status,)), done.stderr
        line = done.stdout.splitlines()[1]
        assert line.startswith("acme: ") and (": works: " in line) == (done.returncode == 0)
        return line[len("acme: "):]
    return run


def explicit(**more):
    return dict({"access_key_id": SOURCE, "secret_access_key": secret_of(SOURCE)}, **more)


# ---- the command itself ----

def test_exit_statuses(tmp_path, aws):
    roster = Rosterd(tmp_path, None, {"good": dict(account_id="a", **explicit()),
                                      "bad": {"account_id": "b"}})
    done = roster.run("--check-config", "--credentials")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].endswith("the configuration is good: 2 accounts, 0 webhooks")
    good, bad = done.stdout.splitlines()[1:]
    assert good == f"good: explicit: works: {shown(SOURCE)}"
    assert bad.startswith("bad: does not work: there are no credentials: ")
    assert not os.path.exists(roster.database)

    roster.accounts["bad"].update(explicit())
    roster.write_config()
    assert roster.run("--check-config", "--credentials").returncode == 0
    assert roster.run("--credentials").returncode == 2
    roster.accounts["bad"]["external_id"] = "needs a role"
    roster.write_config()
    assert roster.run("--check-config", "--credentials").returncode == 78


def test_accounts_of_one_identity_ask_once(tmp_path, aws):
    same = explicit(role_arn=ROLE + "same")
    roster = Rosterd(tmp_path, None, {"a": dict(account_id="a", **same),
                                      "b": dict(account_id="b", **same),
                                      "c": dict(account_id="c", **same, external_id="other")})
    roster.env = {"AWS_ENDPOINT_URL_STS": aws.url}
    done = roster.run("--check-config", "--credentials")
    assert done.returncode == 0, done.stdout
    a, b, c = [line.split(": ", 1)[1] for line in done.stdout.splitlines()[1:]]
    assert a == b != c
    assert len(aws.seen("AssumeRole")) == 2


# ---- roles ----

def test_role_of_the_section(check, aws):
    line = check(**explicit(role_arn=ROLE + "org/one", external_id="ext:1/2=3",
                            role_session_name="me@here", region="eu-west-1"))
    assert line.startswith("assume-role from explicit: works: ASIA")
    sent = aws.seen("AssumeRole")[0]
    assert sent.form == {"Action": "AssumeRole", "Version": "2011-06-15",
                         "RoleArn": ROLE + "org/one", "ExternalId": "ext:1/2=3",
                         "RoleSessionName": "me@here"}
    assert (sent.signer, sent.region) == (SOURCE, "eu-west-1")


def test_role_alone_takes_the_chain(check, aws):
    env = {"AWS_ACCESS_KEY_ID": SOURCE, "AWS_SECRET_ACCESS_KEY": secret_of(SOURCE)}
    line = check(env, role_arn=ROLE + "one")
    assert line.startswith("assume-role from env: works: ASIA")
    assert aws.seen("AssumeRole")[0].form["RoleSessionName"] == "rosterd"
    line = check(env, role_arn=ROLE + "one", credential_source="Environment")
    assert line.startswith("assume-role from env: works: ASIA")
    line = check({}, role_arn=ROLE + "one", credential_source="Environment")
    assert "does not work: credential_source Environment gives no credentials" in line


def test_role_of_the_section_after_that_of_the_profile(check, aws):
    config = f"""[profile base]
role_arn = {ROLE}base
source_profile = keys
duration_seconds = 1800
[profile keys]
region = ap-southeast-2
aws_access_key_id = {SOURCE}
aws_secret_access_key = {secret_of(SOURCE)}
"""
    check(profile="base", role_arn=ROLE + "last", files={"aws-config": config}, status=0)
    first, second = aws.seen("AssumeRole")
    assert first.form["RoleArn"] == ROLE + "base" and first.form["DurationSeconds"] == "1800"
    assert second.form["RoleArn"] == ROLE + "last" and "DurationSeconds" not in second.form
    assert second.signer.startswith("ASIA") and second.signer != first.signer


def test_regions(check, aws):
    config = "[default]\nregion = eu-central-1\n"
    check(files={"aws-config": config}, **explicit(role_arn=ROLE + "r"), status=0)
    env = {"AWS_ACCESS_KEY_ID": SOURCE, "AWS_SECRET_ACCESS_KEY": secret_of(SOURCE)}
    check(env, role_arn=ROLE + "r", status=0)
    check(dict(env, AWS_DEFAULT_REGION="us-west-2"), role_arn=ROLE + "r", status=0)
    assert [r.region for r in aws.seen("AssumeRole")] == ["us-east-1", "eu-central-1", "us-west-2"]
    line = check(dict(env, AWS_DEFAULT_REGION="evil.example/"), role_arn=ROLE + "r", status=1)
    assert '"evil.example/" is no region for STS' in line


def test_the_endpoint_of_sts(check, aws):
    role = explicit(role_arn=ROLE + "r")
    line = check({"AWS_ENDPOINT_URL_STS": "http://sts.example.com/"}, **role)
    assert "does not work: AWS_ENDPOINT_URL_STS is no https URL" in line
    # left to itself, it is the region's own host; the proxy is none that lets anybody through
    line = check({"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, **role, region="eu-west-3",
                 proxy="http://127.0.0.1:1")
    assert "AssumeRole: no connection to the proxy" in line
    assert not aws.requests


@pytest.mark.parametrize("settings, says", [
    ("mfa_serial = arn:aws:iam::1:mfa/me\nsource_profile = x\nrole_arn = " + ROLE + "r",
     'profile "default" wants an MFA code, which a service cannot type; use a role without '
     "mfa_serial, or credential_process"),
    ("sso_account_id = 1\n", 'profile "default" wants an SSO session, which takes a person at a '
     "browser; a service uses a role, credential_process or keys"),
    ("login_session = x\ncredential_process = true\n", 'profile "default" wants a login session, '
     "which takes a person at a browser"),
])
def test_what_takes_a_person(check, settings, says):
    line = check(files={"aws-config": "[default]\n" + settings})
    assert says in line


def test_too_many_roles(check):
    config = "".join(f"[profile p{i}]\nrole_arn = {ROLE}{i}\nsource_profile = p{i + 1}\n"
                     for i in range(12))
    line = check(profile="p0", files={"aws-config": config + "[profile p12]\n"})
    assert "more than 8 roles would have to be assumed" in line


# ---- STS on bad days ----

SKEW = ("<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error>"
        "</ErrorResponse>")


@pytest.mark.parametrize("answer, says, times", [
    ((200, {"Content-Type": "text/html"}, "<!DOCTYPE html><html><body>Log in</body></html>"),
     "AssumeRole: the answer is none of STS: an element has no name", 3),
    ((302, {"Location": "http://portal.example/"}, "<html>moved</html>"),
     "AssumeRole: STS answered 302", 1),
    ((403, {}, "<html>Forbidden"), "AssumeRole: STS answered 403", 1),
    ((200, {}, sts_xml("AssumeRole", "ASIACUT", "2040-01-01T00:00:00Z")[:-40]),
     "AssumeRole: the answer is none of STS: ", 3),
    ((200, {}, ""), "AssumeRole: the answer is none of STS: it does not begin with an element", 3),
    ((200, {}, sts_xml("AssumeRole", "ASIAOLD", "2020-01-01T00:00:00Z")),
     "assume-role from explicit gives keys that have expired (at 2020-01-01T00:00:00.000Z); is this "
     "machine's clock right?", 1),
    ((200, {}, sts_xml("AssumeRole", "ASIAODD", "soon")), "the answer's Expiration is no time", 3),
    ((200, {}, sts_xml("AssumeRole", "ASIA ODD", "2040-01-01T00:00:00Z")),
     "the answer: the access key id holds a blank", 1),
    ((200, {}, sts_xml("AssumeRoleWithWebIdentity", "ASIAODD", "2040-01-01T00:00:00Z")),
     "the answer lacks AccessKeyId", 3),
    ((500, {}, ""), "AssumeRole: STS answered 500", 3),
    ((400, {}, SKEW.format("Throttling", "Rate exceeded")), "STS answered 400 Throttling", 3),
    ((403, {}, SKEW.format("AccessDenied", "User: arn:aws:iam::123456789012:user/somebody-with-a-"
                           "long-name is not authorized; " + "x" * 80)),
     "STS answered 403 AccessDenied: User: arn:aws:iam::123456789012:user/somebody-with-a-long-name "
     "is not authorized; …", 1),
])
def test_bad_answers_of_sts(check, aws, answer, says, times):
    aws.hook = lambda request: answer
    assert says in check(status=1, **explicit(role_arn=ROLE + "r"))
    assert len(aws.requests) == times


@pytest.mark.parametrize("code, message", [
    ("RequestTimeTooSkewed", "The difference between the request time and the current time"),
    ("SignatureDoesNotMatch", "Signature expired: 20261127T1 is now earlier than 20261127T2"),
    ("RequestExpired", "Request has expired."),
])
def test_clock_skew_of_sts_is_named(check, aws, code, message):
    def hook(request):
        return 403, {"Date": formatdate(time.time() + 7260, usegmt=True)}, SKEW.format(code, message)

    # http.server sends a Date of its own, which would be the first
    aws.server.RequestHandlerClass.send_response = \
        lambda self, status, message=None: self.send_response_only(status, message)
    aws.hook = hook
    line = check(status=1, **explicit(role_arn=ROLE + "r"))
    assert f"STS answered 403 {code}; this machine's clock is 2h behind the service's: set it" in \
        line.replace(" 1min ", " ").replace(" 59s", "")


def test_sts_recovers(check, aws):
    aws.hook = lambda request: (503, {}, "") if len(aws.requests) < 3 else None
    check(status=0, **explicit(role_arn=ROLE + "r"))
    assert len(aws.requests) == 3


# ---- web identity ----

def test_web_identity_token_is_read_when_it_is_needed(check, aws, tmp_path):
    env = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "jwt"), "AWS_ROLE_ARN": ROLE + "w",
           "AWS_ROLE_SESSION_NAME": "pod"}
    line = check(env, files={"jwt": "e30.e30.sig\n"}, status=0)
    assert line.startswith("assume-role-with-web-identity: works: ASIA")
    sent = aws.seen("AssumeRoleWithWebIdentity")[0]
    assert sent.form["WebIdentityToken"] == "e30.e30.sig" and sent.form["RoleSessionName"] == "pod"
    line = check(env, files={"jwt": "\n"}, status=1)
    assert "the token file" in line and "is empty" in line
    line = check(env, files={"jwt": "e30.e30\0.sig"}, status=1)
    assert "the token file" in line and "holds a NUL" in line
    line = check(env, files={"jwt": "x" * 20001}, status=1)
    assert "is larger than 20000 bytes" in line


# ---- containers ----

def test_container_token_file(check, aws, tmp_path):
    aws.container_token = "Bearer from-file"
    env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.url + "/container",
           "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Bearer from-variable",
           "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token")}
    assert "the token file" in check(env, status=1)  # it is there, or nothing is
    check(env, files={"token": "Bearer from-file"}, status=0)
    line = check(env, files={"token": "Bearer from-file\n"}, status=1)
    assert "the authorization token holds a line break" in line
    line = check(dict(env, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=""), status=1)
    assert "the token file" in line
    assert len(aws.requests) == 1
    lower = {name.lower(): value for name, value in aws.requests[0].headers.items()}
    assert lower["accept"] == "application/json"


@pytest.mark.parametrize("body, says, times", [
    ((500, {}, "canary/" + "x" * 50), "it answered 500: …", 3),
    ((401, {}, "denied: token=abc"), "it answered 401: denied: token=…", 3),
    ((200, {}, "{"), "the answer cannot be used: it is no JSON", 3),
    ((200, {}, "<html>"), "the answer cannot be used: it is no JSON", 3),
    ((200, {}, "[]"), "it is no JSON object", 1),
    ((200, {}, '{"AccessKeyId":"A","SecretAccessKey":"b","Token":"c"}'), "it lacks Expiration", 1),
    ((200, {}, '{"AccessKeyId":"A","SecretAccessKey":"b","Expiration":"2040-01-01T00:00:00Z"}'),
     "it lacks Token", 1),
    ((200, {}, '{"AccessKeyId":5,"SecretAccessKey":"b","Token":"c"}'), "its AccessKeyId is no text",
     1),
    ((200, {}, '{"Code":"NotYet","Message":"come back\\nlater"}'), "it says NotYet: come back later",
     1),
    ((200, {}, json.dumps(json_keys("ASIAOLD", "2020-01-01T00:00:00Z"))),
     "container-role gives keys that have expired", 1),
    ((200, {}, json.dumps(json_keys("ASIAX", "2040-01-01T00:00:00Z")) + " " * (64 << 10)),
     "the answer is longer than 65536 bytes", 3),
])
def test_bad_answers_of_a_container(check, aws, body, says, times):
    aws.hook = lambda request: body
    env = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/container",
           "ROSTERD_TEST_CONTAINER_ENDPOINT": aws.url}
    assert says in check(env, status=1)
    assert len(aws.requests) == times


def test_the_test_endpoint_is_this_machine_or_none(check, aws):
    """Nothing is to be reached by a variable that only tests know: 169.254.170.2 stays."""
    env = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "container",
           "ROSTERD_TEST_CONTAINER_ENDPOINT": "http://example.invalid"}
    assert 'does not begin with "/"' in check(env, status=1)
    assert not aws.requests


# ---- the instance ----

def imds(aws, **more):
    return dict({"AWS_EC2_METADATA_DISABLED": "false",
                 "AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url}, **more)


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_no_token_no_keys(check, aws, status):
    """Version 1 would go on without."""
    aws.hook = lambda request: (status, {}, "") if request.method == "PUT" else None
    line = check(imds(aws), status=1)
    assert f"there are no credentials; last, the instance metadata: it answered {status}" in line
    assert [r.method for r in aws.requests] == ["PUT"]


def test_a_hanging_instance_costs_one_second(check, aws):
    aws.hook = lambda request: "hang"
    line = check(imds(aws), status=1)
    assert "no token came in time; in a container of EC2 the instance's hop limit must be 2" in line
    assert [r.method for r in aws.requests] == ["PUT"]


def test_attempts_as_they_are_set(check, aws):
    aws.hook = lambda request: (500, {}, "")
    check(imds(aws, AWS_METADATA_SERVICE_NUM_ATTEMPTS="4"), status=1)
    assert [r.method for r in aws.requests] == ["PUT"] * 4


@pytest.mark.parametrize("path, answer, says", [
    (IMDS_PREFIX, (404, {}, ""), "the instance has no role"),
    (IMDS_PREFIX, (200, {}, ""), "its answer is empty"),
    (IMDS_PREFIX, (200, {}, "../../user-data"), "its answer is no name of a role"),
    (IMDS_PREFIX, (200, {}, "a\nb"), "its answer is no name of a role"),
    (IMDS_PREFIX, (200, {}, "@example.invalid/"), "its answer is no name of a role"),
    (IMDS_PREFIX, (200, {}, "<html>captive</html>"), "its answer is no name of a role"),
    (IMDS_PREFIX + "instance-role", (200, {}, '{"Code":"Failed","Message":"no trust"}'),
     "it says Failed: no trust"),
    (IMDS_PREFIX + "instance-role", (200, {}, "{"), "it is no JSON"),
    ("/latest/api/token", (200, {}, "a\r\nX: b"), "its token is none"),
])
def test_bad_answers_of_the_instance(check, aws, path, answer, says):
    aws.hook = lambda request: answer if request.path == path else None
    line = check(imds(aws), status=1)
    assert says in line
    assert aws.requests[-1].path == path


def test_keys_of_an_instance_in_trouble(check, aws):
    """They have expired, but are used on: for 17 to 25 minutes, as botocore does."""
    aws.life = -3600
    line = check(imds(aws), status=0)
    assert line.startswith("iam-role: works: ASIA") and " until " in line
    until = line.rsplit(" until ", 1)[1]
    assert time_text(16 * 60) < until < time_text(26 * 60)


def test_the_instance_is_not_asked_through_a_proxy(check, aws):
    env = imds(aws, http_proxy="http://127.0.0.1:1", HTTP_PROXY="http://127.0.0.1:1")
    check(env, proxy="http://127.0.0.1:1", status=0)


# ---- credential_process ----

def script(tmp_path, text):
    path = tmp_path / "helper"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def process(path, *args):
    return {"aws-config": "[default]\ncredential_process = " + " ".join([str(path), *args]) + "\n"}


GOOD = """echo '{"Version":1,"AccessKeyId":"ASIAHELPERHELPER","SecretAccessKey":"canary/x"}'\n"""


def test_what_a_helper_sees(check, tmp_path):
    helper = script(tmp_path, f"env >{tmp_path}/env\nprintf '%s\\n' \"$@\" >{tmp_path}/args\n"
                    f"readlink /proc/self/fd/0 >{tmp_path}/stdin\n"
                    f"ls /proc/self/fd >{tmp_path}/fds\n"
                    f"grep -E 'SigBlk|SigIgn' /proc/self/status >{tmp_path}/signals\n" + GOOD)
    check({"AWS_SESSION_TOKEN": "canary", "AWS_SECRET_ACCESS_KEY": "canary", "MY_OWN": "value",
           "AWS_CONTAINER_AUTHORIZATION_TOKEN": "canary", "NOTIFY_SOCKET": "/nowhere"},
          files=process(helper, "'a b'", '"c\\"d"', "e\\ f", "''"), status=0)
    env = (tmp_path / "env").read_text()
    assert "canary" not in env and "NOTIFY_SOCKET" not in env
    assert "MY_OWN=value" in env and "PATH=" in env
    assert (tmp_path / "args").read_text() == 'a b\nc"d\ne f\n\n'
    assert (tmp_path / "stdin").read_text() == "/dev/null\n"
    # 0, 1, 2, and the one that ls itself opens
    assert (tmp_path / "fds").read_text().split() == ["0", "1", "2", "3"]
    for line in (tmp_path / "signals").read_text().splitlines():
        assert int(line.split()[1], 16) & (1 << 14 | 1 << 12 | 1) == 0, line


@pytest.mark.parametrize("text, says", [
    ("echo 'no session: log in first' >&2; exit 3\n",
     "credential_process: it ended with status 3; the journal has what it said"),
    ("echo 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYcanary password: hunter2 token=abc' >&2; exit 1\n",
     "it ended with status 1; the journal has what it said"),
    ("kill -9 $$\n", "it was ended by signal 9"),
    ("head -c 100000 /dev/zero\n", "it printed more than 65536 bytes and was killed"),
    ("yes | head -c 100000 >&2; exit 4\n", "it ended with status 4"),
    ("echo '{\"Version\":1'\n", "what it printed cannot be used: it is no JSON"),
    ("echo '{\"Version\":1}' '{}'\n", "what it printed cannot be used: it is no JSON"),
])
def test_helpers_that_fail(check, tmp_path, text, says):
    line = check(files=process(script(tmp_path, text)), status=1)
    assert says in line and "hunter2" not in line


def test_a_helper_that_leaves_somebody_behind(check, tmp_path):
    """An agent that it has started lives on, and may keep its pipes."""
    helper = script(tmp_path, "sleep 600 &\necho $! >" + str(tmp_path / "pid")
                    + "\n" + GOOD)
    try:
        check(files=process(helper), status=0)
        os.kill(int((tmp_path / "pid").read_text()), 0)
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
