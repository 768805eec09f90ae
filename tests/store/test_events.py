"""One event on the wire: exact members, order, and a sensor's bytes unchanged."""

import json
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import messages as m
from gateway.store.events import EventEncoder, event_id, event_time
from tests.store.store_kit import AT, GTIN, LABEL

encoder = EventEncoder("0421", "gw1")


def shown(**changes: object) -> m.LabelShown:
    fields = {
        "at": datetime(2026, 11, 23, 0, 0, 41, 120_999, tzinfo=UTC), "source": "ap-1", "label": LABEL, "gtin": GTIN,
        "price_minor": 1290, "currency": "CNY", "wave": "wave-1", "digest": "9f" * 32, "revision": 3, "proof": "pixels",
        "cause": "wave-1",
    }  # fmt: skip
    return m.LabelShown.model_validate(fields | changes)


def test_event_has_the_members_of_the_contract_in_their_order() -> None:
    assert encoder.encode(shown(), 42, "synced").decode() == (
        '{"specversion":"1.0","id":"gw1-b-000000000042","source":"/stores/0421/gateways/gw1/devices/ap-1",'
        '"type":"aisled.label.shown.v1","time":"2026-11-23T00:00:41.120Z","sequence":"42","cause":"wave-1",'
        '"timequality":"synced","data":{"label":"0000021B2C3D4E5F","gtin":"06901234567892","price_minor":1290,'
        '"currency":"CNY","wave":"wave-1","digest":"' + "9f" * 32 + '","revision":3,"proof":"pixels","image":null}}'
    )


def test_the_gateway_itself_is_no_device() -> None:
    event = json.loads(encoder.encode(m.AlarmCleared(at=AT, source=m.GATEWAY, alarm="a"), 1, "unknown"))
    assert event["source"] == "/stores/0421/gateways/gw1"
    assert event["cause"] is None
    assert event["timequality"] == "unknown"


def test_an_id_of_the_origin_is_kept() -> None:
    event = json.loads(encoder.encode(shown(id='till-7"x'), 9, "synced"))
    assert (event["id"], event["sequence"]) == ('till-7"x', "9")


def test_a_sensors_object_passes_byte_for_byte() -> None:
    body = '{ "t":21.50, "name":"Kühlregal \\u2603", "t":1e3,"双":[ ] }'
    raw = encoder.encode(m.SensorEvent(at=AT, source="sensors", body=body), 7, "synced")
    assert raw.endswith(b'"data":' + body.encode() + b"}")
    assert b'"id":"gw1-t-000000000007"' in raw


@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),  # noqa: DTZ001 - the zone is drawn
    st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-9.5)), ZoneInfo("Asia/Tokyo")]),
    st.text(), st.text(min_size=1),
)  # fmt: skip
def test_any_fact_becomes_json_that_says_the_same(naive: datetime, zone: timezone, alarm: str, cause: str) -> None:
    at = naive.replace(tzinfo=zone)
    try:
        raw = encoder.encode(m.AlarmCleared(at=at, source=m.GATEWAY, alarm=alarm, cause=cause), 5, "synced")
    except UnicodeEncodeError:  # a lone surrogate is no text and cannot come from a parser
        return
    event = json.loads(raw)
    assert (event["data"], event["cause"]) == ({"alarm": alarm}, cause)
    assert datetime.fromisoformat(event["time"]) == at.astimezone(UTC).replace(
        microsecond=at.microsecond // 1000 * 1000
    )
    assert event["time"].endswith("Z")


def test_both_hours_of_a_clock_change_stay_apart() -> None:
    zone = ZoneInfo("Europe/Berlin")
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=zone, fold=fold) for fold in (0, 1))
    assert [event_time(first), event_time(second)] == ["2026-10-25T00:30:00.000Z", "2026-10-25T01:30:00.000Z"]


@pytest.mark.parametrize(("stream", "letter"), [("business", "b"), ("telemetry", "t")])
def test_ids_say_gateway_stream_and_sequence(stream: m.Stream, letter: str) -> None:
    assert event_id("gw1", stream, 42) == f"gw1-{letter}-000000000042"
