"""kill -9 at random points of ingest, commit, free, migration and salvage: nothing acknowledged is missing, no gap."""

import asyncio
import multiprocessing
import os
import random
import select
import signal
import time
from collections import defaultdict
from pathlib import Path

import pytest

from gateway.messages import Stream
from gateway.store.journal import Journal, verify
from tests.store import kill_target
from tests.store.store_kit import declared, drain, opened, sequences
from tests.store.test_schema import first_version

KILLS = 50
LONGEST_S = 60.0
FORKS = multiprocessing.get_context("forkserver")  # imports once, so that a kill meets the store and not an import
FORKS.set_forkserver_preload(["__main__", "tests.store.kill_target"])


class Ledger:
    """What killed processes said they had kept, and what head office had got."""

    def __init__(self) -> None:
        self.kept: dict[str, set[str]] = defaultdict(set)
        self.gone: dict[str, set[str]] = defaultdict(set)
        self.sent: dict[str, int] = defaultdict(int)
        self.opened = 0

    def hear(self, text: str) -> None:
        for line in text.splitlines(keepends=True):
            match line.split():
                case ["sent", stream, sequence, serial] if line.endswith("\n"):
                    self.sent[stream] = max(self.sent[stream], int(sequence))
                    self.gone[stream].add(serial)
                case ["telemetry" | "business" as stream, serial] if line.endswith("\n"):
                    self.kept[stream].add(serial)
                case ["open", _]:
                    self.opened += 1


def run_and_kill(path: Path, seed: int, *, delay_s: float, after_open: bool) -> str:
    """Start the target, kill it `delay_s` after it began to work (or after it was started), return what it said."""
    heard, telling = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=kill_target.begin, args=(path, seed, telling))
    process.start()
    telling.close()
    with heard:
        said = b""
        deadline = time.monotonic() + LONGEST_S
        while after_open and b"open" not in said and time.monotonic() < deadline and process.exitcode is None:
            said += _read_within(heard.fileno(), 1.0)
        until = time.monotonic() + delay_s
        while (left := until - time.monotonic()) > 0 and process.exitcode is None:
            said += _read_within(heard.fileno(), left)
        process.kill()
        process.join(LONGEST_S)
        while rest := _read_within(heard.fileno(), LONGEST_S):
            said += rest
    assert process.exitcode == -signal.SIGKILL, said.decode()
    process.close()
    return said.decode()


def _read_within(descriptor: int, seconds: float) -> bytes:
    ready, _, _ = select.select([descriptor], [], [], seconds)
    return os.read(descriptor, 65536) if ready else b""


async def check(path: Path, ledger: Ledger) -> dict[Stream, list[int]]:
    """All that was acknowledged is there or was sent; numbers have no gap; the journal holds. Return what waits."""
    waiting: dict[Stream, list[int]] = {}
    async with opened(path, projections=[Journal()]) as store:
        for stream, key in (("telemetry", "n"), ("business", "alarm")):
            events = await drain(store, stream)
            numbers = sequences(events)
            waiting[stream] = numbers
            present = {str(e["data"][key]) for e in events if key in e["data"]}
            first = numbers[0] if numbers else ledger.sent[stream] + 1
            assert numbers == list(range(first, first + len(numbers))), "a gap"
            assert first <= ledger.sent[stream] + 1, "deleted before it was sent"
            assert ledger.kept[stream] <= present | ledger.gone[stream], "acknowledged and missing"
        assert await store.read(verify) is None
    return waiting


def kill_many(path: Path, kills: int, seed: int) -> Ledger:
    chance, ledger = random.Random(seed), Ledger()
    for number in range(kills):
        early = chance.random() < 0.2  # while it opens, migrates, recovers
        delay_s = chance.uniform(0.0, 0.06) if early else chance.uniform(0.0, 0.25)
        ledger.hear(run_and_kill(path, number, delay_s=delay_s, after_open=not early))
        asyncio.run(check(path, ledger))
    return ledger


@pytest.mark.long
def test_fifty_kills_lose_nothing(tmp_path: Path) -> None:
    ledger = kill_many(tmp_path / "a.db", KILLS, seed=1)
    assert ledger.opened > KILLS / 2
    assert ledger.kept["telemetry"]
    assert ledger.sent["telemetry"] > 0


@pytest.mark.soak
def test_a_thousand_kills_lose_nothing(tmp_path: Path) -> None:
    kill_many(tmp_path / "a.db", 1000, seed=2)


def test_kills_in_a_migration_keep_the_rows_of_the_old_version(tmp_path: Path) -> None:
    for number in range(10):
        path = tmp_path / f"{number}.db"
        first_version(path)
        ledger = Ledger()
        ledger.hear(run_and_kill(path, number, delay_s=number * 0.006, after_open=False))
        ledger.sent["telemetry"] = max(39, ledger.sent["telemetry"])
        asyncio.run(check(path, ledger))


def test_kills_in_a_salvage_still_end_in_a_salvaged_database(tmp_path: Path) -> None:
    for number in range(10):
        path = tmp_path / str(number) / "a.db"
        path.parent.mkdir()
        ledger = Ledger()
        ledger.hear(run_and_kill(path, number, delay_s=0.3, after_open=True))
        asyncio.run(check(path, ledger))
        raw = bytearray(path.read_bytes())
        raw[100:4096] = bytes(3996)
        path.write_bytes(raw)
        ledger.hear(run_and_kill(path, number, delay_s=number * 0.02, after_open=False))
        asyncio.run(all_there_or_declared(path, ledger))


async def all_there_or_declared(path: Path, ledger: Ledger) -> None:
    async with opened(path, projections=[Journal()]) as store:
        business = await drain(store, "business")
        for stream, key, events in (
            ("telemetry", "n", await drain(store, "telemetry")),
            ("business", "alarm", business),
        ):
            numbers = sequences(events)
            present = {str(e["data"][key]) for e in events if key in e["data"]}
            assert set(range(ledger.sent[stream] + 1, max(numbers, default=0) + 1)) <= set(numbers) | declared(
                business, stream
            )
            missing = ledger.kept[stream] - present - ledger.gone[stream]
            assert len(missing) <= len(declared(business, stream)), "acknowledged, missing, and not declared"
    assert list(path.parent.glob("a.db.damaged-*"))
