import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.messages import BufferDropped, SensorEvent
from gateway.store.newest import Newest
from gateway.store.outbox import unsent
from gateway.store.quota import Quota
from gateway.store.store import Store

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)


class Clock:
    quality = "synced"

    def now(self) -> datetime:
        return AT


def events(count: int, size: int) -> list[SensorEvent]:
    return [SensorEvent(at=AT, source="s", body='{"x":"' + "x" * size + '"}') for _ in range(count)]


async def both(store: Store, after: int, limit: int, max_bytes: int) -> tuple[list[tuple[int, bytes]], ...]:
    told = await store.unsent("telemetry", after, limit, max_bytes)
    start = max(after, store._outbox.freed("telemetry"))
    on_disk = await store.read(lambda db: unsent(db, "telemetry", start, limit, max_bytes).rows)
    return told, on_disk


steps = st.lists(
    st.tuples(st.just("append"), st.integers(1, 30), st.integers(0, 300))
    | st.tuples(st.just("free"), st.integers(0, 40), st.just(0))
    | st.tuples(st.just("ask"), st.integers(0, 60), st.integers(1, 12)),
    min_size=5,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps)
async def test_memory_never_says_anything_but_the_file(script: list[tuple[str, int, int]]) -> None:
    store = Store(
        Path(":memory:"),
        store_id="0421",
        gateway_id="gw1",
        clock=Clock(),
        in_thread=False,
        quota=Quota(telemetry_bytes=40_000),
    )
    await store.open()
    store._outbox.newest["telemetry"] = Newest(most_bytes=8_000)
    sent = 0
    for step, first, second in script:
        last = store._outbox.counters["telemetry"].last
        if step == "append":
            await store.append(events(first, second))
        elif step == "free":
            sent = min(sent + first, last)
            store.free("telemetry", sent)
        else:
            told, on_disk = await both(store, max(0, last - first), second, 3_000)
            assert told == on_disk[: len(told)]
            assert bool(told) == bool(on_disk)
    await store.close()


async def test_the_newest_serves_what_is_new_without_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "a.db", store_id="0421", gateway_id="gw1", clock=Clock())
    await store.open()
    await store.append(events(10, 10))
    monkeypatch.setattr(store._publisher_reader, "run", lambda _: pytest.fail("asked the file"))
    rows = await store.unsent("telemetry", 0)
    assert [sequence for sequence, _ in rows] == list(range(1, 11))
    assert await store.unsent("telemetry", 10) == []
    assert await store.unsent("business", 0) == []
    await store.close()


async def test_a_refused_commit_shows_nothing(tmp_path: Path) -> None:
    class Spoiled:
        def create(self, connection: sqlite3.Connection) -> None: ...

        def apply(self, *_: object) -> None:
            raise ZeroDivisionError

    store = Store(tmp_path / "a.db", store_id="0421", gateway_id="gw1", clock=Clock())
    await store.open()
    store._ledger._projections = (Spoiled(),)  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError):
        await store.append(events(3, 10))
    assert await store.unsent("telemetry", 0) == []
    store._ledger._projections = ()
    await store.append(events(2, 10))
    assert [sequence for sequence, _ in await store.unsent("telemetry", 0)] == [1, 2]
    await store.close()


def test_bytes_are_bounded() -> None:
    newest = Newest(most_bytes=100)
    newest.add([(number, b"x" * 30) for number in range(1, 10)])
    assert newest.after(6, 100, 10_000) == [(number, b"x" * 30) for number in (7, 8, 9)]
    assert newest.after(5, 100, 10_000) == []
    newest.add([(10, b"x" * 200)])
    assert newest.after(9, 100, 10_000) == []
    assert newest._bytes == 0


async def test_what_the_quota_drops_is_not_served(tmp_path: Path) -> None:
    store = Store(
        tmp_path / "a.db", store_id="0421", gateway_id="gw1", clock=Clock(), quota=Quota(telemetry_bytes=20_000)
    )
    await store.open()
    await store.append(events(200, 200))
    told, on_disk = await both(store, 0, 1000, 10**9)
    assert told == on_disk[: len(told)]
    assert told
    declared = await store.unsent("business", 0) + told
    assert any(BufferDropped.type in event.decode() for _, event in declared)
    await store.close()
