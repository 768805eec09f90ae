"""Card numbers: found in any dress, let through where they are product codes, and never repeated by anyone."""

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._checkout_cards import card_member, is_product_code, is_suspect, looks_like_card, mask
from drivers._checkout_events import read_batch
from drivers._checkout_problem import Problem
from tests.drivers.checkout_shop import MILK, TILL, event, hear, item, open_shop

# Test numbers that card schemes publish for this purpose.
CARDS = [
    "4111111111111111",
    "4222222222222",
    "5555555555554444",
    "2223003122003222",
    "2720990000000007",
    "378282246310005",
    "30569309025904",
    "6011111111111117",
    "3530111333300000",
    "6200000000000005",
    "4000000000000000006",
]
WIDE = "\uff14" + "\uff11" * 15  # as a Chinese input method writes digits
DRESSED = [
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4111\u00a01111\u00a01111\u00a01111",
    "4111\u20111111\u20111111\u20111111",
    "3782 822463 10005",
    "3056 930902 5904",
    "card 4111111111111111.",
    "%B4111111111111111^DOE/J^2512",
    ";4111111111111111=2512",
    "4111 1111 1111 1111 2512",
    "4111111111111111 123",
    WIDE,
    "x4111111111111111x",
]
HARMLESS = [
    "4111111111111112",  # Luhn
    "1111111111111117",  # no issuer
    "2220990000000004",  # no issuer, next to one
    "2721000000000004",
    "411111111111",  # 12 digits
    "41111111111111111111",  # 20 digits
    "41 11 11 11 11 11 11 11",  # nobody prints it so
    "4111.1111.1111.1111",
    "0190a1b2-4111-7111-8111-411111111111",
    "2026-11-23T09:00:00.000Z",
    "",
]
CODES = [
    MILK,
    "6901234567892",
    "4006381333931",
    "96385074",
    "5901234123457",
    "]E04006381333931",
    "0104006381333931214111",
]


@pytest.mark.parametrize("text", CARDS + DRESSED)
def test_a_card_number_is_found(text: str) -> None:
    assert looks_like_card(text)
    assert is_suspect(json.dumps({"note": text}).encode())
    assert is_suspect(json.dumps({"note": text}, ensure_ascii=False).encode())
    assert not looks_like_card(mask(text))
    assert "****" in mask(f"a {text} b")
    assert "1111111" not in mask(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_none_is_let_through(text: str) -> None:
    assert not looks_like_card(text)
    assert mask(text) == text


@pytest.mark.parametrize("code", CODES)
def test_a_product_code_is_one_by_its_own_check_digit(code: str) -> None:
    assert is_product_code(code)


def test_a_product_code_that_passes_luhn_is_let_through_only_where_it_belongs() -> None:
    both = next(code for n in range(1000) if looks_like_card(code := gtin13(f"400638{n:06d}")))
    assert card_member({"data": {"scan": both, "gtin": both}}) is None
    assert card_member({"data": {"note": both}}) == "data.note"
    wrong = "4111111111111111"
    assert card_member({"data": {"scan": wrong}}) == "data.scan"


def gtin13(digits: str) -> str:
    odd, even = digits[0::2], digits[1::2]
    return digits + str(-(sum(map(int, odd)) + 3 * sum(map(int, even))) % 10)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"note": "4111111111111111"}, "data.note"),
        ({"a": [1, {"b": 4111111111111111}]}, "data.a.1.b"),
        ({"a": 4111111111111111.0}, "data.a"),
        ({"4111111111111111": 1}, "a name in data"),
        ({"a": True, "b": None, "c": 1.5}, None),
    ],
)
def test_it_is_found_wherever_it_stands(data, place) -> None:
    assert card_member({"data": data}) == place


# Drawn at random, in the recommended form; two of their groups look like a printed card that has a right Luhn digit.
UNLUCKY = [
    "019cf007-3765-7304-9295-1d5e77244b6c",
    "019c6660-0829-7347-8320-7de7de5aefdc",
    "019b2354-1917-7597-8195-f45c1473e2e1",
]


@pytest.mark.parametrize("name", [dress(one) for one in UNLUCKY for dress in (str, str.upper, "b-{}".format)])
def test_an_id_that_is_a_uuid_is_let_through_whatever_its_digits(name: str) -> None:
    assert looks_like_card(name)
    sent = [event(1, event_id=name), event(2, basket_id=name), event(3, event_id=name, at="yesterday")]
    batch = read_batch(json.dumps(sent).encode())
    assert [*batch.refused] == [2]
    assert batch.refused[2].event_id == name
    assert not read_batch(json.dumps(sent[0]).encode()).refused


@pytest.mark.parametrize(
    "name",
    ["4111111111111111", "b-4111-1111-1111-1111", "0-4111-1111-1111-1111", "019cf007-3765-7304-9295-1d5e77244b6c-1"],
)
def test_every_other_id_is_searched(name: str) -> None:
    for bad in (event(1, event_id=name), event(1, basket_id=name)):
        assert [*read_batch(json.dumps([bad]).encode()).refused] == [0]


@pytest.mark.parametrize("name", UNLUCKY)
def test_a_uuid_is_let_through_as_an_id_only(name: str) -> None:
    assert [*read_batch(json.dumps([event(1, "x", data={"note": name})]).encode()).refused] == [0]


WAYS = [
    event(1, "loyalty.shown", data={"note": "4111 1111 1111 1111"}),
    event(1, "loyalty.shown", data={"4111111111111111": 1}),
    event(1, "payment.failed", data={"reason": "card 4111111111111111 declined"}),
    event(1, event_id="4111111111111111"),
    event(1, basket_id="4111111111111111"),
    event(4111111111111111),
    item(1, scan="4111111111111111"),
    event(1, **{"4111111111111111": 1}),
    event(1, type_="x", data={"note": WIDE}),
]


@pytest.mark.parametrize("bad", WAYS)
@pytest.mark.parametrize("escaped", [False, True])
async def test_such_an_event_is_refused_and_goes_nowhere(tmp_path: Path, caplog, bad, escaped) -> None:
    caplog.set_level(logging.DEBUG)
    text = json.dumps(bad)
    if escaped:
        text = text.replace('"4111', '"\\u0034111')
    async with open_shop(tmp_path) as shop:
        path = f"/v1/sco/{TILL}/events"
        single = await shop.ask("POST", path, text.encode())
        batch = await shop.ask("POST", path, f"[{text},{json.dumps(event(2))}]".encode())
        async with shop.stream() as till:
            await hear(till, "ack")
            await till.send_str(text)
            frame = await hear(till)
    assert single.status == 422
    assert frame["type"] == "problem" or frame["results"][0]["result"] == "rejected"
    assert [one["result"] for one in batch.json["results"]] == ["rejected", "accepted"]
    kept = shop.tills.kept[TILL]
    assert list(kept) == ([1, 2] if bad["seq"] == 1 and bad["event_id"] == "e-1" else [2])
    behind = " ".join(one.model_dump_json() for one in kept.values())
    for said in (single.body.decode(), batch.body.decode(), json.dumps(frame), caplog.text, behind):
        assert "11111111" not in said.replace("-", "").replace(" ", "")
        assert WIDE[1:5] not in said


async def test_a_path_with_one_is_not_repeated(tmp_path: Path, caplog) -> None:
    async with open_shop(tmp_path) as shop:
        answers = [
            await shop.ask("GET", "/v1/price/4111111111111111"),
            await shop.ask("GET", "/v1/price/note4111111111111111"),
            await shop.ask("GET", "/v1/4111111111111111"),
            await shop.ask("GET", "/v1/sco/4111111111111111/ack"),
        ]
        answers.append(await shop.ask("GET", "/v1/sco/4111111111111111/ack", terminal=None))
    assert [answer.status for answer in answers] == [422, 422, 404, 403, 401]
    for answer in answers:
        assert b"11111111" not in answer.body
    assert "11111111" not in caplog.text


def test_no_problem_carries_one() -> None:
    problem = Problem(422, "refused", "4111111111111111 is no code")
    assert problem.members("/v1/price/4111111111111111")["detail"] == "**** is no code"
    assert b"4111" not in problem.body("/v1/price/4111111111111111")


def luhn_ok(digits: str) -> bool:
    doubled = [int(d) * (2 if at % 2 else 1) for at, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


@settings(max_examples=100, deadline=None)
@given(st.from_regex(r"(4|5|6|3|22[3-9])[0-9]{12,15}", fullmatch=True), st.sampled_from(["", "x", " ", ";", "é"]))
def test_luhn_decides(digits: str, around: str) -> None:
    text = around + digits + around
    assert looks_like_card(text) == luhn_ok(digits)
    assert looks_like_card(text) <= is_suspect(text.encode())


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("0123456789 -x4111111"), max_size=40))
def test_the_quick_look_misses_nothing_and_a_mask_leaves_none(text: str) -> None:
    if looks_like_card(text):
        assert is_suspect(text.encode())
    assert not looks_like_card(mask(text)) or "****" in mask(text)


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_any_bytes_are_read_or_refused_with_a_reason(body: bytes) -> None:
    found = None
    try:
        read_batch(body)
    except Problem as problem:
        found = problem
    assert found is None or (found.detail and found.status in (400, 413, 422))
