"""Orders of head office: good items become commands, bad ones facts with a reason; nothing that comes can raise."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages import (
    BindingsUpdate,
    CommandRefused,
    MasterRefused,
    PlanogramUpdate,
    PricePart,
    ProductsUpdate,
    Request,
    WaveRejected,
)
from gateway.uplink.orders import Arrival, Parsed, parse_order, refuse_whole

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ARRIVAL = Arrival(NOW, "hq", NOW)
JUICE, MILK = "06901234567892", "00012345600012"
KINDS = ("prices", "products", "bindings", "planogram", "commands/blink", "config", "commands/Bad Name")


def parse(kind: str, body: Any) -> Parsed:
    return parse_order(kind, body if isinstance(body, bytes) else json.dumps(body).encode(), ARRIVAL)


def products(*items: Any, **head: Any) -> Parsed:
    return parse("products", {"sequence": 77, "full": False, "products": items, **head})


def bindings(*items: Any, **head: Any) -> Parsed:
    return parse("bindings", {"sequence": 12, "full": False, "bindings": items, **head})


def reasons(parsed: Parsed) -> list[tuple[str | None, str]]:
    return [(fact.item, fact.reason) for fact in parsed.facts if isinstance(fact, MasterRefused)]


def test_products_of_the_contract_are_taken():
    item = {
        "gtin": JUICE,
        "sku": "A-17",
        "name": {"zh-Hans": "苹果汁 1L", "en": "Apple juice 1 L"},
        "unit": "EA",
        "net_content": "1 L",
        "weight_mg": 1040000,
        "category": "juice",
    }
    (command,) = products(item).commands
    assert isinstance(command, ProductsUpdate)
    assert (command.sequence, command.full, command.products[0].name["zh-Hans"]) == (77, False, "苹果汁 1L")


def test_a_bad_product_is_refused_and_named_while_the_others_are_taken():
    parsed = products(
        {"gtin": JUICE, "name": {"en": "juice"}},
        {"gtin": "00012345600019", "name": {"en": "milk"}},
        {"gtin": MILK, "name": {}},
        {"gtin": JUICE, "name": {"en": "juice again"}},
        3,
    )
    (command,) = parsed.commands
    assert isinstance(command, ProductsUpdate)
    assert [product.gtin for product in command.products] == [JUICE]
    assert reasons(parsed) == [
        ("00012345600019", "check digit is 9, should be 2"),
        (MILK, "name must give the name by language, one at least, got {}"),
        (JUICE, "gtin twice in this order"),
        ("item 4", "the item must be an object, got 3"),
    ]


@pytest.mark.parametrize(
    ("label", "stored"),
    [
        ("0000021b2c3d4e5f", "0000021B2C3D4E5F"),
        ("021b2C3d4E5F", "0000021B2C3D4E5F"),
        ("FFFF021B2C3D4E5F", "FFFF021B2C3D4E5F"),
    ],
)
def test_a_label_id_comes_to_sixteen_capitals(label: str, stored: str):
    (command,) = bindings({"label": label, "gtin": JUICE, "facing": "A1-3-2"}).commands
    assert isinstance(command, BindingsUpdate)
    assert command.bindings[0].label == stored


@pytest.mark.parametrize("label", ["", "12", "0000021B2C3D4E5", "0000021B2C3D4E5G", "00:00:02:1B:2C:3D", 5, None])
def test_a_bad_label_id_is_refused(label: Any):
    parsed = bindings({"label": label, "gtin": JUICE}, {"label": "0000021B2C3D4E5F", "gtin": None})
    (command,) = parsed.commands
    assert isinstance(command, BindingsUpdate)
    assert [binding.gtin for binding in command.bindings] == [None]
    assert "must be 12 or 16 hexadecimal digits" in reasons(parsed)[0][1]


def test_two_spellings_of_one_label_are_one_label():
    parsed = bindings({"label": "021b2c3d4e5f", "gtin": JUICE}, {"label": "0000021B2C3D4E5F", "gtin": MILK})
    assert reasons(parsed) == [("0000021B2C3D4E5F", "label twice in this order")]


def test_a_full_list_with_a_hole_removes_nothing():
    parsed = bindings({"label": "0000021B2C3D4E5F", "gtin": JUICE}, {"label": "nonsense", "gtin": MILK}, full=True)
    (command,) = parsed.commands
    assert isinstance(command, BindingsUpdate)
    assert not command.full
    assert reasons(parsed)[-1] == (None, "1 items were refused, so the others are added and nothing is removed")


def test_a_planogram_is_taken():
    (command,) = parse(
        "planogram", {"sequence": 3, "full": True, "facings": [{"facing": "A1-3-2", "gtin": JUICE, "quantity": 12}]}
    ).commands
    assert isinstance(command, PlanogramUpdate)
    assert command.full
    assert command.facings[0].quantity == 12


def test_a_command_is_taken_with_its_arguments():
    body = {
        "id": "cmd-9",
        "issued_at": "2026-11-22T10:00:00Z",
        "issuer": "hq/anna",
        "args": {"label": "0000021B2C3D4E5F", "seconds": 20},
    }
    (command,) = parse("commands/blink", body).commands
    assert isinstance(command, Request)
    assert (command.id, command.name, command.args["seconds"]) == ("cmd-9", "blink", 20)


@pytest.mark.parametrize(
    ("kind", "body", "command", "reason"),
    [
        ("commands/blink", b"{", None, "not JSON: EOF while parsing"),
        ("commands/blink", {"id": "c"}, "c", "issued_at is missing (and 1 more)"),
        ("commands/blink", {"id": "c", "issued_at": "2027-01-01T00:00:00Z", "issuer": "a"}, "c", "issued_at 2027"),
        ("commands/blink", b" " * 70_000, None, "70000 bytes, at most 65536"),
        ("commands/Bad Name", {}, None, "this gateway takes no such order"),
        ("planograms", {}, None, "this gateway takes no such order"),
        ("models", {}, None, "this gateway does not take models from head office yet; nothing was changed"),
        ("config", {"sequence": 1}, None, "this gateway does not take config from head office yet"),
    ],
)
def test_a_bad_command_is_refused_with_its_id(kind: str, body: Any, command: str | None, reason: str):
    parsed = parse(kind, body)
    (fact,) = parsed.facts
    assert isinstance(fact, CommandRefused)
    assert fact.command == command
    assert fact.reason.startswith(reason)
    assert parsed.refusal == fact.reason


def test_a_bad_master_order_is_refused_whole():
    parsed = parse("products", {"sequence": 2**60, "products": []})
    assert parsed.commands == ()
    assert reasons(parsed) == [(None, f"sequence should be less than or equal to {2**53 - 1}, got {2**60}")]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_too_large_to_keep_is_refused(kind: str):
    parsed = refuse_whole(kind, "99999999 bytes", ARRIVAL)
    assert len(parsed.commands + parsed.facts) == 1
    assert parsed.refusal is not None


def taken_or_refused(parsed: Parsed) -> bool:
    known = (PricePart, WaveRejected, ProductsUpdate, BindingsUpdate, PlanogramUpdate, Request)
    assert all(isinstance(command, known) for command in parsed.commands)
    assert all(isinstance(fact, MasterRefused | CommandRefused) for fact in parsed.facts)
    for message in (*parsed.commands, *parsed.facts):
        assert message.model_dump_json()
    return bool(parsed.commands or parsed.facts)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=10,
)
MEMBERS = ["sequence", "full", "products", "bindings", "facings", "id", "issued_at", "issuer", "args"]
ITEM = ["gtin", "name", "label", "facing", "quantity", "weight_mg", "unit"]


@given(st.sampled_from(KINDS), st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(kind: str, payload: bytes):
    assert taken_or_refused(parse(kind, payload))


@given(
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(MEMBERS), json_values),
    st.lists(st.dictionaries(st.sampled_from(ITEM), json_values | st.just(JUICE)), max_size=3),
)
def test_any_json_is_taken_or_refused(kind: str, body: dict[str, Any], items: list[Any]):
    member = {"products": "products", "bindings": "bindings", "planogram": "facings"}.get(kind)
    if member is not None:
        body = {"sequence": 1, member: items, **body}
        body = {name: value for name, value in body.items() if name in {"sequence", "full", member}}
    assert taken_or_refused(parse(kind, body))
