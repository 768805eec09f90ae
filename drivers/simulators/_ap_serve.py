"""The simulated access point on a real port: aiohttp in front, the core driven by the real clock times `speed`.

Loopback only. One task lets virtual time follow the clock; requests go straight into the core. Not here: any
behaviour of the access point. `GET /truth` on its own port tells what is on the glass.
"""

import asyncio
import contextlib
import dataclasses
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import WSMsgType, web

from drivers.simulators._ap_script import load_script, play
from drivers.simulators.access_point import AccessPoint, ApConfig, ApDown

LOOPBACK = "127.0.0.1"
LONGEST_WAIT_S = 0.25
MAX_BODY_BYTES = 8 << 20
FRAMES = 2000  # a client that is so far behind is cut off, as the box does


class Served:
    """One access point that follows the real clock."""

    def __init__(self, ap: AccessPoint) -> None:
        self.ap = ap
        self._began_s = time.monotonic()
        self._poke = asyncio.Event()

    def catch_up(self) -> None:
        """Bring the core to now."""
        self.ap.run_until((time.monotonic() - self._began_s) * self.ap.config.speed)

    async def follow(self) -> None:
        """Let virtual time pass until cancelled; it wakes for what is due, and when a request may have added to it."""
        while True:
            self.catch_up()
            ahead_s = (self.ap.next_event_at() - self.ap.now) / self.ap.config.speed
            self._poke.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._poke.wait(), min(max(ahead_s, 0.001), LONGEST_WAIT_S))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Hand one request to the core."""
        body = await request.read()
        self.catch_up()
        found = self.ap.handle(request.method, request.path_qs, dict(request.headers), body)
        self._poke.set()
        if found.delay_s:
            await asyncio.sleep(found.delay_s)
        if found.fate != "answered":
            return await _cut(request, hold=found.fate == "lost")
        return web.Response(status=found.status, headers=dict(found.headers), body=found.body)

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        """Carry frames of the core to one client."""
        frames: asyncio.Queue[str | None] = asyncio.Queue(FRAMES)
        self.catch_up()

        def offer(frame: str | None) -> None:
            if frames.full():
                while not frames.empty():
                    frames.get_nowait()
                frame = None
            frames.put_nowait(frame)

        try:
            listener = self.ap.connect_ws(offer, lambda: offer(None))
        except ApDown:
            return await _cut(request, hold=False)
        self._poke.set()
        socket = web.WebSocketResponse(heartbeat=None, max_msg_size=1 << 20)
        try:
            await socket.prepare(request)
            await _carry(socket, frames)
        finally:
            listener.close()
        return socket

    async def truth(self, _: web.Request) -> web.Response:
        """Tell what is on the glass."""
        self.catch_up()
        return web.json_response(self.ap.truth())


async def _carry(socket: web.WebSocketResponse, frames: asyncio.Queue[str | None]) -> None:
    """Send frames until either side ends. What the client says is read and forgotten."""
    sending = asyncio.create_task(_send(socket, frames), name="access point: writes a WebSocket")
    reading = asyncio.create_task(_drain(socket), name="access point: reads a WebSocket")
    try:
        await asyncio.wait({sending, reading}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, reading):
            task.cancel()
        await asyncio.gather(sending, reading, return_exceptions=True)


async def _send(socket: web.WebSocketResponse, frames: asyncio.Queue[str | None]) -> None:
    """Write until the access point hangs up; a client that went away is no news."""
    with contextlib.suppress(ConnectionError):
        while (frame := await frames.get()) is not None:
            await socket.send_str(frame)
        await socket.close()


async def _drain(socket: web.WebSocketResponse) -> None:
    while (await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
        pass


async def _cut(request: web.Request, *, hold: bool) -> web.StreamResponse:
    """Give no answer: hold the line until the client hangs up (`lost`), or hang up at once (`refused`)."""
    transport = request.transport
    deadline_s = time.monotonic() + 120.0
    while hold and transport is not None and not transport.is_closing() and time.monotonic() < deadline_s:  # noqa: ASYNC110 (nothing tells of a hang-up)
        await asyncio.sleep(0.05)
    if transport is not None:
        transport.abort()
    return web.Response(status=500)


@contextlib.asynccontextmanager
async def serving(ap: AccessPoint, port: int, truth_port: int | None = None) -> AsyncIterator[tuple[int, int | None]]:
    """Serve while the context lasts; yields the ports (0 asks the system for free ones)."""
    served = Served(ap)
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_get("/ws", served.websocket)
    app.router.add_route("*", "/{tail:.*}", served.answer)
    async with contextlib.AsyncExitStack() as stack:
        bound = await _listen(stack, app, port)
        truth_bound = None
        if truth_port is not None:
            truth = web.Application()
            truth.router.add_get("/truth", served.truth)
            truth_bound = await _listen(stack, truth, truth_port)
        following = asyncio.create_task(served.follow(), name="access point: follows the clock")
        try:
            yield bound, truth_bound
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            ap.box.hang_up()


async def _listen(stack: contextlib.AsyncExitStack, app: web.Application, port: int) -> int:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, LOOPBACK, port)
    await site.start()
    address = runner.addresses[0]
    return int(address[1])


async def serve(
    ap_config: ApConfig,
    port: int,
    truth_port: int | None = None,
    speed: float = 1.0,
    faults: Path | None = None,
) -> None:
    """Run one access point until SIGTERM or ctrl-C. Raises BadScript, OSError (port taken)."""
    script = load_script(faults) if faults else []
    ap = AccessPoint(dataclasses.replace(ap_config, speed=speed, epoch_s=time.time()))
    play(ap, script)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with serving(ap, port, truth_port) as (bound, truth_bound):
        line = f"access point with {len(ap.tags)} tags on http://{LOOPBACK}:{bound}"
        if truth_bound is not None:
            line += f", truth on http://{LOOPBACK}:{truth_bound}/truth"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        await stop.wait()
