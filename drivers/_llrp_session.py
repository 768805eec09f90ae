"""The way to a reader: TCP or TLS, requests and their answers, signs of life. Sockets here, bytes elsewhere.

`open_streams` dials; with TLS the reader is known by a pinned authority or by the fingerprint of its certificate,
looked at before a byte is believed. A `Session` reads in `run`: answers go to who asked, KEEPALIVE is answered, the
rest is handed on. It reads no further while what it handed on is not taken (`room`): readers buffer, nothing is lost.
Not here: what to ask (`_llrp_reader.py`). Reconnecting is the supervisor's: any `LinkDown` and it is tried again.
"""

import asyncio
import hashlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from drivers._llrp_config import Config
from drivers._llrp_frames import (
    ERROR_MESSAGE,
    KEEPALIVE,
    KEEPALIVE_ACK,
    READER_EVENT_NOTIFICATION,
    RO_ACCESS_REPORT,
    Frame,
    Frames,
    bare,
    with_id,
)
from gateway.errors import ConfigError, LinkDown

CONNECT_S = 10.0
ANSWER_S = 10.0  # a reader starts its radio within it
KEEPALIVE_S = 10.0  # what the reader is asked for
DEAD_S = 2.5 * KEEPALIVE_S  # two missed, and a little: nobody is there
READ_BYTES = 256 * 1024
WAITING_MAX = 64  # requests that wait for an answer

log = logging.getLogger(__name__)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def open_streams(config: Config) -> AsyncIterator[Streams]:
    """Connect, and close at the end. Raises LinkDown, also when it is another reader than expected."""
    context = None if config.insecure else await asyncio.to_thread(_context, config)
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(
                config.host,
                config.tcp_port,
                ssl=context,
                server_hostname=None if context is None else config.tls_name or config.host,
                limit=READ_BYTES,
            )
    except TimeoutError as error:
        raise LinkDown(f"{config.where}: no connection in {CONNECT_S:g} s") from error
    except OSError as error:  # also what TLS does not like
        raise LinkDown(f"{config.where}: {error}") from error
    try:
        if config.fingerprint is not None:
            _check_fingerprint(writer, config.fingerprint, config.where)
        yield reader, writer
    finally:
        writer.close()


def _context(config: Config) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
    except OSError as error:
        raise ConfigError(f"{config.id} ca_file {config.ca_file}: {error}") from error
    if config.ca_file is None:  # the fingerprint decides
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _check_fingerprint(writer: asyncio.StreamWriter, wanted: str, where: str) -> None:
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    found = hashlib.sha256(certificate or b"").hexdigest()
    if found != wanted:
        raise LinkDown(f"{where}: another certificate than the pinned one; its fingerprint is {found}")


class Session:
    """One connection. `take` gets what nobody asked for; `room` returns when more may be read."""

    def __init__(
        self, streams: Streams, where: str, take: Callable[[list[Frame]], None], room: Callable[[], Awaitable[None]]
    ) -> None:
        self._reader, self._writer = streams
        self._where, self._take, self._room = where, take, room
        self._frames = Frames()
        self._waiting: dict[int, asyncio.Future[Frame]] = {}
        self._last_id = 0
        self.heard_s = 0.0  # loop time of the last byte

    @property
    def skipped(self) -> int:
        """Messages that were too large to be taken."""
        return self._frames.skipped

    async def run(self) -> None:
        """Read until the connection ends. Raises LinkDown, or BadFrame when the stream is out of step."""
        while True:
            try:
                async with asyncio.timeout(DEAD_S):
                    data = await self._reader.read(READ_BYTES)
            except TimeoutError as error:
                raise LinkDown(f"{self._where}: not a sign of life for {DEAD_S:g} s") from error
            except OSError as error:
                raise LinkDown(f"{self._where}: {error}") from error
            if not data:
                raise LinkDown(f"{self._where}: the reader closed the connection")
            self.heard_s = asyncio.get_running_loop().time()
            await self._sort(data)
            await self._room()

    async def _sort(self, data: bytes) -> None:
        """Hand on what nobody asked for, as much as came at once; what was sent before an answer is taken before it."""
        taken: list[Frame] = []
        try:
            for frame in self._frames.feed(data):
                if frame.kind in (RO_ACCESS_REPORT, READER_EVENT_NOTIFICATION):
                    taken.append(frame)
                    continue
                if taken:
                    self._take(taken)
                    taken = []
                await self._handle(frame)
        finally:
            if taken:
                self._take(taken)

    async def _handle(self, frame: Frame) -> None:
        if frame.kind == KEEPALIVE:
            await self._send(bare(KEEPALIVE_ACK, frame.message_id))
        elif (asked := self._waiting.get(frame.message_id)) is not None and not asked.done():
            asked.set_result(frame)
        elif frame.kind == ERROR_MESSAGE:
            self._take([frame])

    async def ask(self, request: bytes, within_s: float = ANSWER_S) -> Frame:
        """Send a request and return the answer. Raises LinkDown when none comes in time."""
        if len(self._waiting) >= WAITING_MAX:
            raise LinkDown(f"{self._where}: {WAITING_MAX} requests without an answer")
        self._last_id = self._last_id % 0xFFFFFFFF + 1
        number = self._last_id
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(within_s):
                await self._send(with_id(request, number))
                return await answer
        except TimeoutError as error:
            kind = int.from_bytes(request[:2]) & 0x3FF
            raise LinkDown(f"{self._where}: no answer to a message of type {kind} in {within_s:g} s") from error
        finally:
            del self._waiting[number]

    async def tell(self, message: bytes) -> None:
        """Send what has no answer."""
        self._last_id = self._last_id % 0xFFFFFFFF + 1
        await self._send(with_id(message, self._last_id))

    async def _send(self, message: bytes) -> None:
        try:
            self._writer.write(message)
            async with asyncio.timeout(ANSWER_S):
                await self._writer.drain()
        except TimeoutError as error:
            raise LinkDown(f"{self._where}: takes nothing for {ANSWER_S:g} s") from error
        except OSError as error:
            raise LinkDown(f"{self._where}: {error}") from error
