"""The real way to an OpenEPaperLink access point: aiohttp, HTTP and WebSocket, with caps and deadlines.

Sockets only; what the bytes mean is `_oepl_wire.py`'s, when to ask is `label_oepl.py`'s.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import aiohttp

from drivers._oepl_record import TEXT_CAP
from gateway.errors import LinkDown

BODY_CAP = 1_048_576  # the biggest honest answer is a raw image of 960x768 in two planes: 184 kB
CONNECT_S = 10.0
PING_S = 10.0  # aiohttp pings, and ends the stream when no pong comes within half of it
PER_HOST = 6  # the access point's web server has few sockets; the WebSocket holds one of them


class AiohttpLink:
    """One access point at `url`. An async context manager; one `listen()` at a time."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit_per_host=PER_HOST)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes, deadline_s: float
    ) -> tuple[int, bytes]:
        """Return status and body. Raises LinkDown, also when the answer is late, cut or too big."""
        try:
            async with (
                asyncio.timeout(deadline_s),
                self._opened.request(
                    method, self._url + path, headers=dict(headers), data=body or None, allow_redirects=False
                ) as answer,
            ):
                return answer.status, await _capped(answer)
        except TimeoutError as error:
            raise LinkDown(f"{method} {self._url}{path}: no answer in {deadline_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise LinkDown(f"{method} {self._url}{path}: {error}") from error

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[str]]:
        """Open `/ws`. Raises LinkDown."""
        try:
            async with asyncio.timeout(CONNECT_S):
                socket = await self._opened.ws_connect(f"{self._url}/ws", heartbeat=PING_S, max_msg_size=TEXT_CAP)
        except TimeoutError as error:
            raise LinkDown(f"{self._url}/ws: no answer in {CONNECT_S:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise LinkDown(f"{self._url}/ws: {error}") from error
        try:
            yield _texts(socket)
        finally:
            await _closed(socket)

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise LinkDown(f"{self._url}: not opened")
        return self._session


async def _capped(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > BODY_CAP:
            raise LinkDown(f"{answer.url}: more than {BODY_CAP} bytes")
    return bytes(body)


async def _texts(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[str]:
    """Yield texts until the stream ends; frames of other kinds are not for us. The caller sets the deadline."""
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            yield message.data


async def _closed(socket: aiohttp.ClientWebSocketResponse) -> None:
    try:
        async with asyncio.timeout(2.0):
            await socket.close()
    except (TimeoutError, aiohttp.ClientError, OSError):
        return  # it was broken already
