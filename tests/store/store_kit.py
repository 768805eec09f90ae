"""What the store's tests share: a clock, messages, and looking into a database from outside."""

import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway import messages as m
from gateway.store.store import Store

AT = datetime(2026, 11, 22, 8, 0, 0, 123456, tzinfo=UTC)
GTIN = "06901234567892"
LABEL = "0000021B2C3D4E5F"


class SetClock:
    def __init__(self, at: datetime = AT, quality: str = "synced") -> None:
        self.at = at
        self.quality = quality

    def now(self) -> datetime:
        return self.at

    def go(self, **by: float) -> datetime:
        self.at += timedelta(**by)
        return self.at


def sensor(number: int = 0, *, kept: bool = False, size: int = 0) -> m.SensorEvent:
    body = json.dumps({"n": number, "filling": "x" * size})
    return (m.SensorEventKept if kept else m.SensorEvent)(at=AT, source="sensors", body=body)


def cleared(alarm: str = "a") -> m.AlarmCleared:
    return m.AlarmCleared(at=AT, source=m.GATEWAY, alarm=alarm)


def make(path: Path, **options: Any) -> Store:
    options = {"store_id": "0421", "gateway_id": "gw1", "clock": SetClock()} | options
    return Store(path, **options)


@contextlib.asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[Store]:
    store = make(path, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def drain(store: Store, stream: m.Stream, *, limit: int = 500) -> list[dict[str, Any]]:
    """Return all that waits, parsed, as the publisher would read it."""
    found: list[dict[str, Any]] = []
    after = 0
    while rows := await store.unsent(stream, after, limit, 2**20):
        found += [json.loads(event) for _, event in rows]
        after = rows[-1][0]
    return found


def sequences(events: Sequence[dict[str, Any]]) -> list[int]:
    return [int(event["sequence"]) for event in events]


def declared(events: Sequence[dict[str, Any]], stream: m.Stream) -> set[int]:
    """Return the sequences of `stream` that BufferDropped facts among business events declare lost."""
    drops = [e["data"] for e in events if e["type"] == "aisled.buffer.dropped.v1" and e["data"]["about"] == stream]
    return {n for drop in drops for n in range(drop["first_sequence"], drop["last_sequence"] + 1)}


def crashed(path: Path, into: Path) -> Path:
    """Copy an open database as a killed process would leave it: no clean mark, the log still there."""
    into.mkdir()
    for side in ("", "-wal", "-shm", ".sequences"):
        shutil.copyfile(path.with_name(path.name + side), into / (path.name + side))
    return into / path.name
