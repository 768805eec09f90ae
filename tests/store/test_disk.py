"""The disk takes nothing: full, read-only, over a limit. The store waits, says so once, loses no business."""

import asyncio
import contextlib
import errno
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.store import trouble
from gateway.store.store import Store
from tests.store.store_kit import cleared, declared, drain, make, opened, sensor, sequences


class Heard:
    """What `on_trouble` was told, and a way to wait for it."""

    def __init__(self) -> None:
        self.texts: list[str | None] = []
        self._more = asyncio.Event()

    def __call__(self, text: str | None) -> None:
        self.texts.append(text)
        self._more.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.texts) < count:
                await self._more.wait()
                self._more.clear()


@pytest.fixture(autouse=True)
def _quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "FIRST_S", 0.002)
    monkeypatch.setattr(trouble, "LONGEST_S", 0.02)


@contextlib.contextmanager
def limited_files(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size`: what SQLite then sees is a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


async def until_trouble(store: Store, heard: Heard) -> tuple[int, asyncio.Task[None]]:
    """Append business until one waits; return how many were acknowledged, and the waiting one."""
    acknowledged = 0
    while True:
        waiting = asyncio.ensure_future(store.append([cleared(f"{acknowledged}" + "x" * 2000)]))
        trouble_or_done = asyncio.ensure_future(heard.until(1))
        await asyncio.wait([waiting, trouble_or_done], return_when=asyncio.FIRST_COMPLETED)
        if trouble_or_done.done():
            return acknowledged, waiting
        trouble_or_done.cancel()
        acknowledged += 1


@pytest.mark.parametrize("in_thread", [True, False])
async def test_a_limit_on_files_is_waited_out_and_told_once(tmp_path: Path, *, in_thread: bool) -> None:
    heard = Heard()
    async with opened(tmp_path / "a.db", on_trouble=heard, in_thread=in_thread) as store:
        with limited_files(1_000_000):
            acknowledged, waiting = await until_trouble(store, heard)
            await asyncio.sleep(0.1)  # many tries
            assert not waiting.done()
        await asyncio.wait_for(waiting, 30)
        await heard.until(2)
        assert [text is None for text in heard.texts] == [False, True]
        assert "disk" in str(heard.texts[0])
        alarms = [event["data"]["alarm"].rstrip("x") for event in await drain(store, "business")]
        assert alarms == [f"{n}" for n in range(acknowledged + 1)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 40 MiB, where the machine lets us mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False, timeout=30).returncode:
        pytest.skip("needs leave to mount a file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True, timeout=30)


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True, timeout=30)


def fill_up(disk: Path, leave: int = 0) -> Path:
    filler = disk / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - leave)
    return filler


async def test_a_full_disk_costs_telemetry_but_no_business(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.ballast.ROOM_FACTOR", 2)
    heard = Heard()
    async with opened(small_disk / "a.db", on_trouble=heard) as store:
        for start in range(0, 8000, 100):
            await store.append([sensor(n, size=1000) for n in range(start, start + 100)])
        assert (small_disk / "a.db.ballast").stat().st_size == 8 * 2**20
        filler = fill_up(small_disk)
        acknowledged, waiting = await until_trouble(store, heard)
        while acknowledged < 3500:  # 14 MB: the reserve, and what telemetry gives up
            await asyncio.wait_for(waiting, 30)
            acknowledged += 1
            waiting = asyncio.ensure_future(store.append([cleared(f"{acknowledged}" + "x" * 2000)]))
        await asyncio.wait_for(waiting, 30)
        assert not (small_disk / "a.db.ballast").exists()
        filler.unlink()
        business = await drain(store, "business")
        kept = sequences(await drain(store, "telemetry"))
        alarms = [int(e["data"]["alarm"].rstrip("x")) for e in business if e["type"] == "aisled.alarm.cleared.v1"]
        assert alarms == list(range(acknowledged + 1))
        assert sequences(business) == list(range(1, len(business) + 1))
        lost = set(range(1, 8001)) - set(kept)
        assert lost
        assert lost <= declared(business, "telemetry")


async def test_a_disk_that_is_full_at_start_does_not_stop_the_start(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.ballast.ROOM_FACTOR", 2)
    async with opened(small_disk / "a.db") as store:
        await store.append([cleared("before")])
    filler = fill_up(small_disk)
    heard = Heard()
    store = make(small_disk / "a.db", on_trouble=heard)
    await store.open()
    acknowledged, waiting = await until_trouble(store, heard)
    filler.unlink()
    await asyncio.wait_for(waiting, 30)
    assert len(await drain(store, "business")) == acknowledged + 2
    await store.close()
    filler = fill_up(small_disk)
    (small_disk / "a.db.ballast").unlink(missing_ok=True)
    filler = fill_up(small_disk)
    with pytest.raises(StoreError, match=r"disk is full|input/output"):
        await make(small_disk / "a.db").open()
    filler.unlink()
    async with opened(small_disk / "a.db") as again:
        assert len(await drain(again, "business")) == acknowledged + 2


async def test_a_disk_that_turns_read_only_is_waited_out(small_disk: Path) -> None:
    heard = Heard()
    store = make(small_disk / "a.db", on_trouble=heard)
    await store.open()
    await store.append([cleared("0")])
    connection = store._outbox.connection
    connection.execute("PRAGMA query_only = ON")  # what SQLite answers then is SQLITE_READONLY, as on such a disk
    waiting = asyncio.ensure_future(store.append([cleared("1")]))
    await heard.until(1)
    assert "read-only" in str(heard.texts[0])
    connection.execute("PRAGMA query_only = OFF")
    await asyncio.wait_for(waiting, 30)
    await store.close()
    remount(small_disk, "ro")
    with pytest.raises(Exception, match="cannot be written"):
        await make(small_disk / "a.db").open()
    remount(small_disk, "rw")
    async with opened(small_disk / "a.db") as again:
        assert len(await drain(again, "business")) == 2


async def test_closing_in_trouble_is_quick_and_says_what_was_not_kept(tmp_path: Path) -> None:
    heard = Heard()
    store = make(tmp_path / "a.db", on_trouble=heard)
    await store.open()
    with limited_files(300_000):
        acknowledged, waiting = await until_trouble(store, heard)
        async with asyncio.timeout(5):
            await store.close()
        with pytest.raises(StoreError, match="was not kept"):
            await waiting
    async with opened(tmp_path / "a.db") as again:
        assert len(await drain(again, "business")) == acknowledged


async def test_a_caller_that_gives_up_is_not_written_for(tmp_path: Path) -> None:
    heard = Heard()
    async with opened(tmp_path / "a.db", on_trouble=heard) as store:
        with limited_files(300_000):
            acknowledged, waiting = await until_trouble(store, heard)
            waiting.cancel()
            await asyncio.wait([waiting])
        await store.append([cleared("later")])
        alarms = [event["data"]["alarm"].rstrip("x") for event in await drain(store, "business")]
        assert alarms == [*(f"{n}" for n in range(acknowledged)), "later"]
        assert sequences(await drain(store, "business")) == list(range(1, acknowledged + 2))


def test_failures_are_told_apart() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert trouble.is_full(full)
    assert "disk is full" in str(trouble.describe(full))
    assert trouble.describe(OSError(errno.EROFS, "ro")) is not None
    assert trouble.describe(OSError(errno.ENOENT, "gone")) is None
    assert trouble.describe(ValueError("a bug")) is None
    with pytest.raises(sqlite3.OperationalError) as syntax, contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.execute("SELEC")
    assert trouble.describe(syntax.value) is None
