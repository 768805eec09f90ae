"""Events of Intel RTSF clients: what they say becomes our events, with numbers and lines that they do not have."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._checkout_problem import Problem
from drivers._checkout_rtsf import NAMES, Lane, Money, as_event, instant, read, terminal_of_lane
from gateway.errors import StoreError
from gateway.messages import Outcome
from tests.drivers.checkout_shop import NOW, TILL, Shop, open_shop, until

POS, MS = "device-pos-rest", 1_763_888_400_123
AT = datetime(2025, 11, 23, 9, 0, 0, 123_000, tzinfo=UTC)
MONEY = Money("USD", 2)


def sent(**members) -> dict:
    said = {"lane_id": "1", "basket_id": "abc-012345-def", "customer_id": "joe5", "employee_id": "mary1"}
    return said | {"event_time": MS} | members


SCANNED = sent(
    product_id="571111",
    product_id_type="UPC",
    product_name="Red Wine",
    quantity=1.0,
    quantity_unit="EA",
    unit_price=17.8,
)


def translate(device: str, name: str, members: dict, lane: Lane | None = None, seq: int = 7):
    return as_event(read(device, name, json.dumps(members).encode()), lane or Lane(), seq, MONEY, NOW)


def test_an_item() -> None:
    event = translate(POS, "scanned-item", SCANNED)
    assert (event.type, event.seq, event.at, event.basket_id) == ("item.added", 7, AT, "abc-012345-def")
    assert event.data == {
        "line": 7,
        "gtin": "00000000571111",
        "scan": "571111",
        "quantity": 1,
        "unit_price_minor": 1780,
        "amount_minor": 1780,
        "currency": "USD",
    }


@pytest.mark.parametrize(
    ("quantity", "unit", "price", "wanted"),
    [
        (2, "Each", 0.99, {"quantity": 2, "unit_price_minor": 99, "amount_minor": 198}),
        (3.0, "EA", 1.005, {"quantity": 3, "unit_price_minor": 101, "amount_minor": 302}),
        (0.5, "kg", 8.0, {"weight_mg": 500_000, "unit_price_minor": 800, "amount_minor": 400}),
        (2, "lbs", 1.0, {"weight_mg": 907_185, "unit_price_minor": 220, "amount_minor": 200}),
        (100, "g", 0.01, {"weight_mg": 100_000, "unit_price_minor": 1000, "amount_minor": 100}),
    ],
)
def test_quantities_and_weights(quantity, unit, price, wanted) -> None:
    event = translate(POS, "scanned-item", SCANNED | {"quantity": quantity, "quantity_unit": unit, "unit_price": price})
    assert {name: event.data[name] for name in wanted} == wanted
    assert ("weight_mg" in event.data) == ("weight_mg" in wanted)


def test_a_basket_from_open_to_close() -> None:
    lane = Lane()

    def next_one(name: str, members: dict, seq: int) -> tuple[str, dict]:
        said = read(POS, name, json.dumps(members).encode())
        event = as_event(said, lane, seq, MONEY, NOW)
        lane.took(said, event)
        return event.type, event.data

    assert next_one("basket-open", sent(), 1) == ("basket.opened", {})
    next_one("scanned-item", SCANNED, 2)
    next_one("scanned-item", SCANNED | {"event_time": MS + 1}, 3)
    assert next_one("remove-item", SCANNED, 4) == ("item.voided", {"line": 3})
    paid = {"amount_minor": 1780, "currency": "USD"}
    assert next_one("payment-start", sent(), 5) == ("payment.started", paid)
    assert next_one("payment-success", sent(), 6) == ("payment.succeeded", paid)
    assert next_one("basket-close", sent(), 7) == ("basket.closed", {})
    assert next_one("remove-item", SCANNED, 8) == ("rtsf.remove_item", {"product": "00000000571111"})
    assert not lane.lines


@pytest.mark.parametrize(
    ("device", "name", "members", "kind", "data"),
    [
        ("device-scale-rest", "scale-item", {"total": 0.789, "units": "lbs"}, "bag.weight", {"weight_mg": 357_884}),
        ("device-scale-rest", "scale-item", {"total": 1, "units": "kg"}, "bag.weight", {"weight_mg": 1_000_000}),
        (
            "device-cv-roi-rest",
            "cv-roi-event",
            {"product_name": "wine", "roi_name": "Bagging", "roi_action": "ENTERED"},
            "roi.entered",
            {"roi": "Bagging", "item": "wine", "by": "camera"},
        ),
        (
            "device-rfid-roi-rest",
            "rfid-roi-event",
            {"epc": "30143639F8419145BEEF0011", "roi_name": "Goback", "roi_action": "EXITED"},
            "roi.exited",
            {"roi": "Goback", "item": "30143639F8419145BEEF0011", "by": "rfid"},
        ),
    ],
)
def test_other_devices(device, name, members, kind, data) -> None:
    event = translate(device, name, {"event_time": MS} | members)
    assert (event.type, event.data, event.basket_id) == (kind, data, None)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1_763_888_400, AT.replace(microsecond=0)),
        (MS, AT),
        (17_638_884_001_230, AT),
        (1_763_888_400_123_456, AT.replace(microsecond=123_456)),
        (1_763_888_400_123_456_789, AT.replace(microsecond=123_456)),
        ("1763888400123", AT),
        (None, NOW),
        (0, NOW),
        (-5, NOW),
        ("soon", NOW),
        (10**25, NOW),
        (9_999_999_999, NOW),
    ],
)
def test_a_time_by_its_magnitude(value, wanted) -> None:
    assert instant(value, NOW) == wanted


def test_names_of_people_go_nowhere() -> None:
    for (device, name), kind in NAMES.items():
        members = SCANNED | {"total": 1, "units": "kg", "roi_action": "ENTERED", "roi_name": "x"}
        text = translate(device, name, members).model_dump_json()
        assert "joe5" not in text, kind
        assert "mary1" not in text, kind


@pytest.mark.parametrize(
    ("device", "name", "body", "status"),
    [
        ("device-x-rest", "basket-open", b"{}", 404),
        (POS, "scale-item", b"{}", 404),
        (POS, "basket-open", b"{", 400),
        (POS, "basket-open", b"[]", 422),
        (POS, "scanned-item", b'{"unit_price":NaN}', 400),
        (POS, "scanned-item", b'{"unit_price":"NaN"}', 422),
        (POS, "scanned-item", b'{"unit_price":1e99}', 422),
        (POS, "scanned-item", b'{"unit_price":-1}', 422),
        (POS, "scanned-item", b'{"quantity":true}', 422),
        (POS, "scanned-item", b'{"product_id":"4111111111111111"}', 422),
        ("device-scale-rest", "scale-item", b'{"total":1,"units":"stone"}', 422),
        ("device-scale-rest", "scale-item", b'{"units":"kg"}', 422),
        ("device-cv-roi-rest", "cv-roi-event", b'{"roi_action":"LEFT"}', 422),
    ],
)
def test_what_cannot_be_understood(device, name, body, status) -> None:
    with pytest.raises(Problem) as refused:
        as_event(read(device, name, body), Lane(), 1, MONEY, NOW)
    assert refused.value.status == status
    assert "4111111" not in refused.value.detail


def test_lanes() -> None:
    assert terminal_of_lane("3", {}) == "lane-3"
    assert terminal_of_lane("3", {"3": "till-9"}) == "till-9"
    with pytest.raises(Problem, match="rtsf_lanes"):
        terminal_of_lane("../3", {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.decimals().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = [
    "lane_id",
    "basket_id",
    "event_time",
    "product_id",
    "quantity",
    "quantity_unit",
    "unit_price",
    "total",
    "units",
]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([*NAMES]),
    st.dictionaries(
        st.sampled_from([*MEMBERS, "roi_name", "roi_action", "epc"]), json_values | st.sampled_from(["kg", "ENTERED"])
    ),
    st.integers(1, 10**6),
)
def test_whatever_comes_is_an_event_or_a_problem(names, members, seq) -> None:
    found = None
    try:
        said = read(*names, json.dumps(members).encode())
        event = as_event(said, Lane(), seq, MONEY, NOW)
        terminal_of_lane(said.lane, {})
    except Problem as problem:
        found = problem
    assert found.detail if found else event.event_id.startswith("rtsf-")


@settings(max_examples=100, deadline=None)
@given(st.decimals(0, 10**6, places=4), st.integers(0, 4))
def test_money_is_rounded_once_and_half_up(amount: Decimal, digits: int) -> None:
    exact = amount * 10**digits
    assert abs(Money("XXX", digits).minor(amount) - exact) <= Decimal("0.5")


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    fields = {"rtsf": True, "rtsf_networks": ["127.0.0.0/8"], "rtsf_lanes": {"1": TILL}}
    async with open_shop(tmp_path, **fields) as shop:
        yield shop


def path_of(device: str, name: str) -> str:
    return f"/api/v1/resource/{device}/{name}"


async def test_clients_hear_exactly_200_and_a_repeat_is_one_event(shop: Shop) -> None:
    for name, members in [("basket-open", sent()), ("scanned-item", SCANNED), ("scanned-item", SCANNED)]:
        assert (await shop.ask("POST", path_of(POS, name), members, terminal=None)).status == 200
    kept = shop.tills.kept[TILL]
    assert [(seq, kept[seq].type) for seq in sorted(kept)] == [(1, "basket.opened"), (2, "item.added")]
    assert kept[2].data["currency"] == "CNY"


async def test_what_comes_at_once_is_numbered_one_by_one(shop: Shop) -> None:
    asked = [
        shop.ask("POST", path_of(POS, "scanned-item"), SCANNED | {"event_time": MS + n}, terminal=None)
        for n in range(20)
    ]
    shop.tills.hold = asyncio.Event()
    waiting = asyncio.gather(*asked)
    await until(lambda: len(shop.driver._gate.seats) == 20)
    asyncio.get_running_loop().call_later(0.05, shop.tills.hold.set)
    assert {one.status for one in await waiting} == {200}
    assert sorted(shop.tills.kept[TILL]) == list(range(1, 21))


async def test_an_event_that_was_known_before_a_restart_adds_no_line(shop: Shop, monkeypatch) -> None:
    async def known(*_) -> list[Outcome]:
        return [Outcome(event_id="e", seq=1, result="conflict", reason="this id is kept already")]

    with monkeypatch.context() as patch:
        patch.setattr(shop.tills, "take", known)
        assert (await shop.ask("POST", path_of(POS, "scanned-item"), SCANNED, terminal=None)).status == 200
    await shop.ask("POST", path_of(POS, "remove-item"), SCANNED, terminal=None)
    assert shop.tills.kept[TILL][1].type == "rtsf.remove_item"


async def test_lanes_have_numbers_of_their_own(shop: Shop) -> None:
    for lane in ("1", "2", 3):
        await shop.ask("POST", path_of(POS, "basket-open"), sent(lane_id=lane), terminal=None)
    assert {name: list(kept) for name, kept in shop.tills.kept.items()} == {TILL: [1], "lane-2": [1], "lane-3": [1]}


async def test_what_the_store_refuses_is_forgotten_and_can_come_again(shop: Shop) -> None:
    shop.tills.trouble = StoreError("the disk is full")
    assert (await shop.ask("POST", path_of(POS, "scanned-item"), SCANNED, terminal=None)).status == 503
    shop.tills.trouble = None
    assert (await shop.ask("POST", path_of(POS, "scanned-item"), SCANNED, terminal=None)).status == 200
    assert list(shop.tills.kept[TILL]) == [1]


async def test_only_allowed_addresses_and_no_web_pages(tmp_path: Path, caplog) -> None:
    async with open_shop(tmp_path, rtsf=True, rtsf_networks=["10.1.2.0/24"]) as shop:
        answer = await shop.ask("POST", path_of(POS, "basket-open"), sent(), terminal=None)
        assert (answer.status, answer.json["type"]) == (403, "urn:aisled:problem:address-not-allowed")
        assert {record.once for record in caplog.records} == {"rtsf 127.0.0.1"}


async def test_a_web_page_on_an_allowed_machine_is_refused(shop: Shop) -> None:
    origin = {"Origin": "http://evil.example"}
    answer = await shop.ask("POST", path_of(POS, "basket-open"), sent(), terminal=None, headers=origin)
    assert answer.status == 403
    assert not shop.tills.kept
