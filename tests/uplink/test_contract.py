"""The contract's document is what the code does, and the committed copy is that document."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.messages import GATEWAY, AlarmCleared, SensorEvent, WaveAccepted, fact_types
from gateway.store.events import EventEncoder
from gateway.uplink.contract import as_yaml, document
from gateway.uplink.topics import Topics

COMMITTED = Path(__file__).parents[2] / "config" / "asyncapi.yaml"
AT = datetime(2026, 11, 22, tzinfo=UTC)
TOPICS = Topics("0421", "gw1")


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_the_committed_copy_is_fresh():
    assert COMMITTED.read_text("utf-8") == as_yaml(), "stale: aisled contract > config/asyncapi.yaml"


def test_the_yaml_says_what_the_document_says():
    assert yaml.safe_load(as_yaml()) == document()


def test_every_reference_leads_somewhere():
    whole = document()
    for reference in references(whole):
        place: Any = whole
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_fact_type_is_named_in_its_stream():
    messages = document()["components"]["messages"]
    for kind, fact in fact_types().items():
        named = [item["$ref"] for item in messages[f"{fact.stream}_batch"]["payload"]["items"]["oneOf"]]
        assert f"#/components/schemas/event.{kind}" in named
    business = messages["business_batch"]["payload"]["items"]["oneOf"]
    assert {"$ref": "#/components/schemas/event.sensor.event.business"} in business


@pytest.mark.parametrize(
    "fact",
    [
        AlarmCleared(at=AT, source=GATEWAY, alarm="a"),
        SensorEvent(at=AT, source="sensors", body='{"x":1}'),
        WaveAccepted(
            at=AT,
            source=GATEWAY,
            wave="w",
            kind="change",
            sequence=1,
            issuer="hq",
            effective_at=AT,
            effective_local="08:00",
            lines=1,
            refused=0,
            labels=1,
        ),
    ],
    ids=lambda fact: fact.type,
)
def test_an_encoded_event_has_the_members_of_the_document(fact: Any):
    event = yaml.safe_load(EventEncoder("0421", "gw1").encode(fact, 1, "synced"))
    schemas = document()["components"]["schemas"]
    assert list(schemas["CloudEvent"]["properties"]) == list(event)
    own = schemas[f"event.{fact.type}"]["allOf"][1]["properties"]
    assert own["type"]["const"] == event["type"]
    if "$ref" in own["data"]:
        data = schemas[own["data"]["$ref"].rpartition("/")[2]]
        assert list(data["properties"]) == list(event["data"])


def test_topics_are_those_of_the_contract():
    addresses = {channel["address"] for channel in document()["channels"].values()}
    ours = {TOPICS.up(what) for what in ("business", "telemetry", "status", "health")}
    orders = {TOPICS.down + kind for kind in ("prices", "products", "bindings", "planogram", "commands/{name}")}
    filled = {address.replace("{store}", "0421").replace("{gateway}", "gw1") for address in addresses}
    assert filled == ours | orders


@pytest.mark.parametrize(
    ("topic", "usable"),
    [
        ("hq/answers/7", True),
        ("", False),
        ("hq/+/x", False),
        ("hq/#", False),
        ("$SYS/x", False),
        ("aisled/v1/0421/down/commands/blink", False),
    ],
)
def test_an_answer_goes_nowhere_harmful(topic: str, *, usable: bool):
    assert TOPICS.may_answer_on(topic) is usable
