import asyncio
import contextlib
import time
from pathlib import Path

from gateway.errors import StoreError
from gateway.messages import Fact, GatewayHealth, Reading
from gateway.vitals import Backlog, Vitals, disk_free_mib, rss_mib
from tests.jumping_time import FakeClock, run_virtual


async def some_backlog() -> Backlog:
    return Backlog(3, 4, 71.5)


def test_figures_are_measured_not_invented(tmp_path: Path) -> None:
    before = rss_mib()
    weight = bytearray(64 * 1024 * 1024)
    assert rss_mib() - before >= 60
    assert weight
    assert disk_free_mib(tmp_path) > 0


def test_one_fact_a_minute_with_what_the_store_says(tmp_path: Path) -> None:
    facts: list[GatewayHealth] = []

    async def emit(*messages: Reading | Fact) -> None:
        facts.extend(message for message in messages if isinstance(message, GatewayHealth))
        if len(facts) == 2:
            raise StoreError("disk full")

    async def scenario() -> None:
        task = asyncio.create_task(Vitals(FakeClock(), tmp_path, some_backlog).run(emit))
        await asyncio.sleep(200)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run_virtual(scenario())
    assert len(facts) == 4
    assert (facts[0].unsent_business, facts[0].unsent_telemetry, facts[0].buffer_hours_left) == (3, 4, 71.5)
    assert facts[0].timequality == "synced"


async def test_a_stalled_loop_shows(tmp_path: Path, monkeypatch: object) -> None:
    vitals = Vitals(FakeClock(), tmp_path, some_backlog)

    async def emit(*_: Reading | Fact) -> None: ...

    import gateway.vitals

    monkeypatch.setattr(gateway.vitals, "LAG_PROBE_S", 0.01)  # type: ignore[attr-defined]
    task = asyncio.create_task(vitals.run(emit))
    await asyncio.sleep(0)
    time.sleep(0.06)  # noqa: ASYNC251 - the fault: a driver that blocks the loop
    async with asyncio.timeout(5):
        while (await vitals.measure()).loop_lag_ms < 40:  # noqa: ASYNC110 - a figure has no event
            await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
