"""The conversation with one UHFReader288: question and answer, inventories, and what it pushes by itself.

A lost or broken frame costs a repetition. Settings lie in the reader's EEPROM: they are written only when they differ.
Not here: what the bytes are (`_uhf288_frames.py`), which antenna is next (`rfid_uhf288.py`).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from drivers._serial_link import Line
from drivers._serial_writes import TagRefused
from drivers._uhf288_frames import (
    GET_INFO,
    INVENTORY,
    MORE,
    OF_TAG,
    OK,
    PUSHED,
    SET_POWER,
    SET_REGION,
    STATISTICS,
    UNKNOWN,
    Frame,
    Info,
    cutter,
    encode,
    info_of,
    status_text,
)
from gateway.errors import LinkDown, Rejected

ANSWER_S = 0.5
QUIET_S = 0.1  # a line is empty when so long nothing came
TRIES = 6
KEPT = 2_000  # pushes kept aside while an answer is waited for
OVERTIME_S = 1.0  # an inventory lasts up to 75 ms longer than its scan time (8.2.1); the rest is for the way
FIRST_ANTENNA = 0x80  # code of antenna 1 in an inventory (8.2.1)


class Round(NamedTuple):
    """One inventory: its frames, and whether the last of them came."""

    frames: list[Frame]
    whole: bool


class Reader:
    """One reader on a line. One task at a time may use it."""

    def __init__(self, line: Line, address: int) -> None:
        self._line, self._address = line, address
        self.cutter = cutter()
        self._pushes: deque[Frame] = deque(maxlen=KEPT)

    @property
    def where(self) -> str:
        """Name of its port."""
        return self._line.where

    @property
    def pushes(self) -> bool:
        """Whether it said something by itself that nobody has taken yet: it is in real time mode."""
        return bool(self._pushes)

    async def listen(self, wait_s: float) -> list[Frame]:
        """Return what the reader pushed."""
        if not self._pushes:
            await self._frames(wait_s)
        pushed = [*self._pushes]
        self._pushes.clear()
        return pushed

    async def ask(self, command: int, data: bytes = b"", *, tries: int = TRIES, wait_s: float = ANSWER_S) -> bytes:
        """Return the answer's data. Raises Rejected with the reader's reason, LinkDown when it is mute."""

        def is_answer(frame: Frame) -> bool:
            return frame.command in (command, UNKNOWN)

        for attempt in range(tries):
            await self._line.write(encode(command, data, self._address))
            found = await self._until(is_answer, wait_s)
            if not found or not is_answer(found[-1]):
                continue
            if attempt:
                await self.drain(wait_s + QUIET_S)  # the other questions are answered too, each so much later
            if found[-1].status != OK:
                kind = TagRefused if found[-1].status in OF_TAG else Rejected
                raise kind(f"{self.where}: {status_text(found[-1])}")
            return found[-1].data
        raise LinkDown(f"{self.where}: no answer to command {command:02X}, asked {tries} times; {self.cutter}")

    async def inventory(self, q: int, session: int, target: int, antenna: int, scan_time: int) -> Round:
        """Read the tags before one antenna for `scan_time` tenths of a second (8.2.1)."""
        data = bytes((q, session, target, FIRST_ANTENNA + antenna - 1, scan_time))
        return await self._inventory(data, scan_time)

    async def plain_inventory(self, scan_time: int) -> Round:
        """Read tags with a UHFReader18: it lasts as long as the reader is set to."""
        return await self._inventory(b"", scan_time)

    async def _inventory(self, data: bytes, scan_time: int) -> Round:
        await self._line.write(encode(INVENTORY, data, self._address))
        frames = await self._until(_is_last, scan_time / 10 + OVERTIME_S)
        whole = bool(frames) and _is_last(frames[-1])
        return Round([frame for frame in frames if frame.command == INVENTORY], whole)

    async def drain(self, quiet_s: float = QUIET_S) -> None:
        """Take from the line what is still to come; pushes are kept."""
        for _ in range(20):
            if not await self._frames(quiet_s):
                return

    async def _until(self, last: Callable[[Frame], bool], wait_s: float) -> list[Frame]:
        """Return the answers up to the last that is wanted; those so far when it does not come in time."""
        loop, found = asyncio.get_running_loop(), list[Frame]()
        deadline_s = loop.time() + wait_s
        while (left_s := deadline_s - loop.time()) > 0:
            for frame in await self._frames(left_s):
                if frame.command != PUSHED:
                    found.append(frame)
                if last(frame):
                    return found
        return found

    async def _frames(self, wait_s: float) -> list[Frame]:
        data = await self._line.read(wait_s)
        frames = self.cutter.feed(data) if data else self.cutter.idle()
        self._pushes += (frame for frame in frames if frame.command == PUSHED)
        return frames

    async def info(self) -> Info:
        """Return what the reader says of itself (8.4.1)."""
        return info_of(await self.ask(GET_INFO))

    async def set_region(self, max_frequency: int, min_frequency: int) -> None:
        """Set the band and its channels (8.4.2); kept without power."""
        await self.ask(SET_REGION, bytes((max_frequency, min_frequency)))

    async def set_power(self, dbm: int) -> None:
        """Set the power (8.4.6); kept without power."""
        await self.ask(SET_POWER, bytes((dbm,)))


def _is_last(frame: Frame) -> bool:
    return frame.command == INVENTORY and frame.status not in (MORE, STATISTICS)
