"""The store's own tables and how a connection to them is opened. Migrations never drop an unsent row.

All pending migrations (ours and the projections') run in one transaction, and the unsent rows are counted before and
after: fewer = everything is rolled back and a person is told. A kill in the middle therefore leaves the old schema.
Not here: the tables of projections (each brings its own `Migrations`), what to do with a damaged file (`salvage.py`).
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlite_utils import Database, Migrations

from gateway.errors import ConfigError
from gateway.messages import Stream

MEMORY = Path(":memory:")
STREAMS: tuple[Stream, ...] = ("business", "telemetry")
PAGE_BYTES = 4096
WAL_PAGES = 1000  # checkpoint when the log holds 4 MiB; beyond, the file is cut back to WAL_BYTES
WAL_BYTES = WAL_PAGES * PAGE_BYTES
BUSY_MS = 2000  # only a backup or a person with a shell can hold the lock; nothing else has the file open
CACHE_KIB = 2048

store_migrations = Migrations("store")


@store_migrations()
def m001_outbox(db: Database) -> None:
    """Two streams with their counters. The key is the sequence number that head office checks."""
    for stream in STREAMS:
        db.execute(f"CREATE TABLE outbox_{stream} (sequence INTEGER PRIMARY KEY, event BLOB NOT NULL)")
    db.execute("CREATE TABLE outbox_stream (name TEXT PRIMARY KEY, last INTEGER NOT NULL, freed INTEGER NOT NULL)")
    db.execute("INSERT INTO outbox_stream VALUES ('business', 0, 0), ('telemetry', 0, 0)")
    db.execute("CREATE TABLE store_state (key TEXT PRIMARY KEY, value TEXT NOT NULL)")


@store_migrations()
def m002_usage(db: Database) -> None:
    """Keep what waits in rows and bytes, so that the quota needs no scan; and how far the stream was thinned."""
    for column in ("rows", "bytes", "thinned"):
        db.execute(f"ALTER TABLE outbox_stream ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    for stream in STREAMS:
        db.execute(
            f"UPDATE outbox_stream SET (rows, bytes) = "  # noqa: S608 - the name is one of two constants
            f"(SELECT count(*), coalesce(sum(length(event)), 0) FROM outbox_{stream}) WHERE name = ?",
            [stream],
        )


@store_migrations()
def m003_checksum(db: Database) -> None:
    """Add a checksum to each event: SQLite does not notice a bit that turns inside a value. Older rows have none."""
    for stream in STREAMS:
        db.execute(f"ALTER TABLE outbox_{stream} ADD COLUMN crc INTEGER")


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open the one connection that writes. WAL, every commit synced, pages of deleted rows are given back."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect when the file is made
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that cannot write."""
    connection = sqlite3.connect(
        f"file:{_quoted(path)}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return connection


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


@contextlib.contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Let every query inside see the same moment, whatever is committed meanwhile."""
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def migrate(connection: sqlite3.Connection, sets: Iterable[Migrations]) -> bool:
    """Bring the schema up to date in one transaction; return whether anything was to do."""
    database = Database(connection)
    wanted = [store_migrations, *sets]
    if not _any_pending(database, wanted):
        return False
    with transaction(connection):
        before = unsent_rows(connection)
        for one in wanted:
            one.apply(database)
        _refuse_loss(before, unsent_rows(connection))
    return True


def _any_pending(database: Database, wanted: Iterable[Migrations]) -> bool:
    try:
        return any(one.pending(database) for one in wanted)
    except KeyError as error:
        raise sqlite3.DatabaseError(f"the record of migrations has no column {error}") from error


def check_schema(connection: sqlite3.Connection, sets: Iterable[Migrations]) -> None:
    """Compare with a new file: no check of SQLite's sees a wrong letter. Raises sqlite3.DatabaseError."""
    with contextlib.closing(sqlite3.connect(MEMORY, isolation_level=None)) as fresh:
        migrate(fresh, sets)
        if missing := _made(fresh) - _made(connection):
            names = ", ".join(sorted(name for name, _ in missing))
            raise sqlite3.DatabaseError(f"not as it was made: {names}")


def _made(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Return the names of tables, indexes and streams, with what defines them."""
    schema = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != '_sqlite_migrations'"
    return {*connection.execute(schema), *connection.execute("SELECT name, 'a stream' FROM outbox_stream")}


def unsent_rows(connection: sqlite3.Connection) -> dict[Stream, int]:
    """Count what waits in each stream that exists."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return {
        stream: connection.execute(f"SELECT count(*) FROM outbox_{stream}").fetchone()[0]  # noqa: S608 - a constant
        for stream in STREAMS
        if f"outbox_{stream}" in tables
    }


def _refuse_loss(before: dict[Stream, int], after: dict[Stream, int]) -> None:
    for stream, rows in before.items():
        if after.get(stream, 0) < rows:
            raise ConfigError(
                f"a schema migration would drop {rows - after.get(stream, 0)} unsent {stream} rows; nothing was "
                "changed: run the previous version until the outbox is empty, and report this as a bug"
            )
