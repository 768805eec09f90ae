"""Numbers after a loss: every sequence above anything ever seen, every hole declared to head office by BufferDropped.

Runs on the writer's connection inside a transaction. Not here: finding rows (`salvage.py`, `carve.py`).
"""

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from zlib import crc32

from gateway.messages import BufferDropped, Stream
from gateway.store.carve import is_event
from gateway.store.ceilings import Known
from gateway.store.outbox import Outbox, dropped
from gateway.store.schema import STREAMS

MOST_RANGES = 50  # holes declared one by one; more become one declaration over their whole span
HIGHEST = 2**53  # numbers travel as text, but readers at head office may use doubles; above this a counter is damaged


class Hole(NamedTuple):
    """Sequences that will never arrive."""

    first: int
    last: int
    missing: int


def drop_unreadable(connection: sqlite3.Connection, stream: Stream) -> int:
    """Delete salvaged rows whose bytes are not their event any more; return how many."""
    rows = connection.execute(f"SELECT sequence, event, crc FROM outbox_{stream}")  # noqa: S608 - a constant
    bad = [[sequence] for sequence, event, crc in rows if not _whole(sequence, event, crc)]
    connection.executemany(f"DELETE FROM outbox_{stream} WHERE sequence = ?", bad)  # noqa: S608 - a constant
    return len(bad)


def _whole(sequence: int, event: object, crc: object) -> bool:
    if not 0 < sequence <= HIGHEST or not is_event(event, sequence):
        return False
    return crc is None or (isinstance(event, bytes) and crc == crc32(event))


def plausible_freed(connection: sqlite3.Connection, stream: Stream, known: Known | None) -> int:
    """Return through which number head office has everything, as far as a damaged counter can be trusted."""
    sure = known.streams[stream].freed if known else 0
    (lowest,) = connection.execute(f"SELECT min(sequence) FROM outbox_{stream}").fetchone()  # noqa: S608 - a constant
    row = connection.execute("SELECT last, freed FROM outbox_stream WHERE name = ?", [stream]).fetchone()
    ceiling = known.streams[stream].last if known else HIGHEST
    if row and all(isinstance(value, int) for value in row) and sure <= row[1] <= row[0] <= ceiling:
        sure = row[1]
    elif known is None and lowest is not None:
        sure = lowest - 1
    return int(sure if lowest is None else min(sure, lowest - 1))


def recount(connection: sqlite3.Connection, stream: Stream, freed: int) -> None:
    """Write the counters anew from the rows that are there."""
    rows, size, highest = connection.execute(
        f"SELECT count(*), coalesce(sum(length(event)), 0), max(sequence) FROM outbox_{stream}"  # noqa: S608 - a constant
    ).fetchone()
    row = connection.execute("SELECT last FROM outbox_stream WHERE name = ?", [stream]).fetchone()
    counted = row[0] if row and isinstance(row[0], int) and 0 <= row[0] <= HIGHEST else 0
    connection.execute("DELETE FROM outbox_stream WHERE name = ?", [stream])
    connection.execute(
        "INSERT INTO outbox_stream (name, last, freed, rows, bytes, thinned) VALUES (?, ?, ?, ?, ?, 0)",
        [stream, max(counted, highest or 0, freed), freed, rows, size],
    )


def holes(connection: sqlite3.Connection, stream: Stream, after: int, through: int) -> list[Hole]:
    """Return what is missing among `after < sequence <= through`."""
    inside = f"SELECT sequence FROM outbox_{stream} WHERE sequence > :after AND sequence <= :through"  # noqa: S608 - a constant
    edges = f"SELECT :after AS sequence UNION ALL {inside}"
    rows = connection.execute(
        f"SELECT sequence + 1, following - 1 FROM (SELECT sequence, lead(sequence, 1, :through + 1) "  # noqa: S608
        f"OVER (ORDER BY sequence) AS following FROM ({edges})) WHERE following > sequence + 1",
        {"after": after, "through": through},
    )
    found = [Hole(first, last, last - first + 1) for first, last in rows]
    if len(found) > MOST_RANGES:
        return [Hole(found[0].first, found[-1].last, sum(hole.missing for hole in found))]
    return found


def declarations(stream: Stream, found: Iterable[Hole], reason: str, at: datetime) -> list[BufferDropped]:
    """Return the facts that tell head office of these holes."""
    return [dropped(stream, hole.first, hole.last, hole.missing, reason, at) for hole in found]


def go_above(outbox: Outbox, floors: dict[Stream, int], reason: str, at: datetime, *, look_back: bool) -> None:
    """Continue both streams above `floors` and declare the jump; with `look_back` also what is missing before it."""
    facts: list[BufferDropped] = []
    for stream in STREAMS:
        counters = outbox.counters[stream]
        last, counters.last = counters.last, max(counters.last, floors[stream])
        found = holes(outbox.connection, stream, counters.freed if look_back else last, counters.last)
        facts += declarations(stream, found, reason, at)
    outbox.add(facts)
