"""What head office sends is what the gateway takes: every body goes through the gateway's own parser."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from gateway import messages as m
from gateway.errors import Refused
from gateway.hq import orders
from gateway.hq.wire import down, stream_of
from gateway.uplink.orders import Arrival, parse_order
from gateway.uplink.topics import Topics

NOW = datetime(2026, 11, 22, 10, 0, 0, 123000, tzinfo=UTC)
ARRIVAL = Arrival(at=NOW, source="hq", trusted_now=NOW)
GTIN = "06901234567892"
HEAD = orders.WaveHead(
    orders.new_id(NOW),
    "hq/anna",
    NOW,
    orders.new_sequence(NOW),
    NOW + timedelta(hours=8),
    NOW + timedelta(days=7),
    "w0",
)


def taken(kind: str, body: bytes) -> m.Command:
    parsed = parse_order(kind, body, ARRIVAL)
    assert (parsed.facts, parsed.refusal) == ((), None)
    (command,) = parsed.commands
    return command


def test_a_wave_with_every_member() -> None:
    line = m.PriceLine(
        gtin=GTIN,
        price_minor=1290,
        currency="CNY",
        sku="A",
        unit_price_minor=2580,
        unit="kg",
        was_minor=1590,
        promo="双11",
    )
    part = taken("prices", next(orders.change(HEAD, [line])))
    assert isinstance(part, m.PricePart)
    assert (part.lines, part.refused) == ((line,), ())
    assert (part.wave.id, part.wave.sequence) == ("wave-20261122T100000.123Z", 1795341600123)
    assert (part.wave.effective_at, part.wave.expires_at) == (HEAD.effective_at, HEAD.expires_at)


def test_a_cancel() -> None:
    part = taken("prices", orders.cancel(HEAD))
    assert isinstance(part, m.PricePart)
    assert (part.wave.kind, part.wave.supersedes) == ("cancel", "w0")


def test_master_data() -> None:
    product = m.Product(gtin=GTIN, name={"zh-Hans": "苹果汁", "en": "Apple juice"}, weight_mg=1_040_000)
    unbound = m.Binding(label="0000021B2C3D4E5F", gtin=None)
    place = m.Facing(facing="A1", gtin=GTIN, position=3)
    commands = [
        taken("products", *orders.products([product], 7, full=True)),
        taken("bindings", *orders.bindings([unbound], 8, full=False)),
        taken("planogram", *orders.planogram([place], 9, full=False)),
    ]
    assert [command.model_dump()["sequence"] for command in commands] == [7, 8, 9]
    assert isinstance(commands[0], m.ProductsUpdate)
    assert (commands[0].full, commands[0].products) == (True, (product,))
    assert isinstance(commands[1], m.BindingsUpdate)
    assert commands[1].bindings == (unbound,)
    assert isinstance(commands[2], m.PlanogramUpdate)
    assert commands[2].facings == (place,)


def test_a_command() -> None:
    request = taken("commands/blink", orders.command("cmd-1", "hq/anna", NOW, {"seconds": 20}))
    assert isinstance(request, m.Request)
    assert (request.name, request.args) == ("blink", {"seconds": 20})


def test_a_big_list_goes_in_parts_unless_it_replaces_all() -> None:
    many = [m.Facing(facing=f"A{number}") for number in range(1200)]
    parts = [json.loads(body) for body in orders.planogram(many, 5, full=False)]
    assert [(part["sequence"], len(part["facings"])) for part in parts] == [(5, 500), (6, 500), (7, 200)]
    assert len(orders.planogram(many, 5, full=True)) == 1
    huge = [m.Facing(facing=f"{number:080}") for number in range(180_000)]
    with pytest.raises(Refused, match="more than one message can hold"):
        orders.planogram(huge, 5, full=True)


def test_topics_are_those_of_the_gateway() -> None:
    topics = Topics("0421", "gw1")
    assert stream_of(topics.up("business")) == ("gw1", "business")
    assert topics.kind(down("0421", "commands/blink")) == "commands/blink"
