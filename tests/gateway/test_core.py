"""The inbox: nothing is answered before its commit, one bad message stops nobody, a slow disk holds devices back."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest

from gateway import core as core_module
from gateway import messages as m
from gateway.core import INBOX_ENTRIES, Core
from gateway.errors import GatewayError, StoreError

AT = datetime(2026, 11, 22, tzinfo=UTC)


def event(body: str = "{}") -> m.SensorEvent:
    return m.SensorEvent(at=AT, source="s", body=body)


class Disk:
    """A store whose commits wait for leave."""

    def __init__(self) -> None:
        self.kept: list[m.Message] = []
        self.leave = asyncio.Event()
        self.leave.set()
        self.full = False
        self.broken = False

    def refusal(self, messages: Sequence[m.Message]) -> StoreError | None:
        return StoreError("full") if self.full and isinstance(messages[0], m.SensorEvent) else None

    async def append(self, messages: Sequence[m.Message]) -> None:
        await self.leave.wait()
        if self.broken:
            raise StoreError("damaged")
        self.kept += messages


class Echo:
    """Answers each sensor event with an alarm; fails on `bug`."""

    hears = (m.SensorEvent,)

    def feed(self, message: m.Message) -> Sequence[m.Message]:
        if message.body == "bug":
            raise ZeroDivisionError
        return [m.AlarmCleared(at=AT, source="s", alarm=message.body)]


class Long:
    """Answers an event in five steps, as if each took its whole turn; notes what it was given and how far it is."""

    hears = (m.SensorEvent,)

    def __init__(self) -> None:
        self.seen: list[str] = []

    def feed(self, message: m.Message) -> Sequence[m.Message]:
        return [one for step in self.steps(message) for one in step]

    def steps(self, message: m.Message) -> Iterator[Sequence[m.Message]]:
        for number in range(5):
            self.seen.append(f"{message.body}.{number}")
            yield [m.AlarmCleared(at=AT, source="s", alarm=self.seen[-1])]


class Rig:
    def __init__(self) -> None:
        self.disk = Disk()
        self.rebuilt = 0
        self.core = Core(self.disk, [Echo()], rebuild=self._rebuild)
        self.task = asyncio.create_task(self.core.run())

    async def _rebuild(self) -> None:
        self.rebuilt += 1


@pytest.fixture
async def rig():
    rig = Rig()
    yield rig
    rig.disk.leave.set()
    rig.task.cancel()
    await asyncio.gather(rig.task, return_exceptions=True)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_nobody_is_answered_before_the_commit(rig):
    rig.disk.leave.clear()
    emitting = asyncio.create_task(rig.core.emit(event("1")))
    await turns()
    assert not emitting.done()
    rig.disk.leave.set()
    await emitting
    assert [type(kept).__name__ for kept in rig.disk.kept] == ["SensorEvent", "AlarmCleared"]


async def test_what_follows_comes_back_to_who_submitted(rig):
    (fact,) = [f for f in await rig.core.submit(event("1")) if isinstance(f, m.AlarmCleared)]
    assert fact.alarm == "1"


async def test_order_is_kept_and_calls_that_wait_share_a_commit(rig):
    rig.disk.leave.clear()
    calls = [asyncio.create_task(rig.core.emit(event(str(n)))) for n in range(50)]
    await turns()
    rig.disk.leave.set()
    await asyncio.gather(*calls)
    assert [e.body for e in rig.disk.kept if isinstance(e, m.SensorEvent)] == [str(n) for n in range(50)]
    assert rig.core.batches <= 3


async def test_a_bug_met_by_one_message_stops_nobody_and_the_rules_are_rebuilt(rig):
    rig.disk.leave.clear()
    first, bad, last = (asyncio.create_task(rig.core.emit(event(body))) for body in ("1", "bug", "2"))
    await turns()
    rig.disk.leave.set()
    await first
    await last
    with pytest.raises(GatewayError, match="internal error"):
        await bad
    assert rig.rebuilt == 1
    assert [e.body for e in rig.disk.kept if isinstance(e, m.SensorEvent)] == ["1", "2"]


async def test_new_input_over_quota_is_refused_before_any_rule_sees_it(rig):
    rig.disk.full = True
    with pytest.raises(StoreError, match="full"):
        await rig.core.emit(event("1"))
    await rig.core.emit(m.AlarmCleared(at=AT, source="s", alarm="in motion"))
    assert len(rig.disk.kept) == 1


async def test_rules_that_are_ahead_of_a_failed_commit_are_rebuilt(rig):
    rig.disk.broken = True
    with pytest.raises(StoreError, match="damaged"):
        await rig.core.emit(event("1"))
    assert rig.rebuilt == 1


async def test_a_full_inbox_holds_the_device_back_and_loses_nothing(rig):
    rig.disk.leave.clear()
    calls = [asyncio.create_task(rig.core.emit(event(str(n)))) for n in range(3 * INBOX_ENTRIES)]
    await turns(50)
    assert rig.core.waiting == INBOX_ENTRIES
    rig.disk.leave.set()
    await asyncio.gather(*calls)
    assert len([e for e in rig.disk.kept if isinstance(e, m.SensorEvent)]) == 3 * INBOX_ENTRIES


async def test_a_stop_finishes_the_batch_in_hand_and_drains_the_rest(rig):
    rig.disk.leave.clear()
    first = asyncio.create_task(rig.core.emit(event("1")))
    await turns()
    second = asyncio.create_task(rig.core.emit(event("2")))
    await turns()
    rig.task.cancel()
    rig.disk.leave.set()
    await asyncio.gather(rig.task, return_exceptions=True)
    await rig.core.drain()
    await asyncio.gather(first, second)
    assert [e.body for e in rig.disk.kept if isinstance(e, m.SensorEvent)] == ["1", "2"]


class Repeater:
    """Says once more what a rule before it said, and never hears itself."""

    hears = (m.SensorEvent,)
    follows = (m.AlarmCleared,)

    def feed(self, message: m.Message) -> Sequence[m.Message]:
        return [m.AlarmCleared(at=AT, source="r", alarm="heard")] if isinstance(message, m.AlarmCleared) else []


async def test_a_rule_hears_what_rules_before_it_say_and_none_after_it() -> None:
    disk = Disk()
    core = Core(disk, [Repeater(), Echo(), Repeater()])
    task = asyncio.create_task(core.run())
    await core.emit(event("one"))
    said = [(fact.source, fact.alarm) for fact in disk.kept if isinstance(fact, m.AlarmCleared)]
    assert said == [("s", "one"), ("r", "heard")]
    task.cancel()


async def test_others_run_between_the_steps_of_a_long_rule_and_no_other_message_comes_between(monkeypatch) -> None:
    monkeypatch.setattr(core_module, "TURN_S", 0.0)
    rule, disk = Long(), Disk()
    core = Core(disk, [rule])
    task = asyncio.create_task(core.run())
    calls = [asyncio.create_task(core.emit(event(name))) for name in ("a", "b")]
    half_done = 0
    while not all(call.done() for call in calls):
        half_done += bool(rule.seen) and not rule.seen[-1].endswith("4")
        assert not (half_done and len(rule.seen) < 5 and disk.kept)
        await asyncio.sleep(0)
    assert half_done >= 8
    assert rule.seen == [f"{name}.{number}" for name in ("a", "b") for number in range(5)]
    assert [fact.alarm for fact in disk.kept if isinstance(fact, m.AlarmCleared)] == rule.seen
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("names", [("a",), ("a", "b")])
async def test_a_stop_in_the_middle_of_a_long_rule_finishes_it_before_the_rest(monkeypatch, names) -> None:
    monkeypatch.setattr(core_module, "TURN_S", 0.0)
    rule, disk = Long(), Disk()
    core = Core(disk, [rule])
    task = asyncio.create_task(core.run())
    calls = [asyncio.create_task(core.emit(event(names[0])))]
    await turns(5 + core_module.GATHER_TURNS)
    assert 0 < len(rule.seen) < 5
    calls += [asyncio.create_task(core.emit(event(name))) for name in names[1:]]
    await turns(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await core.drain()
    assert len(disk.kept) == 6 * len(names)
    await asyncio.gather(*calls)
    assert rule.seen == [f"{name}.{number}" for name in names for number in range(5)]
