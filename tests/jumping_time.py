"""An event loop whose time jumps to the next deadline instead of waiting: hours of back-off run in milliseconds.

`run_virtual(coroutine)` runs it to its end. Sockets and threads still work, in no virtual time.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[valid-type, misc]  # its type hangs on the platform
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        events = super().select(0)
        if not events:
            self.now_s += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


class FakeClock:
    """UTC that a test holds; with a running loop it goes on with the loop's time."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 8, tzinfo=UTC)) -> None:
        self.start = start
        self.quality = "synced"
        self._loop_start_s: float | None = None

    def now(self) -> datetime:
        try:
            loop_s = asyncio.get_running_loop().time()
        except RuntimeError:
            return self.start
        if self._loop_start_s is None:
            self._loop_start_s = loop_s
        return self.start + timedelta(seconds=loop_s - self._loop_start_s)


def run_virtual(coroutine: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
