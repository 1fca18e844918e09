# SPDX-License-Identifier: Apache-2.0
"""What AWS offers to those who look for keys, played on this machine: STS, a container's agent, the
instance metadata.  STS believes a signature only after botocore has computed the same one."""

import hashlib
import json
import threading
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import botocore.auth
import botocore.awsrequest
import botocore.credentials

ROLE = "arn:aws:iam::123456789012:role/"
IMDS_PREFIX = "/latest/meta-data/iam/security-credentials/"


def time_text(seconds):
    """So many seconds from now."""
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def key_id(*parts, prefix="ASIA"):
    """An access key id that tells what it was made of."""
    return prefix + hashlib.sha256(repr(parts).encode()).hexdigest()[:16].upper()


def spread(access_key):
    """A text that belongs to the key; lengths differ, so that one does not lie where another was."""
    digest = hashlib.sha256(access_key.encode()).hexdigest()
    return digest * (1 + int(digest[0], 16))


def secret_of(access_key):
    """The secret that belongs to an access key id."""
    return "canary/" + spread(access_key)


def token_of(access_key):
    return "canary-token+" + access_key + spread(access_key)[::-1] + "/=="


def shown(access_key):
    """As rosterd shows it."""
    return access_key[:4] + "…" + access_key[-4:]


def json_keys(access_key, expires, token_name="Token", **more):
    return dict({"AccessKeyId": access_key, "SecretAccessKey": secret_of(access_key),
                 token_name: token_of(access_key), "Expiration": expires}, **more)


class Request:
    def __init__(self, handler, body):
        self.method = handler.command
        self.path = handler.path
        self.headers = dict(handler.headers.items())
        self.body = body
        self.form = {name: values[0] for name, values in parse_qs(body.decode()).items()} \
            if handler.command == "POST" else {}
        self.signer = None
        self.time = time.monotonic()


class Aws:
    """A context manager.  Hooks replace an answer: hook(request) returns None for the usual one, or
    (status, headers, body), or "hang" for none at all."""

    def __init__(self):
        aws = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                aws.handle(self, Request(self, body))

            do_GET = do_PUT = do_POST = handle_any

        self.requests = []
        self.hook = None
        self.life = 3600  # seconds, of keys given out
        self.generation = 0  # changes every key given out
        self.known = {}  # access key id: (secret, token) that may sign
        self.on_issue = None  # runs with each key that is given out
        self.container_token = None  # the Authorization that the agent wants
        self.released = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def allow(self, access_key, token=None):
        """Keys that may sign, with the secret that goes with the id."""
        self.known[access_key] = (secret_of(access_key), token)
        return access_key

    def issue(self, *parts):
        access_key = key_id(*parts, self.generation)
        self.known[access_key] = (secret_of(access_key), token_of(access_key))
        if self.on_issue:
            self.on_issue(access_key, *self.known[access_key])
        return access_key

    def seen(self, action):
        """The requests of one action of STS, or of one method and path."""
        return [r for r in list(self.requests)
                if r.form.get("Action") == action or f"{r.method} {r.path}" == action]

    # -- answering -------------------------------------------------------------------------

    def handle(self, handler, request):
        self.requests.append(request)
        answer = self.hook(request) if self.hook else None
        if answer is None:
            answer = self.answer(request)
        if answer == "hang":
            self.released.wait(60)
            handler.close_connection = True
            return
        status, headers, body = answer
        body = body.encode() if isinstance(body, str) else body
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        try:
            handler.wfile.write(body)
        except OSError:
            pass

    def answer(self, request):
        if request.method == "POST":
            return self.sts(request)
        if request.path == "/latest/api/token" and request.method == "PUT":
            if "x-aws-ec2-metadata-token-ttl-seconds" not in map(str.lower, request.headers):
                return 400, {}, ""
            return 200, {}, "metadata-token"
        if request.path.startswith("/latest/"):
            lower = {name.lower(): value for name, value in request.headers.items()}
            if lower.get("x-aws-ec2-metadata-token") != "metadata-token":
                return 401, {}, ""
            if request.path == IMDS_PREFIX:
                return 200, {}, "instance-role"
            if request.path == IMDS_PREFIX + "instance-role":
                return 200, {}, json.dumps(json_keys(self.issue("imds"), time_text(self.life),
                                                     Code="Success"))
            return 404, {}, ""
        if request.path.startswith("/container"):
            if self.container_token and request.headers.get("Authorization") != self.container_token:
                return 401, {}, "no"
            return 200, {}, json.dumps(json_keys(
                self.issue("container", request.path, request.headers.get("Authorization")),
                time_text(self.life)))
        return 404, {}, ""

    def sts(self, request):
        form = request.form
        if form.get("Version") != "2011-06-15":
            return self.sts_error(400, "InvalidAction", "no such version")
        if form["Action"] == "AssumeRole":
            error = self.check_signature(request)
            if error:
                return error
            if form["RoleArn"].endswith("/denied"):
                return self.sts_error(403, "AccessDenied",
                                      f"not authorized to perform: sts:AssumeRole on resource: {form['RoleArn']}")
            access_key = self.issue("role", form["RoleArn"], form.get("ExternalId"),
                                    form.get("DurationSeconds"), request.signer)
        elif form["Action"] == "AssumeRoleWithWebIdentity":
            if "Authorization" in request.headers:
                return self.sts_error(400, "Signed", "it should not be signed")
            access_key = self.issue("web", form["RoleArn"], form["WebIdentityToken"])
        else:
            return self.sts_error(400, "InvalidAction", form["Action"])
        return 200, {"Content-Type": "text/xml"}, sts_xml(form["Action"], access_key,
                                                        time_text(self.life))

    @staticmethod
    def sts_error(status, code, message):
        return status, {"Content-Type": "text/xml"}, (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">\n  <Error>\n'
            f"    <Type>Sender</Type>\n    <Code>{code}</Code>\n    <Message>{message}</Message>\n"
            "  </Error>\n  <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>\n"
            "</ErrorResponse>\n")

    def check_signature(self, request):
        """The same request, signed by botocore with the keys that the id names."""
        given = request.headers.get("Authorization", "")
        try:
            credential, signed, _ = given.split(" ", 1)[1].replace(" ", "").split(",")
            access_key, day, region, service, _ = credential.split("=", 1)[1].split("/")
            names = signed.split("=", 1)[1].split(";")
        except (IndexError, ValueError):
            return self.sts_error(403, "MissingAuthenticationToken", "not signed")
        if access_key not in self.known:
            return self.sts_error(403, "InvalidClientTokenId", "the key is not known")
        secret, token = self.known[access_key]
        lower = {name.lower(): value for name, value in request.headers.items()}
        if lower.get("x-amz-security-token") != token:
            return self.sts_error(403, "InvalidClientTokenId", "the token is not the key's")
        again = botocore.awsrequest.AWSRequest(
            "POST", self.url + request.path, {name: lower[name] for name in names if name != "host"},
            request.body)
        again.context["timestamp"] = lower["x-amz-date"]
        signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials(access_key, secret),
                                         service, region)
        canonical = signer.canonical_request(again)
        text = "\n".join(["AWS4-HMAC-SHA256", lower["x-amz-date"],
                          f"{day}/{region}/{service}/aws4_request",
                          hashlib.sha256(canonical.encode()).hexdigest()])
        if not given.endswith("Signature=" + signer.signature(text, again)) or service != "sts":
            return self.sts_error(403, "SignatureDoesNotMatch", "the signature is wrong")
        request.signer, request.region = access_key, region
        return None


def sts_xml(action, access_key, expires):
    return (f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">\n'
            f"  <{action}Result>\n    <AssumedRoleUser>\n      <Arn>arn:aws:sts::1:x</Arn>\n"
            "    </AssumedRoleUser>\n    <Credentials>\n"
            f"      <AccessKeyId>{access_key}</AccessKeyId>\n"
            f"      <SecretAccessKey>{secret_of(access_key)}</SecretAccessKey>\n"
            f"      <SessionToken>{token_of(access_key)}</SessionToken>\n"
            f"      <Expiration>{expires}</Expiration>\n    </Credentials>\n"
            f"  </{action}Result>\n  <ResponseMetadata>\n"
            "    <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>\n"
            f"  </ResponseMetadata>\n</{action}Response>\n")
