"""Build a new database from a damaged one and put it in its place. Safe to be killed at any point.

Reading: `salvage.py` (queries), `carve.py` (raw bytes). Numbers: `losses.py`. The jump of the sequences and its
declaration are made by `opening.py` when it opens the result.
"""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zlib import crc32

from sqlite_utils import Migrations

from gateway.store.carve import carve
from gateway.store.ceilings import Known
from gateway.store.losses import HIGHEST, drop_unreadable, plausible_freed, recount
from gateway.store.salvage import building_path, copy_tables, finished_path, remove_database, swap, sync_directory
from gateway.store.schema import STREAMS, connect_writer, migrate


def rebuild(path: Path, sets: Sequence[Migrations], known: Known | None, reason: str) -> None:
    """Salvage `path` into a new file that `finish_swap` then puts in its place."""
    building = building_path(path)
    remove_database(building)
    target = connect_writer(building)
    try:
        migrate(target, sets)
        target.execute("PRAGMA foreign_keys = OFF")
        target.execute("BEGIN IMMEDIATE")
        copy_tables(path, target)
        _mend_outbox(target, path, known)
        target.execute("DELETE FROM store_state WHERE key = 'clean'")
        target.execute("INSERT OR REPLACE INTO store_state VALUES ('salvaged', ?)", [reason])
        target.execute("COMMIT")
    finally:
        target.close()  # checkpoints and removes the log: the file is whole by itself
    building.rename(finished_path(path))
    sync_directory(path.parent)


def _mend_outbox(target: sqlite3.Connection, path: Path, known: Known | None) -> None:
    for stream in STREAMS:
        drop_unreadable(target, stream)
    freed = {stream: plausible_freed(target, stream, known) for stream in STREAMS}
    for raw in (path, path.with_name(path.name + "-wal")):
        for stream, sequence, event in carve(raw):
            if freed[stream] < sequence <= HIGHEST:
                insert = f"INSERT OR IGNORE INTO outbox_{stream} VALUES (?, ?, ?)"  # noqa: S608 - a constant
                target.execute(insert, [sequence, event, crc32(event)])
    for stream in STREAMS:
        recount(target, stream, freed[stream])


def finish_swap(path: Path, now: datetime) -> Path | None:
    """Finish a salvage that is whole; return the name of the damaged file. Forget one that is not."""
    if finished_path(path).exists():
        return swap(path, now)
    remove_database(building_path(path))
    return None
