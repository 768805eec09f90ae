"""The outbox on one connection: numbers facts gap-free per stream, keeps them until head office has them.

Runs inside a transaction that `ledger.py` opens; `mark` and `rollback` take the counters back with it. A number is
never used twice, also not when the outbox is empty after a restart: the counters are rows of their own.
Not here: threads, commits, quota (`quota.py`), how an event is written (`events.py`).
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from zlib import crc32

from gateway.messages import GATEWAY, BufferDropped, Fact, Message, Stream
from gateway.store.events import EventEncoder
from gateway.store.newest import Newest
from gateway.store.schema import STREAMS


def _each(statement: str) -> dict[Stream, str]:
    """Return the statement for both tables; no parameter can stand for a table's name."""
    return {stream: statement.format(f"outbox_{stream}") for stream in STREAMS}


_INSERT = _each("INSERT INTO {} (sequence, event, crc) VALUES (?, ?, ?)")
_UNSENT = _each("SELECT sequence, event, crc FROM {} WHERE sequence > ? ORDER BY sequence LIMIT ?")
_OLDEST = _each("SELECT min(sequence) FROM {}")
_WEIGH = _each("SELECT count(*), coalesce(sum(length(event)), 0) FROM {} WHERE sequence <= ?")
_DELETE = _each("DELETE FROM {} WHERE sequence <= ?")
_WEIGH_EVEN = _each(
    "SELECT count(*), coalesce(sum(length(event)), 0) FROM {} WHERE sequence BETWEEN ? AND ? AND sequence % 2 = 0"
)
_DELETE_EVEN = _each("DELETE FROM {} WHERE sequence BETWEEN ? AND ? AND sequence % 2 = 0")
_WEIGH_ONE = _each("SELECT length(event) FROM {} WHERE sequence = ?")
_DELETE_ONE = _each("DELETE FROM {} WHERE sequence = ?")
_LOAD = "SELECT last, freed, rows, bytes, thinned FROM outbox_stream WHERE name = ?"
_SAVE = "UPDATE outbox_stream SET last = ?, freed = ?, rows = ?, bytes = ?, thinned = ? WHERE name = ?"


Row = tuple[int, bytes, int]


class Page(NamedTuple):
    """What `unsent` found: rows to send, and the numbers of rows that are not what was written."""

    rows: list[tuple[int, bytes]]
    damaged: list[int]


class StoreClock(Protocol):
    """The injected clock: UTC, and how far it can be trusted."""

    def now(self) -> datetime:
        """Return UTC, time zone aware."""

    @property
    def quality(self) -> str:
        """Synced, holdover or unknown: the word that goes into `timequality`."""


@dataclass(slots=True)
class Counters:
    """One stream: last number given, last number freed, what waits, and through which number it was thinned."""

    last: int = 0
    freed: int = 0
    rows: int = 0
    bytes: int = 0
    thinned: int = 0

    def copy(self) -> "Counters":
        """Return the same counters; `dataclasses.replace` takes ten times as long, and each commit does this twice."""
        return Counters(self.last, self.freed, self.rows, self.bytes, self.thinned)


class Outbox:
    """Both streams on the writer's connection."""

    def __init__(self, connection: sqlite3.Connection, encoder: EventEncoder, clock: StoreClock) -> None:
        self.connection = connection
        self._encoder = encoder
        self.clock = clock
        self._marked: dict[Stream, Counters] = {}
        self._wishes: dict[Stream, int] = dict.fromkeys(STREAMS, 0)
        self.counters: dict[Stream, Counters] = {stream: Counters() for stream in STREAMS}
        self.newest: dict[Stream, Newest] = {stream: Newest() for stream in STREAMS}
        self._fresh: dict[Stream, list[tuple[int, bytes]]] = {stream: [] for stream in STREAMS}
        self.written: dict[Stream, int] = dict.fromkeys(STREAMS, 0)  # bytes since start, for the forecast

    def load(self) -> None:
        """Read the counters."""
        for stream in STREAMS:
            row = self.connection.execute(_LOAD, [stream]).fetchone()
            self.counters[stream] = Counters(*row)
            self._wishes[stream] = self.counters[stream].freed

    def mark(self) -> None:
        """Remember the counters: a transaction begins."""
        self._marked = {stream: counters.copy() for stream, counters in self.counters.items()}
        for fresh in self._fresh.values():
            fresh.clear()

    def committed(self) -> None:
        """Show what was added since `mark` to the publisher: the transaction is on disk."""
        for stream, fresh in self._fresh.items():
            self.newest[stream].add(fresh)

    def rollback(self) -> None:
        """Take the counters back: the transaction failed."""
        self.counters = self._marked

    def add(self, messages: Sequence[Message]) -> None:
        """Give each fact among `messages` its number, encode it, insert it."""
        if not messages:
            return
        quality = self.clock.quality
        encode = self._encoder.encode
        rows: dict[Stream, list[Row]] = {stream: [] for stream in STREAMS}
        following = {stream: self.counters[stream].last for stream in STREAMS}
        for message in messages:
            if isinstance(message, Fact):
                following[message.stream] = sequence = following[message.stream] + 1
                event = encode(message, sequence, quality)
                rows[message.stream].append((sequence, event, crc32(event)))
        for stream, fresh in rows.items():
            if fresh:
                self._insert(stream, fresh)

    def _insert(self, stream: Stream, fresh: list[Row]) -> None:
        self.connection.executemany(_INSERT[stream], fresh)
        self._fresh[stream] += [(sequence, event) for sequence, event, _ in fresh]
        counters = self.counters[stream]
        counters.last = fresh[-1][0]
        counters.rows += len(fresh)
        size = sum([len(event) for _, event, _ in fresh])
        counters.bytes += size
        self.written[stream] += size

    def save(self) -> None:
        """Write the counters that changed since `mark`."""
        for stream, now in self.counters.items():
            if now != self._marked[stream]:
                self.connection.execute(_SAVE, [now.last, now.freed, now.rows, now.bytes, now.thinned, stream])

    def wish_free(self, stream: Stream, through: int) -> None:
        """Note that head office has everything through this number, at most what there is; any thread."""
        self._wishes[stream] = max(self._wishes[stream], min(through, self.counters[stream].last))

    def is_dry(self, stream: Stream, after: int) -> bool:
        """Tell whether there is nothing past `after`, not even uncommitted."""
        return after >= self.counters[stream].last

    def freed(self, stream: Stream) -> int:
        """Through which number the rows are gone or about to go."""
        return self._wishes[stream]

    def has_wishes(self) -> bool:
        """Tell whether the next commit has rows to delete."""
        return any(self._wishes[stream] > self.counters[stream].freed for stream in STREAMS)

    def forget(self) -> None:
        """Delete what was wished away: always a contiguous prefix."""
        for stream in STREAMS:
            counters = self.counters[stream]
            through = self._wishes[stream]
            if through > counters.freed:
                self.drop_through(stream, through)
                counters.freed = through

    def drop_through(self, stream: Stream, through: int) -> int:
        """Delete the oldest rows through this number; return how many there were."""
        self.newest[stream].forget(through)
        self._fresh[stream] = [row for row in self._fresh[stream] if row[0] > through]
        rows, size = self.connection.execute(_WEIGH[stream], [through]).fetchone()
        self.connection.execute(_DELETE[stream], [through])
        self._taken(stream, rows, size)
        return int(rows)

    def oldest(self, stream: Stream) -> int:
        """Return the lowest sequence that waits; the stream must not be empty."""
        return int(self.connection.execute(_OLDEST[stream]).fetchone()[0])

    def drop_even(self, stream: Stream, first: int, last: int) -> int:
        """Delete the even numbers of this range; return how many there were."""
        self._from_the_middle(stream)
        rows, size = self.connection.execute(_WEIGH_EVEN[stream], [first, last]).fetchone()
        self.connection.execute(_DELETE_EVEN[stream], [first, last])
        self._taken(stream, rows, size)
        return int(rows)

    def discard(self, stream: Stream, sequences: Sequence[int]) -> None:
        """Delete rows whose bytes are not what was written, and declare them."""
        self._from_the_middle(stream)
        for sequence in sequences:
            weight = self.connection.execute(_WEIGH_ONE[stream], [sequence]).fetchone()
            if weight is not None:
                self.connection.execute(_DELETE_ONE[stream], [sequence])
                self._taken(stream, 1, weight[0])
                self.add([dropped(stream, sequence, sequence, 1, "the row was damaged on the disk", self.clock.now())])

    def _from_the_middle(self, stream: Stream) -> None:
        """Rows between others are about to go: none of them may be shown from memory."""
        self.newest[stream].clear()
        self._fresh[stream].clear()

    def _taken(self, stream: Stream, rows: int, size: int) -> None:
        self.counters[stream].rows -= rows
        self.counters[stream].bytes -= size


def dropped(stream: Stream, first: int, last: int, count: int, reason: str, at: datetime) -> BufferDropped:
    """Return the fact that declares a loss to head office."""
    return BufferDropped(
        at=at, source=GATEWAY, about=stream, count=count, first_sequence=first, last_sequence=last, reason=reason
    )


def unsent(connection: sqlite3.Connection, stream: Stream, after: int, limit: int, max_bytes: int) -> Page:
    """Return the oldest rows past `after`, at most `limit` and `max_bytes`, but one at least if there is any."""
    page = Page([], [])
    size = 0
    for sequence, event, crc in connection.execute(_UNSENT[stream], [after, limit]):
        if not isinstance(event, bytes) or (crc is not None and crc != crc32(event)):
            page.damaged.append(sequence)
            continue
        size += len(event)
        if page.rows and size > max_bytes:
            break
        page.rows.append((sequence, event))
    return page
