"""A till's way to the gateway as a protocol, and the mishaps that can lie on it. No sockets here: `_till_client.py`.

`RoughLink` stands before any link and lets it fail as `Mishaps` say: offline, slow, answers lost, answers cut. What a
till does wrong itself (skew, stale cache, repeats, dying) is in `Mishaps` too, and acted out by `_till_lane.py`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

Headers = Mapping[str, str]
NO_HEADERS: Headers = MappingProxyType({})


class Away(ConnectionError):
    """No answer: whether the gateway did what it was asked is not known."""


class Unwelcome(ValueError):
    """The gateway does not know this terminal or its token: a person must act."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the gateway. `retry_after_s`: it asks for patience."""

    status: int
    body: bytes = b""
    retry_after_s: float | None = None


class Link(Protocol):
    """One terminal's way to the gateway, its token included."""

    async def request(
        self, method: str, path: str, body: bytes | None, deadline_s: float, headers: Headers = NO_HEADERS
    ) -> Answer:
        """Ask and return the answer, whatever its status. Raises Away."""

    async def listen(self, path: str, hear: Callable[[str], None]) -> None:
        """Open a WebSocket and hand every text on until it ends. Raises Away."""


@dataclass(slots=True)
class Mishaps:
    """What goes wrong with one till now. Times are seconds of the event loop; counts run down as they happen.

    `repeat`: requests with events that are sent twice. `shuffle`: such that are torn apart and sent in any order.
    `lose_answers`: requests of which the gateway does what they ask, and nobody hears. `cut`: feeds that end early.
    """

    offline_until_s: float = 0.0
    slow_until_s: float = 0.0
    delay_s: float = 0.0
    lose_answers: int = 0
    cut: int = 0
    repeat: int = 0
    shuffle: int = 0
    stale_cache: bool = False
    die_at_send_s: float | None = None

    def offline(self, now_s: float) -> bool:
        """Tell whether the cable is out."""
        return now_s < self.offline_until_s


class RoughLink:
    """A link with mishaps in front of it."""

    def __init__(self, link: Link, mishaps: Mishaps) -> None:
        self._link, self._mishaps = link, mishaps

    async def request(
        self, method: str, path: str, body: bytes | None, deadline_s: float, headers: Headers = NO_HEADERS
    ) -> Answer:
        """Ask, if the mishaps let it. Raises Away."""
        try:
            async with asyncio.timeout(deadline_s):
                return await self._ask(method, path, body, deadline_s, headers)
        except TimeoutError as error:
            raise Away(f"{method} {path}: no answer in {deadline_s:g} s") from error

    async def _ask(self, method: str, path: str, body: bytes | None, deadline_s: float, headers: Headers) -> Answer:
        mishaps, now_s = self._mishaps, asyncio.get_running_loop().time
        if mishaps.offline(now_s()):
            raise Away(f"{method} {path}: offline")
        if now_s() < mishaps.slow_until_s:
            await asyncio.sleep(mishaps.delay_s)
        answer = await self._link.request(method, path, body, deadline_s, headers)
        if mishaps.offline(now_s()):
            raise Away(f"{method} {path}: went offline")
        if mishaps.lose_answers:
            mishaps.lose_answers -= 1
            raise Away(f"{method} {path}: the answer was lost")
        if mishaps.cut and path.startswith("/v1/prices?") and answer.status == 200:
            mishaps.cut -= 1
            return Answer(answer.status, answer.body[: len(answer.body) // 2])
        return answer

    async def listen(self, path: str, hear: Callable[[str], None]) -> None:
        """Listen until the stream ends, or the till goes offline and is told nothing any more. Raises Away."""
        if self._mishaps.offline(asyncio.get_running_loop().time()):
            raise Away(f"{path}: offline")
        await self._link.listen(path, lambda text: None if self._off() else hear(text))

    def _off(self) -> bool:
        return self._mishaps.offline(asyncio.get_running_loop().time())
