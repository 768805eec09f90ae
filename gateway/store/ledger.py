"""The synchronous heart of the store: one attempt at one transaction. Whoever calls it owns the connection.

A commit holds the facts' outbox rows, what the projections make of the messages, and the deletion of what head office
acknowledged. It either is on disk (`synchronous=FULL`) when `commit` returns, or left no trace.
Not here: threads and retries (`writer.py`), asyncio (`store.py`), what waits and how it is numbered (`outbox.py`).
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Protocol

from sqlite_utils import Migrations

from gateway.messages import Message, Stream
from gateway.store.ceilings import Ceilings
from gateway.store.outbox import Outbox
from gateway.store.quota import Quota, enforce, shed
from gateway.store.relief import Relief
from gateway.store.schema import transaction

SPARE_PAGES = 2048  # free pages kept for reuse; above this they go back to the file system in small steps
VACUUM_PAGES = 256


class Projection(Protocol):
    """Tables that are changed only by messages, in the transaction that keeps the messages."""

    @property
    def migrations(self) -> Migrations:
        """Its own tables."""

    def apply(self, connection: sqlite3.Connection, messages: Sequence[Message]) -> None:
        """Apply a whole batch, facts and commands, in order. Runs in the writer thread, inside the transaction."""


class Ledger:
    """Commits batches of messages."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        projections: Sequence[Projection],
        quota: Quota,
        ceilings: Ceilings,
        relief: Relief,
    ) -> None:
        self._connection = outbox.connection
        self._quota = quota
        self._ceilings = ceilings
        self._relief = relief
        self._projections = tuple(projections)
        self.outbox = outbox

    def commit(self, messages: Sequence[Message]) -> None:
        """Keep all or nothing. Raises sqlite3.Error, OSError, or what a projection raises."""
        self._all_or_nothing(lambda: self._write(messages))
        self._relief.after_success()

    def discard(self, stream: Stream, sequences: Sequence[int]) -> None:
        """Let rows go that are damaged on the disk, and declare them."""
        self._all_or_nothing(lambda: self.outbox.discard(stream, sequences))

    def _all_or_nothing(self, write: Callable[[], None]) -> None:
        self.outbox.mark()
        try:
            with transaction(self._connection):
                write()
                self.outbox.save()
                self._ceilings.cover(self.outbox.counters)
        except BaseException:
            self.outbox.rollback()
            raise
        self.outbox.committed()

    def _write(self, messages: Sequence[Message]) -> None:
        self.outbox.forget()
        if messages:
            self.outbox.add(messages)
            for projection in self._projections:
                projection.apply(self._connection, messages)
            enforce(self._quota, self.outbox)
        if self._relief.must_shed():
            shed(self.outbox)

    def tidy(self) -> None:
        """Return some free pages to the file system when there are many, reserve room again; a short piece of work."""
        self._relief.restore()
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        if free > SPARE_PAGES:
            self._connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
