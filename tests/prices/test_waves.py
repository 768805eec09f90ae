"""Bytes of a price wave: every fault is a refusal with a reason that its sender can act on; good lines survive."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages import PricePart, WaveRejected
from gateway.prices.waves import MAX_BYTES, check_digit, gtin_fault, parse_part

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
JUICE = "06901234567892"
HEAD = {
    "id": "wave-1",
    "kind": "change",
    "issued_at": "2026-11-22T10:00:00Z",
    "issuer": "hq/anna",
    "sequence": 1842,
    "effective_at": "2026-11-23T00:00:00Z",
    "expires_at": None,
    "supersedes": None,
    "part": 1,
    "parts": 1,
}
LINE = {"gtin": JUICE, "price_minor": 1290, "currency": "CNY"}


def parse(body: Any, now: datetime | None = NOW) -> PricePart | WaveRejected:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_part(payload, at=NOW, source="hq", trusted_now=now)


def part(**changes: Any) -> PricePart:
    parsed = parse({**HEAD, "lines": [LINE], **changes})
    assert isinstance(parsed, PricePart), parsed
    return parsed


def rejection(now: datetime | None = NOW, **changes: Any) -> str:
    parsed = parse({**HEAD, "lines": [LINE], **changes}, now)
    assert isinstance(parsed, WaveRejected), parsed
    assert parsed.wave == changes.get("id", "wave-1")
    return parsed.reason


def line_reason(**changes: Any) -> str:
    """The reason of one bad line; the good one beside it must survive."""
    line = {key: value for key, value in {**LINE, **changes}.items() if value is not ...}
    parsed = part(lines=[{**LINE, "gtin": gtin(1)}, line])
    assert [good.gtin for good in parsed.lines] == [gtin(1)]
    assert [refusal.line for refusal in parsed.refused] == [1]
    return parsed.refused[0].reason


def gtin(number: int) -> str:
    body = f"{6900000000000 + number:013d}"
    return f"{body}{check_digit(body)}"


def test_the_example_of_the_contract_is_taken_whole():
    full = {**LINE, "sku": "A-17", "unit_price_minor": 2580, "unit": "kg", "was_minor": 1590, "promo": "双11"}
    parsed = part(lines=[{**full, "template": "promo"}])
    assert parsed.refused == ()
    assert parsed.lines[0].promo == "双11"
    assert parsed.wave.effective_at == datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize("known", ["06901234567892", "00012345600012", "04006381333931", "10614141543219"])
def test_check_digits_of_printed_gtins_hold(known: str):
    assert gtin_fault(known) is None


def test_every_single_wrong_digit_is_caught():
    for place in range(14):
        for digit in "0123456789":
            wrong = JUICE[:place] + digit + JUICE[place + 1 :]
            assert (gtin_fault(wrong) is None) == (wrong == JUICE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gtin": "06901234567895"}, "check digit is 5, should be 2"),
        ({"gtin": "6901234567892"}, "gtin must be 14 digits, got '6901234567892'"),
        ({"price_minor": 12.9}, "price_minor must be a whole number of minor units, got 12.9"),
        ({"price_minor": "1290"}, "price_minor must be a whole number of minor units, got '1290'"),
        ({"price_minor": True}, "price_minor must be a whole number of minor units, got True"),
        ({"price_minor": -1}, "price_minor must not be negative, got -1"),
        ({"price_minor": ...}, "price_minor is missing"),
        ({"currency": "cny"}, "currency must be three capital letters like CNY, got 'cny'"),
        ({"prise": 1}, "prise is no field of this order"),
        ({"promo": "a\x00b"}, "promo holds control characters"),
    ],
)
def test_a_bad_line_is_refused_alone(changes: dict[str, Any], reason: str):
    assert line_reason(**changes) == reason


def test_a_huge_number_is_refused_and_not_repeated_in_full():
    assert len(line_reason(price_minor=10**4000)) < 200


def test_a_gtin_counts_once_in_a_part():
    parsed = part(lines=[LINE, {**LINE, "gtin": gtin(1)}, {**LINE, "price_minor": 5}])
    assert [line.price_minor for line in parsed.lines] == [1290, 1290]
    assert parsed.refused[0].reason == "GTIN twice in this part, first in line 0"
    assert (parsed.refused[0].line, parsed.refused[0].gtin) == (2, JUICE)


def test_a_line_that_is_no_object_is_refused():
    parsed = part(lines=[LINE, 7, None, []])
    assert [refusal.reason for refusal in parsed.refused] == [
        "the line must be an object, got 7",
        "the line must be an object, got None",
        "the line must be an object, got []",
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"part": 0}, "part 0 of 1: parts count from 1"),
        ({"part": 3, "parts": 2}, "part 3 of 2: parts count from 1"),
        ({"expires_at": "2026-11-23T00:00:00Z"}, "expires_at must be later than effective_at"),
        ({"expire_at": "2026-11-24T00:00:00Z"}, "expire_at is no field of this order"),
        (
            {"effective_at": "2026-11-23T00:00:00"},
            "effective_at must be an instant with its offset like 2026-11-23T00:00:00Z, got '2026-11-23T00:00:00'",
        ),
        (
            {"effective_at": 1763856000},
            "effective_at must be an instant with its offset like 2026-11-23T00:00:00Z, got 1763856000",
        ),
        ({"issued_at": "2026-11-24T00:00:00Z"}, "issued_at 2026-11-24T00:00:00+00:00 is in the future"),
        ({"effective_at": "2029-11-23T00:00:00Z"}, "effective_at 2029-11-23T00:00:00+00:00 is more than 400 days"),
        ({"effective_at": "9999-12-31T23:59:59-23:59"}, "an instant lies outside of the years 2000 to 2099"),
        ({"sequence": -1}, "sequence must not be negative, got -1"),
        ({"sequence": 2**63}, "sequence must be at most 9007199254740991"),
        ({"kind": "delete"}, "kind must be change or cancel, got 'delete'"),
        ({"kind": "cancel"}, "a cancel has no lines"),
        ({"lines": []}, "there are no lines"),
        ({"issuer": "a\nb"}, "id and issuer must not hold control characters"),
        ({"lines": {}}, "lines should be a valid array, got {}"),
    ],
)
def test_a_bad_head_refuses_the_wave(changes: dict[str, Any], reason: str):
    assert rejection(**changes).startswith(reason)


def test_with_a_doubtful_clock_nothing_is_called_future():
    assert isinstance(parse({**HEAD, "lines": [LINE], "issued_at": "2031-01-01T00:00:00Z"}, None), PricePart)


def test_a_cancel_without_target_names_itself():
    assert part(kind="cancel", lines=[]).wave.supersedes == "wave-1"
    assert part(kind="cancel", lines=[], supersedes="wave-0").wave.supersedes == "wave-0"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not JSON: EOF while parsing"),
        (b'{"id":"wave-1"', "not JSON: EOF while parsing"),
        (b"\xff\xfe{\x00}", "not JSON: expected value"),
        (b'{"id":"\xe4"}', "not JSON: invalid unicode"),
        (b"[" * 100_000, "not JSON: recursion limit exceeded"),
        (b"[]", "the order must be an object, got []"),
        (b'{"id":"w","sequence":' + b"9" * 5000 + b"}", "not JSON: number out of range"),
        (b" " * (MAX_BYTES + 1), f"{MAX_BYTES + 1} bytes; send parts of at most {MAX_BYTES}"),
    ],
)
def test_bytes_that_are_no_wave_are_refused(payload: bytes, reason: str):
    parsed = parse(payload)
    assert isinstance(parsed, WaveRejected)
    assert parsed.reason.startswith(reason)


def test_thirty_thousand_lines_in_one_message_keep_their_order():
    lines = [{**LINE, "gtin": gtin(number), "price_minor": number} for number in range(30_000)]
    assert [line.price_minor for line in part(lines=lines).lines] == list(range(30_000))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_part_or_a_rejection(payload: bytes):
    assert isinstance(parse(payload), WaveRejected)


@given(
    st.dictionaries(st.sampled_from([*HEAD, "lines"]), json_values),
    st.lists(st.dictionaries(st.sampled_from([*LINE, "promo", "was_minor"]), json_values) | json_values, max_size=4),
)
def test_any_json_in_any_field_gives_a_part_or_a_rejection(changes: dict[str, Any], lines: list[Any]):
    parsed = parse({**HEAD, "lines": [LINE, *lines], **changes})
    assert isinstance(parsed, PricePart | WaveRejected)
    if isinstance(parsed, PricePart) and "lines" not in changes:
        assert len(parsed.lines) + len(parsed.refused) == 1 + len(lines)
        assert parsed.model_validate_json(parsed.model_dump_json()) == parsed


@given(st.integers(0, 10**13 - 1))
def test_a_computed_check_digit_is_right(number: int):
    body = f"{number:013d}"
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(body))
    assert (total + check_digit(body)) % 10 == 0
