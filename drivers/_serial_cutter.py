"""Cuts a stream of bytes into frames, and finds the next good frame after noise, loss or a broken one. Pure.

What a frame looks like is told by a `Look` of the protocol (`_m100_frames.py`, `_uhf288_frames.py`). After a byte that
begins no good frame the very next byte is tried: nothing good behind it is lost.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

Frame = TypeVar("Frame")
# (bytes, position) -> the frame and its length there; (None, n): n bytes are noise; (None, 0): more bytes are needed.
# It must not ask for more when its longest frame would fit already: that is what bounds the memory.
Look = Callable[[bytearray, int], tuple[Frame | None, int]]


class Cutter(Generic[Frame]):
    """One direction of a line. `skipped` counts the bytes that belonged to no good frame, of `taken` in all."""

    def __init__(self, look: Look[Frame]) -> None:
        self._look = look
        self._buffer = bytearray()
        self.skipped = self.taken = 0

    @property
    def held(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._buffer)

    def __str__(self) -> str:
        """Say what came, for a technician: bytes that make no frame mean a wrong speed, a bad cable, another device."""
        if not self.taken:
            return "not a single byte came"
        return f"{self.skipped} of {self.taken} bytes that came belonged to no good frame"

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes in; return the frames that are complete now."""
        self.taken += len(data)
        self._buffer += data
        frames, at = [], 0
        while at < len(self._buffer):
            frame, length = self._look(self._buffer, at)
            if length == 0:
                break
            if frame is None:
                self.skipped += length
            else:
                frames.append(frame)
            at += length
        del self._buffer[:at]
        return frames

    def idle(self) -> list[Frame]:
        """Give up what waits for its rest, as the line fell silent; return the good frames that it hid."""
        frames = []
        while self._buffer:
            del self._buffer[0]
            self.skipped += 1
            frames += self.feed(b"")
        return frames
