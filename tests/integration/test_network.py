# SPDX-License-Identifier: Apache-2.0
"""What lies between rosterd and the service: connections, TLS, proxies, credentials."""

import os
import socket
import subprocess
import threading

import pytest

from emulator import Emulator
from rosterd import Rosterd


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and certificates of it for localhost and for another host."""
    d = tmp_path_factory.mktemp("tls")

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=d, check=True, capture_output=True, timeout=60)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
            "-days", "2", "-subj", "/CN=Test authority")
    for name, alt in (("good", "DNS:localhost,IP:127.0.0.1"), ("wrong", "DNS:elsewhere.example")):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out",
                f"{name}.csr", "-subj", f"/CN={name}")
        (d / f"{name}.ext").write_text(f"subjectAltName={alt}\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", f"{name}.ext")
    return d


def tls_roster(tmp_path, certificates, name):
    chime = Emulator(users=250, tls_cert=str(certificates / f"{name}.pem"),
                     tls_key=str(certificates / f"{name}.key"))
    return chime


def test_tls_with_a_ca_file(tmp_path, certificates):
    with tls_roster(tmp_path, certificates, "good") as chime:
        roster = Rosterd(tmp_path, chime, {"acme": {"ca_file": certificates / "ca.pem"}})
        roster.once()
        assert len(roster.users()) == 250


@pytest.mark.parametrize("cert, ca", [("good", False), ("wrong", True)])
def test_tls_is_always_verified(tmp_path, certificates, cert, ca):
    with tls_roster(tmp_path, certificates, cert) as chime:
        given = {"ca_file": certificates / "ca.pem"} if ca else {}
        roster = Rosterd(tmp_path, chime, {"acme": given})
        roster.once(status=1)
        error = roster.run_rows()[-1]["error"]
        assert "certificate" in error or "TLS" in error or "SSL" in error
        assert chime.stats()["listing_requests"] == 0


def test_plain_text_where_tls_was_expected(tmp_path, chime):
    roster = Rosterd(tmp_path, chime,
                     {"acme": {"endpoint": chime.url.replace("http://", "https://")}})
    roster.once(status=1)
    assert chime.stats()["listing_requests"] == 0


def test_port_closed(tmp_path, chime):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    roster = Rosterd(tmp_path, chime, {"acme": {"endpoint": f"http://127.0.0.1:{port}"}})
    roster.once(status=1)
    assert f"{port}" in roster.run_rows()[-1]["error"]


def test_name_not_known(tmp_path, chime):
    roster = Rosterd(tmp_path, chime, {"acme": {"endpoint": "https://chime.invalid"}})
    roster.once(status=1)
    assert "chime.invalid" in roster.run_rows()[-1]["error"]


def test_connections_are_kept(tmp_path, chime):
    roster = Rosterd(tmp_path, chime, {"acme": {"max_results": 50}})
    roster.once()
    assert chime.stats()["listing_requests"] == 9
    assert len({entry["connection"] for entry in chime.log()}) == 1


def test_gzip(tmp_path):
    with Emulator(users=450, gzip=True) as chime:
        roster = Rosterd(tmp_path, chime)
        roster.once()
        assert len(roster.users()) == 450
        assert "gzip" in chime.log()[-1]["headers"]["Accept-Encoding"]


def test_request_parameters(tmp_path, chime):
    chime.patch_users({"PrimaryEmail": "ana+b@example.com", "UserType": "PrivateUser"}, count=3)
    roster = Rosterd(tmp_path, chime, {"acme": {
        "max_results": 2, "user_type": "PrivateUser", "user_email": "ana+b@example.com"}})
    roster.once()
    assert len(roster.users()) == 3
    first, second = chime.log()
    assert first["params"] == {"max-results": "2", "user-email": "ana+b@example.com",
                               "user-type": "PrivateUser"}
    assert set(second["params"]) == set(first["params"]) | {"next-token"}
    assert first["headers"]["User-Agent"].startswith("rosterd/")
    assert all(entry["signature_ok"] for entry in chime.log())


def test_session_token(tmp_path):
    with Emulator(users=250, session_token="a+token/with=signs") as chime:
        roster = Rosterd(tmp_path, chime)
        roster.once()
        assert len(roster.users()) == 250
        chime.config(session_token="another")
        roster.once(status=1)
        assert "ExpiredToken" in roster.run_rows()[-1]["error"]


def test_credentials_of_the_environment(tmp_path):
    with Emulator(users=250, session_token="tok") as chime:
        roster = Rosterd(tmp_path, chime, {"acme": {
            "access_key_id": None, "secret_access_key": None, "session_token": None}})
        roster.once(status=1)
        assert "there are no credentials" in roster.run_rows()[-1]["error"]
        roster.env = {"AWS_ACCESS_KEY_ID": chime.access_key,
                      "AWS_SECRET_ACCESS_KEY": chime.secret_key, "AWS_SESSION_TOKEN": "tok"}
        roster.once()
        assert len(roster.users()) == 250


def test_wrong_secret_is_refused_and_not_shown(tmp_path, chime):
    roster = Rosterd(tmp_path, chime, {"acme": {"secret_access_key": "canary/wrong/secret"}})
    done = roster.run("--once")
    assert done.returncode == 1
    assert "403" in roster.run_rows()[-1]["error"]
    files = b"".join((tmp_path / name).read_bytes() for name in os.listdir(tmp_path)
                     if name.startswith("roster.db"))
    assert "canary" not in done.stderr + done.stdout and b"canary" not in files
    assert chime.access_key.encode() not in files


def test_clock_skew_is_named(tmp_path, chime):
    chime.config(clock_offset=3600)
    roster = Rosterd(tmp_path, chime)
    roster.once(status=1)
    error = roster.run_rows()[-1]["error"]
    assert "clock" in error


class Proxy:
    """A CONNECT-less HTTP proxy that notes what it is asked and passes it on."""

    def __init__(self):
        self.asked = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(client,), daemon=True).start()

    def one(self, client):
        with client:
            data = b""
            while b"\r\n\r\n" not in data:
                piece = client.recv(65536)
                if not piece:
                    return
                data += piece
            line, rest = data.split(b"\r\n", 1)
            method, url, version = line.split(b" ")
            self.asked.append(url.decode())
            host, path = url.split(b"://", 1)[1].split(b"/", 1)
            name, port = host.split(b":")
            with socket.create_connection((name.decode(), int(port)), timeout=20) as server:
                rest = rest.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
                server.sendall(b" ".join([method, b"/" + path, version]) + b"\r\n" + rest)
                while True:
                    piece = server.recv(65536)
                    if not piece:
                        return
                    client.sendall(piece)


def test_proxy(tmp_path, chime):
    proxy = Proxy()
    roster = Rosterd(tmp_path, chime, {"acme": {"proxy": f"http://127.0.0.1:{proxy.port}"}})
    roster.once()
    assert len(roster.users()) == 450
    assert len(proxy.asked) == 3 and proxy.asked[0].startswith(chime.url)
    proxy.socket.close()
