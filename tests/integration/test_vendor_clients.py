# SPDX-License-Identifier: Apache-2.0
"""The vendor's own clients against the emulator: what they accept is our idea of the service."""

import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from urllib.parse import quote

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "emulator"))

boto3 = pytest.importorskip("boto3")
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import botocore.httpsession
from botocore.config import Config

from emulator import Emulator

TIMEOUT = 30
MODEL_MEMBERS = {
    "UserId", "AccountId", "PrimaryEmail", "PrimaryProvisionedNumber", "DisplayName", "LicenseType",
    "UserType", "UserRegistrationStatus", "UserInvitationStatus", "RegisteredOn", "InvitedOn",
    "AlexaForBusinessMetadata", "PersonalPIN",
}
EXCEPTIONS = {
    "UnauthorizedClientException": (401, "Unauthorized"),
    "NotFoundException": (404, "NotFound"),
    "ForbiddenException": (403, "Forbidden"),
    "BadRequestException": (400, "BadRequest"),
    "ThrottledClientException": (429, "Throttled"),
    "ServiceUnavailableException": (503, "ServiceUnavailable"),
    "ServiceFailureException": (500, "ServiceFailure"),
}


@pytest.fixture(scope="module")
def shared():
    with Emulator(users=450) as emulator:
        yield emulator


@pytest.fixture
def chime(shared):
    """450 users, nothing wrong; a test that changes users starts an emulator of its own."""
    shared.reset()
    shared.config(error_style="header", end_token="absent", gzip=False, rate=0, clock_offset=0)
    return shared


def client(emulator, **changes):
    settings = {"aws_access_key_id": emulator.access_key,
                "aws_secret_access_key": emulator.secret_key,
                "aws_session_token": emulator.session_token,
                "endpoint_url": emulator.url}
    settings.update(changes)
    config = Config(retries={"total_max_attempts": 1}, proxies={}, connect_timeout=5,
                    read_timeout=TIMEOUT)
    session = boto3.session.Session()
    return session.client("chime", region_name="us-east-1", config=config, **settings)


def list_all(chime_client, account, page_size=None, **filters):
    if page_size:
        filters["PaginationConfig"] = {"PageSize": page_size}
    pages = chime_client.get_paginator("list_users").paginate(AccountId=account, **filters)
    return [user for page in pages for user in page["Users"]]


def comparable_time(value):
    """Clients understand microseconds at most."""
    if isinstance(value, (int, float)):
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
    value = re.sub(r"\.(\d{1,6})\d*", lambda match: "." + match[1].ljust(6, "0"), value)
    return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))


def expected(user):
    """A user as a client of the 2018-05-01 model hands it out."""
    result = {name: value for name, value in user.items() if name in MODEL_MEMBERS}
    for name in ("RegisteredOn", "InvitedOn"):
        if name in result:
            result[name] = comparable_time(result[name])
    return result


# -- boto3 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page_size", [None, 200, 7])
def test_boto3_gets_every_user_once_with_all_members(chime, page_size):
    wanted = chime.users()
    got = list_all(client(chime), chime.account_id, page_size)
    assert len(wanted) == 450
    assert [user["UserId"] for user in got] == [user["UserId"] for user in wanted]
    assert len({user["UserId"] for user in got}) == 450
    for theirs, ours in zip(got, wanted):
        assert theirs == expected(ours)
    log = chime.log()
    assert [entry["page"] for entry in log] == list(range(1, len(log) + 1))
    assert len(log) == -(-450 // (page_size or 100))
    assert all(entry["signature_ok"] and entry["status"] == 200 for entry in log)


def test_generated_users_have_what_the_documentation_promises(chime):
    users = chime.users()
    for name, values in (("LicenseType", {"Basic", "Plus", "Pro", "ProTrial"}),
                         ("UserType", {"PrivateUser", "SharedDevice"}),
                         ("UserRegistrationStatus",
                          {"Unregistered", "Registered", "Suspended", "Released"}),
                         ("UserInvitationStatus", {"Pending", "Accepted", "Failed"})):
        assert {user[name] for user in users if name in user} == values
    for name in MODEL_MEMBERS - {"UserId", "AccountId", "UserType"}:
        assert any(name in user for user in users) and any(name not in user for user in users)
    assert any("x-FutureMember" in user for user in users)
    assert any(isinstance(user.get("RegisteredOn"), (int, float)) for user in users)
    metadata = [user["AlexaForBusinessMetadata"] for user in users
                if "AlexaForBusinessMetadata" in user]
    assert any("IsAlexaForBusinessEnabled" not in each for each in metadata)
    assert any("AlexaForBusinessRoomArn" not in each for each in metadata)


@pytest.mark.parametrize("style", ["absent", "null", "empty"])
def test_boto3_takes_every_way_to_end(chime, style):
    chime.config(end_token=style)
    assert len(list_all(client(chime), chime.account_id, 200)) == 450


def test_filters(chime):
    users = chime.users()
    for kind in ("PrivateUser", "SharedDevice"):
        got = list_all(client(chime), chime.account_id, 10, UserType=kind)
        assert [user["UserId"] for user in got] == \
            [user["UserId"] for user in users if user["UserType"] == kind]
    with_email = [user for user in users if "PrimaryEmail" in user]
    for user in with_email[:40]:
        got = list_all(client(chime), chime.account_id, UserEmail=user["PrimaryEmail"])
        assert [each["UserId"] for each in got] == [user["UserId"]]
    assert list_all(client(chime), chime.account_id, UserEmail="nobody@example.invalid") == []


def test_tokens_are_awkward_and_bound(chime):
    chime.add_account("11111111-2222-4333-8444-555555555555", users=450)
    c = client(chime)
    first = c.list_users(AccountId=chime.account_id)["NextToken"]
    again = c.list_users(AccountId=chime.account_id)["NextToken"]
    assert first != again
    assert set("+/=~ :") <= set(first)
    for account, token, more in (("11111111-2222-4333-8444-555555555555", first, {}),
                                 (chime.account_id, first, {"UserType": "PrivateUser"}),
                                 (chime.account_id, first[:-1], {}),
                                 (chime.account_id, "x", {})):
        with pytest.raises(c.exceptions.BadRequestException):
            c.list_users(AccountId=account, NextToken=token, **more)


def test_a_listing_goes_on_at_the_right_place_while_users_come_and_go():
    with Emulator(users=300) as chime:
        c = client(chime)
        before = [user["UserId"] for user in chime.users()]
        page = c.list_users(AccountId=chime.account_id, MaxResults=100)
        chime.delete_users(user_ids=before[90:110])
        chime.add_user({"PrimaryEmail": "front@example.com"}, position="front")
        got = [user["UserId"] for user in page["Users"]]
        while "NextToken" in page:
            page = c.list_users(AccountId=chime.account_id, MaxResults=100,
                                NextToken=page["NextToken"])
            got += [user["UserId"] for user in page["Users"]]
        assert got == before[:100] + before[110:]


@pytest.mark.parametrize("style", ["header", "suffix", "code"])
@pytest.mark.parametrize("name", EXCEPTIONS)
def test_each_exception_arrives_as_its_own_class(chime, name, style):
    chime.config(error_style=style)
    chime.fault("status", exception=name, message="Scripted: quite so.")
    c = client(chime)
    with pytest.raises(getattr(c.exceptions, name)) as caught:
        c.list_users(AccountId=chime.account_id)
    status, code = EXCEPTIONS[name]
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    assert answer["ResponseMetadata"]["RequestId"]
    assert answer["Error"]["Message"] == "Scripted: quite so."
    assert answer["Code"] == code
    assert [entry["error"] for entry in chime.log()] == [name]


def test_unknown_account_is_not_found(chime):
    c = client(chime)
    with pytest.raises(c.exceptions.NotFoundException):
        c.list_users(AccountId="00000000-0000-4000-8000-000000000000")


def test_rate_limit(chime):
    chime.config(rate=2)
    c = client(chime)
    with pytest.raises(c.exceptions.ThrottledClientException):
        for _ in range(200):
            c.list_users(AccountId=chime.account_id, MaxResults=1)


# -- signatures ------------------------------------------------------------------------------


def error_code(call, *args, **kwargs):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(*args, **kwargs)
    return caught.value.response["Error"]["Code"]


def test_wrong_secret_and_wrong_key(chime):
    account = chime.account_id
    wrong = client(chime, aws_secret_access_key="wrong")
    assert error_code(wrong.list_users, AccountId=account) == "InvalidSignatureException"
    unknown = client(chime, aws_access_key_id="AKIDUNKNOWN")
    assert error_code(unknown.list_users, AccountId=account) == "UnrecognizedClientException"
    needless = client(chime, aws_session_token="token")
    assert error_code(needless.list_users, AccountId=account) == "UnrecognizedClientException"
    assert [entry["signature_ok"] for entry in chime.log()] == [False, False, False]


def test_session_tokens():
    token = "FwoGZXIvYXdzEBYaD+/=~:" * 20
    with Emulator(users=5, session_token=token) as chime:
        account = chime.account_id
        assert len(list_all(client(chime), account)) == 5
        for wrong in ("other", None):
            bad = client(chime, aws_session_token=wrong)
            assert error_code(bad.list_users, AccountId=account) == "UnrecognizedClientException"
        chime.config(session_token="fresh")
        assert error_code(client(chime).list_users, AccountId=account) == "ExpiredTokenException"
        assert len(list_all(client(chime, aws_session_token="fresh"), account)) == 5


@pytest.mark.parametrize("offset, text", [(303, "Signature expired"), (296, None), (-296, None),
                                          (-303, "Signature not yet current")])
def test_clock_skew(chime, offset, text):
    chime.config(clock_offset=offset)
    c = client(chime)
    if text is None:
        c.list_users(AccountId=chime.account_id)
        return
    with pytest.raises(botocore.exceptions.ClientError, match=text):
        c.list_users(AccountId=chime.account_id)


def send_signed(chime, query, tamper=None, region="us-east-1", service="chime", headers=None):
    """Signs with the vendor's signer, lets `tamper` change the request, sends it."""
    url = f"{chime.url}/accounts/{chime.account_id}/users" + (f"?{query}" if query else "")
    request = botocore.awsrequest.AWSRequest("GET", url, headers=headers)
    credentials = botocore.credentials.Credentials(chime.access_key, chime.secret_key,
                                                   chime.session_token)
    botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)
    if tamper:
        tamper(request)
    session = botocore.httpsession.URLLib3Session(timeout=(5, TIMEOUT))
    try:
        answer = session.send(request.prepare())
    finally:
        session.close()
    return answer.status_code, answer.headers.get("x-amzn-ErrorType")


AWKWARD = ["a+b@example.com", "a b@example.com", "~tilde@example.com", "100%@example.com",
           "a%2Bb@example.com", "j\u00f6rg@m\u00fcnchen.example", "\u738b@\u4f8b.example",
           "\U0001f680@example.com", "a&b=c@example.com", "quote\"'@example.com",
           "a/b:c@example.com", "a@b@example.com", "(x)!*@example.com", "a;b,c@example.com"]


@pytest.mark.parametrize("email", AWKWARD)
def test_the_vendors_signature_is_accepted(chime, email):
    query = "max-results=200&user-email=" + quote(email, safe="-_.~") + "&user-type=PrivateUser"
    assert send_signed(chime, query) == (200, None)
    assert chime.log()[-1]["params"]["user-email"] == email


@pytest.mark.parametrize("email", AWKWARD)
def test_boto3_filters_by_an_awkward_address(email):
    with Emulator(users=3) as chime:
        added = chime.add_user({"PrimaryEmail": email, "UserType": "PrivateUser"}, position=1)
        got = list_all(client(chime), chime.account_id, UserEmail=email)
        assert [user["UserId"] for user in got] == [added]


def test_further_signed_headers_are_accepted(chime):
    headers = {"X-Custom": "  two   spaces  ", "Accept": "application/json"}
    assert send_signed(chime, "max-results=5", headers=headers) == (200, None)
    assert send_signed(chime, "", headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}) == \
        (200, None)


def replace_in_url(old, new):
    def tamper(request):
        assert old in request.url
        request.url = request.url.replace(old, new)
    return tamper


def set_header(name, value):
    def tamper(request):
        del request.headers[name]
        request.headers[name] = value
    return tamper


def edit_authorization(old, new):
    def tamper(request):
        text = request.headers["Authorization"]
        assert old in text
        set_header("Authorization", text.replace(old, new))(request)
    return tamper


TAMPERED = {
    "value": (replace_in_url("max-results=100", "max-results=101"), "InvalidSignatureException"),
    "parameter": (replace_in_url("?", "?a=b&"), "InvalidSignatureException"),
    "account": (replace_in_url("/accounts/0f2c", "/accounts/0f2d"), "InvalidSignatureException"),
    "date": (set_header("X-Amz-Date", time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(0))),
             "InvalidSignatureException"),
    "unsigned amz header": (set_header("X-Amz-Extra", "1"), "InvalidSignatureException"),
    "needless token": (set_header("X-Amz-Security-Token", "t"), "UnrecognizedClientException"),
    "no signature": (lambda request: request.headers.__delitem__("Authorization"),
                     "MissingAuthenticationTokenException"),
    "other algorithm": (edit_authorization("AWS4-HMAC-SHA256", "AWS4-HMAC-MD5"),
                        "IncompleteSignatureException"),
    "host not signed": (edit_authorization("SignedHeaders=host;", "SignedHeaders="),
                        "InvalidSignatureException"),
    "no signed headers": (edit_authorization("SignedHeaders", "SignedNothing"),
                          "IncompleteSignatureException"),
    "short scope": (edit_authorization("/chime/aws4_request", "/aws4_request"),
                    "IncompleteSignatureException"),
    "payload hash": (set_header("X-Amz-Content-SHA256", "0" * 64), "InvalidSignatureException"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_request_is_refused(chime, what):
    tamper, exception = TAMPERED[what]
    assert send_signed(chime, "max-results=100", tamper) == (403, exception)
    assert send_signed(chime, "max-results=100") == (200, None)


@pytest.mark.parametrize("place", [0, 1, 31, 62, 63])
def test_every_digit_of_the_signature_counts(chime, place):
    def tamper(request):
        text = request.headers["Authorization"]
        at = text.index("Signature=") + len("Signature=") + place
        digit = "0" if text[at] != "0" else "1"
        set_header("Authorization", text[:at] + digit + text[at + 1:])(request)
    assert send_signed(chime, "", tamper) == (403, "InvalidSignatureException")


def test_wrong_scope(chime):
    for wrong in ({"region": "eu-west-1"}, {"service": "s3"}):
        assert send_signed(chime, "", **wrong) == (403, "InvalidSignatureException")


@pytest.mark.parametrize("query", [
    "max-results=0", "max-results=201", "max-results=", "max-results=x", "max-results=-1",
    "user-type=Robot", "user-email=nobody", "next-token=", "unknown=1",
    "max-results=5&max-results=6",
])
def test_wrong_parameters_are_bad_requests(chime, query):
    assert send_signed(chime, query) == (400, "BadRequestException")


def test_signature_is_checked_over_the_canonical_query(chime):
    """Unsorted on the wire but signed in order is right; a sign of the wire's order is not."""
    swapped = replace_in_url("max-results=5&user-type=PrivateUser",
                             "user-type=PrivateUser&max-results=5")
    assert send_signed(chime, "max-results=5&user-type=PrivateUser", swapped) == (200, None)


# -- AWS CLI ---------------------------------------------------------------------------------


def find_aws():
    return "/usr/bin/aws" if os.access("/usr/bin/aws", os.X_OK) else shutil.which("aws")


def run_aws(chime, home, *args):
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8",
           "AWS_ACCESS_KEY_ID": chime.access_key, "AWS_SECRET_ACCESS_KEY": chime.secret_key,
           "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": "",
           "NO_PROXY": "127.0.0.1"}
    return subprocess.run([find_aws(), "--endpoint-url", chime.url, "--region", "us-east-1",
                           "--output", "json", "--cli-read-timeout", str(TIMEOUT), "chime",
                           "list-users", "--account-id", chime.account_id, *args],
                          env=env, capture_output=True, timeout=120)


@pytest.mark.skipif(find_aws() is None, reason="no AWS CLI")
def test_aws_cli_pages_through(chime, tmp_path):
    done = run_aws(chime, tmp_path, "--page-size", "60")
    assert done.returncode == 0, done.stderr.decode()
    got = json.loads(done.stdout)["Users"]
    wanted = chime.users()
    assert [user["UserId"] for user in got] == [user["UserId"] for user in wanted]
    assert [user.get("DisplayName") for user in got] == \
        [user.get("DisplayName") for user in wanted]
    assert [entry["page"] for entry in chime.log()] == list(range(1, 9))


@pytest.mark.skipif(find_aws() is None, reason="no AWS CLI")
def test_aws_cli_reports_an_exception(chime, tmp_path):
    chime.fault("status", exception="ForbiddenException", times="always")
    done = run_aws(chime, tmp_path)
    assert done.returncode != 0
    assert b"(ForbiddenException)" in done.stderr
