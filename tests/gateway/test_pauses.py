"""Full garbage collections wait until nothing is going on, and Python's own rules come back at the end."""

import asyncio
import gc
import sys
from collections.abc import Iterator

import pytest

from gateway.pauses import EVERY_S, LATEST_S, NEVER, SWITCH_S, Pauses
from tests import virtual_time


@pytest.fixture
def full() -> Iterator[list[float]]:
    """When a full collection was made, in virtual seconds."""
    found: list[float] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 2:
            found.append(asyncio.get_running_loop().time())

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


def live(commits: Iterator[int], for_s: float) -> None:
    async def main() -> None:
        task = asyncio.create_task(Pauses(lambda: next(commits)).run())
        await asyncio.sleep(for_s)
        assert gc.get_threshold()[2] == NEVER
        assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
        await virtual_time.stopped(task)

    virtual_time.run(main)


def test_a_quiet_shop_collects_now_and_then_and_one_that_is_never_quiet_at_last(full: list[float]) -> None:
    live(iter(lambda: 0, None), 3 * EVERY_S + 1)
    assert full == [0.0, EVERY_S, 2 * EVERY_S, 3 * EVERY_S]
    full.clear()
    live(iter(range(10**6)), LATEST_S + 1)
    assert full == [0.0, LATEST_S]


def test_python_does_as_before_when_it_ends() -> None:
    thresholds, interval_s = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(701, 11, 12)
    sys.setswitchinterval(0.007)
    try:
        live(iter(lambda: 0, None), 10)
        assert gc.get_threshold() == (701, 11, 12)
        assert sys.getswitchinterval() == pytest.approx(0.007, rel=1e-3)
        assert gc.get_freeze_count() == 0
    finally:
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval_s)
