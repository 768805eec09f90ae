"""Simulated readers on real ports: one LLRP server each, all on one shop that follows the clock; `GET /truth`.

Loopback only. Not here: any behaviour of a reader. Whoever embeds readers (a demo, a test) takes `serving`.
"""

import asyncio
import contextlib
import dataclasses
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple, cast

from aiohttp import web

from drivers.simulators._reader_device import Connection, Reader
from drivers.simulators._reader_script import load_script, play
from drivers.simulators._reader_truth import Truth
from drivers.simulators.reader import FleetConfig, ReaderFleet

LOOPBACK = "127.0.0.1"
MOST_BUFFERED = 1 << 20  # bytes of one client before a reader holds its reports back
LONGEST_LEAP_S = 0.5  # a machine that is so far behind lets the simulation stand still instead of hurrying after
LINGER_S = 1.0  # until a client that does not read is hung up on


class Served:
    """A fleet that follows the real clock. `behind_s`: time that the machine was too slow for."""

    def __init__(self, fleet: ReaderFleet) -> None:
        self.fleet = fleet
        self.behind_s = 0.0
        self._began_s = time.monotonic()
        self._lines: set[_Line] = set()

    def catch_up(self) -> None:
        """Bring the fleet to now, and send what that led to."""
        until_s = time.monotonic() - self._began_s
        behind_s = until_s - self.fleet.timeline.now_s - LONGEST_LEAP_S
        if behind_s > 0:
            self._began_s += behind_s
            self.behind_s += behind_s
            until_s -= behind_s
            for reader in self.fleet.readers:
                reader.clock.epoch_s += behind_s
        self.fleet.run_until(until_s)
        for line in tuple(self._lines):
            line.flush()

    async def follow(self) -> None:
        """Let time pass until cancelled."""
        while True:
            self.catch_up()
            ahead_s = self.fleet.timeline.next_event_at() - (time.monotonic() - self._began_s)
            await asyncio.sleep(max(ahead_s, 0.0))

    def line(self, reader: Reader) -> "_Line":
        """Return the way of a new client to a reader."""
        return _Line(self, reader, self._lines)


class _Line(asyncio.Protocol):
    """One TCP connection: what the reader writes goes out in one piece when time has passed."""

    def __init__(self, served: Served, reader: Reader, lines: "set[_Line]") -> None:
        self._served, self._reader, self._lines = served, reader, lines
        self._out = bytearray()
        self._paused = False
        self._transport: asyncio.Transport | None = None
        self._connection: Connection | None = None

    @property
    def full(self) -> bool:
        return self._paused or len(self._out) > MOST_BUFFERED

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._lines.add(self)
        self._served.catch_up()
        self._connection = self._reader.connect(self)
        self.flush()

    def data_received(self, data: bytes) -> None:
        if self._connection is not None:
            self._served.catch_up()
            self._connection.receive(data)
            self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self._transport = None
        self._lines.discard(self)
        if self._connection is not None:
            self._connection.lost()

    def pause_writing(self) -> None:
        """Read no more from a client that does not read: its answers would pile up."""
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        if self._transport is not None:
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._out += data

    def flush(self) -> None:
        if self._out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(bytes(self._out))
        self._out.clear()

    def close(self) -> None:
        self.flush()
        if self._transport is not None:
            self._transport.close()
            asyncio.get_running_loop().call_later(LINGER_S, self.abort)

    def abort(self) -> None:
        self._out.clear()
        if self._transport is not None:
            self._transport.abort()


class Ports(NamedTuple):
    """Where a fleet is: the LLRP port of each reader, and that of the truth."""

    readers: list[int]
    truth: int | None


@contextlib.asynccontextmanager
async def serving(
    fleet: ReaderFleet, port: int = 0, truth_port: int | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Ports]:
    """Serve while the context lasts; the readers' ports follow each other from `port` on, 0 = free ones."""
    served = Served(fleet)
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        ports = Ports([], None)
        for number, reader in enumerate(fleet.readers):
            made = lambda reader=reader: served.line(reader)  # noqa: E731 (a factory for each)
            server = await loop.create_server(made, LOOPBACK, port + number if port else 0, ssl=tls)
            stack.callback(server.close)
            ports.readers.append(server.sockets[0].getsockname()[1])
        if truth_port is not None:
            ports = ports._replace(truth=await _truth(stack, served, ports, truth_port))
        following = asyncio.create_task(served.follow(), name="readers: follow the clock")
        try:
            yield ports
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            for reader in fleet.readers:
                reader.hang_up()


async def _truth(stack: contextlib.AsyncExitStack, served: Served, ports: Ports, port: int) -> int:
    """Serve `GET /truth` and `POST /sell`, `/walk`, `/move`, `/deliver`, `/fault`."""
    truth = Truth(served.fleet)

    async def told(_: web.Request) -> web.Response:
        served.catch_up()
        return web.json_response(truth.told(ports.readers) | {"behind_s": served.behind_s})

    async def steered(request: web.Request) -> web.Response:
        served.catch_up()
        try:
            body = await request.json() if request.can_read_body else {}
            if not isinstance(body, dict):
                raise ValueError("the body is no JSON object")  # noqa: TRY004, TRY301 (answered like any other)
            found = truth.hooks[request.match_info["hook"]](body)
        except (ValueError, RecursionError) as error:
            return web.Response(status=400, text=str(error) or "wrong")
        return web.json_response({"epcs": [tag.epc.hex().upper() for tag in found]})

    app = web.Application()
    app.router.add_get("/truth", told)
    app.router.add_post(f"/{{hook:{'|'.join(truth.hooks)}}}", steered)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, LOOPBACK, port).start()
    return int(runner.addresses[0][1])


async def serve(config: FleetConfig, port: int, truth_port: int | None = None, faults: Path | None = None) -> None:
    """Run readers until SIGTERM or ctrl-C. Raises BadScript, OSError (port taken)."""
    for one in (port, port + config.readers - 1, truth_port or 0):
        if not 0 <= one <= 65_535:
            raise ValueError(f"port: {one} is not within 0..65535")
    script = load_script(faults, config.readers) if faults else []
    fleet = ReaderFleet(dataclasses.replace(config, epoch_s=time.time()))
    play(fleet, script)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with serving(fleet, port, truth_port) as ports:
        where = ", ".join(f"{LOOPBACK}:{one}" for one in ports.readers)
        line = f"{len(fleet.readers)} LLRP readers over {len(fleet.world.tags)} tags on {where}"
        if ports.truth is not None:
            line += f", truth on http://{LOOPBACK}:{ports.truth}/truth"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        await stop.wait()
