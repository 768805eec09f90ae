"""The WebSocket of one till: its events up, acknowledged after the commit; changed prices and the like down.

Frames wait in a queue, bounded by events and by bytes, while a commit runs and then go together into the next one, so
that a till that sends one event at a time is not held to one event a commit. A till that does not take what is sent to
it is dropped.
The newest stream of a terminal wins: an older one is most likely a connection that died unnoticed.
Not here: letting in (`_checkout_web.py`), what frames look like (`_checkout_frames.py`).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from aiohttp import WSCloseCode, WSMsgType, web

from drivers import _checkout_bodies as bodies
from drivers import _checkout_frames as frames
from drivers._checkout_auth import Doorkeeper
from drivers._checkout_calls import Calls, changes_after, pages, read_since
from drivers._checkout_events import Batch
from drivers._checkout_frames import PING_S, Frame
from drivers._checkout_health import Evidence
from drivers._checkout_problem import Problem
from drivers._checkout_web import Ask, problem_of
from gateway.driver import Tills
from gateway.errors import GatewayError
from gateway.messages import PriceChange

SEND_S = 10.0  # for one frame to be taken
CLOSE_S = 0.5
MAX_HELD = 2_000  # events read and not yet handed over
MAX_HELD_BYTES = 4 << 20  # of their frames, as they came
MAX_BAD = 20  # bad frames in a row: then it is no till
MAX_TOLD = 64  # frames for a till that wait
REPLACED = 4001  # RFC 6455 7.4.2: 4000 and above are ours

log = logging.getLogger(__name__)


class Ended(Exception):
    """The stream is over, with a code and a reason of RFC 6455."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Streams:
    """The open streams by terminal."""

    def __init__(self, device: str, tills: Tills, calls: Calls, evidence: Evidence) -> None:
        self._device, self._tills, self._calls, self._evidence = device, tills, calls, evidence
        self._open: dict[str, Stream] = {}

    async def serve(self, ask: Ask) -> web.StreamResponse:
        """Hold one till's stream until it ends."""
        since = read_since(ask.request.rel_url.query.get("since"), self._tills.version)
        socket = web.WebSocketResponse(
            heartbeat=PING_S, compress=False, max_msg_size=frames.MAX_FRAME, timeout=CLOSE_S, autoclose=True
        )
        if ask.request.headers.get("Upgrade", "").lower() != "websocket":
            raise Problem(426, "no-websocket", "open a WebSocket here", headers={"Upgrade": "websocket"})
        try:
            await socket.prepare(ask.request)
        except web.HTTPException as error:
            raise Problem(
                400, "bad-handshake", f"no good WebSocket handshake (RFC 6455, 4.2.1): {error.status}"
            ) from None
        ask.seat.until_s = None
        stream = Stream(self._device, ask, socket, self._tills, self._calls)
        if (older := self._open.get(ask.terminal)) is not None:
            older.end(REPLACED, "a newer stream of this terminal was opened")
        self._open[ask.terminal] = stream
        self._evidence.streams = len(self._open)
        try:
            await stream.run(since)
        finally:
            if self._open.get(ask.terminal) is stream:
                del self._open[ask.terminal]
            self._evidence.streams = len(self._open)
        return socket

    def tell(self, terminal: str, frame: bodies.AssistFrame | bodies.ConfigFrame) -> bool:
        """Send a frame to a till soon; return whether it has a stream."""
        stream = self._open.get(terminal)
        return stream is not None and stream.tell(frame.model_dump_json())

    def look(self, doorkeeper: Doorkeeper) -> None:
        """End the streams whose token is not good any more."""
        for stream in [*self._open.values()]:
            if not doorkeeper.is_good(stream.credential):
                stream.end(WSCloseCode.POLICY_VIOLATION, "the token is not good any more")

    def end(self) -> None:
        """End all: the gateway stops."""
        for stream in [*self._open.values()]:
            stream.end(WSCloseCode.GOING_AWAY, "the gateway stops; come back soon")


class Stream:
    """One till's stream."""

    def __init__(self, device: str, ask: Ask, socket: web.WebSocketResponse, tills: Tills, calls: Calls) -> None:
        self._device, self._terminal, self._seat = device, ask.terminal, ask.seat
        self.credential = ask.request.headers.get("Authorization")
        self._socket, self._tills, self._calls = socket, tills, calls
        self._inbox: deque[Frame] = deque()
        self._held = self._held_bytes = self._bad = 0
        self._work, self._room = asyncio.Event(), asyncio.Event()
        self._told: asyncio.Queue[str] = asyncio.Queue(MAX_TOLD)
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, since: int) -> None:
        """Serve until one side ends it."""
        try:
            async with asyncio.TaskGroup() as group:
                for part in (self._greet(since), self._hear(), self._answer(), self._say(), self._wait()):
                    group.create_task(part, name=f"{self._device} {self._terminal}")
        except* Ended as group_of_ends:
            ended = next(one for one in _each(group_of_ends) if isinstance(one, Ended))
            await self._close(ended)

    def end(self, code: int, reason: str) -> None:
        """Let it end soon."""
        if not self._ended.done():
            self._ended.set_exception(Ended(code, reason))

    def tell(self, text: str) -> bool:
        """Let a frame be sent soon. A till that does not take what waits already is dropped."""
        try:
            self._told.put_nowait(text)
        except asyncio.QueueFull:
            self.end(WSCloseCode.POLICY_VIOLATION, f"{MAX_TOLD} frames were not taken")
            return False
        return True

    async def _wait(self) -> None:
        await self._ended

    async def _greet(self, since: int) -> None:
        """Say how to speak and where to resume; then every change of prices."""
        await self._send(frames.config())
        await self._send(frames.ack([], self._tills.ack_seq(self._terminal)))
        version = since
        if since > self._tills.version:  # we were put back to an older state: it must begin again
            version = self._tills.version
            await self._send(frames.prices([], version))
        while True:
            await self._tills.wait_beyond(version)
            changes, version = changes_after(self._tills, version)
            last: Sequence[PriceChange] = ()
            for page in pages(changes):  # made one by one: all at once would hold others up
                if last:
                    await self._send(frames.prices(last, None))
                    await asyncio.sleep(0)
                last = page
            await self._send(frames.prices(last, version))

    async def _hear(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
                data = message.data
                await self._put(frames.read_frame(data.encode("utf-8", "replace") if isinstance(data, str) else data))
        code = self._socket.close_code or WSCloseCode.ABNORMAL_CLOSURE
        raise Ended(code, "the till ended it")

    async def _put(self, frame: Frame) -> None:
        self._bad = self._bad + 1 if isinstance(frame.said, Problem) else 0
        if self._bad > MAX_BAD:
            raise Ended(WSCloseCode.POLICY_VIOLATION, f"{MAX_BAD} bad frames in a row")
        self._inbox.append(frame)
        self._hold([frame], 1)
        self._work.set()
        while self._held > MAX_HELD or self._held_bytes > MAX_HELD_BYTES:
            self._room.clear()
            await self._room.wait()

    async def _answer(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._inbox:
                await self._turn()

    async def _turn(self) -> None:
        """Answer the oldest frame; frames of events that came meanwhile share its commit."""
        first = self._inbox.popleft()
        together = [first]
        if isinstance(first.said, Batch):
            while self._inbox and isinstance(self._inbox[0].said, Batch):
                together.append(self._inbox.popleft())
        for text in await self._answers(together):
            await self._send(text)
        self._hold(together, -1)
        self._room.set()

    def _hold(self, some: list[Frame], sign: int) -> None:
        self._held += sign * sum(frame.weight for frame in some)
        self._held_bytes += sign * sum(frame.size for frame in some)

    async def _answers(self, together: list[Frame]) -> list[str]:
        said = together[0].said
        try:
            if isinstance(said, Batch):
                return await self._keep(together)
            self._calls.hear(self._terminal)
            if isinstance(said, bodies.LeaseFrame):
                lease = await self._tills.lease(self._device, self._terminal, said.version)
                return [frames.named("lease", lease)]
            if isinstance(said, bodies.VerifyFrame):
                return [frames.named("verdict", self._calls.verdict(self._terminal, said.basket_id))]
        except GatewayError as error:
            return [frames.problem(problem_of(error)) for _ in together]
        return [frames.problem(said)]

    async def _keep(self, together: list[Frame]) -> list[str]:
        batches = [frame.said for frame in together if isinstance(frame.said, Batch)]
        each, ack_seq = await self._calls.take(self._terminal, batches, together[-1].sent_at)
        return [frames.ack(outcomes, ack_seq) for outcomes in each]

    async def _say(self) -> None:
        while True:
            await self._send(await self._told.get())

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                await self._socket.send_str(text)
        except TimeoutError:
            log.warning(
                "%s takes nothing: its stream is dropped",
                self._terminal,
                extra={"device": self._device, "once": f"slow stream {self._terminal}"},
            )
            raise Ended(WSCloseCode.POLICY_VIOLATION, f"a frame was not taken in {SEND_S:.0f} s") from None
        except ConnectionError:
            raise Ended(WSCloseCode.ABNORMAL_CLOSURE, "the connection broke") from None

    async def _close(self, ended: Ended) -> None:
        """Say goodbye if it can be heard; then the connection ends, whatever the till does."""
        try:
            async with asyncio.timeout(2 * CLOSE_S):
                await self._socket.close(code=ended.code, message=ended.reason.encode()[:120])
        except (TimeoutError, ConnectionError):
            self._seat.cut()


def _each(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        one for part in group.exceptions for one in (_each(part) if isinstance(part, BaseExceptionGroup) else [part])
    ]
