import asyncio
import contextlib
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.clock import BUILT, SystemClock, boot_seconds, kernel_is_synced, read_kept

DAY = timedelta(days=1)
TRUE = BUILT + 100 * DAY


class Machine:
    """A computer whose clock, uptime and time service a test can bend."""

    def __init__(self, wall: datetime = TRUE) -> None:
        self.wall = wall.timestamp()
        self.uptime = 50.0
        self.synced = False

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.uptime += seconds

    def set_clock(self, wall: datetime) -> None:
        self.wall = wall.timestamp()

    def clock(self, path: Path, known: datetime | None) -> SystemClock:
        return SystemClock(
            path, known=known, wall=lambda: self.wall, progress=lambda: self.uptime, synced=lambda: self.synced
        )


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_real_machine_is_asked(tmp_path: Path) -> None:
    clock = SystemClock.load(tmp_path)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert clock.quality == ("synced" if kernel_is_synced() else "holdover")
    assert boot_seconds() > 0


def test_plausible_time_is_followed(machine: Machine, tmp_path: Path) -> None:
    clock = machine.clock(tmp_path / "t", TRUE - DAY)
    assert clock.now() == TRUE
    assert clock.quality == "holdover"
    machine.pass_time(3600)
    machine.synced = True
    assert clock.now() == TRUE + timedelta(hours=1)
    assert clock.quality == "synced"


def test_service_lost_is_holdover(machine: Machine, tmp_path: Path) -> None:
    machine.synced = True
    clock = machine.clock(tmp_path / "t", TRUE)
    assert clock.quality == "synced"
    machine.synced = False
    machine.pass_time(10)
    assert clock.quality == "holdover"


@pytest.mark.parametrize("wrong", [TRUE - 365 * DAY, TRUE + 365 * DAY, datetime(1970, 1, 1, tzinfo=UTC)])
def test_a_year_wrong_at_start_keeps_last_known_and_recovers_alone(
    wrong: datetime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(wrong)
    clock = machine.clock(tmp_path / "t", TRUE)
    with caplog.at_level(logging.WARNING):
        assert clock.now() == TRUE
    assert "doubtful" in caplog.text
    machine.pass_time(7200)
    assert clock.now() == TRUE + timedelta(hours=2)
    assert clock.quality == "unknown"
    machine.set_clock(TRUE + timedelta(hours=2, minutes=3))
    machine.synced = True
    machine.pass_time(2)
    assert clock.now() == TRUE + timedelta(hours=2, minutes=3, seconds=2)
    assert clock.quality == "synced"


def test_a_clock_set_right_by_hand_recovers_without_a_time_service(tmp_path: Path) -> None:
    machine = Machine(TRUE - 365 * DAY)
    clock = machine.clock(tmp_path / "t", TRUE)
    assert clock.quality == "unknown"
    machine.set_clock(TRUE + 3 * DAY)
    assert clock.now() == TRUE + 3 * DAY
    assert clock.quality == "holdover"


def test_without_history_time_before_the_build_starts_at_the_build(tmp_path: Path) -> None:
    machine = Machine(datetime(1970, 1, 1, tzinfo=UTC))
    clock = machine.clock(tmp_path / "t", None)
    machine.pass_time(5)
    assert clock.now() == BUILT + timedelta(seconds=5)
    assert clock.quality == "unknown"


def test_without_history_a_shelf_stored_computer_is_believed(tmp_path: Path) -> None:
    clock = Machine(BUILT + 900 * DAY).clock(tmp_path / "t", None)
    assert clock.now() == BUILT + 900 * DAY
    assert clock.quality == "holdover"


@pytest.mark.parametrize("step", [-400 * DAY, 400 * DAY, timedelta(hours=-2)])
def test_step_while_running_is_doubted(machine: Machine, step: timedelta, tmp_path: Path) -> None:
    clock = machine.clock(tmp_path / "t", TRUE)
    machine.pass_time(10)
    assert clock.quality == "holdover"
    machine.set_clock(TRUE + step)
    assert clock.now() == TRUE + timedelta(seconds=10)
    assert clock.quality == "unknown"
    machine.set_clock(TRUE + timedelta(seconds=11))
    assert clock.quality == "holdover"


@pytest.mark.parametrize("step", [timedelta(days=-400), timedelta(days=400), timedelta(minutes=-1)])
def test_step_by_a_time_service_is_followed_at_once(machine: Machine, step: timedelta, tmp_path: Path) -> None:
    clock = machine.clock(tmp_path / "t", TRUE + 500 * DAY)  # poisoned by a run that had a wrong clock
    machine.set_clock(TRUE + 500 * DAY)
    assert clock.quality == "holdover"
    machine.set_clock(TRUE + 500 * DAY + step)
    machine.synced = True
    assert clock.now() == TRUE + 500 * DAY + step
    assert clock.quality == "synced"


def test_setting_the_clock_by_hand_revokes_the_kernels_word_at_once(machine: Machine, tmp_path: Path) -> None:
    machine.synced = True
    clock = machine.clock(tmp_path / "t", TRUE)
    assert clock.quality == "synced"
    machine.synced = False  # what the kernel does on clock_settime
    machine.set_clock(TRUE + 365 * DAY)
    assert clock.now() == TRUE
    assert clock.quality == "unknown"


def test_small_correction_back_is_no_doubt(machine: Machine, tmp_path: Path) -> None:
    clock = machine.clock(tmp_path / "t", TRUE)
    clock.now()
    machine.set_clock(TRUE - timedelta(seconds=90))
    assert clock.now() == TRUE - timedelta(seconds=90)
    assert clock.quality == "holdover"


def test_a_person_confirms_the_system_clock(tmp_path: Path) -> None:
    machine = Machine(TRUE + 200 * DAY)
    clock = machine.clock(tmp_path / "t", TRUE)
    assert clock.quality == "unknown"
    clock.confirm()
    assert clock.now() == TRUE + 200 * DAY
    assert clock.quality == "holdover"
    clock.save()
    assert read_kept(tmp_path / "t") == TRUE + 200 * DAY


def test_a_person_tells_the_time(tmp_path: Path) -> None:
    machine = Machine(datetime(1970, 1, 1, tzinfo=UTC))
    clock = machine.clock(tmp_path / "t", TRUE)
    clock.confirm(TRUE + 5 * DAY)
    machine.pass_time(60)
    assert clock.now() == TRUE + 5 * DAY + timedelta(minutes=1)
    assert clock.quality == "holdover"
    machine.synced = True
    machine.set_clock(TRUE + 6 * DAY)
    assert clock.now() == TRUE + 6 * DAY
    assert clock.quality == "synced"


@pytest.mark.parametrize(
    "content", ["", "nonsense", "9999-12-31T23:59:59+00:00", "2026-12-01T00:00:00", "1970-01-01T00:00:00+00:00", "\xff"]
)
def test_damaged_file_is_no_history(content: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(content.encode("latin-1"))
    assert read_kept(tmp_path / "t") is None


async def test_run_keeps_the_time_and_survives_a_full_disk(machine: Machine, tmp_path: Path) -> None:
    missing = tmp_path / "gone" / "t"
    clock = machine.clock(missing, TRUE)
    with pytest.raises(FileNotFoundError):
        clock.save()
    task = asyncio.create_task(clock.run())
    await asyncio.sleep(0)
    clock_here = machine.clock(tmp_path / "t", TRUE)
    other = asyncio.create_task(clock_here.run())
    async with asyncio.timeout(5):
        while not (tmp_path / "t").exists():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.005)
    assert not task.done()
    for each in (task, other):
        each.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await each
    assert read_kept(tmp_path / "t") == TRUE
