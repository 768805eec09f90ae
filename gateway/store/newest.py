"""The newest rows of one outbox stream, also in memory: the publisher that keeps up never asks the disk.

Only a shortcut. What is not here is read from the file; a row that leaves the outbox leaves here first. The writer's
thread adds and removes, the event loop's only looks rows up by number, which needs no lock.
"""

from collections import deque
from collections.abc import Iterable

MOST_BYTES = 1 << 20


class Newest:
    """Rows by sequence, oldest first, at most `MOST_BYTES` of events."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._events: dict[int, bytes] = {}
        self._order: deque[int] = deque()  # a dict that loses its first entry often finds its first ever more slowly
        self._bytes = 0

    def add(self, rows: Iterable[tuple[int, bytes]]) -> None:
        """Take committed rows, in order; the oldest give way."""
        for sequence, event in rows:
            self._events[sequence] = event
            self._order.append(sequence)
            self._bytes += len(event)
        while self._bytes > self._most_bytes:
            self._drop_oldest()

    def forget(self, through: int) -> None:
        """Let go of everything up to this sequence."""
        while self._order and self._order[0] <= through:
            self._drop_oldest()

    def clear(self) -> None:
        """Let go of everything: rows in the middle are about to be deleted."""
        self._events.clear()
        self._order.clear()
        self._bytes = 0

    def after(self, sequence: int, limit: int, max_bytes: int) -> list[tuple[int, bytes]]:
        """Return the rows right behind `sequence`, one at least if the first is here; empty: ask the file."""
        rows: list[tuple[int, bytes]] = []
        size = 0
        for number in range(sequence + 1, sequence + 1 + limit):
            event = self._events.get(number)
            if event is None:
                break
            size += len(event)
            if rows and size > max_bytes:
                break
            rows.append((number, event))
        return rows

    def _drop_oldest(self) -> None:
        self._bytes -= len(self._events.pop(self._order.popleft()))
