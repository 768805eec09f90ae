"""The store as its users see it: append, unsent, free, read, close; order, restart, and a second opener."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from gateway import messages as m
from gateway.errors import ConfigError, StoreError
from gateway.store import reader
from tests.store.store_kit import AT, SetClock, cleared, crashed, declared, drain, make, opened, sensor, sequences


class Counted:
    """A projection that counts what it saw, and fails when told to."""

    migrations = Migrations("counted")

    def __init__(self) -> None:
        self.batches: list[Sequence[m.Message]] = []

    def apply(self, connection: sqlite3.Connection, messages: Sequence[m.Message]) -> None:
        self.batches.append(messages)
        for message in messages:
            if isinstance(message, m.AlarmCleared):
                connection.execute("INSERT INTO counted VALUES (?)", [message.alarm])
                if message.alarm == "boom":
                    raise ValueError("a bug in a projection")


@Counted.migrations()
def create_counted(db: Database) -> None:
    db.execute("CREATE TABLE counted (alarm TEXT)")


threads = pytest.mark.parametrize("in_thread", [True, False])


def tick() -> m.Tick:
    return m.Tick(at=AT, source=m.GATEWAY)


@threads
async def test_facts_are_numbered_per_stream_and_commands_are_not_sent(tmp_path: Path, *, in_thread: bool) -> None:
    async with opened(tmp_path / "a.db", in_thread=in_thread) as store:
        await store.append([sensor(1), cleared(), tick(), sensor(2)])
        await store.append([cleared()])
        assert sequences(await drain(store, "telemetry")) == [1, 2]
        assert sequences(await drain(store, "business")) == [1, 2]
        assert store.waiting() == {"business": 2, "telemetry": 2}


async def test_sequences_go_on_after_a_restart_with_an_empty_outbox(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as store:
        await store.append([sensor(n) for n in range(5)])
        store.free("telemetry", 5)
    async with opened(tmp_path / "a.db") as store:
        assert await store.unsent("telemetry", 0) == []
        await store.append([sensor()])
        assert sequences(await drain(store, "telemetry")) == [6]


async def test_unsent_respects_rows_and_bytes_but_gives_one_at_least(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as store:
        await store.append([sensor(n, size=1000) for n in range(10)])
        assert [n for n, _ in await store.unsent("telemetry", 3, limit=2)] == [4, 5]
        assert [n for n, _ in await store.unsent("telemetry", 0, max_bytes=4000)] == [1, 2, 3]
        assert [n for n, _ in await store.unsent("telemetry", 9, max_bytes=1)] == [10]


async def test_freed_rows_are_not_given_again_and_leave_with_the_next_commit(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as store:
        await store.append([sensor(n) for n in range(10)])
        store.free("telemetry", 7)
        assert [n for n, _ in await store.unsent("telemetry", 0)] == [8, 9, 10]
        await store.append([cleared()])
        assert await store.read(lambda db: db.execute("SELECT count(*) FROM outbox_telemetry").fetchone()) == (3,)
        store.free("telemetry", 3)  # an old acknowledgement changes nothing
        await store.append([cleared()])
        assert store.waiting()["telemetry"] == 3


async def test_freeing_beyond_the_end_cannot_swallow_rows_to_come(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as store:
        await store.append([sensor()])
        store.free("telemetry", 9)
        await store.append([sensor()])
        assert sequences(await drain(store, "telemetry")) == [2]


@threads
async def test_freed_rows_leave_without_another_commit(
    tmp_path: Path, *, in_thread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.store.LAZY_FREE_S", 0.01)
    async with opened(tmp_path / "a.db", in_thread=in_thread) as store:
        await store.append([sensor()])
        store.free("telemetry", 1)
        async with asyncio.timeout(5):
            while store.waiting()["telemetry"]:  # noqa: ASYNC110 - the store has no event for it
                await asyncio.sleep(0.005)


@pytest.mark.parametrize("in_thread", [True, False])
async def test_each_commit_is_told_once_and_only_after_it(tmp_path: Path, *, in_thread: bool) -> None:
    async with opened(tmp_path / "a.db", in_thread=in_thread) as store:
        told: list[int] = []
        store.on_commit(lambda: told.append(store.waiting()["business"]))
        await store.append([cleared()])
        await store.append([cleared(), cleared()])
        assert told == [1, 3]


async def test_appends_in_flight_keep_their_order_and_share_commits(tmp_path: Path) -> None:
    seen = Counted()
    async with opened(tmp_path / "a.db", projections=[seen]) as store:
        await asyncio.gather(*(store.append([cleared(f"{n}"), tick()]) for n in range(200)))
        assert [event["data"]["alarm"] for event in await drain(store, "business")] == [f"{n}" for n in range(200)]
    assert sum(len(batch) for batch in seen.batches) == 400
    assert len(seen.batches) < 200


@threads
async def test_a_bug_in_one_batch_fails_that_batch_alone(tmp_path: Path, *, in_thread: bool) -> None:
    async with opened(tmp_path / "a.db", projections=[Counted()], in_thread=in_thread) as store:
        calls = (store.append([cleared(name)]) for name in ("one", "boom", "two"))
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), ValueError, type(None)]
        assert [event["data"]["alarm"] for event in await drain(store, "business")] == ["one", "two"]
        assert sequences(await drain(store, "business")) == [1, 2]
        kept = await store.read(lambda db: db.execute("SELECT alarm FROM counted").fetchall())
        assert kept == [("one",), ("two",)]


async def test_readers_cannot_write(tmp_path: Path) -> None:
    for path, in_thread in ((tmp_path / "a.db", True), (Path(":memory:"), False)):
        async with opened(path, in_thread=in_thread) as store:
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                await store.read(lambda db: db.execute("DELETE FROM outbox_stream"))


async def test_a_query_without_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "READ_LIMIT_S", 0.05)
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    async with opened(tmp_path / "a.db") as store:
        with pytest.raises(StoreError, match="took longer"):
            await store.read(lambda db: db.execute(endless).fetchone())
        assert await store.read(lambda db: db.execute("SELECT 1").fetchone()) == (1,)


async def test_upkeep_runs_in_the_writer_all_or_nothing(tmp_path: Path) -> None:
    def half_done(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO store_state VALUES ('upkeep', '1')")
        raise KeyError("half way")

    def count_upkeep(connection: sqlite3.Connection) -> object:
        return connection.execute("SELECT count(*) FROM store_state WHERE key = 'upkeep'").fetchone()

    for in_thread in (True, False):
        async with opened(tmp_path / f"{in_thread}.db", in_thread=in_thread) as store:
            with pytest.raises(KeyError):
                await store.write(half_done)
            assert await store.write(count_upkeep) == (0,)


async def test_a_second_opener_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db"):
        with pytest.raises(ConfigError, match="another gateway"):
            await make(tmp_path / "a.db").open()
    async with opened(tmp_path / "a.db") as store:
        await store.append([cleared()])


async def test_a_clean_stop_is_known_at_the_next_start_and_a_crash_too(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with opened(path):
        pass
    store = make(path)
    assert (await store.open()).clean
    await store.append([cleared()])
    left = crashed(path, tmp_path / "crashed")
    await store.close()
    report = await (again := make(left)).open()
    assert (report.clean, report.salvaged, report.facts) == (False, None, [])
    assert sequences(await drain(again, "business")) == [1]
    await again.close()


async def test_everything_queued_is_kept_by_close(tmp_path: Path) -> None:
    store = make(tmp_path / "a.db")
    await store.open()
    appends = [asyncio.ensure_future(store.append([sensor(n)])) for n in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*appends)
    async with opened(tmp_path / "a.db") as again:
        assert sequences(await drain(again, "telemetry")) == list(range(1, 51))


async def test_settings_that_make_a_commit_durable(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as store:
        names = ("synchronous", "journal_mode", "auto_vacuum", "journal_size_limit")
        values = await store.write(lambda db: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in names])
        assert values == [2, "wal", 2, 4_096_000]  # 2 = FULL, 2 = incremental


async def test_the_log_and_the_file_stay_small_while_head_office_keeps_up(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with opened(path) as store:
        for number in range(60):
            await store.append([sensor(n, size=500) for n in range(200)])
            store.free("telemetry", number * 200)
        assert path.stat().st_size + path.with_name("a.db-wal").stat().st_size < 6_000_000


async def test_quality_of_the_clock_travels_with_each_event(tmp_path: Path) -> None:
    clock = SetClock(quality="holdover")
    async with opened(tmp_path / "a.db", clock=clock) as store:
        await store.append([cleared()])
        clock.quality = "synced"
        await store.append([cleared()])
        assert [event["timequality"] for event in await drain(store, "business")] == ["holdover", "synced"]


async def test_a_row_that_turned_bad_is_not_sent_but_declared(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with opened(path) as store:
        await store.append([sensor(n) for n in range(10)])
    raw = path.read_bytes()
    for number in (0, 4, 5):
        raw = raw.replace(b'{"n": %d, "fill' % number, b'{"n"; %d, "fill' % number)
    path.write_bytes(raw)
    async with opened(path) as store:
        assert [n for n, _ in await store.unsent("telemetry", 0, limit=1)] == [2]
        assert sequences(await drain(store, "telemetry")) == [2, 3, 4, 7, 8, 9, 10]
        await store.append([cleared()])
        business = await drain(store, "business")
        assert declared(business, "telemetry") == {1, 5, 6}
        assert store.waiting()["telemetry"] == 7


async def test_closing_twice_or_before_opening_does_nothing(tmp_path: Path) -> None:
    store = make(tmp_path / "a.db")
    await store.close()
    await store.open()
    await store.close()
    await store.close()
    async with opened(tmp_path / "a.db") as again:
        await again.append([cleared()])


async def test_all_queries_of_one_read_see_the_same_moment(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as store:
        await store.append([sensor(1)])
        loop = asyncio.get_running_loop()

        def count(connection: sqlite3.Connection) -> list[int]:
            query = "SELECT last FROM outbox_stream WHERE name = 'telemetry'"
            before = connection.execute(query).fetchone()[0]
            asyncio.run_coroutine_threadsafe(store.append([sensor(2)]), loop).result(10)
            return [before, connection.execute(query).fetchone()[0]]

        first, second = await store.read(count)
        assert first == second
        assert (await store.read(count))[0] > first
