"""The link of a simulated till over real sockets: aiohttp, a bearer token, deadlines. Nothing is decided here."""

import asyncio
from collections.abc import Callable

import aiohttp
from aiohttp import WSMsgType

from drivers.simulators._till_link import NO_HEADERS, Answer, Away, Headers

MAX_ANSWER_BYTES = 64 << 20  # the whole feed of a large shop
MAX_TEXT_BYTES = 1 << 20
PING_S = 15.0
CONNECT_S = 10.0


class HttpLink:
    """One terminal's way to one gateway. The session is shared and belongs to the caller."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, token: str) -> None:
        self._session, self._base_url = session, base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}

    async def request(
        self, method: str, path: str, body: bytes | None, deadline_s: float, headers: Headers = NO_HEADERS
    ) -> Answer:
        """Ask and return the answer, whatever its status. Raises Away."""
        sent = {**self._headers, **headers}
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            async with (
                asyncio.timeout(deadline_s),
                self._session.request(method, self._base_url + path, headers=sent, data=body) as response,
            ):
                return Answer(response.status, await _whole(response), _retry_after_s(response))
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            raise Away(f"{method} {path}: {str(error) or type(error).__name__}") from error

    async def listen(self, path: str, hear: Callable[[str], None]) -> None:
        """Open a WebSocket and hand every text on until it ends. Raises Away."""
        try:
            async with asyncio.timeout(CONNECT_S):
                socket = await self._session.ws_connect(
                    self._base_url + path, headers=self._headers, heartbeat=PING_S, max_msg_size=MAX_TEXT_BYTES
                )
            async with socket:
                async for message in socket:
                    if message.type is WSMsgType.TEXT:
                        hear(message.data)
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            raise Away(f"{path}: {str(error) or type(error).__name__}") from error


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    body = await response.content.read(MAX_ANSWER_BYTES + 1) if response.content_length else await response.read()
    while not response.content.at_eof() and len(body) <= MAX_ANSWER_BYTES:
        body += await response.content.read(MAX_ANSWER_BYTES)
    if len(body) > MAX_ANSWER_BYTES:
        raise Away(f"an answer above {MAX_ANSWER_BYTES} bytes")
    return body


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """Return the seconds of Retry-After; a date is not worth the trouble for a twin."""
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else None
