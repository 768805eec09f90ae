"""Events as they are sent: one for each step, place and bucket; the same words for the same thing; always valid."""

import copy
import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import messages as m
from gateway.epcis.compose import Composer, document, offset
from gateway.epcis.exporter import composer
from gateway.epcis.mapping import Steps
from gateway.epcis.names import Names
from gateway.epcis.rows import Item
from gateway.store.apply_epcis import row_of
from tests.epcis.epcis_kit import (
    AT,
    NO_GS1,
    SCHEMA,
    SHANGHAI,
    ZONES,
    arrived,
    config,
    epc,
    finished,
    left,
    make,
    moved,
    received,
    sold,
    written,
)

STEPS = Steps(ZONES, baskets=True)
LATER = AT + timedelta(seconds=9)
ALL: list[m.Fact] = [
    arrived("floor"),
    arrived("store-room", 2),
    moved("floor", "store-room", 3),
    received(4, 5, document="DN 7/ü"),
    sold(6),
    sold(7, kind="return", amount_minor=-500),
    left(8),
    left(9, epc=NO_GS1),
    written(),
    written(source="back"),
]


def items(facts: Sequence[m.Message], steps: Steps = STEPS) -> list[Item]:
    seen = [one for fact in facts for one in steps.observed(fact)]
    seen += steps.counted(finished(), [(epc(10), "floor"), (epc(11), "store-room")])
    return [Item(number, *row_of(one)) for number, one in enumerate(seen, 1)]


def events(facts: Sequence[m.Message], of: Composer | None = None, now: datetime = LATER) -> list[dict[str, Any]]:
    return [json.loads(event.body) for event in (of or make(config())).events(items(facts), now)]


def whole(of: Composer | None = None) -> dict[str, Any]:
    bodies = [event.body for event in (of or make(config())).events(items(ALL), LATER)]
    return dict(json.loads(document(bodies, LATER)))


def test_one_event_in_full() -> None:
    (found,) = [
        event for event in events(ALL) if event["bizStep"] == "receiving" and event["disposition"] != "returned"
    ]
    event_id = found.pop("eventID")
    assert event_id.startswith("urn:uuid:")
    assert event_id[23] == "5"  # a name-based UUID
    assert found == {
        "type": "ObjectEvent",
        "eventTime": "2026-11-22T08:00:00.000Z",
        "eventTimeZoneOffset": "+08:00",
        "recordTime": "2026-11-22T08:00:09.000Z",
        "epcList": [f"https://id.gs1.org/01/06901234567892/21/{n}" for n in (4, 5)],
        "action": "OBSERVE",
        "bizStep": "receiving",
        "disposition": "in_progress",
        "readPoint": {"id": "urn:x-aisled:0421:zones:dock"},
        "bizLocation": {"id": "urn:x-aisled:0421"},
        "bizTransactionList": [{"type": "desadv", "bizTransaction": "urn:x-aisled:0421:desadv:DN%207%2F%C3%BC"}],
    }


def test_what_the_standard_has_no_word_for_is_an_extension() -> None:
    found = events(ALL)
    assert {event["aisled:alarm"] for event in found if event["bizStep"] == "entering_exiting"} == {"exit:8", "exit:9"}
    assert [event["aisled:fromZone"] for event in found if "aisled:fromZone" in event] == ["store-room"]
    assert [event["aisled:session"] for event in found if event["bizStep"] == "cycle_counting"] == ["night"] * 2
    assert whole()["@context"][1] == {"aisled": "urn:x-aisled:epcis:"}


def test_items_of_one_bucket_are_one_event() -> None:
    near = [arrived(serial=n, at=AT + timedelta(milliseconds=300 * n)) for n in range(10)]
    found = make(config()).events(
        [Item(n, *row_of(one)) for n, fact in enumerate(near) for one in STEPS.observed(fact)], LATER
    )
    assert [event.items for event in found] == [4, 3, 3]  # 0 to 0.9 s, 1.2 to 1.8 s, 2.1 to 2.7 s
    assert json.loads(found[0].body)["eventTime"] == "2026-11-22T08:00:00.900Z"


def test_an_item_that_is_told_twice_in_a_bucket_is_there_once() -> None:
    twice = [Item(n, *row_of(one)) for n in (1, 2) for one in STEPS.observed(arrived())]
    (event,) = make(config()).events(twice, LATER)
    assert len(json.loads(event.body)["epcList"]) == event.items == 1


def test_a_whole_shop_is_several_events() -> None:
    shop = [
        Item(n, *row_of(one))
        for n, one in enumerate(STEPS.counted(finished(), [(epc(n), "floor") for n in range(2500)]))
    ]
    found = make(config()).events(shop, LATER)
    assert [event.items for event in found] == [1000, 1000, 500]
    assert len({json.loads(event.body)["eventID"] for event in found}) == 3


def test_what_is_composed_again_is_the_same_event() -> None:
    first, again = events(ALL), events(ALL, now=LATER + timedelta(hours=5))
    assert [event["eventID"] for event in first] == [event["eventID"] for event in again]
    other = events([*ALL[1:], arrived("floor", 77)])
    assert len({event["eventID"] for event in first} & {event["eventID"] for event in other}) == len(first) - 1


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from(["floor", "store-room"]), st.integers(0, 5_000_000)), max_size=60
    )
)
def test_nothing_is_lost_and_nothing_invented(reads: list[tuple[int, str, int]]) -> None:
    rows = [
        Item(number, *row_of(one))
        for number, (serial, zone, after_us) in enumerate(reads)
        for one in STEPS.observed(arrived(zone, serial, AT + timedelta(microseconds=after_us)))
    ]
    composed = make(config(bucket_s=2)).events(rows, LATER)
    bodies = [json.loads(event.body) for event in composed]
    told = {
        (uri, event["readPoint"]["id"], datetime.fromisoformat(event["eventTime"]))
        for event in bodies
        for uri in event["epcList"]
    }
    names = make(config())._names
    expected = {(names.epc(row.epc), names.place(row.place), row.at_us // 2_000_000) for row in rows}
    assert {(uri, place, int(at.timestamp()) // 2) for uri, place, at in told} == expected
    assert sum(event.items for event in composed) == len(expected)
    if bodies:
        SCHEMA.validate(json.loads(document([event.body for event in composed], LATER)))


@pytest.mark.parametrize(
    "of",
    [
        config(),
        config(epc_uris="urn", gln="6901234567892", uri_base="https://shops.example/0421"),
    ],
)
def test_every_event_is_valid(of: Any) -> None:
    SCHEMA.validate(whole(make(of)))
    assert {event["bizStep"] for event in whole(make(of))["epcisBody"]["eventList"]} == {
        "stocking",
        "storing",
        "receiving",
        "retail_selling",
        "entering_exiting",
        "killing",
        "cycle_counting",
    }


def _event(document: dict[str, Any]) -> Any:
    return document["epcisBody"]["eventList"][0]


def put(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: _event(document).__setitem__(key, value)


def drop(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: _event(document).__delitem__(key)


def put_above(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.__setitem__(key, value)


MUTANTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "no type": drop("type"),
    "no time": drop("eventTime"),
    "no offset": drop("eventTimeZoneOffset"),
    "no action": drop("action"),
    "nothing observed": drop("epcList"),
    "an empty list": put("epcList", []),
    "an item twice": lambda d: _event(d)["epcList"].append(_event(d)["epcList"][0]),
    "an item that is no URI": put("epcList", ["3074257BF7194E4000001A85"]),
    "a space in a URI": put("epcList", ["https://id.gs1.org/01/06901234567892/21/a b"]),
    "half an escape": put("epcList", ["https://id.gs1.org/01/06901234567892/21/a%2"]),
    "a letter beyond ASCII": put("epcList", ["https://id.gs1.org/01/06901234567892/21/ü"]),
    "a time without a zone": put("eventTime", "2026-11-22T08:00:00.000"),
    "a time in words": put("eventTime", "yesterday"),
    "the 13th month": put("eventTime", "2026-13-22T08:00:00Z"),
    "an offset without a sign": put("eventTimeZoneOffset", "08:00"),
    "an offset in minutes": put("eventTimeZoneOffset", 480),
    "an offset of a day": put("eventTimeZoneOffset", "+24:00"),
    "another action": put("action", "SEE"),
    "a step that is none": put("bizStep", "stolen"),
    "a step by a long name": put("bizStep", "urn:epcglobal:cbv:bizstep:receiving"),
    "a disposition that is none": put("disposition", "sold"),
    "a place that is text": put("readPoint", "urn:x-aisled:0421:zones:dock"),
    "a place without id": put("bizLocation", {}),
    "a transaction without itself": put("bizTransactionList", [{"type": "desadv"}]),
    "a transaction of another type": put("bizTransactionList", [{"type": "pos", "bizTransaction": "urn:x:y"}]),
    "an id that is no URI": put("eventID", "b3f1b0a2-6b0c-5d3e-8f3a-000000000000"),
    "a field without a prefix": put("alarm", "exit:1"),
    "data of manufacture of what is only seen": put("ilmd", {"urn:x:lot": "1"}),
    "a record time that is none": put("recordTime", 1_790_000_000),
    "another kind of event": put("type", "TransactionEvent"),
    "no context": lambda d: d.__delitem__("@context"),
    "a context of ours alone": put_above("@context", [{"aisled": "urn:x-aisled:epcis:"}]),
    "version 1": put_above("schemaVersion", "1.2"),
    "no creation": lambda d: d.__delitem__("creationDate"),
    "no events": put_above("epcisBody", {"eventList": []}),
    "an event where the list should be": lambda d: d.__setitem__("epcisBody", {"event": _event(d)}),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_document_is_refused(mutant: str) -> None:
    document = copy.deepcopy(whole())
    assert SCHEMA.is_valid(document)
    MUTANTS[mutant](document)
    assert not SCHEMA.is_valid(document)


def test_items_by_urn() -> None:
    names = Names(ZONES, "urn:x-aisled:0421", form="urn")
    assert names.epc(epc(4)) == "urn:epc:id:sgtin:6901234.056789.4"
    assert names.epc(NO_GS1) == f"urn:epc:raw:96.x{NO_GS1}"
    assert names.epc("F7180614141123458004D2AA") == "urn:epc:raw:96.xF7180614141123458004D2AA"


def test_places_by_gln_and_by_their_own_uri() -> None:
    names = Names(ZONES, "https://shops.example/0421", gln="6901234567892")
    assert names.shop() == "https://id.gs1.org/414/6901234567892"
    assert names.place("zones/store-room") == "https://id.gs1.org/414/6901234567892/254/store-room"
    assert names.place("zones/floor") == "https://id.gs1.org/414/6901234567892/254/f1"  # its read_point
    assert names.place("terminals/sco-1") == "https://shops.example/0421/terminals/sco-1"
    assert names.place("zones/" + "a" * 21) == f"https://shops.example/0421/zones/{'a' * 21}"  # too long for AI 254


def test_hidden_serials_stay_the_same_and_tell_nothing() -> None:
    hidden = Names(ZONES, "urn:x-aisled:0421", key=b"0123456789abcdef")
    other = Names(ZONES, "urn:x-aisled:0421", key=b"0123456789abcdeX")
    by_urn = Names(ZONES, "urn:x-aisled:0421", form="urn", key=b"0123456789abcdef")
    link = hidden.epc(epc(4_000_000_001))
    assert link.startswith("https://id.gs1.org/01/06901234567892/21/")
    assert "4000000001" not in link
    assert link == hidden.epc(epc(4_000_000_001))
    assert link != hidden.epc(epc(4_000_000_002))
    assert link != other.epc(epc(4_000_000_001))
    assert by_urn.epc(epc(4_000_000_001)) == f"urn:epc:id:sgtin:6901234.056789.{link.rsplit('/', 1)[1]}"
    assert NO_GS1 not in hidden.epc(NO_GS1)
    assert "1234567890" not in hidden.epc("3174257BF4499602D2000000")  # the number of an SSCC is a serial too


def test_no_serial_leaves_the_shop_when_they_are_hidden(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef\n", "utf-8")
    of = config(serials="hashed", hash_key_file=tmp_path / "key")
    facts = [arrived(serial=4_000_000_001), sold(4_000_000_002), left(4_000_000_003, id=None), left(1, epc=NO_GS1)]
    text = json.dumps(events(facts, composer(of, "0421", ZONES, SHANGHAI)))
    for secret in ("400000000", NO_GS1, NO_GS1.lower(), epc(4_000_000_001)):
        assert secret not in text


@pytest.mark.parametrize(
    ("zone", "at", "text"),
    [
        ("Asia/Shanghai", AT, "+08:00"),
        ("Asia/Kolkata", AT, "+05:30"),
        ("America/St_Johns", AT, "-03:30"),
        ("Pacific/Kiritimati", AT, "+14:00"),
        ("Europe/Berlin", AT, "+01:00"),
        ("Europe/Berlin", datetime(2026, 7, 1, tzinfo=UTC), "+02:00"),
        ("UTC", AT, "+00:00"),
    ],
)
def test_the_offset_is_that_of_the_shop_at_the_time(zone: str, at: datetime, text: str) -> None:
    assert offset(at.astimezone(ZoneInfo(zone))) == text


OFFICIAL = Path(os.environ.get("AISLED_DATA_DIR", "/nonexistent")) / "gs1-epcis"


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="GS1's schema and examples are not here (AISLED_DATA_DIR/gs1-epcis)")
def test_gs1_and_we_agree() -> None:
    """Their schema takes what we send, and ours takes each ObjectEvent of their examples."""
    theirs = jsonschema_rs.validator_for(
        json.loads((OFFICIAL / "EPCIS-JSON-Schema.json").read_text("utf-8")), validate_formats=True
    )
    for of in (config(), config(epc_uris="urn", gln="6901234567892", uri_base="https://shops.example/0421")):
        theirs.validate(whole(make(of)))
    examples = sorted((OFFICIAL / "JSON").rglob("*.jsonld"))
    assert examples
    for example in examples:
        said = json.loads(example.read_text("utf-8"))
        for event in said["epcisBody"].get("eventList", []):
            if event["type"] == "ObjectEvent":
                SCHEMA.validate({**whole(), "epcisBody": {"eventList": [event]}})
