"""The pure parts of a simulated till: money, names, the event log, the cache, answers that are wrong, fault files."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulators import _till_wire as wire
from drivers.simulators._till_basket import Quote, weighed_minor
from drivers.simulators._till_cache import Change, PriceCache
from drivers.simulators._till_clock import TillClock, rfc3339, uuid7
from drivers.simulators._till_lane import payments
from drivers.simulators._till_log import Event, EventLog
from drivers.simulators._till_machine import OutOfTurn, TillMachine
from drivers.simulators._till_script import FAULTS, BadScript, load_script
from drivers.simulators._till_shopper import Article, Scan, random_shopper
from drivers.simulators._till_truth import Ledger

AT = datetime(2026, 11, 23, 8, 0, 0, 123456, UTC)
MILK = "06901234567892"


def quote(price: int, **more) -> Quote:
    return Quote(MILK, price, more.pop("amount", price), "CNY", 7, AT, **more)


def machine() -> TillMachine:
    return TillMachine("sco-1", TillClock(lambda: 0.0, lambda: AT), random.Random(1), EventLog(), Ledger())


# money


@pytest.mark.parametrize(
    ("price", "weight_mg", "minor"), [(899, 333_000, 299), (100, 5000, 1), (100, 4999, 0), (899, 1_000_000, 899)]
)
def test_a_weight_costs_half_a_unit_up(price, weight_mg, minor) -> None:
    assert weighed_minor(price, weight_mg) == minor


def test_a_code_that_holds_its_own_amount_costs_that() -> None:
    till = machine()
    till.open()
    line = till.scan("2100001012345", quote(899, amount=1234, weight_mg=1_372_600), quantity=2)
    assert line.amount_minor == 2468
    assert till.log.events[-1].data["weight_mg"] == 1_372_600


@settings(max_examples=200)
@given(
    st.integers(-100_000, 100_000),
    st.lists(
        st.tuples(st.sampled_from(["cash", "card", "voucher"]), st.none() | st.integers(1, 200_000)),
        min_size=1,
        max_size=4,
    ),
)
def test_payments_add_up_to_what_is_due(due, tenders) -> None:
    paid = payments(due, tuple(tenders))
    assert sum(minor for _, minor in paid) == due
    assert paid
    if due > 0:
        assert all(minor > 0 for tender, minor in paid if tender == "voucher")


def test_what_is_out_of_turn_is_an_error_of_the_script() -> None:
    till = machine()
    with pytest.raises(OutOfTurn, match="no open basket"):
        till.scan("1", quote(1))
    with pytest.raises(OutOfTurn, match="no basket"):
        till.abandon("x")
    till.open()
    with pytest.raises(OutOfTurn, match="still open"):
        till.open()
    with pytest.raises(OutOfTurn, match="no line 1"):
        till.void(1)
    with pytest.raises(OutOfTurn, match="nothing to pay"):
        till.start_payment()
    with pytest.raises(OutOfTurn, match="no payment"):
        till.pay("card", 1)
    till.scan("1", quote(5))
    till.start_payment()
    with pytest.raises(OutOfTurn, match="5 are still due"):
        till.close()


def test_random_shoppers_do_everything_that_shoppers_do() -> None:
    rng = random.Random(0)
    articles = (Article(MILK, weight_mg=1_000_000), Article("02000000000008", by_weight=True))
    steps = [step for _ in range(1000) for step in random_shopper(rng, articles).steps]
    assert {type(step).__name__ for step in steps} == {
        "Scan",
        "Void",
        "Recount",
        "Wait",
        "Assist",
        "Fail",
        "Pay",
        "Leave",
    }
    assert any(step.returned for step in steps if isinstance(step, Scan))


# names and times


def test_a_name_is_a_uuid_of_version_7_that_sorts_by_time() -> None:
    rng = random.Random(1)
    names = [uuid7(AT + timedelta(milliseconds=5 * at), rng) for at in range(100)]
    assert names == sorted(set(names))
    assert {(UUID(name).version, UUID(name).variant) for name in names} == {(7, "specified in RFC 4122")}
    assert UUID(names[0]).int >> 80 == round(AT.timestamp() * 1000)


def test_times_are_written_in_milliseconds() -> None:
    clock = TillClock(lambda: 0.0, lambda: AT)
    clock.skew_s = 60.0
    assert (rfc3339(clock.true()), rfc3339(clock.wall())) == ("2026-11-23T08:00:00.123Z", "2026-11-23T08:01:00.123Z")


# the log


def filled(count: int, last_seq: int = 0) -> EventLog:
    log = EventLog(last_seq)
    for seq in range(last_seq + 1, last_seq + count + 1):
        log.append(Event(f"e{seq}", seq, "terminal.status", AT, AT, None, {}))
    return log


def seqs(log: EventLog) -> list[int]:
    return [event.seq for event in log.waiting(500)]


def test_the_log_knows_what_still_waits() -> None:
    log = filled(6)
    log.answer([1, 2, 5], [(4, "bad")], 2)
    assert (seqs(log), log.unsent(), log.ack_seq) == ([3, 6], 2, 2)
    log.answer([3, 6], [], 6)
    assert (seqs(log), log.unsent()) == ([], 0)


def test_a_gateway_that_has_less_than_it_said_gets_it_again() -> None:
    log = filled(6)
    log.answer(range(1, 7), [], 6)
    log.resume(3)
    assert seqs(log) == [4, 5, 6]
    log.answer([4], [], 2)
    assert seqs(log) == [3, 5, 6]


@pytest.mark.parametrize(("told", "waiting"), [(0, [11, 12]), (10, [11, 12]), (11, [12]), (99, [])])
def test_no_acknowledgement_leads_beyond_the_log(told, waiting) -> None:
    log = filled(2, 10)
    log.post(log.events)
    log.resume(told)
    assert seqs(log) == waiting
    assert log.passed_over == []


def test_what_was_never_sent_and_is_acknowledged_is_lost_and_said() -> None:
    log = filled(4)
    log.post(log.events[:1])
    log.resume(3)
    assert log.passed_over == [2, 3]


def test_an_empty_log_goes_on_after_the_last_till() -> None:
    log = EventLog()
    log.resume(41)
    assert log.next_seq == 42


# the cache


def test_a_lease_counts_from_before_the_question() -> None:
    cache = PriceCache()
    assert cache.lease(0.0) == "none"
    cache.granted(900, 100.0)
    assert (cache.lease(999.9), cache.lease(1000.0)) == ("held", "over")
    cache.granted(0, 1001.0)
    assert cache.lease(1001.0) == "over"


def test_an_older_line_never_overwrites_a_newer_one() -> None:
    cache = PriceCache()
    cache.apply([Change(5, MILK, 500, "CNY")], 5)
    cache.apply([Change(4, MILK, 400, "CNY")], 4)
    found = cache.price(MILK)
    assert found is not None
    assert (found.price_minor, cache.version) == (500, 5)
    cache.apply([Change(6, MILK, None, None)], 6)
    assert (cache.price(MILK), cache.on_sale()) == (None, [])


# answers

EVENTS = filled(2).events


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (wire.read_ack, b'{"ack_seq":"1"}'),
        (wire.read_ack, b'{"ack_seq":true}'),
        (wire.read_ack, b"[]"),
        (wire.read_ack, b"\xff"),
        (lambda body: wire.read_delivered(EVENTS, body), b'{"results":[],"ack_seq":0}'),
        (lambda body: wire.read_delivered(EVENTS, body), b'{"results":[1,2],"ack_seq":0}'),
        (lambda body: wire.read_batch(["1"], body, AT), b'{"prices":[]}'),
        (lambda body: wire.read_price(body, AT), b'{"gtin":"1"}'),
        (wire.read_feed, b""),
        (wire.read_feed, b'{"version":1,"gtin":"1","price_minor":1,"currency":"CNY"}\n'),
        (wire.read_feed, b'{"version":1,"gtin":"1","price_minor":1.5,"currency":"CNY"}\n{"version":1}\n'),
        (wire.read_lease, b'{"version":1}'),
    ],
)
def test_an_answer_that_is_none_is_said(read, body) -> None:
    with pytest.raises(wire.BadAnswer):
        read(body)


@given(st.binary(max_size=300))
@settings(max_examples=100)
def test_no_bytes_break_a_till(body) -> None:
    for read in (wire.read_ack, wire.read_feed, wire.read_lease, lambda one: wire.read_price(one, AT)):
        try:
            read(body)
        except wire.BadAnswer:
            continue


def test_a_code_is_escaped_in_a_path() -> None:
    assert wire.price_path("0100/1?\x1d#") == "/v1/price/0100%2F1%3F%1D%23"


def test_what_is_refused_has_its_reason() -> None:
    body = {"results": [{"result": "conflict", "reason": "used"}, {"result": "duplicate"}], "ack_seq": 2}
    said = wire.read_delivered(EVENTS, json.dumps(body).encode())
    assert (said.kept, said.refused, said.ack_seq) == ((2,), ((1, "conflict: used"),), 2)


# fault files


def test_a_fault_file_may_be_json_or_toml(tmp_path: Path) -> None:
    script = [{"at_s": 1.5, "fault": "offline", "seconds": 60, "terminal": "sco-1"}, {"at_s": 2, "fault": "die"}]
    as_json, as_toml = tmp_path / "faults.json", tmp_path / "faults.toml"
    as_json.write_text(json.dumps(script))
    as_toml.write_text(
        '[[fault]]\nat_s = 1.5\nfault = "offline"\nseconds = 60\nterminal = "sco-1"\n'
        '[[fault]]\nat_s = 2\nfault = "die"\n'
    )
    assert load_script(as_json, {"sco-1"}) == load_script(as_toml, {"sco-1"}) == script


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "must be a list"),
        ("[1]", "entry 0: not an object"),
        ("[", "cannot be read"),
        ('[{"fault":"die"}]', "at_s"),
        ('[{"at_s":-1,"fault":"die"}]', "at_s"),
        ('[{"at_s":NaN,"fault":"die"}]', "at_s"),
        ('[{"at_s":1,"fault":"explode"}]', "unknown fault 'explode'; known are cut_feed, die"),
        ('[{"at_s":1,"fault":"offline"}]', "offline needs 'seconds'"),
        ('[{"at_s":1,"fault":"die","down_s":true}]', "down_s cannot be True"),
        ('[{"at_s":1,"fault":"repeat","count":1.5}]', "count cannot be 1.5"),
        ('[{"at_s":1,"fault":"die","tag":1}]', r"not \['tag'\]"),
        ('[{"at_s":1,"fault":"die","terminal":"sco-9"}]', "no terminal 'sco-9'"),
    ],
)
def test_a_bad_fault_file_says_where_and_why(tmp_path: Path, text, said) -> None:
    path = tmp_path / "faults.json"
    path.write_text(text)
    with pytest.raises(BadScript, match=said):
        load_script(path, {"sco-1"})


def test_every_fault_can_be_told_from_a_file() -> None:
    assert set(FAULTS) == {
        "offline",
        "slow",
        "lose_answers",
        "cut_feed",
        "repeat",
        "shuffle",
        "skew",
        "stale_cache",
        "die",
        "die_at_send",
    }
