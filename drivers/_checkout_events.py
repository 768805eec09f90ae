"""Reads the events that a till sends, and writes what became of them. Pure.

A bad event is answered as `rejected` and the others are taken: one bad event must not hold up a queue. Its number is
used up: in its place goes an empty event (`terminal.refused`), which changes nothing; what was refused goes nowhere.
Not here: keeping them (`Tills.take`), what they mean for a basket.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from drivers._checkout_cards import card_member, id_holds_card, is_suspect
from drivers._checkout_problem import Problem, errors_of, said, unreadable
from gateway.messages import EventIn, Outcome
from gateway.messages.tills import EVENT_DATA, EventId

MAX_EVENTS = 500
MAX_DATA_BYTES = 8 * 1024  # of one event, as compact JSON: each lies in the database for two weeks
CARD = "looks like a card number; no card number may be sent here"
REFUSED = "terminal.refused"  # no type that says anything, and of no basket: see `open_baskets.OF_NO_BASKET`
YEARS = range(2000, 2100)
NO_TIME = datetime(2099, 12, 31, tzinfo=UTC)  # of an event without a right time: no minute is measured so far ahead
_NAMES: dict[str, TypeAdapter[Any]] = {  # what names an event, whatever else is wrong with it
    "event_id": TypeAdapter(EventId),
    "seq": TypeAdapter(Annotated[int, Field(ge=1, le=2**53)]),
    "at": TypeAdapter(AwareDatetime),
}
_EVENT = TypeAdapter(EventIn).validator
_EVENTS = TypeAdapter(list[EventIn]).validator
_DATA = {name: TypeAdapter(model).validator for name, model in EVENT_DATA.items()}


class _Bad(NamedTuple):
    """An event that is not taken: what is wrong with it, and its name, number and time as far as they are right."""

    event_id: str | None
    seq: int | None
    at: datetime | None
    found: list[dict[str, str]]


@dataclass(slots=True)
class Batch:
    """What a body held: events to hand on, and by position the outcome of those that are refused.

    A refused event is handed on as an empty one, so that its number is used up and those after it need not wait for it.
    `nameless` are the positions of those that have no right id and number for that. `wrong`: the places that are wrong
    in a `single` event.
    """

    events: list[EventIn]
    refused: dict[int, Outcome] = field(default_factory=dict)
    nameless: set[int] = field(default_factory=set)
    single: bool = False
    wrong: list[dict[str, str]] = field(default_factory=list)

    def outcomes(self, kept: Sequence[Outcome]) -> list[Outcome]:
        """Return one outcome for each event that was sent, in order; `kept` are those of `events`."""
        if not self.refused:
            return [*kept]
        rest = iter(kept)
        sent = range(len(kept) + len(self.nameless))
        each = [self.refused[place] if place in self.nameless else next(rest) for place in sent]
        return [self.refused.get(place, outcome) for place, outcome in enumerate(each)]


def read_batch(body: bytes) -> Batch:
    """Read one event or an array of at most 500. Raises Problem, also for a single event without id and number."""
    start = body.lstrip(b" \t\r\n")[:1]
    if start == b"[":
        return _array(body)
    try:
        one: EventIn | _Bad = _judged(_EVENT.validate_json(body), suspect=is_suspect(body))
    except ValidationError as error:
        one = _misshapen(_parsed(body, error), error)
    batch = _batch([one])
    if isinstance(one, _Bad):
        batch.wrong = one.found
        if batch.nameless:
            raise Problem(422, "wrong-body", said(one.found), errors=one.found)
    batch.single = True
    return batch


def _parsed(body: bytes, error: ValidationError) -> object:
    try:
        return from_json(body)
    except ValueError:
        raise unreadable(error) from None


def _array(body: bytes) -> Batch:
    try:
        events = _EVENTS.validate_json(body)
    except ValidationError:
        return _one_by_one(body)
    _not_too_many(len(events))
    return checked(events, suspect=is_suspect(body))


def checked(events: Sequence[EventIn], *, suspect: bool) -> Batch:
    """Sort events that have the right form by what they say. `suspect`: there could be a card number."""
    return _batch([_judged(event, suspect=suspect) for event in events])


def _one_by_one(body: bytes) -> Batch:
    """Read an array in which something is wrong: find out which events are."""
    try:
        items = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(400, "no-json", f"the body is not JSON: {error}") from None
    _not_too_many(len(items))
    read: list[EventIn | _Bad] = []
    for item in items:
        try:
            read.append(_judged(_EVENT.validate_json(to_json(item)), suspect=True))
        except ValidationError as error:
            read.append(_misshapen(item, error))
    return _batch(read)


def _judged(event: EventIn, *, suspect: bool) -> EventIn | _Bad:
    found = _wrong(event, suspect=suspect)
    return _bad(event.event_id, event.seq, event.at, found) if found else event


def _misshapen(item: object, error: ValidationError) -> _Bad:
    """Return what is known of an event that has not the form of one."""
    members = item if isinstance(item, dict) else {}
    event_id, seq, at = (_right(members.get(name), form) for name, form in _NAMES.items())
    return _bad(event_id, seq, at, errors_of(error))


def _right(value: object, form: TypeAdapter[Any]) -> Any:  # noqa: ANN401 (as the form says)
    try:
        return form.validate_json(to_json(value), strict=True)
    except ValueError:
        return None


def _bad(event_id: str | None, seq: int | None, at: datetime | None, found: list[dict[str, str]]) -> _Bad:
    """Name a bad event so that its till can find it, unless its name is a card number."""
    good_id = None if event_id is None or id_holds_card(event_id) else event_id
    good_seq = None if card_member(seq) is not None else seq
    return _Bad(good_id, good_seq, at if at is not None and at.year in YEARS else None, found)


def _batch(read: Sequence[EventIn | _Bad]) -> Batch:
    batch = Batch([])
    newest = max((one.at for one in read if one.at is not None), default=NO_TIME)
    for place, one in enumerate(read):
        if isinstance(one, EventIn):
            batch.events.append(one)
            continue
        batch.refused[place] = Outcome(event_id=one.event_id, seq=one.seq, result="rejected", reason=said(one.found))
        if one.event_id is None or one.seq is None:
            batch.nameless.add(place)
        else:
            batch.events.append(EventIn(event_id=one.event_id, seq=one.seq, type=REFUSED, at=one.at or newest))
    return batch


def _not_too_many(count: int) -> None:
    if count > MAX_EVENTS:
        raise Problem(413, "too-many-events", f"{count} events; at most {MAX_EVENTS} in one request")


def _wrong(event: EventIn, *, suspect: bool) -> list[dict[str, str]]:
    """Return what is wrong with the event beyond its own form: card numbers, and data that does not fit its type."""
    if suspect and (place := card_in(event)) is not None:
        return [{"at": place, "type": "card_number", "reason": CARD}]
    if event.at.year not in YEARS:
        return [{"at": "at", "type": "time", "reason": "not a time of this century: the terminal's clock is wrong"}]
    validator = _DATA.get(event.type)
    try:
        if validator is not None:
            validator.validate_python(event.data)
        else:
            json.dumps(event.data, allow_nan=False)
        size = len(to_json(event.data))
    except ValidationError as error:
        return errors_of(error, "data")
    except ValueError:  # NaN, Infinity, or half a character: no other program would read it
        return [{"at": "data", "type": "number", "reason": "holds a number or a text that is none"}]
    if size > MAX_DATA_BYTES:
        reason = f"{size} bytes of JSON; at most {MAX_DATA_BYTES} in one event"
        return [{"at": "data", "type": "too_large", "reason": reason}]
    return []


def card_in(event: EventIn) -> str | None:
    """Return the member of the event that holds a card number."""
    for name, one in (("event_id", event.event_id), ("basket_id", event.basket_id)):
        if one is not None and id_holds_card(one):
            return name
    return card_member({"seq": event.seq, "type": event.type, "data": event.data})


def write_results(outcomes: Sequence[Outcome], ack_seq: int, head: str = "") -> str:
    """Write the answer to a batch. `head` goes before the other members."""
    return f'{{{head}"results":[{",".join(map(_written, outcomes))}],"ack_seq":{ack_seq}}}'


def _written(one: Outcome) -> str:
    if one.reason is None and one.event_id is not None:  # the usual case: an id needs no escapes
        return f'{{"event_id":"{one.event_id}","seq":{one.seq},"result":"{one.result}","reason":null}}'
    return one.model_dump_json()
