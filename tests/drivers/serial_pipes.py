"""Ways between a driver and a simulated serial reader: a TCP socket, a pty, or in virtual time, as hostile as asked.

A peer has `feed(bytes) -> bytes` (its answer at once) and `tick() -> bytes` (what it says by itself, every TICK_S).
"""

import asyncio
import os
import random
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from gateway.driver import Services
from gateway.errors import LinkDown
from gateway.messages import Fact, Reading
from gateway.messages.tags import ReaderHeard, TagRead, TagReads
from tests.virtual_time import VirtualClock

TICK_S = 0.05


@dataclass
class Pipe:
    """What the way does to bytes. `lose`: chance of each byte; `noise`: chance of junk before a chunk; seeded."""

    lose: float = 0.0
    noise: float = 0.0
    one_by_one: bool = False
    delay_s: tuple[float, float] = (0.0, 0.0)
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    def through(self, data: bytes) -> list[bytes]:
        if not data:
            return []
        if self.rng.random() < self.noise:
            data = self.rng.randbytes(self.rng.randrange(1, 40)) + data
        if self.lose:
            data = bytes(byte for byte in data if self.rng.random() >= self.lose)
        return [data[at : at + 1] for at in range(len(data))] if self.one_by_one else [data]

    def wait_s(self) -> float:
        return self.rng.uniform(*self.delay_s)


class VirtualLine:
    """A `Line` in virtual time, both directions through the pipe."""

    where = "virtual"

    def __init__(self, peer: Any, pipe: Pipe) -> None:
        self._peer, self._pipe = peer, pipe
        self._bytes, self._come = bytearray(), asyncio.Event()
        self._due_s = 0.0
        self.unplugged = False

    async def read(self, wait_s: float) -> bytes:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._come.wait()
        if self.unplugged:
            raise LinkDown("virtual: unplugged")
        data = bytes(self._bytes[:4096])
        del self._bytes[:4096]
        if not self._bytes:
            self._come.clear()
        return data

    async def write(self, data: bytes) -> None:
        if self.unplugged:
            raise LinkDown("virtual: unplugged")
        for piece in self._pipe.through(data):
            self._deliver(self._peer.feed(piece))

    def unplug(self) -> None:
        self.unplugged = True
        self._come.set()

    async def tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._deliver(self._peer.tick())

    def _deliver(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        for piece in self._pipe.through(data):
            self._due_s = max(self._due_s + 1e-6, loop.time() + self._pipe.wait_s())  # never two at one moment: order
            loop.call_at(self._due_s, self._arrive, piece)

    def _arrive(self, data: bytes) -> None:
        self._bytes += data
        self._come.set()


class Rig:
    """A driver on a virtual line, all that it said, and its health. Make it inside the loop."""

    def __init__(self, module: Any, peer: Any, pipe: Pipe | None = None, **settings: Any) -> None:
        self.peer, self.pipe = peer, pipe or Pipe()
        self.messages: list[Reading | Fact] = []
        self.health: list[tuple[str, str, str, str]] = []
        self.line: VirtualLine | None = None
        services = Services(clock=VirtualClock(), report=lambda *said: self.health.append(said))
        name = module.__name__.rpartition(".")[2]
        config = module.Config(id="reader", driver=name, port="/dev/ttyV0", **settings)
        self.driver = module.Driver(config, services, self.open)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[VirtualLine]:
        self.line = VirtualLine(self.peer, self.pipe)
        ticking = asyncio.create_task(self.line.tick())
        try:
            yield self.line
        finally:
            ticking.cancel()

    async def emit(self, *messages: Reading | Fact) -> None:
        self.messages += messages

    async def run_for(self, seconds: float) -> None:
        """Run the driver for so long; what it raises before is raised."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.driver.run(self.emit)

    async def run_on(self, seconds: float) -> list[str]:
        """Run it as a supervisor does: again after a LinkDown. Return why it fell."""
        fell: list[str] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        await self.driver.run(self.emit)
                    except LinkDown as error:
                        fell.append(str(error))
                    await asyncio.sleep(1)
        return fell

    @property
    def reads(self) -> list[TagRead]:
        return [read for message in self.messages if isinstance(message, TagReads) for read in message.reads]

    @property
    def epcs(self) -> set[str]:
        return {read.epc for read in self.reads}

    @property
    def heard(self) -> list[ReaderHeard]:
        return [message for message in self.messages if isinstance(message, ReaderHeard)]


@asynccontextmanager
async def over_tcp(peer: Any, pipe: Pipe | None = None) -> AsyncIterator[str]:
    """Serve the peer on a loopback socket; yields its `socket://` address."""
    ways: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ways.add(writer)
        with suppress(ConnectionError):
            await _converse(peer, pipe or Pipe(), reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in ways:
            writer.close()


async def _converse(peer: Any, pipe: Pipe, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        out = b""
        try:
            async with asyncio.timeout(TICK_S):
                data = await reader.read(1000)
        except TimeoutError:
            out = peer.tick()
        else:
            if not data:
                return
            out = b"".join(peer.feed(piece) for piece in pipe.through(data))
        for piece in pipe.through(out):
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def over_pty(peer: Any) -> AsyncIterator[tuple[str, int]]:
    """Serve the peer on a pseudo terminal; yields its device file and the other end (close it: unplugged)."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    name = os.ttyname(theirs)
    os.set_blocking(ours, False)
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, lambda: _say(ours, peer.feed(_take(ours))))
    ticking = asyncio.create_task(_tick(ours, peer))
    try:
        yield name, theirs
    finally:
        ticking.cancel()
        loop.remove_reader(ours)
        for end in (ours, theirs):
            with suppress(OSError):
                os.close(end)


def _take(ours: int) -> bytes:
    try:
        return os.read(ours, 1000)
    except OSError:  # the driver has closed its end
        return b""


def _say(ours: int, data: bytes) -> None:
    with suppress(OSError):
        if data:
            os.write(ours, data)


async def _tick(ours: int, peer: Any) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        _say(ours, peer.tick())
