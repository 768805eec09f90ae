"""Rows a second through `Store.append` by rows per commit, FULL sync, and the ratio to plain `executemany`.

`python -m bench.store [directory]`. The directory decides which disk is measured. Passes of both are interleaved and
the median is shown, because the disk of a shared machine changes its mind. Not a test: nothing fails here.
"""

import asyncio
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from gateway.messages import PriceWanted, SensorEvent, ShowFace
from gateway.store.journal import Journal
from gateway.store.schema import connect_writer
from gateway.store.store import Store

ROWS_PER_COMMIT = (1, 10, 100, 1000)
PASSES = 5
BODY = (
    '{"id":"s-0001-000000042","device":"sensor-1","n":42,"made_ms":1795312800123,"kind":"climate","temperature_c":21.5,'
    '"humidity_pct":40.2,"battery_mv":3100,"rssi_dbm":-60,"site":"aisle-3"}'
)


class Clock:
    """The wall clock, trusted."""

    quality = "synced"

    def now(self) -> datetime:
        """Return UTC."""
        return datetime.now(UTC)


def events(count: int) -> list[SensorEvent]:
    at = datetime.now(UTC)
    return [SensorEvent(at=at, source="sensors", body=BODY) for _ in range(count)]


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def through_store(store: Store, rows: int, commits: int) -> tuple[float, float]:
    batches = [events(rows) for _ in range(commits)]
    start, cpu = time.perf_counter(), cpu_s()
    for batch in batches:
        await store.append(batch)
        store.free("telemetry", 2**50)  # as head office keeps up: each commit also deletes the batch before
    return time.perf_counter() - start, cpu_s() - cpu


def plainly(connection: sqlite3.Connection, rows: int, commits: int) -> float:
    data = [[(commit * rows + row, BODY.encode() + bytes(220)) for row in range(rows)] for commit in range(commits)]
    connection.execute("DROP TABLE IF EXISTS plain")
    connection.execute("CREATE TABLE plain (sequence INTEGER PRIMARY KEY, event BLOB)")
    start = time.perf_counter()
    for batch in data:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO plain VALUES (?, ?)", batch)
        connection.execute("COMMIT")
    return time.perf_counter() - start


async def measure(directory: Path) -> None:
    store = Store(directory / "store.db", store_id="0421", gateway_id="gw1", clock=Clock())
    await store.open()
    plain = connect_writer(directory / "plain.db")
    print("rows/commit   store rows/s   us/row   CPU us/row   plain rows/s   store/plain")
    for rows in ROWS_PER_COMMIT:
        commits = max(20, min(300, 20_000 // rows))
        walls, cpus, plains = [], [], []
        for _ in range(PASSES):
            wall, cpu = await through_store(store, rows, commits)
            walls.append(wall)
            cpus.append(cpu)
            plains.append(plainly(plain, rows, commits))
        total = rows * commits
        wall, cpu, other = (statistics.median(values) for values in (walls, cpus, plains))
        print(
            f"{rows:11d} {total / wall:14,.0f} {wall / total * 1e6:8.2f} {cpu / total * 1e6:12.2f} "
            f"{total / other:14,.0f} {other / wall:13.2f}"
        )
    plain.close()
    await store.close()


async def measure_small_things(directory: Path) -> None:
    memory = Store(Path(":memory:"), store_id="0421", gateway_id="gw1", clock=Clock(), in_thread=False)
    await memory.open()
    print(f"append of one event, in memory and inline: {await each_us(lambda: memory.append(events(1)), 5000):.0f} us")
    await memory.close()
    store = Store(directory / "journal.db", store_id="0421", gateway_id="gw1", clock=Clock(), projections=[Journal()])
    await store.open()
    at, digest = datetime.now(UTC), "0" * 64
    wave = {"wave": "w-1", "currency": "EUR", "price_minor": 199, "at": at}
    faces = [
        ShowFace(source="ap-1", label=f"{n:016X}", gtin=f"{n:014d}", content="c", digest=digest, revision=1, **wave)
        for n in range(15_000)
    ]
    prices = [PriceWanted(source="gateway", gtin=f"{n:014d}", **wave) for n in range(15_000)]
    start = time.perf_counter()
    await store.append([*prices, *faces])
    print(f"30 000 journal rows in one commit: {time.perf_counter() - start:.2f} s")
    start = time.perf_counter()
    await store.close()
    print(f"close: {time.perf_counter() - start:.3f} s")


async def each_us(call: Callable[[], Awaitable[None]], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        await call()
    return (time.perf_counter() - start) / times * 1e6


def main() -> None:
    where = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=where) as directory:
        asyncio.run(measure(Path(directory)))
        asyncio.run(measure_small_things(Path(directory)))


if __name__ == "__main__":
    main()
