"""Bytes of one MQTT message -> events of a foreign sensor. Pure: no socket, no clock.

A message is one JSON object or an array of them. Each object passes unchanged, byte for byte: it is cut out of the
text, never encoded again. What is wrong is refused with a kind and a reason, one event at a time where the message as a
whole is JSON. Not here: when to acknowledge (`sensor_mqtt.py`). Source: RFC 8259 (JSON), 6901 (pointer), 3339 (time).
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from gateway.messages import SensorEvent

MAX_PAYLOAD = 1 << 20
MAX_EVENTS = 10_000
MAX_DEPTH = 32
MAX_ID = 128
EPOCH_MS_FROM = 1e11  # as seconds this is the year 5138, as milliseconds 1973
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # before it, and later than a day ahead, a sensor's clock is plainly wrong
AHEAD = timedelta(days=1)

ValueType = Literal["number", "text", "boolean", "any"]

_decode = json.JSONDecoder().raw_decode


def _no_constant(name: str) -> float:
    raise ValueError(name)


_decode_strictly = json.JSONDecoder(parse_constant=_no_constant).raw_decode
BLANKS = " \t\n\r"
_blank = re.compile(f"[{BLANKS}]*").match
_array_index = re.compile(r"0|[1-9][0-9]{0,8}").fullmatch
_TYPES: dict[str, tuple[type, ...]] = {"number": (int, float), "text": (str,), "boolean": (bool,)}


class NotTaken(Exception):
    """An event or a message is refused; `kind` is a stable code."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Recipe:
    """Where an event's id, time and value are (pointer tokens, None = not looked at) and what becomes of it."""

    device: str
    fact: type[SensorEvent] = SensorEvent
    id_at: tuple[str, ...] | None = None
    time_at: tuple[str, ...] | None = None
    value_at: tuple[str, ...] | None = None
    value_type: ValueType = "number"


@dataclass(slots=True)
class Parsed:
    """The good events in order; kind and reason of each refusal; how many sensor times were not believed."""

    events: list[SensorEvent] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    wrong_times: int = 0


def pointer_tokens(pointer: str) -> tuple[str, ...]:
    """Split a JSON pointer. Raises ValueError when it is none."""
    if pointer and not pointer.startswith("/"):
        raise ValueError('a JSON pointer starts with "/", like "/meta/id"')
    if re.search(r"~(?![01])", pointer):
        raise ValueError('in a JSON pointer "~" is written "~0" and "/" within a name "~1"')
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def parse(payload: bytes, recipe: Recipe, now: datetime) -> Parsed:
    """Return the events of one message; a fact's time is the sensor's where it has a credible one, else `now`."""
    parsed = Parsed()
    try:
        text = _text(payload).strip(BLANKS)
        odd = "NaN" in text or "Infinity" in text
        for value, start, end in _elements(text):
            try:
                parsed.events.append(_event(value, text[start:end], recipe, now, parsed, odd=odd))
            except NotTaken as problem:
                parsed.refused.append((problem.kind, str(problem)))
    except NotTaken as problem:
        parsed.refused.append((problem.kind, str(problem)))
    return parsed


def _text(payload: bytes) -> str:
    if len(payload) > MAX_PAYLOAD:
        raise NotTaken("too_large", f"{len(payload)} bytes, at most {MAX_PAYLOAD}")
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise NotTaken("not_utf8", f"byte {error.start} is not UTF-8") from error


def _elements(text: str) -> list[tuple[Any, int, int]]:
    """Return each event's value and span, all or none: a message that is no JSON is refused as a whole."""
    try:
        if text.startswith("["):
            return list(_array(text))
        value, end = _decode(text)
        _expect_end(text, end)
    except RecursionError as error:
        raise NotTaken("too_deep", f"nested deeper than {MAX_DEPTH}") from error
    except ValueError as error:
        raise NotTaken("not_json", f"not JSON: {error}") from error
    return [(value, 0, end)]


def _array(text: str) -> Iterator[tuple[Any, int, int]]:
    at = _after_blank(text, 1)
    if text[at : at + 1] == "]":
        _expect_end(text, at + 1)
        return
    for _ in range(MAX_EVENTS):
        value, end = _decode(text, at)
        yield value, at, end
        at = _after_blank(text, end)
        mark = text[at : at + 1]
        if mark == "]":
            _expect_end(text, at + 1)
            return
        if mark != ",":
            raise ValueError(f"neither a comma nor an end of the array at character {at}")
        at = _after_blank(text, at + 1)
    raise NotTaken("too_many", f"more than {MAX_EVENTS} events in one message")


def _after_blank(text: str, at: int) -> int:
    found = _blank(text, at)
    assert found is not None  # the pattern matches the empty text
    return found.end()


def _expect_end(text: str, at: int) -> None:
    if at != len(text):
        raise ValueError(f"something follows at character {at}")


def _event(value: Any, body: str, recipe: Recipe, now: datetime, parsed: Parsed, *, odd: bool) -> SensorEvent:  # noqa: ANN401 - any JSON
    _check_shape(value, body, odd=odd)
    if recipe.value_at is not None:
        _check_value(_found(value, recipe.value_at, "no_value"), recipe.value_type)
    name = None if recipe.id_at is None else _sensor_id(_found(value, recipe.id_at, "no_id"))
    at = now
    if recipe.time_at is not None:
        at = _instant(_found(value, recipe.time_at, "no_time"))
        if not EARLIEST <= at <= now + AHEAD:
            parsed.wrong_times += 1
            at = now
    return recipe.fact(at=at, source=recipe.device, id=name and f"{recipe.device}-{name}", body=body)


def _check_shape(value: Any, body: str, *, odd: bool) -> None:  # noqa: ANN401 - any JSON
    if not isinstance(value, dict):
        raise NotTaken("not_object", f"an event is a JSON object, this is {body[:40]}")
    if odd:
        try:
            _decode_strictly(body)
        except ValueError as error:
            raise NotTaken("not_finite", f"{error} is no number of JSON") from error
    if body.count("{") + body.count("[") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise NotTaken("too_deep", f"nested deeper than {MAX_DEPTH}")


def _deeper_than(value: object, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _found(value: Any, tokens: tuple[str, ...], kind: str) -> Any:  # noqa: ANN401 - any JSON
    for token in tokens:
        try:
            value = value[token] if isinstance(value, dict) else value[_index(token, value)]
        except (LookupError, TypeError) as error:
            raise NotTaken(kind, f"nothing at /{'/'.join(tokens)}") from error
    return value


def _index(token: str, value: object) -> int:
    if not isinstance(value, list) or _array_index(token) is None:
        raise LookupError
    return int(token)


def _sensor_id(raw: object) -> str:
    if isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    if not isinstance(raw, str) or not 0 < len(raw) <= MAX_ID or not raw.isprintable():
        raise NotTaken("bad_id", f"an id is a whole number or 1..{MAX_ID} printable characters")
    return raw


def _instant(raw: object) -> datetime:
    try:
        if isinstance(raw, str):
            return _zoned(datetime.fromisoformat(raw))
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            return datetime.fromtimestamp(raw / 1000 if abs(raw) >= EPOCH_MS_FROM else raw, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise NotTaken("bad_time", f"no time: {error}") from error
    raise NotTaken("bad_time", "a time is RFC 3339 text, or seconds or milliseconds since 1970")


def _zoned(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("no offset to UTC")
    return at.astimezone(UTC)


def _check_value(raw: object, wanted: ValueType) -> None:
    if wanted == "any":
        return
    fits = isinstance(raw, _TYPES[wanted]) and (wanted == "boolean" or not isinstance(raw, bool))
    if not fits or (isinstance(raw, float) and not math.isfinite(raw)):
        raise NotTaken("bad_value", f"the value is no {wanted}")
