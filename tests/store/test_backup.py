"""Backup of a running store, and a restore that uses no sequence twice."""

import shutil
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.store.backup import backup, restore
from gateway.store.opening import RESTORE_GAP
from tests.store.store_kit import cleared, declared, drain, make, opened, sensor, sequences


async def with_backup(tmp_path: Path) -> tuple[Path, Path]:
    """Make a store with 20 events of which the last 10 came after the backup."""
    path, copy = tmp_path / "a.db", tmp_path / "backup.db"
    async with opened(path) as store:
        await store.append([sensor(n) for n in range(10)])
        backup(path, copy)
        await store.append([sensor(n) for n in range(10)])
    return path, copy


def names(folder: Path, start: str) -> list[str]:
    return [file.name for file in folder.iterdir() if file.name.startswith(start)]


async def test_a_backup_of_a_running_store_is_one_sound_file(tmp_path: Path) -> None:
    _, copy = await with_backup(tmp_path)
    assert names(tmp_path, "backup") == ["backup.db"]
    async with opened(copy) as store:
        assert sequences(await drain(store, "telemetry")) == list(range(1, 11))


async def test_a_restore_continues_above_every_number_used_and_says_so(tmp_path: Path) -> None:
    path, copy = await with_backup(tmp_path)
    with pytest.raises(ConfigError, match="newer than the backup"):
        restore(copy, path)
    aside = restore(copy, path, force=True)
    assert aside is not None
    assert aside.exists()
    store = make(path)
    report = await store.open()
    await store.append([sensor()])
    numbers = sequences(await drain(store, "telemetry"))
    assert numbers[:10] == list(range(1, 11))
    assert numbers[10] > 20
    assert declared(await drain(store, "business"), "telemetry") == set(range(11, numbers[10]))
    assert "restored from the backup" in report.facts[0].data_json()
    await store.close()
    async with opened(path) as again:  # the jump is made once
        await again.append([sensor()])
        assert sequences(await drain(again, "telemetry"))[-1] == numbers[10] + 1


async def test_a_restore_on_a_new_machine_jumps_far_enough(tmp_path: Path) -> None:
    _, copy = await with_backup(tmp_path)
    fresh = tmp_path / "new" / "a.db"
    assert restore(copy, fresh) is None
    async with opened(fresh) as store:
        await store.append([cleared(), sensor()])
        assert sequences(await drain(store, "telemetry"))[-1] == 10 + RESTORE_GAP + 1


async def test_a_backup_copied_by_hand_jumps_too(tmp_path: Path) -> None:
    path, copy = await with_backup(tmp_path)
    shutil.copyfile(copy, path)
    async with opened(path) as store:
        await store.append([sensor()])
        assert sequences(await drain(store, "telemetry"))[-1] > 20


async def test_a_restore_over_a_running_gateway_is_refused(tmp_path: Path) -> None:
    path, copy = await with_backup(tmp_path)
    async with opened(path):
        with pytest.raises(ConfigError, match="another gateway"):
            restore(copy, path, force=True)


async def test_a_damaged_backup_is_refused(tmp_path: Path) -> None:
    path, copy = await with_backup(tmp_path)
    raw = bytearray(copy.read_bytes())
    raw[4096:20000] = bytes(len(raw[4096:20000]))
    copy.write_bytes(raw)
    with pytest.raises(ConfigError, match="not a sound database"):
        restore(copy, path, force=True)
    (tmp_path / "text").write_text("no database")
    with pytest.raises(ConfigError, match="not a sound database"):
        restore(tmp_path / "text", path, force=True)


def test_a_backup_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no backup of"):
        backup(tmp_path / "missing.db", tmp_path / "b.db")
    assert not list(tmp_path.glob("b.db*"))


async def test_a_log_of_the_old_database_never_meets_the_restored_one(tmp_path: Path) -> None:
    path, copy = await with_backup(tmp_path)
    path.with_name("a.db-wal").write_bytes(b"left by a crash")
    aside = restore(copy, path, force=True)
    assert aside is not None
    assert not path.with_name("a.db-wal").exists()
    assert aside.with_name(aside.name + "-wal").read_bytes() == b"left by a crash"
