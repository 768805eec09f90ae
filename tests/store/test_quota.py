"""Quotas by class: telemetry thinned then dropped and each drop declared, business never dropped, hours left."""

from itertools import pairwise
from pathlib import Path

import pytest

from gateway import messages as m
from gateway.errors import StoreError
from gateway.store.quota import Forecast, Quota
from gateway.store.store import Store
from tests.store.store_kit import AT, GTIN, cleared, declared, drain, make, opened, sensor, sequences

MEMORY = Path(":memory:")


def small(**changes: int) -> Quota:
    return Quota(**({"business_bytes": 10_000, "telemetry_bytes": 100_000} | changes))


async def fill(store: Store, events: int, per_commit: int = 10) -> None:
    for start in range(0, events, per_commit):
        await store.append([sensor(n) for n in range(start, start + per_commit)])


async def test_telemetry_stays_within_its_quota_and_every_hole_is_declared() -> None:
    async with opened(MEMORY, quota=small(business_bytes=100_000), in_thread=False) as store:
        await fill(store, 3000)
        kept = sequences(await drain(store, "telemetry"))
        size = sum(len(event) for _, event in await store.unsent("telemetry", 0, 10_000, 2**24))
        business = await drain(store, "business")
        assert 80_000 < size <= 100_000
        assert kept[-1] == 3000
        missing = set(range(1, 3001)) - set(kept)
        assert missing <= declared(business, "telemetry")
        assert sum(e["data"]["count"] for e in business) == len(missing)
        assert len(business) < len(missing) / 10


async def test_old_telemetry_is_thinned_before_any_is_dropped() -> None:
    async with opened(MEMORY, quota=small(telemetry_rows=400, telemetry_bytes=2**30), in_thread=False) as store:
        await fill(store, 410)
        kept = sequences(await drain(store, "telemetry"))
        assert kept[:50] == list(range(1, 100, 2))
        assert kept[-300:] == list(range(111, 411))
        [drop] = await drain(store, "business")
        assert "every second" in drop["data"]["reason"]
        await fill(store, 1000)
        reasons = [event["data"]["reason"] for event in await drain(store, "business")]
        assert any("oldest telemetry was dropped" in reason for reason in reasons)


async def test_recent_telemetry_is_never_thinned_twice() -> None:
    async with opened(MEMORY, quota=small(telemetry_rows=400, telemetry_bytes=2**30), in_thread=False) as store:
        await fill(store, 5000)
        kept = sequences(await drain(store, "telemetry"))
        assert all(after - before <= 2 for before, after in pairwise(kept))
        assert kept[-200:] == list(range(4801, 5001))


def price_part() -> m.PricePart:
    wave = m.Wave(id="w", issued_at=AT, issuer="hq", sequence=1, effective_at=AT)
    return m.PricePart(at=AT, source="hq", wave=wave, part=1, lines=())


async def test_business_at_its_quota_refuses_new_input_but_not_what_is_in_motion() -> None:
    async with opened(MEMORY, quota=small(), in_thread=False) as store:
        while store.refusal([price_part()]) is None:
            await store.append([cleared()])
        before = store.waiting()["business"]
        for new in (price_part(), sensor(kept=True)):
            with pytest.raises(StoreError, match="wait for head office: nothing new is taken"):
                await store.append([new])
        charged = m.PriceCharged(
            at=AT, source=m.GATEWAY, gtin=GTIN, price_minor=1, currency="CNY", wave="w", reason="fall"
        )
        await store.append([charged, sensor()])
        assert store.waiting()["business"] == before + 1
        store.free("business", before)
        await store.append([cleared()])
        await store.append([price_part()])


async def test_business_above_its_quota_takes_its_room_from_telemetry() -> None:
    async with opened(MEMORY, quota=small(), in_thread=False) as store:
        await fill(store, 450)
        for _ in range(250):
            await store.append([cleared()])
        waiting = store.waiting()
        assert waiting["business"] >= 250
        size = sum(counters.bytes for counters in store._outbox.counters.values())
        assert size <= 110_000
        assert waiting["telemetry"] < 450


async def test_freeing_after_a_drop_counts_right() -> None:
    async with opened(MEMORY, quota=small(), in_thread=False) as store:
        await fill(store, 2000)
        store.free("telemetry", 1990)
        await store.append([cleared()])
        assert store.waiting()["telemetry"] == 10
        assert store._outbox.counters["telemetry"].bytes == sum(
            len(event) for _, event in await store.unsent("telemetry", 0, 10_000, 2**24)
        )


async def test_hours_left_follow_the_rate() -> None:
    store = make(MEMORY, in_thread=False)
    await store.open()
    outbox = store._outbox
    forecast = Forecast(Quota(business_bytes=3600 * 1000, telemetry_bytes=7200 * 1000))
    assert forecast.hours_left(0.0, outbox, 2**40) == {"business": None, "telemetry": None}
    for second in range(0, 110, 10):
        outbox.written["business"] = second * 100
        forecast.note(float(second), outbox)
    hours = forecast.hours_left(100.0, outbox, 2**40)
    assert hours == {"business": pytest.approx(10.0), "telemetry": None}
    assert forecast.hours_left(100.0, outbox, 36_000)["business"] == pytest.approx(0.1)
    await store.close()


async def test_hours_left_of_a_running_store(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as store:
        await store.append([cleared()])
        assert store.hours_left() == {"business": None, "telemetry": None}
