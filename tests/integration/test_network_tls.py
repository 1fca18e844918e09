# SPDX-License-Identifier: Apache-2.0
"""Whom rosterd trusts: nothing is sent to anybody whose certificate does not hold, whether it is the
service, a webhook's receiver, STS or a container's agent; and what is said names the host and why."""

import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import warnings

import pytest
from aws import Aws, key_id, secret_of
from certificates import Authority
from control import ask
from emulator import Emulator
from proxy import Proxy
from receiver import Receiver
from rosterd import Rosterd, kinds

HERE = "127.0.0.1:PORT"
BAD = f"no TLS with {HERE}: SSL certificate problem: "
UNKNOWN = BAD + "unable to get local issuer certificate"

# What the server shows, and why that is not enough.
REFUSED = {
    "expired": BAD + "certificate has expired",
    "early": BAD + "certificate is not yet valid",
    "elsewhere": f"no TLS with {HERE}: SSL: no alternative certificate subject name matches target"
                 " host name '127.0.0.1'",
    "stranger": UNKNOWN,
    "selfsigned": BAD + "self[- ]signed certificate",
    "broken-chain": UNKNOWN,
    "chain-expired": BAD + "certificate has expired",
    "weak": BAD + "EE certificate key too weak",
    "old-tls": f"no TLS with {HERE}: .*protocol version",
    "plain": f"no TLS with {HERE}: .*(wrong version number|packet length)",
}
TRUSTED = ["good", "long-chain"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    own = Authority(tmp_path_factory.mktemp("own"))
    other = Authority(tmp_path_factory.mktemp("other"))
    own.issue("good")
    own.issue("again")
    own.issue("expired", first=-30, last=-1)
    own.issue("early", first=1, last=30)
    own.issue("elsewhere", names="DNS:elsewhere.example,IP:127.0.0.2")
    own.issue("weak", key=("rsa:1024",))
    own.chain("long-chain", 8)
    own.chain("broken-chain", 1)
    own.issue("aged", first=-30, last=-1, authority=True)
    own.issue("chain-expired", signer="aged")
    for name in ("broken-chain", "chain-expired"):
        leaf = own.folder / f"{name}.pem"
        first = leaf.read_text().split("-----END", 1)[0] + "-----END CERTIFICATE-----\n"
        leaf.write_text(first if name == "broken-chain" else
                        first + (own.folder / "aged.pem").read_text())
    own.self_signed("selfsigned", "localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    other.issue("stranger")
    for end in ("pem", "key"):
        os.rename(other.path(f"stranger.{end}"), own.path(f"stranger.{end}"))
    return own


def make_old(context):
    """TLS 1.0 and 1.1 only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1


class OldServer(Receiver):
    """Not behind a proxy, for asyncio closes before its alert is sent."""

    def __init__(self, authority):
        context = authority.context("good")
        make_old(context)
        super().__init__(tls=context)

    @property
    def heard(self):
        return len(self.requests)


class PlainServer(Receiver):
    """Knows no TLS, and answers its greeting as an HTTP server does."""

    heard = 0
    greeted = 0

    def _one(self, connection, reader):
        connection.recv(65536)
        self.greeted += 1
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        return False


def server(authority, port, name):
    """A server that does TLS so, with what is on the port behind it."""
    if name == "old-tls":
        return OldServer(authority)
    if name == "plain":
        return PlainServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if name == "weak":
        context.set_ciphers("ALL:@SECLEVEL=0")  # else the server itself would not have it
    authority.show(context, name)
    return Proxy(port, tls=context)


def servers(stack, authority, port, names):
    return {name: stack.enter_context(server(authority, port, name)) for name in names}


def https(proxy):
    return f"https://127.0.0.1:{proxy.port}"


def assert_reason(name, proxy, text):
    wanted = REFUSED[name].replace("PORT", str(proxy.port))
    assert re.search(wanted, text), f"{name}: {text}"


def test_the_servers_are_what_they_are_called(authority, chime):
    """A client that checks nothing gets through to each: so it is the check that refuses them."""
    with contextlib.ExitStack() as stack:
        for name, proxy in servers(stack, authority, chime.port, REFUSED).items():
            if name == "plain":
                continue
            context = ssl._create_unverified_context()
            context.set_ciphers("ALL:@SECLEVEL=0")
            if name == "old-tls":
                make_old(context)
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as plain, \
                    context.wrap_socket(plain) as tls:
                tls.sendall(b"GET /_control/stats HTTP/1.0\r\n\r\n")
                assert tls.recv(12).startswith(b"HTTP/1."), name
            assert proxy.heard > 0


def test_the_service(authority, tmp_path):
    with contextlib.ExitStack() as stack:
        chime = stack.enter_context(Emulator(users=0))
        proxies = servers(stack, authority, chime.port, [*TRUSTED, *REFUSED])
        accounts = {}
        for n, (name, proxy) in enumerate(proxies.items()):
            accounts[name] = {"account_id": f"{n:08d}-2222-4333-8444-555555555555",
                              "endpoint": https(proxy), "ca_file": authority.file}
            chime.add_account(accounts[name]["account_id"], users=5)
        roster = Rosterd(tmp_path, chime, accounts)
        lines = roster.once(status=1)
        runs = {run["account"]: run for run in roster.run_rows()}
        for name, proxy in proxies.items():
            run = runs[name]
            if name in TRUSTED:
                assert (run["outcome"], run["users"]) == ("complete", 5), f"{name}: {run['error']}"
                continue
            assert run["outcome"] == "failed" and run["users"] == run["retries"] == 0
            assert run["error"].startswith("page 1: ")
            assert run["error"].endswith("; check ca_file and the name in endpoint")
            assert_reason(name, proxy, run["error"])
            assert f"{name}: sync failed: {run['error']}" in lines
            assert proxy.heard == 0, f"{name} has heard {proxy.heard} bytes"
        assert chime.stats()["listing_requests"] == len(TRUSTED)
        assert chime.secret_key not in "\n".join(lines)


def test_another_certificate_between_pages(authority, tmp_path):
    with Emulator(users=450) as chime:
        context = authority.context("good")
        with Proxy(chime.port, tls=context) as proxy:
            roster = Rosterd(tmp_path, chime, {"acme": {"endpoint": https(proxy), "ca_file":
                                                        authority.file, "max_removals": "100%"}})
            roster.once()
            before, seq = roster.users(), roster.last_seq()
            gone = chime.users(limit=1)[0]["UserId"]
            chime.delete_user(gone)

            def once_showing(name, status):
                """Each page on a connection of its own; only the first one meets the good certificate."""
                authority.show(context, "good")
                proxy.set(end_kept="end")
                proxy.on_link = lambda: authority.show(context, name)
                roster.once(status=status)
                return roster.run_rows()[-1]

            run = once_showing("expired", 1)
            assert run["error"].startswith("page 2: no TLS with 127.0.0.1:") and run["pages"] == 1
            assert roster.users() == before
            assert kinds(roster.events(seq)) == [("sync.failed", None)]
            # one that is as good as the first changes nothing
            run = once_showing("again", 0)
            assert (run["outcome"], run["pages"], run["removed"]) == ("complete", 3, 1)
            assert kinds(roster.events(seq))[1:] == [("user.removed", gone), ("sync.recovered", None)]


def test_a_ca_file_that_has_changed(tmp_path):
    """Whom it names now is trusted, and nobody else, also by a rosterd that goes on running."""
    old, new = (Authority(tmp_path / name) for name in ("old", "new"))
    for each in (old, new):
        each.issue("good")
    trusted = shutil.copy(old.file, tmp_path / "trusted.pem")
    context = old.context("good")
    with Emulator(users=5) as chime, Proxy(chime.port, tls=context) as proxy, \
            Rosterd(tmp_path, chime, {"acme": {"endpoint": https(proxy),
                                               "ca_file": str(trusted)}}) as roster:
        roster.wait_line("acme: baseline taken")

        def run_showing(authority):
            authority.show(context, "good")
            proxy.cut()
            ask(roster, "sync", wait=True)
            return roster.run_rows()[-1]

        shutil.copy(new.file, trusted)
        assert UNKNOWN.split(": ", 1)[1] in run_showing(old)["error"]
        run = run_showing(new)
        assert run["outcome"] == "complete", run["error"]


def test_webhooks(authority, tmp_path):
    with contextlib.ExitStack() as stack:
        chime = stack.enter_context(Emulator(users=1))
        receiver = stack.enter_context(Receiver())
        proxies = servers(stack, authority, receiver.port, [*TRUSTED, *REFUSED])
        roster = Rosterd(tmp_path, chime)
        for name, proxy in proxies.items():
            roster.webhooks[name] = {"url": f"{https(proxy)}/s3cret-{name}", "events": "sync.*",
                                     "ca_file": authority.file,
                                     "header": "Authorization: Bearer c4nary"}
        roster.write_config()
        lines = "\n".join(roster.once(status=1))
        rows = {row["webhook"]: row for row in roster.sql("SELECT * FROM webhooks")}
        for name, proxy in proxies.items():
            row = rows[name]
            if name in TRUSTED:
                assert (row["pending"], row["last_error"]) == (0, None), row
                continue
            assert row["pending"] == 1 and row["attempts"] > 0, row
            assert_reason(name, proxy, row["last_error"])
            assert proxy.heard == 0
        assert sorted(r.path for r in receiver.taken()) == sorted(f"/s3cret-{n}" for n in TRUSTED)
        assert "s3cret" not in lines and "c4nary" not in lines


@pytest.mark.parametrize("name", ["good", "elsewhere", "plain"])
def test_a_proxy_that_is_not_trusted(authority, tmp_path, name):
    """It goes by the certificates that the system trusts, and is not taken for whom it leads to."""
    with Emulator(users=1) as chime, Receiver() as receiver, \
            server(authority, receiver.port, name) as proxy:
        roster = Rosterd(tmp_path, chime)
        roster.webhooks["ops"] = {"url": receiver.url, "events": "sync.*", "proxy": https(proxy),
                                  "ca_file": authority.file}
        roster.write_config()
        roster.once(status=1)
        error = roster.sql("SELECT last_error FROM webhooks")[0]["last_error"]
        assert re.match("no TLS with the proxy: .*(certificate problem: unable to get local issuer|"
                        "wrong version number|packet length)", error), error
        assert receiver.requests == [] and proxy.heard == 0


def judge_keys(roster, proxy, aws, name, prefix=()):
    done = roster.run("--once", prefix=prefix)
    run = roster.run_rows()[-1]
    for secret in ("canary", "s3cret", "t0ken"):
        assert secret not in done.stderr and secret not in json.dumps(run)
    assert done.returncode == (0 if name in TRUSTED else 1)
    if name in TRUSTED:
        assert run["outcome"] == "complete", run["error"]
        assert len(aws.requests) > 0
        return
    assert_reason(name, proxy, run["error"])
    assert aws.requests == [] and proxy.heard == 0
    if name == "plain":
        assert proxy.greeted == 1  # trying again would change nothing


@pytest.mark.parametrize("name", [*TRUSTED, *REFUSED])
def test_sts(authority, tmp_path, name):
    """By the certificates that the account's ca_file trusts."""
    with Aws() as aws, Emulator(users=1) as chime, \
            server(authority, aws.server.server_address[1], name) as proxy:
        aws.url = https(proxy)  # what is signed names it
        aws.on_issue = chime.add_credential
        access_key = aws.allow(key_id("own", prefix="AKIA"))
        roster = Rosterd(tmp_path, chime, {"acme": {
            "ca_file": authority.file, "access_key_id": access_key,
            "secret_access_key": secret_of(access_key),
            "role_arn": "arn:aws:iam::123456789012:role/reader"}})
        roster.env = {"AWS_ENDPOINT_URL_STS": https(proxy), "HOME": str(tmp_path)}
        judge_keys(roster, proxy, aws, name)


def system_trusts(authority):
    """A command that has another one trust the authority as if the system did."""
    bundle = subprocess.run(["curl-config", "--ca"], capture_output=True, text=True, timeout=60,
                            check=True).stdout.strip()
    return ["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"',
            authority.file, os.path.realpath(bundle)]


@pytest.mark.parametrize("name", [*TRUSTED, *REFUSED])
def test_container(authority, tmp_path, name):
    """By the certificates that the system trusts."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("needs root for a mount namespace")
    with Aws() as aws, Emulator(users=1) as chime, \
            server(authority, aws.server.server_address[1], name) as proxy:
        aws.on_issue = chime.add_credential
        aws.container_token = "t0ken"
        roster = Rosterd(tmp_path, chime, {"acme": {"access_key_id": None,
                                                    "secret_access_key": None}})
        roster.env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": https(proxy) + "/container/s3cret",
                      "AWS_CONTAINER_AUTHORIZATION_TOKEN": "t0ken", "HOME": str(tmp_path)}
        judge_keys(roster, proxy, aws, name, system_trusts(authority))
