"""Head office's proof that nothing is missing."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.hq.completeness import Ledger, Range, add
from gateway.hq.wire import Event

AT = datetime(2026, 11, 22, tzinfo=UTC)


def event(
    sequence: int, stream: str = "business", *, event_id: str | None = None, kind: str = "x", **data: Any
) -> Event:
    name = event_id or f"gw1-{stream[0]}-{sequence}"
    return Event(name, "0421", "gw1", "ap-1", stream, kind, AT, sequence, None, data, {})


def feed(*events: Event) -> Ledger:
    ledger = Ledger()
    for one in events:
        ledger.feed(one)
    return ledger


def test_a_stream_without_a_gap_is_complete_in_any_order() -> None:
    ledger = feed(*map(event, [5, 7, 6, 8]))
    assert ledger.complete()
    assert ledger.report()[0] | {"first": 5, "last": 8, "events": 4, "out_of_order": 1} == ledger.report()[0]


def test_a_missing_number_is_named() -> None:
    ledger = feed(*map(event, [1, 2, 5, 9]))
    assert not ledger.complete()
    assert ledger.report()[0]["gaps"] == [[3, 4], [6, 8]]


def test_a_repeat_is_dropped_and_counted() -> None:
    ledger = feed(event(1), event(2))
    assert ledger.feed(event(2)) is False
    assert ledger.complete()
    assert ledger.report()[0]["repeats"] == 1


def test_two_events_of_one_number_are_a_conflict() -> None:
    ledger = feed(event(1), event(2), event(2, event_id="somebody-else"))
    assert not ledger.complete()
    assert ledger.report()[0]["conflicts"] == [2]


def test_what_the_gateway_says_it_dropped_is_no_gap() -> None:
    lost = event(
        7, kind="buffer.dropped", about="telemetry", count=3, first_sequence=11, last_sequence=13, reason="quota"
    )
    ledger = feed(event(10, "telemetry"), event(14, "telemetry"), lost)
    assert ledger.complete()
    ledger.feed(event(16, "telemetry"))
    assert [row["gaps"] for row in ledger.report()] == [[], [[15, 15]]]
    assert [row["dropped"] for row in ledger.report()] == [0, 3]


def test_the_count_goes_on_after_a_restart() -> None:
    before = feed(event(1), event(2), event(4))
    after = Ledger.from_json(json.loads(json.dumps(before.to_json())))
    assert after.report() == before.report()
    assert after.feed(event(2)) is False
    assert after.feed(event(3)) is True
    assert after.complete()


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8))))
def test_ranges_hold_just_what_was_added(starts: list[Range]) -> None:
    ranges: list[Range] = []
    expected: set[int] = set()
    for start, length in starts:
        ranges = add(ranges, (start, start + length))
        expected |= set(range(start, start + length + 1))
    assert {number for first, last in ranges for number in range(first, last + 1)} == expected
    assert all(before[1] + 1 < after[0] for before, after in pairwise(ranges))


@given(st.lists(st.integers(1, 40), min_size=1))
def test_gaps_are_what_is_missing_between_first_and_last(numbers: list[int]) -> None:
    ledger = feed(*map(event, numbers))
    missing = {number for first, last in ledger.report()[0]["gaps"] for number in range(first, last + 1)}
    first = ledger.report()[0]["first"]
    assert missing == set(range(min(numbers), max(numbers))) - set(numbers)
    assert first == min(numbers)
