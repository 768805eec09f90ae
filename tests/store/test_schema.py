"""Migrations: from every older schema to the newest, with no unsent row lost, all or nothing."""

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from gateway import messages as m
from gateway.errors import ConfigError
from gateway.store.schema import connect_writer, migrate, store_migrations
from tests.store.store_kit import drain, make, opened, sensor, sequences


class Dropping:
    """A projection of a newer version whose migration empties what is not its own."""

    migrations = Migrations("dropping")

    def apply(self, connection: sqlite3.Connection, messages: Sequence[m.Message]) -> None: ...


@Dropping.migrations()
def make_a_table(db: Database) -> None:
    db.execute("CREATE TABLE of_the_new_version (x)")


@Dropping.migrations()
def drop_telemetry(db: Database) -> None:
    db.execute("DELETE FROM outbox_telemetry WHERE sequence = 41")


def first_version(path: Path) -> None:
    """A database as the first schema left it: rows 40 and 41 wait, 39 were sent."""
    connection = connect_writer(path)
    store_migrations.apply(Database(connection), stop_before="m002_usage")
    for sequence in (40, 41):
        event = json.dumps({"id": f"gw1-t-{sequence:012d}", "sequence": str(sequence), "data": {"old": True}})
        connection.execute("INSERT INTO outbox_telemetry VALUES (?, ?)", [sequence, event.encode()])
    connection.execute("UPDATE outbox_stream SET last = 41, freed = 39 WHERE name = 'telemetry'")
    connection.close()


async def test_an_older_database_keeps_its_rows_and_numbers(tmp_path: Path) -> None:
    first_version(tmp_path / "a.db")
    async with opened(tmp_path / "a.db") as store:
        assert store.waiting() == {"business": 0, "telemetry": 2}
        await store.append([sensor()])
        events = await drain(store, "telemetry")
        assert sequences(events) == [40, 41, 42]
        assert events[0]["data"] == {"old": True}
        weigh = "SELECT bytes = (SELECT sum(length(event)) FROM outbox_telemetry) FROM outbox_stream WHERE name = ?"
        assert await store.read(lambda db: db.execute(weigh, ["telemetry"]).fetchone()) == (1,)


async def test_a_migration_that_drops_unsent_rows_changes_nothing(tmp_path: Path) -> None:
    first_version(tmp_path / "a.db")
    with pytest.raises(ConfigError, match="drop 1 unsent telemetry row"):
        await make(tmp_path / "a.db", projections=[Dropping()]).open()
    async with opened(tmp_path / "a.db") as store:
        assert sequences(await drain(store, "telemetry")) == [40, 41]
        names = await store.read(lambda db: db.execute("SELECT name FROM sqlite_master").fetchall())
        assert ("of_the_new_version",) not in names


def test_nothing_to_do_is_not_a_write(tmp_path: Path) -> None:
    connection = connect_writer(tmp_path / "a.db")
    assert migrate(connection, [])
    before = connection.total_changes
    assert not migrate(connection, [])
    assert connection.total_changes == before
    connection.close()
