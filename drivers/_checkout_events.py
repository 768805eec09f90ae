"""Reads the events that a till sends, and writes what became of them. Pure.

In a batch a bad event is answered as `rejected` and the others are taken: one bad event must not hold up a queue.
Not here: keeping them (`Tills.take`), what they mean for a basket.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from drivers._checkout_cards import card_member, id_holds_card, is_suspect
from drivers._checkout_problem import Problem, errors_of, said, unreadable
from gateway.messages import EventIn, Outcome
from gateway.messages.tills import EVENT_DATA

MAX_EVENTS = 500
CARD = "looks like a card number; no card number may be sent here"
_EVENT = TypeAdapter(EventIn).validator
_EVENTS = TypeAdapter(list[EventIn]).validator
_DATA = {name: TypeAdapter(model).validator for name, model in EVENT_DATA.items()}


@dataclass(slots=True)
class Batch:
    """What a body held: events to keep, and by position the outcome of those that are not taken."""

    events: list[EventIn]
    refused: dict[int, Outcome] = field(default_factory=dict)
    single: bool = False

    def outcomes(self, kept: Sequence[Outcome]) -> list[Outcome]:
        """Return one outcome for each event that was sent, in order; `kept` are those of `events`."""
        if not self.refused:
            return [*kept]
        rest = iter(kept)
        return [self.refused.get(at) or next(rest) for at in range(len(kept) + len(self.refused))]


def read_batch(body: bytes) -> Batch:
    """Read one event or an array of at most 500. Raises Problem; a single bad event is a Problem of its own."""
    start = body.lstrip(b" \t\r\n")[:1]
    if start == b"[":
        return _array(body)
    try:
        event = _EVENT.validate_json(body)
    except ValidationError as error:
        raise unreadable(error) from None
    if found := _wrong(event, suspect=is_suspect(body)):
        raise Problem(422, "wrong-body", said(found), errors=found)
    return Batch([event], single=True)


def _array(body: bytes) -> Batch:
    try:
        events = _EVENTS.validate_json(body)
    except ValidationError:
        return _one_by_one(body)
    _not_too_many(len(events))
    return checked(events, suspect=is_suspect(body))


def checked(events: Sequence[EventIn], *, suspect: bool) -> Batch:
    """Sort events that have the right form by what they say. `suspect`: there could be a card number."""
    batch = Batch([])
    for at, event in enumerate(events):
        if found := _wrong(event, suspect=suspect):
            batch.refused[at] = _rejected(event.event_id, event.seq, found)
        else:
            batch.events.append(event)
    return batch


def _one_by_one(body: bytes) -> Batch:
    """Read an array in which something is wrong: find out which events are."""
    try:
        items = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(400, "no-json", f"the body is not JSON: {error}") from None
    _not_too_many(len(items))
    batch = Batch([])
    for at, item in enumerate(items):
        try:
            event = _EVENT.validate_json(to_json(item))
            found = _wrong(event, suspect=True)
        except ValidationError as error:
            found = errors_of(error)
        if found:
            batch.refused[at] = _rejected(*_named(item), found)
        else:
            batch.events.append(event)
    return batch


def _not_too_many(count: int) -> None:
    if count > MAX_EVENTS:
        raise Problem(413, "too-many-events", f"{count} events; at most {MAX_EVENTS} in one request")


def _wrong(event: EventIn, *, suspect: bool) -> list[dict[str, str]]:
    """Return what is wrong with the event beyond its own form: card numbers, and data that does not fit its type."""
    if suspect and (place := card_in(event)) is not None:
        return [{"at": place, "type": "card_number", "reason": CARD}]
    if not 2000 <= event.at.year < 2100:
        return [{"at": "at", "type": "time", "reason": "not a time of this century: the terminal's clock is wrong"}]
    validator = _DATA.get(event.type)
    try:
        if validator is not None:
            validator.validate_python(event.data)
        else:
            json.dumps(event.data, allow_nan=False)
    except ValidationError as error:
        return errors_of(error, "data")
    except ValueError:  # NaN, Infinity, or an integer of thousands of digits: no other program would read it
        return [{"at": "data", "type": "number", "reason": "holds a number that is none"}]
    return []


def card_in(event: EventIn) -> str | None:
    """Return the member of the event that holds a card number."""
    for name, one in (("event_id", event.event_id), ("basket_id", event.basket_id)):
        if one is not None and id_holds_card(one):
            return name
    return card_member({"seq": event.seq, "type": event.type, "data": event.data})


def _rejected(event_id: str | None, seq: int | None, found: list[dict[str, str]]) -> Outcome:
    """Return the outcome of a bad event, named so that its till can find it, unless its name is a card number."""
    good_id = None if event_id is None or id_holds_card(event_id) else event_id
    good_seq = None if card_member(seq) is not None else seq
    return Outcome(event_id=good_id, seq=good_seq, result="rejected", reason=said(found))


def _named(item: object) -> tuple[str | None, int | None]:
    """Return id and number of an event that is wrong, as far as they are right."""
    if not isinstance(item, dict):
        return None, None
    event_id, seq = item.get("event_id"), item.get("seq")
    good_id = isinstance(event_id, str) and len(event_id) <= 64
    return event_id if good_id else None, seq if type(seq) is int and 0 < seq <= 2**53 else None


def write_results(outcomes: Sequence[Outcome], ack_seq: int, head: str = "") -> str:
    """Write the answer to a batch. `head` goes before the other members."""
    return f'{{{head}"results":[{",".join(map(_written, outcomes))}],"ack_seq":{ack_seq}}}'


def _written(one: Outcome) -> str:
    if one.reason is None and one.event_id is not None:  # the usual case: an id needs no escapes
        return f'{{"event_id":"{one.event_id}","seq":{one.seq},"result":"{one.result}","reason":null}}'
    return one.model_dump_json()
