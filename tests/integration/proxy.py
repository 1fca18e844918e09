# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy with the faults of real networks.  They can be changed while it runs: what delays is
looked up for each piece, what ends a connection when the connection begins."""

import asyncio
import dataclasses
import random
import socket
import struct
import threading

PIECE = 65536


@dataclasses.dataclass(frozen=True)
class Faults:
    latency: float = 0  # seconds that each piece is under way
    jitter: float = 0  # up to so much more
    rate: float = 0  # bytes a second each way; 0: no limit
    piece: int = PIECE  # bytes that travel together
    loss: float = 0  # the share of pieces that are lost, and come when they are sent again:
    resend: float = 0.4  # up to so many seconds later, and all that is behind them with them
    links: int = None  # how many connections meet the faults below; None: all
    reset_after: int = None  # bytes of answers, then a reset
    end_after: int = None  # bytes of answers, then an end that looks orderly
    silent_after: int = None  # bytes of answers, then nothing, for good
    end_kept: str = None  # "end" or "reset", just as a second request arrives


class Loop:
    """The one thread in which all proxies live."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def call(self, function, *args):
        async def wrapped():
            return function(*args)
        return self.wait(wrapped())

    def wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)


def reset(writer):
    """Closes so that the other side is told of an error."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                               struct.pack("ii", 1, 0))
    writer.transport.abort()


class Link:
    """One connection, passed on."""

    def __init__(self, proxy, reader, writer):
        self.proxy = proxy
        self.reader, self.writer = reader, writer
        self.server = None
        self.requests = 0  # bytes that the client has sent
        self.answers = 0  # bytes that it has been given
        self.ends = proxy.take_ending_faults()

    async def run(self):
        try:
            if self.ends.silent_after == 0:
                await self.listen_only()
                return
            reader, self.server = await asyncio.open_connection("127.0.0.1", self.proxy.target)
            tasks = [asyncio.ensure_future(self.pass_on(self.reader, self.server, self.before_request)),
                     asyncio.ensure_future(self.pass_on(reader, self.writer, self.before_answer))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            reset(self.writer)
        finally:
            self.close()

    def close(self):
        for writer in (self.writer, self.server):
            if writer:
                writer.close()

    async def listen_only(self):
        """Half-open: takes what comes, and says no more."""
        while await self.reader.read(PIECE):
            pass

    async def pass_on(self, reader, writer, before):
        while True:
            data = await reader.read(self.proxy.faults.piece)
            if not data:
                return
            await self.delay(len(data))
            data, then = before(data)
            if data:
                writer.write(data)
                await writer.drain()
            if then:
                await then()
                return

    async def delay(self, size):
        f = self.proxy.faults
        wait = f.latency + self.proxy.random.random() * f.jitter
        if f.rate:
            wait += size / f.rate
        if f.loss and self.proxy.random.random() < f.loss:
            wait += self.proxy.random.random() * f.resend
        if wait:
            await asyncio.sleep(wait)

    def before_request(self, data):
        if self.ends.end_kept and self.answers:
            return b"", self.reset if self.ends.end_kept == "reset" else self.end
        self.requests += len(data)
        self.proxy.heard += len(data)
        return data, None

    def before_answer(self, data):
        for most, then in ((self.ends.reset_after, self.reset), (self.ends.end_after, self.end),
                           (self.ends.silent_after, self.silence)):
            if most is not None and self.answers + len(data) >= most:
                data = data[:most - self.answers]
                self.answers = most
                return data, then
        self.answers += len(data)
        return data, None

    async def reset(self):
        await asyncio.sleep(0.01)  # what was sent before is not to be overtaken
        reset(self.writer)

    async def end(self):
        pass

    async def silence(self):
        await asyncio.Event().wait()  # until the client closes, which ends the other direction


class Proxy:
    """A context manager.  With tls, an SSLContext, it is the one that the client does TLS with: what
    is behind it speaks plainly."""

    def __init__(self, target, tls=None, host="127.0.0.1", port=0, seed=1, **faults):
        self.target = target  # port on 127.0.0.1
        self.host = host
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.tls = tls
        self.faults = Faults(**faults)
        self.random = random.Random(seed)
        self.left = self.faults.links
        self.links = set()  # that are open
        self.on_link = None  # runs in the loop when a connection has come about
        self.heard = 0  # bytes of requests, after TLS
        # keeps the port while nobody listens there: whoever connects is refused
        self.keeper = self.bind(port)
        self.port = self.keeper.getsockname()[1]
        self.server = None
        self.deaf = []

    def bind(self, port):
        s = socket.socket(self.family)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind((self.host, port))
        return s

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    def __enter__(self):
        self.accept()
        return self

    def __exit__(self, *exc):
        self.refuse()
        self.cut()
        self.keeper.close()

    # -- faults ----------------------------------------------------------------------------

    def set(self, **faults):
        """These, and no others, from now on."""
        def change():
            self.faults = Faults(**faults)
            self.left = self.faults.links
        loop().call(change)

    def take_ending_faults(self):
        if self.left is None:
            return self.faults
        if self.left <= 0:
            return Faults()
        self.left -= 1
        return self.faults

    def refuse(self):
        """Connections are refused; those that are there go on."""
        if self.server:
            loop().call(self.server.close)
            self.server = None
        for s in self.deaf:
            s.close()
        self.deaf = []

    def deafen(self):
        """Whoever connects hears neither yes nor no: the queue of connections is full."""
        self.refuse()
        self.deaf = [self.bind(self.port)]
        self.deaf[0].listen(0)
        for _ in range(4):
            s = socket.socket(self.family)
            s.setblocking(False)
            s.connect_ex((self.host, self.port))
            self.deaf.append(s)

    def accept(self):
        if not self.server:
            self.refuse()
            self.server = loop().wait(asyncio.start_server(
                self.serve, sock=self.bind(self.port), ssl=self.tls))

    def cut(self):
        """All connections end with a reset."""
        def cut_all():
            for link in self.links:
                reset(link.writer)
                link.close()
        loop().call(cut_all)

    def silence_all(self):
        """The connections that there are say nothing any more."""
        def silence():
            for link in self.links:
                link.ends = Faults(silent_after=0)
        loop().call(silence)

    def open_links(self):
        """How many connections there are now."""
        return loop().call(lambda: len(self.links))

    async def serve(self, reader, writer):
        link = Link(self, reader, writer)
        self.links.add(link)
        if self.on_link:
            self.on_link()
        try:
            await link.run()
        finally:
            self.links.discard(link)


LOOP = None


def loop():
    global LOOP
    LOOP = LOOP or Loop()
    return LOOP
