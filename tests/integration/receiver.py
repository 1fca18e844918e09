# SPDX-License-Identifier: Apache-2.0
"""A webhook receiver on loopback that answers as it is told, and remembers what came."""

import json
import socket
import ssl
import threading
import time

TIMEOUT = 60


class Request:
    def __init__(self, method, path, headers, body):
        self.method = method
        self.path = path
        self.headers = headers  # names in lower case
        self.body = body
        self.time = time.monotonic()

    @property
    def id(self):
        return self.headers["webhook-id"]

    def json(self):
        return json.loads(self.body)

    def events(self):
        """The events of a request in format json."""
        data = self.json()
        return data if isinstance(data, list) else [data]


def answer(status=200, body="", headers=None):
    """A whole answer, as bytes."""
    data = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status} Said So\r\nContent-Length: {len(data)}\r\n"
    for name, value in (headers or {}).items():
        head += f"{name}: {value}\r\n"
    return (head + "\r\n").encode() + data


class Receiver:
    """behave(request) returns the bytes of an answer, or None: the connection is closed.  It may also be
    a generator of pieces: bytes are sent as they come, a number is a pause in seconds."""

    def __init__(self, behave=None, tls=None, host="127.0.0.1", port=0):
        self.behave = behave or (lambda request: answer(200))
        self.requests = []
        self.lock = threading.Lock()
        self.tls = tls
        self.closing = False
        self.connections = set()
        self.socket = socket.create_server((host, port), backlog=64)
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/hook/s3cret-path"

    def close(self):
        self.closing = True
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        with self.lock:
            left = list(self.connections)
        for connection in left:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.thread.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # -- what came -------------------------------------------------------------------------

    def taken(self):
        with self.lock:
            return list(self.requests)

    def wait(self, count, timeout=TIMEOUT):
        """The requests, once there are at least so many."""
        deadline = time.monotonic() + timeout
        while True:
            requests = self.taken()
            if len(requests) >= count:
                return requests
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(requests)} of {count} requests came in {timeout} s")
            time.sleep(0.02)

    # -- serving ---------------------------------------------------------------------------

    def _accept(self):
        while not self.closing:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with self.lock:
            self.connections.add(connection)
        try:
            connection.settimeout(60)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            reader = connection.makefile("rb")
            while not self.closing and self._one(connection, reader):
                pass
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            with self.lock:
                self.connections.discard(connection)
            try:
                connection.close()
            except OSError:
                pass

    def _one(self, connection, reader):
        line = reader.readline(65536).decode("latin-1")
        if not line:
            return False
        method, path, _ = line.split(" ", 2)
        headers = {}
        while True:
            line = reader.readline(65536).decode("latin-1").rstrip("\r\n")
            if not line:
                break
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", 0)))
        request = Request(method, path, headers, body)
        request.connection = connection
        said = self.behave(request)
        with self.lock:
            request.answered = said
            self.requests.append(request)
        if said is None:
            return False
        for piece in [said] if isinstance(said, bytes) else said:
            if isinstance(piece, bytes):
                connection.sendall(piece)
            elif self.closing:
                return False
            else:
                time.sleep(piece)
        return isinstance(said, bytes)
