import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers._sensor_events import MAX_DEPTH, MAX_EVENTS, MAX_PAYLOAD, Recipe, parse, pointer_tokens
from gateway.messages import SensorEvent, SensorEventKept

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
PLAIN = Recipe("sensors")
BY_ID = Recipe("sensors", id_at=("id",))
BY_TIME = Recipe("sensors", time_at=("t",))

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.text(), values, max_size=5)
blanks = st.text(alphabet=" \t\n\r", max_size=3)


def kinds(payload: bytes, recipe: Recipe = PLAIN) -> list[str]:
    return [kind for kind, _ in parse(payload, recipe, NOW).refused]


def bodies(payload: bytes, recipe: Recipe = PLAIN) -> list[str]:
    return [event.body for event in parse(payload, recipe, NOW).events]


@given(st.binary(max_size=300))
@example(b"\xef\xbb\xbf{}")
@example(b"[{},")
@example(b"9" * 5000)
def test_no_bytes_can_raise(payload: bytes) -> None:
    for recipe in (PLAIN, BY_ID, BY_TIME, Recipe("s", value_at=("a", "0"))):
        parsed = parse(payload, recipe, NOW)
        for event in parsed.events:
            assert event.body.encode() in payload


@given(given_objects=st.lists(objects, max_size=6), ascii_only=st.booleans(), before=blanks, after=blanks)
def test_each_object_passes_byte_for_byte(
    given_objects: list[Any], *, ascii_only: bool, before: str, after: str
) -> None:
    texts = [json.dumps(one, ensure_ascii=ascii_only) for one in given_objects]
    texts = [text.encode("utf-8", "replace").decode() for text in texts]  # lone surrogates are no UTF-8
    payload = f"{before}[{before}{f'{after},{before}'.join(texts)}{after}]{after}".encode()
    parsed = parse(payload, PLAIN, NOW)
    assert [event.body for event in parsed.events] == texts
    assert not parsed.refused
    for text in texts:
        assert bodies(f"{before}{text}{after}".encode()) == [text]


@given(st.lists(values, max_size=6))
def test_good_events_of_an_array_are_kept_and_bad_ones_counted(mixed: list[Any]) -> None:
    parsed = parse(json.dumps(mixed).encode(), PLAIN, NOW)
    assert [json.loads(event.body) for event in parsed.events] == [one for one in mixed if isinstance(one, dict)]
    assert len(parsed.refused) == sum(not isinstance(one, dict) for one in mixed)


@given(objects, st.data())
def test_a_truncated_message_is_refused_as_a_whole(one: dict[str, Any], data: st.DataObject) -> None:
    payload = json.dumps([one, one], ensure_ascii=True).encode()
    cut = data.draw(st.integers(0, len(payload) - 1))
    assert kinds(payload[:cut]) == ["not_json"]
    assert bodies(payload[:cut]) == []


@given(values)
def test_pointers_find_what_python_finds(value: Any) -> None:
    paths: list[tuple[tuple[str, ...], Any]] = []

    def walk(at: Any, tokens: tuple[str, ...]) -> None:
        paths.append((tokens, at))
        pairs = at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ()
        for token, child in pairs:
            walk(child, (*tokens, str(token)))

    walk(value, ())
    for tokens, child in paths:
        text = "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)
        assert pointer_tokens(text) == tokens
        recipe = Recipe("s", value_at=("in", *tokens), value_type="any")
        assert not kinds(json.dumps({"in": value}).encode(), recipe), (tokens, child)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"", "not_json"),
        (b"   ", "not_json"),
        (b"{} {}", "not_json"),
        (b"[{}] x", "not_json"),
        (b"[{},]", "not_json"),
        (b"[{} {}]", "not_json"),
        (b"[", "not_json"),
        (b"{'id': 1}", "not_json"),
        (b'{"a": "\x01"}', "not_json"),
        (b"\xef\xbb\xbf{}", "not_json"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not_json"),
        ('{"a": "é"}'.encode("latin-1"), "not_utf8"),
        ('{"a": 1}'.encode("utf-16"), "not_utf8"),
        (b"7", "not_object"),
        (b'"text"', "not_object"),
        (b"[[]]", "not_object"),
        (b'{"a": NaN}', "not_finite"),
        (b'{"a": [-Infinity]}', "not_finite"),
        (b"[" * 200_000, "too_deep"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "too_deep"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "too_deep"),
        (b" " * MAX_PAYLOAD + b"{}", "too_large"),
        (b"[" + b"{}," * MAX_EVENTS + b"{}]", "too_many"),
    ],
)
def test_refusals(payload: bytes, kind: str) -> None:
    parsed = parse(payload, PLAIN, NOW)
    assert [name for name, _ in parsed.refused] == [kind]
    assert parsed.refused[0][1]
    assert not parsed.events


def test_limits_are_not_one_too_low() -> None:
    assert len(bodies(b"[" + b"{}," * (MAX_EVENTS - 1) + b"{}]")) == MAX_EVENTS
    assert bodies(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH)
    wide = json.dumps({"a": [[] for _ in range(1000)]}).encode()
    assert bodies(wide) == [wide.decode()]
    assert bodies(b'{"a": "NaN and Infinity are words"}')
    assert bodies(b"[]") == []
    assert kinds(b"[ ]") == []


def test_an_array_with_a_constant_loses_only_that_event() -> None:
    payload = b'[{"a": 1}, {"a": NaN}, {"a": "NaN"}]'
    assert bodies(payload) == ['{"a": 1}', '{"a": "NaN"}']
    assert kinds(payload) == ["not_finite"]


@pytest.mark.parametrize(
    ("raw", "name"),
    [('"e-1"', "s-e-1"), ("17", "s-17"), ("-3", "s--3"), ('"货架 1"', "s-货架 1"), ('"' + "x" * 128 + '"', None)],
)
def test_ids(raw: str, name: str | None) -> None:
    [event] = parse(f'{{"id": {raw}}}'.encode(), Recipe("s", id_at=("id",)), NOW).events
    assert event.id == (name or "s-" + "x" * 128)


@pytest.mark.parametrize(
    "raw", ['""', "null", "true", "1.5", "[]", '"' + "x" * 129 + '"', '"a\\u0000"', '"\\ud800"', '"a\\nb"']
)
def test_bad_ids(raw: str) -> None:
    assert kinds(f'{{"id": {raw}}}'.encode(), BY_ID) == ["bad_id"]


def test_what_is_not_there() -> None:
    assert kinds(b'{"ID": 1}', BY_ID) == ["no_id"]
    assert kinds(b'{"a": 1}', BY_TIME) == ["no_time"]
    deep = Recipe("s", value_at=("a", "1", "b"))
    assert kinds(b'{"a": [{}, {"b": 2}]}', deep) == []
    assert kinds(b'{"a": [{}]}', deep) == ["no_value"]
    assert kinds(b'{"a": 5}', deep) == ["no_value"]
    for token in ("01", "-1", "+1", "1 ", "\u0661", "99999999999"):
        assert kinds(b'{"a": [1, 2]}', Recipe("s", value_at=("a", token))) == ["no_value"]


@pytest.mark.parametrize(
    ("raw", "at"),
    [
        ('"2026-11-23T07:59:59.5Z"', NOW - timedelta(seconds=0.5)),
        ('"2026-11-23T15:00:00+08:00"', NOW - timedelta(hours=1)),
        ("1795420799", datetime.fromtimestamp(1795420799, UTC)),
        ("1795420799.25", datetime.fromtimestamp(1795420799.25, UTC)),
        ("1795420799250", datetime.fromtimestamp(1795420799.25, UTC)),
    ],
)
def test_times(raw: str, at: datetime) -> None:
    parsed = parse(f'{{"t": {raw}}}'.encode(), BY_TIME, NOW)
    assert [event.at for event in parsed.events] == [at]
    assert parsed.events[0].at.tzinfo is UTC
    assert parsed.wrong_times == 0


@pytest.mark.parametrize(
    "raw", ["null", "true", '"soon"', '"2026-11-23T08:00:00"', "1e300", "[1]", "1e999", '"9999-12-31T23:59:59-08:00"']
)
def test_no_times(raw: str) -> None:
    assert kinds(f'{{"t": {raw}}}'.encode(), BY_TIME) == ["bad_time"]


@pytest.mark.parametrize("raw", ["0", '"1970-01-01T00:00:00Z"', '"2026-11-25T00:00:00Z"', '"2126-01-01T00:00:00Z"'])
def test_a_sensor_whose_clock_is_wrong_loses_no_event(raw: str) -> None:
    parsed = parse(f'{{"t": {raw}}}'.encode(), BY_TIME, NOW)
    assert [event.at for event in parsed.events] == [NOW]
    assert (parsed.wrong_times, parsed.refused) == (1, [])


@pytest.mark.parametrize(
    ("raw", "wanted", "fits"),
    [
        ("1", "number", True),
        ("-1.5e3", "number", True),
        ("true", "number", False),
        ('"1"', "number", False),
        ("1e999", "number", False),
        ('"1"', "text", True),
        ("1", "text", False),
        ("false", "boolean", True),
        ("0", "boolean", False),
        ("null", "any", True),
    ],
)
def test_values(raw: str, wanted: Any, *, fits: bool) -> None:
    recipe = Recipe("s", value_at=("v",), value_type=wanted)
    assert kinds(f'{{"v": {raw}}}'.encode(), recipe) == ([] if fits else ["bad_value"])


@pytest.mark.parametrize("pointer", ["id", "/a~2", "/a~", "#/id"])
def test_bad_pointers(pointer: str) -> None:
    with pytest.raises(ValueError, match="JSON pointer"):
        pointer_tokens(pointer)


def test_facts_carry_device_and_stream() -> None:
    [event] = parse(b'{"a":1}', PLAIN, NOW).events
    assert (event.source, event.id, event.at, type(event)) == ("sensors", None, NOW, SensorEvent)
    assert event.data_json() == '{"a":1}'
    [kept] = parse(b"{}", Recipe("till", SensorEventKept), NOW).events
    assert (kept.stream, kept.type) == ("business", "sensor.event")
