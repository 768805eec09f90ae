"""The conversation with one M100 module: a question and its answer, and what it tells by itself in between.

A lost or broken frame costs a repetition, never a wrong answer. Not here: what the bytes are (`_m100_frames.py`), when
to read and what becomes of it (`rfid_m100.py`).
"""

import asyncio
from collections import deque
from collections.abc import Callable

from drivers._m100_frames import (
    FAILED,
    GET_INFO,
    GET_POWER,
    GET_QUERY,
    GET_REGION,
    NO_TAG,
    NOTICE,
    POLL,
    POLL_MANY,
    RESPONSE,
    SET_POWER,
    SET_QUERY,
    SET_REGION,
    STOP,
    Frame,
    cutter,
    encode,
    error_text,
    is_of_tag,
    with_query,
)
from drivers._serial_link import Line
from drivers._serial_writes import TagRefused
from gateway.errors import LinkDown, Rejected

ANSWER_S = 0.5  # an answer of 30 bytes takes 3 ms on the line; the rest is for what the module does, and for networks
QUIET_S = 0.1  # a line is empty when so long nothing came
TRIES = 6
COUNT = 65_535  # polls of one command (2.3), the most there is
KEPT = 2_000  # notices kept aside while an answer is waited for
POLLS = (POLL, POLL_MANY)

Fits = Callable[[bytes], bool]  # whether parameters can be the answer


class Module:
    """One module on a line. One task at a time may use it."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.cutter = cutter()
        self._aside: deque[Frame] = deque(maxlen=KEPT)

    @property
    def where(self) -> str:
        """Name of its port."""
        return self._line.where

    async def listen(self, wait_s: float) -> list[Frame]:
        """Return what the module told by itself: notices, and the word that no tag answers."""
        return self._kept() or [frame for frame in await self._frames(wait_s) if is_told(frame)]

    async def ask(
        self,
        command: int,
        parameters: bytes = b"",
        *,
        tries: int = TRIES,
        wait_s: float = ANSWER_S,
        fits: Fits | None = None,
    ) -> bytes:
        """Return the parameters of the answer. Raises Rejected with the module's reason, LinkDown when it is mute."""
        for attempt in range(tries):
            await self._line.write(encode(command, parameters))
            answer = await self._first(lambda frame: _answers(frame, command, fits), wait_s)
            if answer is None:
                continue
            if attempt:
                await self.drain(wait_s + QUIET_S)  # the other questions are answered too, each so much later
            if answer.command == FAILED:
                code = answer.parameters[0]
                raise (TagRefused if is_of_tag(code) else Rejected)(f"{self.where}: {error_text(code)}")
            return answer.parameters
        raise LinkDown(f"{self.where}: no answer to command {command:02X}, asked {tries} times; {self.cutter}")

    async def drain(self, quiet_s: float = QUIET_S) -> None:
        """Take from the line what is still to come; notices are kept."""
        for _ in range(20):
            frames = await self._frames(quiet_s)
            if not frames:
                return
            self._aside += filter(is_told, frames)

    async def _first(self, wanted: Callable[[Frame], bool], wait_s: float = ANSWER_S) -> Frame | None:
        """Return the first such frame in time, else None; what the module tells by itself is kept aside."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + wait_s
        while (left_s := deadline_s - loop.time()) > 0:
            frames = await self._frames(left_s)
            self._aside += filter(is_told, frames)
            if found := next(filter(wanted, frames), None):
                return found
        return None

    def _kept(self) -> list[Frame]:
        kept = [*self._aside]
        self._aside.clear()
        return kept

    async def _frames(self, wait_s: float) -> list[Frame]:
        data = await self._line.read(wait_s)
        return self.cutter.feed(data) if data else self.cutter.idle()

    async def start(self) -> None:
        """Begin to poll again and again; it has no answer of its own (2.3)."""
        await self._line.write(encode(POLL_MANY, bytes((POLL,)) + COUNT.to_bytes(2)))

    async def stop(self) -> None:
        """End the polling; a module that does not poll answers as well (2.4)."""
        await self.ask(STOP)

    async def poll(self) -> list[Frame]:
        """Poll once; return what was told: at least one frame. Raises LinkDown when not even `no tag` comes."""
        for _ in range(TRIES):
            await self._line.write(encode(POLL))
            if await self._first(is_told):
                await self.drain()
                return self._kept()
        raise LinkDown(f"{self.where}: the module answers, but its radio does not (no answer to a poll); {self.cutter}")

    async def about(self) -> str:
        """Return hardware and software version and maker as the module tells them (2.1)."""
        texts = [await self._info(which) for which in range(3)]
        return " ".join(filter(None, texts))

    async def _info(self, which: int) -> str:
        answer = await self.ask(GET_INFO, bytes((which,)), fits=lambda got: got[:1] == bytes((which,)))
        return answer[1:].decode("ascii", "replace").strip("\0 ")

    async def set_region(self, code: int) -> int:
        """Set the radio's region (2.15); return what the module says it is now."""
        await self.ask(SET_REGION, bytes((code,)))
        return (await self.ask(GET_REGION, fits=lambda got: len(got) == 1))[0]

    async def set_power(self, cdbm: int) -> int:
        """Set the power in hundredths of a dBm (2.22); return what the module says it is now."""
        await self.ask(SET_POWER, cdbm.to_bytes(2))
        return int.from_bytes(await self.ask(GET_POWER, fits=lambda got: len(got) == 2))

    async def query(self) -> int:
        """Return the Query word (2.13)."""
        return int.from_bytes(await self.ask(GET_QUERY, fits=lambda got: len(got) == 2))

    async def set_query(self, session: int | None, q: int | None) -> None:
        """Set session and Q; None leaves it. Raises Rejected when the module keeps another."""
        wanted = with_query(await self.query(), session, q)
        await self.ask(SET_QUERY, wanted.to_bytes(2))
        if (now := await self.query()) != wanted:
            raise Rejected(f"{self.where}: asked for query {wanted:04X}, it keeps {now:04X}")


def is_told(frame: Frame) -> bool:
    """Return whether the module said it by itself, about tags."""
    if frame.command == FAILED:
        return frame.kind == RESPONSE and frame.parameters[:1] == bytes((NO_TAG,))
    return frame.kind == NOTICE and frame.command in POLLS


def _answers(frame: Frame, command: int, fits: Fits | None) -> bool:
    """`No tag` answers only polls: it comes at any moment while the module still polls."""
    if frame.kind != RESPONSE:
        return False
    if frame.command == FAILED:
        return bool(frame.parameters) and frame.parameters[0] != NO_TAG
    return frame.command == command and (fits is None or fits(frame.parameters))
