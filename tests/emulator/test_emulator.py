# SPDX-License-Identifier: Apache-2.0
"""The emulator does what its README says, down to the bytes and the way a connection ends."""

import base64
import gzip
import http.client
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import quote

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

botocore = pytest.importorskip("botocore")
import botocore.auth
import botocore.awsrequest
import botocore.credentials

from emulator import ControlError, Emulator

OTHER = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def shared():
    with Emulator(users=450) as emulator:
        yield emulator


@pytest.fixture
def chime(shared):
    shared.reset()
    shared.config(gzip=False, rate=0, latency_ms=0, log=True, log_bodies=False)
    shared.add_account(shared.account_id, 450)
    return shared


class Reply:
    """One answer as it came over a bare socket; `end`: complete, closed, reset or timeout."""

    def __init__(self, chime, token=None, account=None, timeout=5, accept=None, page=200):
        query = f"max-results={page}"
        if token:
            query += "&next-token=" + quote(token, safe="-_.~")
        path = f"/accounts/{account or chime.account_id}/users?{query}"
        request = botocore.awsrequest.AWSRequest("GET", chime.url + path)
        keys = botocore.credentials.Credentials(chime.access_key, chime.secret_key)
        botocore.auth.SigV4Auth(keys, "chime", "us-east-1").add_auth(request)
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{chime.port}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        if accept:
            lines.append(f"Accept-Encoding: {accept}")
        self.head, self.body, self.end = b"", bytearray(), "closed"
        self.began = time.monotonic()
        with socket.create_connection(("127.0.0.1", chime.port), timeout=timeout) as connection:
            connection.sendall("\r\n".join(lines + ["", ""]).encode())
            try:
                self._read(connection, timeout)
            except ConnectionResetError:
                self.end = "reset"
            except socket.timeout:
                self.end = "timeout"
        self.seconds = time.monotonic() - self.began

    def _read(self, connection, timeout):
        length = None
        while True:
            piece = connection.recv(1 << 20)
            if not piece:
                return
            self.body += piece
            if not self.head and b"\r\n\r\n" in self.body:
                head, _, body = bytes(self.body).partition(b"\r\n\r\n")
                self.head, self.body = head, bytearray(body)
                value = self.header("Content-Length")
                length = int(value) if value else None
            if self.head and (len(self.body) == length or
                              length is None and self.body.endswith(b"0\r\n\r\n")):
                self.end = "complete"
                return
            if time.monotonic() > self.began + timeout:
                raise socket.timeout

    @property
    def status(self):
        return int(self.head.split()[1]) if self.head else 0

    def header(self, name):
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.lower().encode():
                return value.strip().decode()
        return None

    def json(self):
        return json.loads(self.body)

    @property
    def ids(self):
        return [user["UserId"] for user in self.json()["Users"]]

    @property
    def token(self):
        return self.json().get("NextToken")


def ids(chime, start, end):
    return [user["UserId"] for user in chime.users()[start:end]]


# -- faults ----------------------------------------------------------------------------------


def test_status_by_name_and_retry_after(chime):
    chime.fault("status", exception="ThrottledClientException", retry_after=7)
    chime.fault("status", exception="ServiceUnavailableException", retry_after_date=60)
    chime.fault("status", status=418, body="<b>teapot</b>")
    first, second, third = Reply(chime), Reply(chime), Reply(chime)
    assert (first.status, first.header("Retry-After")) == (429, "7")
    assert first.header("x-amzn-ErrorType") == "ThrottledClientException"
    assert first.json() == {"Code": "Throttled", "Message": "A scripted failure."}
    assert second.status == 503 and second.header("Retry-After").endswith(" GMT")
    assert (third.status, bytes(third.body)) == (418, b"<b>teapot</b>")
    assert Reply(chime).status == 200


@pytest.mark.parametrize("action, details, status, size, end", [
    ("html502", {}, 502, None, "complete"),
    ("reset", {}, 0, 0, "reset"),
    ("reset_mid_body", {"at": 1000}, 200, 1000, "reset"),
    ("reset_mid_body", {"at": 0}, 200, 0, "reset"),
    ("cut_body", {"at": 1000}, 200, 1000, "closed"),
    ("cut_body", {"at": 1000, "chunked": True}, 200, None, "closed"),
    ("cut_json", {"at": 1000}, 200, 1000, "complete"),
    ("garbage", {"body": "nonsense"}, 200, 8, "complete"),
    ("empty_body", {}, 200, 0, "complete"),
    ("null_users", {}, 200, len('{"Users":null}'), "complete"),
    ("no_users", {}, 200, 2, "complete"),
    ("users_not_array", {}, 200, None, "complete"),
    ("enormous_body", {"bytes": 40 << 20}, 200, (40 << 20) + 12, "complete"),
    ("enormous_body", {"bytes": 1 << 20, "chunked": True}, 200, None, "complete"),
    ("expired_session", {}, 403, None, "complete"),
    ("expired_session", {"status": 400}, 400, None, "complete"),
    ("redirect", {"url": "http://127.0.0.1:1/x"}, 302, 0, "complete"),
    ("deep_nesting", {"where": "body", "levels": 50000}, 200, 100000, "complete"),
])
def test_answers_gone_wrong(chime, action, details, status, size, end):
    chime.fault(action, **details)
    reply = Reply(chime)
    assert (reply.status, reply.end) == (status, end)
    assert size is None or len(reply.body) == size
    assert Reply(chime).ids == ids(chime, 0, 200)


def test_stall_holds_no_thread_and_is_over_when_the_client_goes(chime):
    chime.fault("stall", times=20)
    stalled = [threading.Thread(target=Reply, args=(chime,), kwargs={"timeout": 2})
               for _ in range(20)]
    for thread in stalled:
        thread.start()
    chime.wait_for(lambda log: len(log) == 20)
    assert Reply(chime).end == "complete"
    for thread in stalled:
        thread.join(20)
    deadline = time.monotonic() + 20
    while chime.stats()["open_connections"] > 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert chime.stats()["open_connections"] <= 2


def test_slow_and_delay(chime):
    chime.fault("delay", delay_ms=200)
    chime.fault("slow", chunk_bytes=20000, chunk_delay_ms=50)
    delayed, slow = Reply(chime), Reply(chime)
    assert delayed.seconds >= 0.2 and delayed.ids == ids(chime, 0, 200)
    assert slow.seconds >= 0.1 and slow.ids == ids(chime, 0, 200)
    chime.config(latency_ms=100)
    assert Reply(chime).seconds >= 0.1


def test_gzip_and_the_bomb(chime):
    assert Reply(chime, accept="gzip").header("Content-Encoding") is None
    chime.config(gzip=True)
    assert Reply(chime).header("Content-Encoding") is None
    packed = Reply(chime, accept="deflate, gzip")
    assert packed.header("Content-Encoding") == "gzip"
    assert len(json.loads(gzip.decompress(packed.body))["Users"]) == 200
    chime.fault("gzip_bomb", bytes=64 << 20)
    bomb = Reply(chime)
    unpacked = gzip.decompress(bomb.body)
    assert len(bomb.body) < 1 << 20 and len(unpacked) == (64 << 20) + 12
    assert json.loads(unpacked) == {"Users": []}


def test_tokens_that_do_not_end(chime):
    chime.fault("token_loop", times=3)
    loop = [Reply(chime)]
    loop += [Reply(chime, loop[0].token) for _ in range(2)]
    assert len({reply.token for reply in loop}) == 1
    chime.fault("token_cycle", times="always")
    a = Reply(chime).token
    b = Reply(chime, a).token
    assert a != b and Reply(chime, b).token == a
    chime.clear_faults()
    chime.fault("endless", times="always")
    token, seen, got = None, set(), []
    for _ in range(7):
        reply = Reply(chime, token)
        token = reply.token
        got += reply.ids
        assert token and token not in seen
        seen.add(token)
    everybody = ids(chime, 0, 450)
    assert got[:900] == everybody * 2


def test_empty_page_loses_nobody(chime):
    chime.fault("empty_page_with_token", page=2)
    first = Reply(chime)
    empty = Reply(chime, first.token)
    assert empty.ids == [] and empty.token
    assert first.ids + Reply(chime, empty.token).ids == ids(chime, 0, 400)


def test_spoilt_users(chime):
    chime.fault("wrong_account", account_id=OTHER)
    chime.fault("wrong_account", count=1)
    chime.fault("user_without_id")
    chime.fault("user_without_id", null=True)
    chime.fault("deep_nesting", levels=40)
    chime.fault("deep_nesting", levels=40, where="top")
    chime.fault("invalid_utf8")
    assert {user["AccountId"] for user in Reply(chime).json()["Users"]} == {OTHER}
    assert [user["AccountId"] == chime.account_id
            for user in Reply(chime).json()["Users"]].count(False) == 1
    assert ["UserId" in user for user in Reply(chime).json()["Users"]].count(False) == 1
    assert Reply(chime).json()["Users"][0]["UserId"] is None
    nest = Reply(chime).json()["Users"][0]["Nest"]
    assert json.dumps(nest) == "[" * 40 + "]" * 40
    top = Reply(chime).json()
    assert json.dumps(top["Nest"]) == "[" * 40 + "]" * 40 and len(top["Users"]) == 200
    with pytest.raises(UnicodeDecodeError):
        Reply(chime).body.decode()


def test_no_users_with_a_token(chime):
    for action in ("null_users", "no_users", "users_not_array"):
        chime.fault(action, keep_token=True)
        assert Reply(chime, Reply(chime).token).ids == ids(chime, 200, 400)


def test_matching_is_exact(chime):
    chime.add_account(OTHER, 450)
    by_page = chime.fault("status", status=501, page=2)
    by_account = chime.fault("status", status=502, account=OTHER, request=2)
    by_count = chime.fault("status", status=503, after=4, times=2, account=chime.account_id)
    got = [Reply(chime).status]                          # 1 of this account
    got.append(Reply(chime, account=OTHER).status)       # 1 of the other
    got.append(Reply(chime, account=OTHER).status)       # 2 of the other
    token = Reply(chime).token                           # 2
    got.append(Reply(chime, token).status)               # 3, page 2
    got += [Reply(chime, token).status for _ in range(5)]
    assert got == [200, 200, 502, 501, 200, 200, 503, 503, 200]
    assert {each["id"]: each["applied"] for each in chime.faults()} == \
        {by_page: 1, by_account: 1, by_count: 2}
    assert [entry["fault"] for entry in chime.log()] == \
        [0, 0, by_account, 0, by_page, 0, 0, by_count, by_count, 0]


def test_expired_token_only_hits_requests_with_a_token(chime):
    chime.fault("expired_token_page")
    token = Reply(chime).token
    refused = Reply(chime, token)
    assert (refused.status, refused.header("x-amzn-ErrorType")) == (400, "BadRequestException")
    assert Reply(chime, token).status == 200


# -- users -----------------------------------------------------------------------------------


def test_changing_users(chime):
    first = ids(chime, 0, 3)
    assert chime.patch_user(first[0], DisplayName=None, New={"a": 1})["New"] == {"a": 1}
    assert "DisplayName" not in Reply(chime).json()["Users"][0]
    assert chime.put_user(first[1], {"UserId": first[1]}) == {"UserId": first[1]}
    chime.delete_user(first[2])
    assert chime.count() == 449
    added = chime.add_user({"DisplayName": "x"}, position=1)
    assert ids(chime, 0, 3) == [first[0], added, first[1]]
    assert Reply(chime).json()["Users"][1] == \
        {"DisplayName": "x", "UserId": added, "AccountId": chime.account_id}
    assert len(chime.generate(20, position="front")) == 20 and chime.count() == 470
    assert chime.delete_users(count=10, start="back") == 10
    assert chime.delete_users(user_ids=[first[0], added, "nobody"]) == 2
    assert chime.patch_users({"DisplayName": "Each"}, count=100, start=50, every=30) == 4
    named = [i for i, u in enumerate(chime.users()) if u.get("DisplayName") == "Each"]
    assert named == [50, 80, 110, 140]
    with pytest.raises(ControlError):
        chime.delete_users(count=5, every=0)
    assert chime.patch_users({"UserRegistrationStatus": "Suspended"}, count=458) == 458
    assert {user["UserRegistrationStatus"] for user in chime.users()} == {"Suspended"}


def test_order(chime):
    before = ids(chime, 0, 450)
    chime.reverse()
    assert ids(chime, 0, 450) == before[::-1]
    chime.shuffle(3)
    mixed = ids(chime, 0, 450)
    assert mixed != before and sorted(mixed) == sorted(before)
    chime.move(mixed[5], "front")
    assert ids(chime, 0, 2) == [mixed[5], mixed[0]]
    token, got = None, []
    for _ in range(3):
        reply = Reply(chime, token)
        got, token = got + reply.ids, reply.token
    assert got == ids(chime, 0, 450)


def test_raw_records_and_duplicates(chime):
    first = ids(chime, 0, 1)[0]
    chime.add_raw("42", position=0)
    chime.add_raw(b'{"UserId":"bad \xff"}', position=1)
    chime.duplicate(first, position="back")
    chime.duplicate(first, position="back", patch={"DisplayName": "changed"})
    assert bytes(Reply(chime).body).startswith(b'{"Users":[42,{"UserId":"bad \xff"},{"UserId":')
    chime.delete_users(count=2)
    users = chime.users()
    assert users[0] == users[450] and users[451] == dict(users[0], DisplayName="changed")


def test_the_same_seed_gives_the_same_users(chime):
    chime.add_account(OTHER, 50, seed=7)
    once = chime.users(account=OTHER)
    chime.add_account(OTHER, 60, seed=7)
    assert chime.users(account=OTHER)[:50] == once
    chime.add_account(OTHER, 50, seed=8)
    assert not {user["UserId"] for user in chime.users(account=OTHER)} & \
        {user["UserId"] for user in once}


def test_one_gap_can_take_many_users(chime):
    for _ in range(40):
        chime.generate(3, position=200)
    token, got = None, []
    for _ in range(3):
        reply = Reply(chime, token)
        got, token = got + reply.ids, reply.token
    assert got == ids(chime, 0, 570) and token is None


def test_users_change_while_a_listing_runs(chime):
    account, before = chime.account_id, ids(chime, 0, 450)
    chime.fault("change", page=2, calls=[
        {"method": "DELETE", "path": f"accounts/{account}/users/{before[0]}"},
        {"method": "POST", "path": f"accounts/{account}/reorder",
         "body": {"user_id": before[1], "position": "back"}}])
    chime.fault("garbage", page=3)
    first = Reply(chime)
    second = Reply(chime, first.token)
    assert first.ids + second.ids == before[:400]
    assert bytes(Reply(chime, second.token).body).startswith(b"this is not JSON")
    third = Reply(chime, second.token)
    assert third.ids == before[400:] + [before[1]]


def test_a_change_that_cannot_be_made_is_no_page(chime):
    for path in ("faults", f"accounts/{chime.account_id}", f"accounts/{chime.account_id}/users/none"):
        chime.fault("change", calls=[{"method": "DELETE", "path": path}])
        assert Reply(chime).status == 500
    assert Reply(chime).status == 200


def test_log_keeps_bodies_if_asked_to(chime):
    chime.add_raw(b"\"\xff\"", position=0)
    assert "body" not in (Reply(chime), chime.log()[-1])[1]
    chime.config(log_bodies=True)
    reply = Reply(chime)
    assert base64.b64decode(chime.log()[-1]["body"]) == bytes(reply.body)


@pytest.mark.parametrize("method, path, body", [
    ("POST", "faults", {"action": "change", "calls": [{"path": "x"}]}),
    ("GET", "nothing", None), ("POST", "faults", {"action": "explode"}),
    ("POST", "faults", {"action": "status", "exception": "NoSuchException"}),
    ("POST", "faults", {"action": "reset", "match": {"pages": 1}}),
    ("POST", "config", {"unknown": 1}), ("POST", "config", {"end_token": "x"}),
    ("POST", "accounts", {}), ("GET", "accounts/none/users", None),
])
def test_mistakes_in_control_calls_are_refused(chime, method, path, body):
    with pytest.raises(ControlError):
        chime.control(method, path, body)


def test_log_says_what_was_asked(chime):
    connection = http.client.HTTPConnection("127.0.0.1", chime.port, timeout=5)
    for _ in range(2):
        connection.request("GET", "/accounts/x/users?user-email=a%2Bb", headers={"User-Agent": "me"})
        assert connection.getresponse().read()
    connection.close()
    first, second = chime.log()
    assert (first["account"], first["params"]) == ("x", {"user-email": "a+b"})
    assert (first["status"], first["error"]) == (403, "MissingAuthenticationTokenException")
    assert first["headers"]["User-Agent"] == "me" and not first["signature_ok"]
    assert first["connection"] == second["connection"]
    assert (first["reused"], second["reused"]) == (False, True)
    assert chime.log(since=first["number"]) == [second]


# -- the program -----------------------------------------------------------------------------


def test_sigterm_ends_it_at_once_whatever_hangs():
    chime = Emulator(users=300).start()
    chime.fault("stall", times=3)
    chime.fault("slow", times=3)
    hanging = [threading.Thread(target=Reply, args=(chime,)) for _ in range(6)]
    for thread in hanging:
        thread.start()
    chime.wait_for(lambda log: len(log) == 6)
    began = time.monotonic()
    assert chime.stop() == 0
    assert time.monotonic() - began < 3
    for thread in hanging:
        thread.join(20)


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl program")
def test_tls(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key),
                    "-out", str(cert)], check=True, capture_output=True, timeout=30)
    with Emulator(users=5, tls_cert=str(cert), tls_key=str(key)) as chime:
        assert chime.url.startswith("https://")
        assert len(chime.users()) == 5
