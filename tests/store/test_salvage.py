"""Damage of every kind: the store opens, saves what can be read, says what is lost, and uses no number twice."""

import asyncio
import json
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import StoreError
from gateway.store.carve import whole_event
from gateway.store.journal import Journal
from gateway.store.opening import OpenReport
from gateway.store.salvage import building_path, finished_path
from gateway.store.schema import connect_writer
from gateway.store.store import Store
from tests.store.store_kit import cleared, crashed, declared, drain, make, opened, sensor, sequences

TELEMETRY, BUSINESS, SENT = 1500, 300, 400
SIDES = ("", "-wal", "-shm", ".sequences")


@cache
def filled(*, clean: bool) -> Path:
    """Make a database once: 1 500 telemetry events of which 400 were sent, 300 business events."""
    folder = Path(tempfile.mkdtemp())

    async def fill() -> Path:
        store = make(folder / "a.db", projections=[Journal()])
        await store.open()
        for start in range(0, TELEMETRY, 50):
            await store.append([sensor(n, size=n % 300) for n in range(start, start + 50)])
            await store.append([cleared(f"{n}") for n in range(start // 5, start // 5 + 10)])
            if start == TELEMETRY // 2:
                store._outbox.connection.execute("PRAGMA wal_checkpoint(RESTART)")
        store.free("telemetry", SENT)
        await store.append([cleared("last")])
        left = folder / "a.db" if clean else crashed(folder / "a.db", folder / "crashed")
        await store.close()
        return left

    return asyncio.run(fill())


def damaged_copy(*, clean: bool, into: Path) -> Path:
    source = filled(clean=clean)
    for side in SIDES:
        if source.with_name(source.name + side).exists():
            shutil.copyfile(source.with_name(source.name + side), into / (source.name + side))
    return into / source.name


async def reopened(path: Path) -> tuple[OpenReport, list[int], list[int], set[int], set[int]]:
    """Return the report, what waits in telemetry and business, and what is declared lost of each."""
    store = make(path, projections=[Journal()])
    report = await store.open()
    telemetry, business = await drain(store, "telemetry"), await drain(store, "business")
    await store.append([sensor(), cleared("after")])
    told = await drain(store, "business")  # rows found damaged while draining are declared by now
    fresh = sequences(await drain(store, "telemetry"))[-1], sequences(told)[-1]
    assert fresh[0] > TELEMETRY
    assert fresh[1] > BUSINESS + 1
    lost = declared(told, "telemetry"), declared(told, "business")
    await store.close()
    return report, sequences(telemetry), sequences(business), *lost


def check(path: Path) -> OpenReport:
    """Open, and hold the store to its promise: what was to be sent is there, or declared."""
    report, telemetry, business, lost_telemetry, lost_business = asyncio.run(reopened(path))
    assert telemetry == sorted(set(telemetry))
    assert set(range(SENT + 1, TELEMETRY + 1)) <= set(telemetry) | lost_telemetry
    assert set(range(1, BUSINESS + 2)) <= set(business) | lost_business
    again = asyncio.run(reopened(path))
    assert (again[0].clean, again[0].salvaged, again[0].facts) == (True, None, [])
    return report


def flip(path: Path, places: list[float], chance: random.Random) -> None:
    raw = bytearray(path.read_bytes())
    for place in places:
        raw[int(place * (len(raw) - 1))] ^= chance.randrange(1, 256)
    path.write_bytes(raw)


harsh = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
places = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@harsh
@given(places=places, seed=st.integers(0, 99), clean=st.booleans())
def test_flipped_bytes(places: list[float], seed: int, *, clean: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = damaged_copy(clean=clean, into=Path(folder))
        flip(path, places, random.Random(seed))
        check(path)


@pytest.mark.parametrize("wrong", [0x01, 0x80], ids=["another letter", "no letter"])
@pytest.mark.parametrize(
    "text",
    [
        b"storem002_usage",
        b"journalsold_apart",
        b"+00:00",
        b'"name',
        b"TABLE outbox_t",
        b"telemetry (seq",
        b"telem",
        b"clean",
    ],
)
def test_a_flipped_byte_of_a_name(tmp_path: Path, text: bytes, wrong: int) -> None:
    path = damaged_copy(clean=True, into=tmp_path)
    raw = bytearray(path.read_bytes())
    raw[raw.rindex(text) + len(text) - 1] ^= wrong
    path.write_bytes(raw)
    check(path)


@harsh
@given(place=st.floats(0, 1), width=st.integers(1, 60_000), seed=st.integers(0, 99), clean=st.booleans())
def test_a_stretch_of_garbage(place: float, width: int, seed: int, *, clean: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = damaged_copy(clean=clean, into=Path(folder))
        raw = bytearray(path.read_bytes())
        start = int(place * len(raw))
        raw[start : start + width] = random.Random(seed).randbytes(len(raw[start : start + width]))
        path.write_bytes(raw)
        check(path)


@harsh
@given(place=st.floats(0, 1), side=st.sampled_from(["", "-wal"]), clean=st.booleans())
def test_a_file_cut_short(place: float, side: str, *, clean: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = damaged_copy(clean=clean, into=Path(folder))
        cut = path.with_name(path.name + side)
        if cut.exists():
            raw = cut.read_bytes()
            cut.write_bytes(raw[: int(place * len(raw))])
        check(path)


@harsh
@given(places=places, seed=st.integers(0, 99))
def test_flipped_bytes_in_the_log(places: list[float], seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = damaged_copy(clean=False, into=Path(folder))
        flip(path.with_name("a.db-wal"), places, random.Random(seed))
        check(path)


def no_log(path: Path) -> None:
    path.with_name("a.db-wal").unlink()


def no_log_nor_index(path: Path) -> None:
    no_log(path)
    path.with_name("a.db-shm").unlink()


def no_database(path: Path) -> None:
    path.unlink()


def nothing_but_numbers(path: Path) -> None:
    path.unlink()
    no_log_nor_index(path)


def no_header(path: Path) -> None:
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])


def not_a_database(path: Path) -> None:
    path.write_text("this is no database\n" * 5000)
    no_log_nor_index(path)


@pytest.mark.parametrize(
    "harm", [no_log, no_log_nor_index, no_database, nothing_but_numbers, no_header, not_a_database]
)
@pytest.mark.parametrize("numbers", [True, False], ids=["numbers known", "numbers gone"])
def test_whole_files_missing(tmp_path: Path, harm: Callable[[Path], None], *, numbers: bool) -> None:
    path = damaged_copy(clean=harm is no_header, into=tmp_path)
    harm(path)
    if numbers:
        report = check(path)
        [alarm] = report.facts
        assert alarm.data_json().startswith('{"alarm":"store_')
    elif harm is not nothing_but_numbers:  # with everything gone it is simply a new gateway
        path.with_name("a.db.sequences").unlink()
        store = make(path, projections=[Journal()])
        assert not asyncio.run(opened_once(store)).clean


async def opened_once(store: Store) -> OpenReport:
    report = await store.open()
    await store.close()
    return report


def test_an_unharmed_crash_loses_and_declares_nothing(tmp_path: Path) -> None:
    report, telemetry, business, *lost = asyncio.run(reopened(damaged_copy(clean=False, into=tmp_path)))
    assert (report.clean, report.salvaged, report.facts, lost) == (False, None, [], [set(), set()])
    assert telemetry == list(range(SENT + 1, TELEMETRY + 1))
    assert business == list(range(1, BUSINESS + 2))


def test_a_database_that_was_never_checkpointed_and_lost_its_log(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "a.db") as store:
            await store.append([sensor()])
            left = crashed(tmp_path / "a.db", tmp_path / "crashed")
        no_log_nor_index(left)
        again = make(left)
        report = await again.open()
        await again.append([sensor()])
        [number] = sequences(await drain(again, "telemetry"))
        assert set(range(1, number)) == declared(await drain(again, "business"), "telemetry")
        assert "was empty" in report.facts[0].data_json()
        assert number > 1
        await again.close()

    asyncio.run(run())


def test_rows_beyond_a_destroyed_page_are_saved_and_the_file_set_aside(tmp_path: Path) -> None:
    path = damaged_copy(clean=True, into=tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'outbox_telemetry'").fetchone()
    raw = bytearray(path.read_bytes())
    raw[(root - 1) * 4096 : root * 4096] = bytes(4096)
    path.write_bytes(raw)
    report, telemetry, business, *_ = asyncio.run(reopened(path))
    assert report.salvaged == TELEMETRY - SENT + BUSINESS + 1
    assert telemetry == list(range(SENT + 1, TELEMETRY + 1)), "carved out of the raw bytes"
    assert business[: BUSINESS + 1] == list(range(1, BUSINESS + 2))
    [aside] = tmp_path.glob("a.db.damaged-*Z")
    assert aside.stat().st_size == len(raw)


def test_an_older_copy_put_back_by_hand_reuses_no_number(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def grow(count: int) -> None:
        async with opened(path) as store:
            await store.append([sensor(n) for n in range(count)])

    asyncio.run(grow(10))
    shutil.copyfile(path, tmp_path / "old")
    asyncio.run(grow(10))
    shutil.copyfile(tmp_path / "old", path)

    async def look() -> None:
        store = make(path)
        report = await store.open()
        await store.append([sensor()])
        assert sequences(await drain(store, "telemetry")) == [*range(1, 11), 21]
        assert declared(await drain(store, "business"), "telemetry") == set(range(11, 21))
        assert "older than its last clean stop" in report.facts[0].data_json()
        await store.close()

    asyncio.run(look())


@pytest.mark.parametrize("step", ["building", "finished", "log moved"])
def test_a_salvage_that_was_cut_short_is_done_again_or_finished(tmp_path: Path, step: str) -> None:
    path = damaged_copy(clean=True, into=tmp_path)
    flip(path, [0.0], random.Random(1))
    if step == "building":
        building_path(path).write_bytes(b"half a file")
    else:
        whole = tmp_path / "whole.db"
        connection = connect_writer(whole)
        connection.close()
        asyncio.run(opened_once(make(whole)))
        whole.rename(finished_path(path))
    if step == "log moved":
        (tmp_path / "a.db-wal").write_bytes(b"the log of the damaged file")
    asyncio.run(opened_once(make(path)))
    assert not building_path(path).exists()
    assert not finished_path(path).exists()
    assert list(tmp_path.glob("a.db.damaged-*Z"))
    assert len(list(tmp_path.glob("a.db.damaged-*-wal"))) == (step == "log moved")


async def write_much(store: Store) -> None:
    for number in range(400):
        await store.append([sensor(number, size=2000)])
        store.free("telemetry", TELEMETRY)


def test_damage_found_while_running_asks_for_a_restart(tmp_path: Path) -> None:
    async def run() -> None:
        path = damaged_copy(clean=True, into=tmp_path)
        store = make(path)
        await store.open()
        raw = bytearray(path.read_bytes())
        raw[4096:] = bytes(len(raw) - 4096)
        path.write_bytes(raw)
        with pytest.raises(StoreError, match="restart the gateway"):
            await write_much(store)
        await store.close()

    asyncio.run(run())
    report, _, _, *lost = asyncio.run(reopened(tmp_path / "a.db"))
    assert report.salvaged is not None
    assert lost[0]


def test_a_directory_in_the_databases_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.db").mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        asyncio.run(opened_once(make(tmp_path / "a.db")))


@pytest.mark.parametrize(
    ("id_", "kind", "stream"),
    [
        ("gw1-b-000000000042", "label.shown", "business"),
        ("gw1-t-000000000042", "sensor.event", "telemetry"),
        ("sco-1:B1:5:1", "sale.line", "business"),
        ("sco-1:minute:7", "terminal.minute", "telemetry"),
        ("gw1-b-000000000041", "label.shown", None),
        ("sensors-e7", "sensor.event", None),
        ("x", "no.such", None),
    ],
)
def test_the_stream_of_a_carved_event_is_known_by_its_id_or_its_type(id_: str, kind: str, stream: str | None) -> None:
    event = {"specversion": "1.0", "id": id_, "source": "/s", "type": f"aisled.{kind}.v1", "sequence": "42", "data": {}}
    raw = json.dumps(event, separators=(",", ":")).encode()
    found = whole_event(raw + b"\0garbage")
    assert (None if found is None else found[:2]) == (None if stream is None else (stream, 42))
