"""Order and repeats of one terminal: waits, gaps given up, late ones, conflicts, and what memory bounds."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from gateway import messages as m
from gateway.rules import till_log
from gateway.rules.till_log import PATIENCE, TillLog
from gateway.sale_notes import KeptLog, SeenEvent, TillGapsKept, TillLogKept
from tests.rules.sales_kit import AT, Shop, event, of, outcomes, results


def numbered(*seqs: int) -> list[m.TillEvent]:
    return [event("session.opened", seq, None, at=AT) for seq in seqs]


def applied(log: TillLog, events: Sequence[m.TillEvent]) -> list[int]:
    return [ready.event.seq for one in events for ready in log.take(one)[1]]


def test_events_are_applied_in_order_and_wait_for_those_before() -> None:
    log = TillLog({})
    assert applied(log, numbered(2, 3, 1, 5)) == [1, 2, 3]
    assert log.ack_seq("sco-1") == 3
    assert applied(log, numbered(4)) == [4, 5]
    assert log.ack_seq("sco-1") == 5
    assert log.ack_seq("sco-2") == 0


@pytest.mark.parametrize("seq", [1, 3], ids=["applied", "waiting"])
@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({}, "duplicate"),
        ({"data": {"x": 1}, "digest": "f" * 64}, "conflict"),
        ({"event_id": "other"}, "conflict"),
        ({"seq": 9}, "conflict"),
    ],
    ids=["same", "other body", "other id", "other number"],
)
def test_a_repeat_is_told_from_a_conflict(seq: int, change: dict[str, object], result: str) -> None:
    log = TillLog({})
    first, third = numbered(1, 3)
    log.take(first)
    log.take(third)
    again = (first if seq == 1 else third)._replace(**change)
    outcome, ready, *_ = log.take(again)
    assert (outcome.result, list(ready)) == (result, [])
    assert (outcome.reason is None) == (result == "duplicate")


def test_a_gap_is_given_up_after_ten_minutes_if_others_wait() -> None:
    log = TillLog({})
    applied(log, numbered(1))
    assert log.tick(AT + timedelta(days=1)) == ([], [])
    applied(log, numbered(4, 5, 9))
    assert log.tick(AT + PATIENCE - timedelta(seconds=1)) == ([], [])
    ready, notes = log.tick(AT + PATIENCE)
    assert [one.event.seq for one in ready] == [4, 5, 9]
    assert [(gap.first_seq, gap.last_seq) for gap in of(notes, m.TillGap)] == [(2, 3), (6, 8)]
    assert log.ack_seq("sco-1") == 1  # the till may still have what is missing
    applied(log, numbered(2, 3))
    assert log.ack_seq("sco-1") == 5
    applied(log, numbered(6, 7, 8))
    assert log.ack_seq("sco-1") == 9


def test_a_gap_that_is_far_back_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(till_log, "REMEMBERED", 10)
    log = TillLog({})
    applied(log, numbered(1, 3))
    log.tick(AT + PATIENCE)
    assert log.ack_seq("sco-1") == 1
    applied(log, numbered(*range(4, 13)))
    assert log.ack_seq("sco-1") == 12


def test_what_comes_of_a_gap_given_up_is_applied_late_and_once() -> None:
    log = TillLog({})
    applied(log, numbered(1, 5))
    log.tick(AT + PATIENCE)
    outcome, (ready,), notes = log.take(numbered(3)[0])
    assert (outcome.result, ready.event.seq, ready.late) == ("accepted", 3, True)
    assert log.applied("sco-1") == (5, 3)
    assert notes[0].gaps == ((2, 2), (4, 4))
    assert log.take(numbered(3)[0])[0].result == "duplicate"
    assert applied(log, numbered(2, 4, 6)) == [2, 4, 6]


def test_too_many_waiting_give_up_the_gap_at_once() -> None:
    shop = Shop()
    followed = shop.feed(*numbered(*range(2, till_log.WAITING + 3)))
    (gap,) = of(followed, m.TillGap)
    assert (gap.first_seq, gap.last_seq) == (1, 1)
    assert results(followed) == ["accepted"] * (till_log.WAITING + 1)
    assert shop.rule.ack_seq("sco-1") == 0
    waiting = "SELECT count(*), sum(turn IS NULL) FROM till_event"
    assert shop.db.execute(waiting).fetchone() == (till_log.WAITING + 1, 0)


def test_a_number_that_is_not_remembered_is_a_conflict_and_never_a_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(till_log, "REMEMBERED", 10)
    log = TillLog({})
    applied(log, numbered(*range(1, 31)))
    other = {"event_id": "other"}
    outcome = log.take(numbered(20)[0]._replace(**other))[0]
    assert (outcome.result, outcome.reason) == ("conflict", "number 20 was used long ago; go on above 30")
    assert log.take(numbered(21)[0]._replace(**other))[0].result == "conflict"
    assert log.take(numbered(5)[0])[0].result == "conflict"
    assert len(log._logs["sco-1"]._marks) == 10


def test_the_log_goes_on_from_what_was_kept() -> None:
    first, second, fourth = numbered(1, 2, 4)
    seen = [SeenEvent(one.seq, one.event_id, one.digest) for one in (first, second, fourth)]
    log = TillLog({"sco-1": KeptLog(ack=2, turn=2, seen=seen, waiting=[fourth])})
    assert log.take(fourth)[0].result == "duplicate"
    assert log.take(second._replace(digest="0" * 64))[0].result == "conflict"
    _, ready, *_ = log.take(numbered(3)[0])
    assert [(one.turn, one.event.seq, one.waited) for one in ready] == [(3, 3, False), (4, 4, True)]


def test_gaps_given_up_are_remembered_over_a_restart_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    shop.feed(*numbered(1, 3, 5))
    shop.tick(minutes=11)
    shop.restart()
    assert results(shop.feed(*numbered(2, 2, 5))) == ["accepted", "duplicate", "duplicate"]
    shop.restart()
    assert results(shop.feed(*numbered(2, 4))) == ["duplicate", "accepted"]
    monkeypatch.setattr(till_log, "GAPS", 1)
    shop.feed(*numbered(7, 9))
    shop.tick(minutes=11)
    assert results(shop.feed(*numbered(8, 6))) == ["accepted", "conflict"]


def test_numbers_that_begin_again_are_a_conflict_that_says_where_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(till_log, "REMEMBERED", 10)
    shop = Shop()
    shop.feed(*numbered(*range(1, 31)))
    for restart in (False, True):
        if restart:
            shop.restart()
        sales = [event("item.added", seq, event_id=f"new{seq}") for seq in (1, 2)]
        assert [one.reason for one in outcomes(shop.feed(*sales))] == [
            "number 1 was used long ago; go on above 30",
            "number 2 was used long ago; go on above 30",
        ]


def test_many_gaps_are_given_up_some_in_a_tick_and_kept_once_each() -> None:
    shop = Shop()
    shop.feed(*numbered(*range(2, 2 * till_log.GIVEN_UP + 10, 2)))
    given_up = []
    for second in range(3):
        followed = shop.tick(AT + PATIENCE, seconds=second)
        gaps, kept = of(followed, m.TillGap), of(followed, TillGapsKept)
        given_up.append((len(gaps), len(kept), sum(len(one.applied) for one in of(followed, TillLogKept))))
        shop.restart()
    assert given_up == [(till_log.GIVEN_UP, 1, till_log.GIVEN_UP), (4, 1, 4), (0, 0, 0)]
    assert results(shop.feed(*numbered(1, 107, 109))) == ["accepted"] * 3


def test_a_batch_is_taken_in_short_steps_and_answered_at_the_end() -> None:
    events = tuple(numbered(*range(1, 26), 3, 40))
    batch = m.TillEvents(at=AT, source="sco", terminal="sco-1", events=events)
    *before, last = Shop().rule.steps(batch)
    assert (len(before), [one for step in before for one in step]) == (3, [])
    assert results(last) == ["accepted"] * 25 + ["duplicate", "accepted"]
    (kept,) = of(last, TillLogKept)
    assert [(one.event.seq, one.turn) for one in kept.kept] == [*((n, n) for n in range(1, 26)), (40, None)]
    assert (kept.ack, kept.turn) == (25, 25)
