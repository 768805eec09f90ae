"""Topics and event batches: hostile bytes are refused with the evidence."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadFrame
from gateway.hq.wire import down, parse_batch, stream_of, up

GOOD = {
    "specversion": "1.0",
    "id": "gw1-b-000000000042",
    "source": "/stores/0421/gateways/gw1/devices/ap-1",
    "type": "aisled.label.shown.v1",
    "time": "2026-11-23T00:00:41.120Z",
    "sequence": "42",
    "cause": "wave-1",
    "timequality": "synced",
    "data": {"label": "0000021B2C3D4E5F"},
}
ANY_JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda one: st.lists(one) | st.dictionaries(st.text(), one)
)


def test_topics() -> None:
    assert down("0421", "prices") == "aisled/v1/0421/down/prices"
    assert up("0421", "business") == "aisled/v1/0421/+/up/business"
    assert stream_of("aisled/v1/0421/gw1/up/telemetry") == ("gw1", "telemetry")


def test_a_batch() -> None:
    (event,) = parse_batch(json.dumps([GOOD]).encode(), "business")
    assert (event.gateway, event.device, event.type, event.sequence) == ("gw1", "ap-1", "label.shown", 42)


@given(st.binary(max_size=100) | ANY_JSON.map(lambda one: json.dumps(one).encode()))
def test_any_bytes_are_a_batch_or_refused(payload: bytes) -> None:
    with suppress(BadFrame):
        assert parse_batch(payload, "business") == []


@given(st.sampled_from(sorted(set(GOOD) - {"specversion", "cause", "timequality"})), ANY_JSON)
def test_a_spoilt_member_is_refused_or_harmless(member: str, value: object) -> None:
    with suppress(BadFrame):
        (event,) = parse_batch(json.dumps([GOOD | {member: value}]).encode(), "business")
        assert isinstance(event.sequence, int)


def test_a_deep_and_a_huge_batch() -> None:
    with pytest.raises(BadFrame):
        parse_batch(b"[" * 200_000, "business")
    with pytest.raises(BadFrame, match="more than"):
        parse_batch(b"[]" + b" " * (8 << 20), "business")
