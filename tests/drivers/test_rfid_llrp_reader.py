"""The driver against our own simulated readers: makes, batches, mishaps, clocks, writes, a supervisor."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from drivers import _llrp_reader, _llrp_write
from drivers.rfid_llrp import Driver
from drivers.simulators._reader_serve import serving
from drivers.simulators.reader import FleetConfig, ReaderFleet, Stock
from gateway.driver import TagOrder
from gateway.errors import Rejected
from gateway.health import HealthBoard
from gateway.supervisor import Supervisor
from tests.drivers.llrp_shop import Clock, Gateway, config, running, until

US = 1_000_000


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_llrp_reader, "HEARD_S", 0.05)
    monkeypatch.setattr(_llrp_write, "LOOK_S", 0.4)


@asynccontextmanager
async def shop(tags: int = 25, **fields: Any) -> AsyncIterator[tuple[ReaderFleet, int]]:
    stock = Stock(tags=tags, seed=3, static=fields.pop("static", -1))
    made = {"stock": stock, "reads_per_s": 2000.0, "ghost_share": 0.0, "epoch_s": time.time()} | fields
    fleet = ReaderFleet(FleetConfig(**made))
    async with serving(fleet) as ports:
        yield fleet, ports.readers[0]


def epcs(gateway: Gateway) -> set[str]:
    return {read.epc for read in gateway.reads}


def there(fleet: ReaderFleet) -> set[str]:
    return {epc.hex().upper() for epc in fleet.world.tags}


def now_us() -> int:
    return int(time.time() * US)


@pytest.mark.parametrize("kind", ["impinj", "zebra", "plain"])
@pytest.mark.parametrize("batch", [{}, {"report_every": 30, "report_ms": 100}], ids=["each", "batches"])
async def test_every_make_is_read_to_the_last_tag(kind: str, batch: dict[str, int]) -> None:
    gateway = Gateway()
    async with shop(kind=kind) as (fleet, port), running(gateway, config(port, power_dbm=30, **batch)) as (_, task):
        await until(lambda: epcs(gateway) == there(fleet), task=task)
        await until(lambda: gateway.states and gateway.heard)
        assert gateway.states[-1][0] == "online"
        late_us = max(abs(read.at_us - now_us()) for read in gateway.reads[-20:])
    assert late_us < 3 * US
    assert all(read.rssi_cdbm is not None and -9500 < read.rssi_cdbm < -2500 for read in gateway.reads)
    assert any(read.phase is not None for read in gateway.reads) == (kind == "impinj")


async def test_what_is_less_than_a_batch_is_fetched() -> None:
    gateway = Gateway()
    many = {"report_every": 5_000, "report_ms": 50}
    async with shop(tags=20) as (fleet, port), running(gateway, config(port, **many)) as (_, task):
        await until(lambda: epcs(gateway) == there(fleet), task=task)


@pytest.mark.parametrize("wrong_s", [-86_400.0, 4_000.0])
async def test_a_wrong_clock_of_the_reader_shows_nowhere_but_in_health(wrong_s: float) -> None:
    gateway = Gateway()
    async with shop() as (fleet, port):
        fleet.faults.clock_wrong(wrong_s)
        async with running(gateway, config(port)) as (_, task):
            await until(lambda: len(gateway.reads) > 100 and gateway.states, task=task)
            assert max(abs(read.at_us - now_us()) for read in gateway.reads) < 3 * US
            assert f"clock {wrong_s:+.1f} s" in gateway.states[-1][2]
            fleet.faults.clock_wrong(-2 * wrong_s)
            seen = len(gateway.reads)
            await until(lambda: len(gateway.reads) > seen + 300)
            assert max(abs(read.at_us - now_us()) for read in gateway.reads[-50:]) < 3 * US


async def test_a_burst_after_a_stall_keeps_its_times_and_nothing_is_lost() -> None:
    gateway = Gateway()
    async with shop() as (fleet, port), running(gateway, config(port)) as (_, task):
        await until(lambda: gateway.reads, task=task)
        fleet.faults.stall(0.6)
        before = len(gateway.reads)
        await until(lambda: len(gateway.reads) > before + 1500)
        at = sorted(read.at_us for read in gateway.reads)
        assert max(after - earlier for earlier, after in pairwise(at)) < 0.3 * US
    assert abs(fleet.readers[0].outbox.reads - len(gateway.reads)) < 200  # but for those on the way at the end


@asynccontextmanager
async def supervised(
    gateway: Gateway, port: int, wait_s: float = 0.05
) -> AsyncIterator[tuple[Supervisor, HealthBoard]]:
    """The driver under the gateway's own supervisor, whose waits are made short."""
    board = HealthBoard(Clock())
    services = type(gateway.services)(clock=Clock(), report=board.reporter("door"))
    supervisor = Supervisor(
        {"door": Driver(config(port), services)}, gateway.emit, board, Clock(), jitter=lambda _low, _high: wait_s
    )
    task = asyncio.create_task(supervisor.run())
    try:
        yield supervisor, board
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def state(board: HealthBoard) -> tuple[str, str]:
    found = board.of("door")
    return ("", "") if found is None else (found.state, found.reason)


async def test_it_reconnects_for_ever_and_old_reads_keep_their_time() -> None:
    gateway = Gateway()
    async with shop() as (fleet, port), supervised(gateway, port, wait_s=0.4) as (supervisor, board):
        for _ in range(6):  # one more than the bugs that would park it
            seen = len(gateway.reads)
            await until(lambda: len(gateway.reads) > seen + 50)  # noqa: B023
            cut_us, heard = now_us(), len(gateway.heard)
            fleet.faults.cut()
            await until(lambda: state(board)[0] == "offline")
            assert len(gateway.heard) == heard  # nobody says that it reads
            await until(lambda: state(board)[0] == "online")
            await until(lambda: any(cut_us + 0.1 * US < read.at_us < cut_us + 0.3 * US for read in gateway.reads))  # noqa: B023
        assert supervisor.parked == []


async def test_a_reader_that_is_held_is_taken_when_it_is_free() -> None:
    first, second = Gateway(), Gateway()
    async with shop() as (_, port), running(first, config(port)) as (_, task):
        await until(lambda: first.reads, task=task)
        async with supervised(second, port) as (_, board):
            await until(lambda: state(board) == ("offline", "reader_held"))
            await until(lambda: first.states[-1][1] == "other_client")
            task.cancel()
            await until(lambda: second.reads)
            await until(lambda: state(board)[0] == "online")


@pytest.mark.parametrize(
    ("mishap", "reason"),
    [
        (lambda faults: faults.antenna(2), "antenna_lost"),
        (lambda faults: faults.garbage(5), "bad_reports"),
        (lambda faults: faults.exception("too hot"), "reader_exception"),
        (lambda faults: faults.buffer_level(95), "buffer_filling"),
    ],
)
async def test_mishaps_are_told_and_reading_goes_on(mishap: Callable[[Any], None], reason: str) -> None:
    gateway = Gateway()
    async with shop() as (fleet, port), running(gateway, config(port)) as (_, task):
        await until(lambda: gateway.reads, task=task)
        mishap(fleet.faults)
        await until(lambda: gateway.states[-1][:2] == ("degraded", reason), task=task)
        seen = len(gateway.reads)
        await until(lambda: len(gateway.reads) > seen + 100, task=task)


async def test_antennas_that_are_not_there_from_the_start() -> None:
    gateway = Gateway()
    async with shop() as (fleet, port):
        fleet.faults.antenna(2)
        async with running(gateway, config(port)) as (_, task):
            await until(lambda: gateway.states and gateway.heard, task=task)
            assert gateway.states[-1][1] == "antenna_lost"
            assert 2 not in gateway.heard[-1].antennas


async def test_an_input_gates_the_reading() -> None:
    gateway = Gateway()
    async with shop() as (fleet, port), running(gateway, config(port, gpi_start=1)) as (_, task):
        await until(lambda: gateway.states and gateway.states[-1][1] == "armed", task=task)
        fleet.faults.gpi(1, True)
        await until(lambda: gateway.reads and gateway.heard, task=task)
        fleet.faults.gpi(1, False)
        await until(lambda: gateway.states[-1][1] == "armed" and len(gateway.inputs) == 2, task=task)
    assert [(one.port, one.high) for one in gateway.inputs] == [(1, True), (1, False)]
    assert abs(gateway.inputs[0].at.timestamp() - time.time()) < 10


async def test_tags_are_encoded_locked_and_killed(tmp_path: Path) -> None:
    (tmp_path / "access").write_text("1234abcd")
    (tmp_path / "kill").write_text("0badf00d")
    secrets = {"access_password_file": tmp_path / "access", "kill_password_file": tmp_path / "kill"}
    gateway = Gateway()
    async with shop(tags=1, static=0) as (fleet, port):
        (tag,) = fleet.world.items
        fleet.world.move(tag, fleet.world.zone("floor-1"))
        tag.hit = 1.0
        table = config(port, allow_writes=True, **secrets)
        async with running(gateway, table) as (driver, task):
            await until(lambda: gateway.reads, task=task)
            epc = tag.epc.hex().upper()
            antenna = gateway.reads[-1].antenna
            for new in ("3034257BF7194E4000001A85", "3034257BF7194E4000001A8500000001", "3034257BF7194E4000001A86"):
                await driver.write_tag(TagOrder("encode", epc, antenna, new))
                assert tag.epc.hex().upper() == new
                epc = new
            await driver.write_tag(TagOrder("lock", epc, antenna))
            assert tag.password(4) == 0x1234ABCD
            await driver.write_tag(TagOrder("encode", epc, antenna, "3034257BF7194E4000001A87"))
            await driver.write_tag(TagOrder("kill", "3034257BF7194E4000001A87", antenna))
            assert tag.killed
            with pytest.raises(Rejected, match="no tag"):
                await driver.write_tag(TagOrder("kill", "3034257BF7194E4000001A87", antenna))
            assert not task.done()


async def test_a_slow_start_is_waited_for() -> None:
    gateway = Gateway()
    async with shop() as (fleet, port):
        fleet.faults.slow_start(0.5)
        async with running(gateway, config(port)) as (_, task):
            await until(lambda: gateway.reads, task=task)
