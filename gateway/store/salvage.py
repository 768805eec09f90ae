"""A damaged database: judge it, copy what can be read into a new one, set the damaged one aside for a person.

A kill at any point is harmless: the new file gets its final name only when it is whole, and a swap that was cut short
is finished at the next start. Not here: raw bytes of rows that no query reaches (`carve.py`), numbers and declarations
of loss (`opening.py`).
"""

import contextlib
import itertools
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.store.schema import connect_reader

MOST_PROBES = 200_000  # lookups into a damaged region before it is given up: some seconds
SIDES = ("", "-wal", "-shm")
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)  # the latter: SQLite's message quotes a name that is no text any more

log = logging.getLogger(__name__)


def judge(connection: sqlite3.Connection, *, full: bool) -> str | None:
    """Return what SQLite finds wrong with the file, None when nothing. The full check also compares the indexes."""
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (verdict,) = connection.execute("PRAGMA integrity_check(1)" if full else "PRAGMA quick_check(1)").fetchone()
    except UNREADABLE as error:
        return str(error)
    return None if verdict == "ok" else str(verdict)


def copy_tables(source_path: Path, target: sqlite3.Connection) -> int:
    """Copy every readable row of every table that the target knows; return how many."""
    try:
        source = connect_reader(source_path)
    except UNREADABLE:
        return 0
    with contextlib.closing(source):
        return sum(_copy_table(source, target, *table) for table in _tables(target))


def _tables(connection: sqlite3.Connection) -> list[tuple[str, bool]]:
    """Return `(name, has a rowid)`; the record of applied migrations is the target's own."""
    rows = connection.execute(
        "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' "
        "AND name NOT LIKE 'sqlite~_%' ESCAPE '~' AND name NOT LIKE '~_sqlite~_%' ESCAPE '~' ORDER BY name"
    )
    return [(name, not without_rowid) for name, without_rowid in rows.fetchall()]


def _copy_table(source: sqlite3.Connection, target: sqlite3.Connection, table: str, has_rowid: bool) -> int:  # noqa: FBT001
    columns = _shared_columns(source, target, table)
    if not columns:
        return 0
    names = ", ".join(f'"{column}"' for column in columns)
    if has_rowid:
        rows, names = readable_rows(source, table, names), f"rowid, {names}"
    else:
        rows = _until_error(source, f'SELECT {names} FROM "{table}"')  # noqa: S608 - from the schema
    places = ", ".join("?" * (len(columns) + has_rowid))
    insert = f'INSERT OR REPLACE INTO "{table}" ({names}) VALUES ({places})'  # noqa: S608 - from the schema
    copied = 0
    for row in rows:
        with contextlib.suppress(sqlite3.Error, OverflowError):  # a row that its own constraints refuse is damaged
            target.execute(insert, row)
            copied += 1
    return copied


def _shared_columns(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> list[str]:
    try:
        found = {row[1] for row in source.execute(f'PRAGMA table_info("{table}")')}
    except UNREADABLE:
        return []
    return [row[1] for row in target.execute(f'PRAGMA table_info("{table}")') if row[1] in found]


def readable_rows(source: sqlite3.Connection, table: str, names: str) -> Iterator[Any]:
    """Yield `(rowid, columns...)` from the front, from the back, and by probing what lies between."""
    select = f'SELECT rowid, {names} FROM "{table}" WHERE rowid'  # noqa: S608 - names come from the schema
    lowest: int | None = None
    highest: int | None = None
    for row in _until_error(source, f"{select} >= ? ORDER BY rowid", -(2**63)):
        lowest = row[0]
        yield row
    for row in _until_error(source, f"{select} <= ? ORDER BY rowid DESC", 2**63 - 1):
        if lowest is not None and row[0] <= lowest:
            return
        highest = row[0]
        yield row
    if highest is not None:
        between = range(0 if lowest is None else lowest + 1, highest)
        yield from _probe(source, f"{select} = ?", itertools.islice(between, MOST_PROBES))


def _until_error(source: sqlite3.Connection, query: str, *parameters: int) -> Iterator[Any]:
    with contextlib.suppress(*UNREADABLE):
        yield from source.execute(query, parameters)


def _probe(source: sqlite3.Connection, query: str, rowids: Iterable[int]) -> Iterator[Any]:
    for rowid in rowids:
        with contextlib.suppress(*UNREADABLE):
            yield from source.execute(query, [rowid]).fetchall()


def building_path(path: Path) -> Path:
    """Return where a salvage is under way: worthless after a kill."""
    return path.with_name(path.name + ".salvaging")


def finished_path(path: Path) -> Path:
    """Return where a whole salvage waits for its swap."""
    return path.with_name(path.name + ".salvaged")


def remove_database(path: Path) -> None:
    """Delete a database with its log."""
    for side in SIDES:
        path.with_name(path.name + side).unlink(missing_ok=True)


def swap(path: Path, now: datetime) -> Path:
    """Set the damaged file aside and put the salvaged one in its place; return the name of the damaged one."""
    aside = _free_name(path, now)
    for side in ("-shm", "-wal", ""):  # the log first: it must never meet the new file
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + side).rename(aside.with_name(aside.name + side))
    finished_path(path).rename(path)
    sync_directory(path.parent)
    log.error("the database was damaged and is set aside", extra={"file": str(aside)})
    return aside


def _free_name(path: Path, now: datetime) -> Path:
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in itertools.count():
        name = path.with_name(f"{path.name}.damaged-{stamp}" + (f"-{number}" if number else ""))
        if not any(name.with_name(name.name + side).exists() for side in SIDES):
            return name
    raise AssertionError


def sync_directory(directory: Path) -> None:
    """Make renames in it durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
