"""What the publisher decides: batches, turns, what is freed, what is set aside. The link is a script here."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drivers._mqtt import TooLarge
from gateway.errors import ConfigError, LinkDown, Rejected
from gateway.messages import AlarmRaised, BufferDropped, Command, Fact, Stream
from gateway.uplink.backoff import LONGEST_S, PERSON_S, QUICK_FOR_S, BackOff
from gateway.uplink.publisher import BYTES_A_BATCH, WINDOW, Publisher
from tests.mosquitto import Mosquitto, until
from tests.uplink.uplink_kit import TOPICS, FixedClock, HeadOffice, all_there, gateway

AT = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass
class Wire:
    """A link whose PUBACKs come when the test says so."""

    sent: list[tuple[str, list[int]]] = field(default_factory=list)
    waiting: list["asyncio.Future[None]"] = field(default_factory=list)
    max_packet: int = 1 << 20
    dropped: str = ""

    def publish(self, topic: str, payload: bytes) -> "asyncio.Future[None]":
        self.sent.append((topic.rpartition("/")[2], [event["n"] for event in json.loads(payload)]))
        self.waiting.append(asyncio.get_running_loop().create_future())
        return self.waiting[-1]

    def drop(self, reason: str) -> None:
        self.dropped = reason

    def puback(self, count: int = 1) -> None:
        for _ in range(count):
            self.waiting.pop(0).set_result(None)


class Rows:
    """An outbox in memory: events of one stream are `{"n": sequence, ...}`."""

    def __init__(self, **sizes: list[int]) -> None:
        self.events = {
            stream: [
                (number + 1, json.dumps({"n": number + 1, "x": "x" * size}).encode())
                for number, size in enumerate(sizes.get(stream, []))
            ]
            for stream in ("business", "telemetry")
        }
        self.freed: list[tuple[str, int]] = []
        self.committed: Callable[[], None] = lambda: None

    async def unsent(
        self, stream: Stream, after: int, limit: int = 100, max_bytes: int = 65536
    ) -> list[tuple[int, bytes]]:
        rows: list[tuple[int, bytes]] = []
        for sequence, event in self.events[stream][after : after + limit]:
            if rows and sum(len(row) for _, row in rows) + len(event) > max_bytes:
                break
            rows.append((sequence, event))
        return rows

    def free(self, stream: Stream, through: int) -> None:
        self.freed.append((stream, through))

    def on_commit(self, call: Callable[[], None]) -> None:
        self.committed = call


@dataclass
class Bench:
    publisher: Publisher
    rows: Rows
    kept: list[Command | Fact]

    @asynccontextmanager
    async def on(self, wire: Wire) -> AsyncIterator["asyncio.Task[None]"]:
        task = asyncio.ensure_future(self.publisher.serve(wire))  # type: ignore[arg-type]
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def bench(rows: Rows, **options: float) -> Bench:
    kept: list[Command | Fact] = []

    async def submit(*messages: Command | Fact) -> list[Fact]:
        kept.extend(messages)
        return []

    publisher = Publisher(rows, TOPICS.streams, submit, FixedClock(), **options)  # type: ignore[arg-type]
    return Bench(publisher, rows, kept)


async def settled(condition: Callable[[], bool]) -> None:
    await until(condition, 5)
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_batch_is_what_waits():
    rows, wire = Rows(telemetry=[0] * 250), Wire()
    async with bench(rows).on(wire):
        await settled(lambda: len(wire.sent) == 3)
    assert [len(numbers) for _, numbers in wire.sent] == [100, 100, 50]


async def test_a_batch_keeps_below_64_kib():
    rows, wire = Rows(telemetry=[10_000] * 30), Wire()
    async with bench(rows).on(wire):
        await settled(lambda: sum(len(numbers) for _, numbers in wire.sent) == 30)
    assert max(len(numbers) for _, numbers in wire.sent) == BYTES_A_BATCH // 10_020


async def test_twenty_in_flight_and_no_more():
    rows, wire = Rows(telemetry=[0] * 5000), Wire()
    async with bench(rows).on(wire):
        await settled(lambda: len(wire.sent) == WINDOW)
        wire.puback(3)
        await settled(lambda: len(wire.sent) == WINDOW + 3)
    assert rows.freed[-1] == ("telemetry", 300)


async def test_only_a_contiguous_prefix_is_freed():
    rows, wire = Rows(telemetry=[0] * 300), Wire()
    async with bench(rows).on(wire):
        await settled(lambda: len(wire.sent) == 3)
        wire.waiting[1].set_result(None)
        await settled(lambda: True)
        assert rows.freed == []
        wire.waiting[0].set_result(None)
        await settled(lambda: bool(rows.freed))
    assert rows.freed == [("telemetry", 200)]


async def test_business_goes_first_and_telemetry_is_not_starved():
    rows, wire = Rows(business=[0] * 2000, telemetry=[0] * 2000), Wire()
    async with bench(rows).on(wire):
        await settled(lambda: len(wire.sent) == WINDOW)
    streams = [stream for stream, _ in wire.sent]
    assert streams[:5] == ["business"] * 4 + ["telemetry"]
    assert streams.count("telemetry") == WINDOW // 5


async def test_the_next_link_sends_the_same_again_in_order():
    rows, first, second = Rows(telemetry=[0] * 300), Wire(), Wire()
    rig = bench(rows)
    async with rig.on(first):
        await settled(lambda: len(first.sent) == 3)
        first.puback()
        await settled(lambda: bool(rows.freed))
    async with rig.on(second):
        await settled(lambda: len(second.sent) == 2)
    assert second.sent == first.sent[1:]


async def test_silence_ends_the_link_and_frees_nothing():
    rows, wire = Rows(telemetry=[0] * 300), Wire()
    async with bench(rows, patience_s=0.05).on(wire) as task:
        with pytest.raises(LinkDown, match=r"acknowledged nothing for 0\.05 s"):
            await asyncio.wait_for(asyncio.shield(task), 5)
    assert (rows.freed, wire.dropped) == ([], "no PUBACK for 0.05 s")


async def test_new_rows_do_not_feed_the_watchdog():
    rows, wire = Rows(telemetry=[0]), Wire()
    async with bench(rows, patience_s=0.1).on(wire) as task:
        while not task.done():
            rows.events["telemetry"].append((len(rows.events["telemetry"]) + 1, b'{"n":0}'))
            rows.committed()
            await asyncio.sleep(0.02)
            assert len(wire.sent) < WINDOW, "the window is full: the test proves nothing"
    assert isinstance(task.exception(), LinkDown)


async def test_an_event_above_the_limit_is_set_aside_and_said():
    rows, wire = Rows(telemetry=[0, 0, 40_000, 0]), Wire()
    rig = bench(rows, max_message=20_000)
    async with rig.on(wire):
        await settled(lambda: len(wire.sent) == 1)
        assert rig.kept == []  # its turn comes when all before it is acknowledged
        wire.puback()
        await settled(lambda: len(wire.sent) == 2)
        wire.puback()
        await settled(lambda: ("telemetry", 4) in rows.freed)
    assert [numbers for _, numbers in wire.sent] == [[1, 2], [4]]
    dropped, alarm = rig.kept
    assert isinstance(dropped, BufferDropped)
    assert (dropped.count, dropped.first_sequence, dropped.last_sequence) == (1, 3, 3)
    assert isinstance(alarm, AlarmRaised)


async def test_a_batch_that_the_broker_finds_too_large_goes_one_by_one():
    rows, wire = Rows(business=[0] * 4), Wire()
    rig = bench(rows)
    async with rig.on(wire):
        await settled(lambda: len(wire.sent) == 1)
        wire.waiting.pop().set_exception(TooLarge("Packet too large"))
        for number in range(1, 5):
            await settled(lambda: bool(wire.waiting))
            assert wire.sent[-1][1] == [number]
            if number == 2:
                wire.waiting.pop().set_exception(TooLarge("Packet too large"))
            else:
                wire.puback()
        await settled(lambda: ("business", 4) in rows.freed)
    assert [message.first_sequence for message in rig.kept if isinstance(message, BufferDropped)] == [2]


async def broken_links(rig: Bench, count: int) -> list[int]:
    """Let so many links break on the first thing sent; return how many batches each one carried."""
    carried = []
    for _ in range(count):
        wire = Wire()
        async with rig.on(wire) as task:
            await settled(lambda wire=wire, task=task: bool(wire.sent) or task.done())  # type: ignore[misc]
            if wire.waiting:
                wire.waiting[0].set_exception(LinkDown("the connection broke"))
                await settled(task.done)
        carried.append(len(wire.sent))
    return carried


async def test_an_event_that_breaks_every_link_is_found_and_set_aside():
    """A broker with a limit that it does not announce hangs up on what is too large."""
    rows = Rows(telemetry=[20_000, *[0] * 300])
    rig = bench(rows, suspect_s=0.0)
    assert await broken_links(rig, 4) == [4, 4, 4, 1]
    wire = Wire()
    async with rig.on(wire):
        await settled(lambda: len(wire.sent) > 0)
        assert wire.sent[0][1] == [2]
        assert rows.freed == [("telemetry", 1)]
    assert [message.first_sequence for message in rig.kept if isinstance(message, BufferDropped)] == [1]


@pytest.mark.parametrize(("size", "suspect_s"), [(0, 0.0), (20_000, 300.0)], ids=["small", "not for long"])
async def test_a_network_that_breaks_links_costs_no_event(size: int, suspect_s: float):
    rows = Rows(telemetry=[size, *[0] * 50])
    rig = bench(rows, suspect_s=suspect_s)
    assert (await broken_links(rig, 12))[3:] == [1] * 9
    wire = Wire()
    async with rig.on(wire):
        for _ in range(51):
            await settled(lambda: bool(wire.waiting))
            wire.puback()
            if rows.freed and rows.freed[-1][1] == 51:
                break
        await settled(lambda: rows.freed[-1] == ("telemetry", 51))
    assert rig.kept == []
    assert [number for _, numbers in wire.sent for number in numbers] == list(range(1, 52))


async def test_a_broker_that_refuses_events_needs_a_person():
    rows, wire = Rows(business=[0]), Wire()
    async with bench(rows).on(wire) as task:
        await settled(lambda: len(wire.sent) == 1)
        wire.waiting.pop().set_exception(Rejected("Not authorized"))
        with pytest.raises(ConfigError, match="up/business: Not authorized"):
            await asyncio.wait_for(asyncio.shield(task), 5)
    assert rows.freed == []


async def test_on_a_real_broker_one_huge_event_holds_up_nobody(tmp_path: Path, broker: Mosquitto):
    office = HeadOffice()
    async with office.at(broker.url), gateway(tmp_path / "gw", broker.url, max_message_kib=16) as rig:
        await rig.emit(10)
        await rig.emit(1, size=20_000)
        await rig.emit(10)
        rig.emitted["telemetry"] -= 1
        rig.emitted["business"] = 2
        await all_there(office, rig)
    assert office.arrived["telemetry"] == [*range(1, 11), *range(12, 22)]
    assert [body["type"] for body in office.bodies if body["sequence"] in "12" and "-b-" in body["id"]] == [
        "aisled.buffer.dropped.v1",
        "aisled.alarm.raised.v1",
    ]


def test_the_ladder_of_waits():
    low, high = BackOff(lambda: 0.0), BackOff(lambda: 1.0)
    quick = [(low.delay_s(now), high.delay_s(now)) for now in range(int(QUICK_FOR_S))]
    assert set(quick) == {(0.5, 0.9)}
    later = [high.delay_s(QUICK_FOR_S + step) for step in range(12)]
    assert later == sorted(later)
    assert later[-1] == LONGEST_S
    assert low.delay_s(QUICK_FOR_S + 1) >= 0.9
    high.worked()
    assert high.delay_s(10_000) == 0.9


def test_who_is_turned_away_waits_longer():
    backoff = BackOff(lambda: 0.5)
    waits = [backoff.delay_s(step, PERSON_S) for step in range(4)]
    assert waits[0] == 0.75 * PERSON_S
    assert waits[-1] == 0.75 * LONGEST_S


async def test_what_is_committed_while_the_outbox_answers_is_not_forgotten():
    class Busy(Rows):
        async def unsent(
            self, stream: Stream, after: int, limit: int = 100, max_bytes: int = 65536
        ) -> list[tuple[int, bytes]]:
            found = await super().unsent(stream, after, limit, max_bytes)
            if stream == "telemetry" and len(self.events[stream]) < 5 and not found:
                self.events[stream].append((after + 1, json.dumps({"n": after + 1}).encode()))
                self.committed()
            return found

    wire = Wire()
    async with bench(Busy()).on(wire):
        await settled(lambda: len(wire.sent) == 5)
    assert [numbers for _, numbers in wire.sent] == [[1], [2], [3], [4], [5]]


async def test_an_answer_alone_wakes_nobody_when_there_is_nothing_to_send():
    rows, wire = Rows(telemetry=[0]), Wire()
    bed = bench(rows)
    asked = 0

    async def counted(*_: object) -> list[tuple[int, bytes]]:
        nonlocal asked
        asked += 1
        return await Rows.unsent(rows, *_)  # type: ignore[arg-type]

    rows.unsent = counted  # type: ignore[method-assign, assignment]
    async with bed.on(wire):
        await settled(lambda: len(wire.sent) == 1)
        before = asked
        wire.puback()
        await settled(lambda: rows.freed == [("telemetry", 1)])
    assert asked == before
