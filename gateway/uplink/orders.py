"""Bytes of an order from head office become commands for the core, or facts that tell its sender what is wrong. Pure.

`parse_order(kind, payload, ...)` never raises: `kind` is the topic below `down/`. Master data is judged item by item; a
price part by `prices/waves.py`. What hangs on the state of the shop is judged by the rules, not here.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from gateway.messages import (
    Binding,
    BindingsUpdate,
    Command,
    CommandRefused,
    Facing,
    Fact,
    MasterRefused,
    Order,
    PlanogramUpdate,
    Product,
    ProductsUpdate,
    Request,
    WaveRejected,
)
from gateway.prices.long_json import cut
from gateway.prices.reasons import explain
from gateway.prices.waves import MAX_BYTES, MAX_SEQUENCE, gtin_fault, parsing_part, wave_id
from gateway.prices.work import PAGE, PAUSE, Work, finished

MasterKind = Literal["products", "bindings", "planogram"]

NOT_YET = {"config", "models"}  # in the contract, for later
MAX_COMMAND_BYTES = 65_536
MAX_ISSUED_AHEAD = timedelta(days=1)
_COMMAND_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_LABEL = re.compile(r"[0-9A-Fa-f]{12}|[0-9A-Fa-f]{16}")


@dataclass(frozen=True)
class Arrival:
    """How an order came. `trusted_now` None = our clock is in doubt: nothing is called too far ahead."""

    at: datetime
    source: str
    trusted_now: datetime | None


class Parsed(NamedTuple):
    """What an order became. `refusal`: why all of it was refused, in one line for the log; None = it was taken."""

    commands: tuple[Command, ...]
    facts: tuple[Fact, ...]
    refusal: str | None


class ProductsBody(Order):
    """Master data of products; `full` = all others are removed."""

    sequence: int = Field(ge=0, le=MAX_SEQUENCE)
    full: bool = False
    products: tuple[Any, ...]


class BindingsBody(Order):
    """Which label stands for which product; `full` = all other labels are unbound."""

    sequence: int = Field(ge=0, le=MAX_SEQUENCE)
    full: bool = False
    bindings: tuple[Any, ...]


class PlanogramBody(Order):
    """Places on shelves; `full` = all others are removed."""

    sequence: int = Field(ge=0, le=MAX_SEQUENCE)
    full: bool = False
    facings: tuple[Any, ...]


class CommandBody(Order):
    """A command; its name is the last part of the topic."""

    id: str = Field(min_length=1, max_length=120)
    issued_at: AwareDatetime
    issuer: str = Field(min_length=1, max_length=120)
    args: dict[str, Any] = Field(default_factory=dict)


class _Sort(NamedTuple):
    """How one kind of master data is read: its body, its items, what names an item, and the command it becomes."""

    kind: MasterKind
    body: TypeAdapter[Any]
    member: str
    item: TypeAdapter[Any]
    key: str
    command: Callable[..., Command]
    prepare: Callable[[Any], Any]


def _plain(item: object) -> object:
    return item


def _with_label(item: object) -> object:
    """Bring a label id of 12 or 16 digits, in any case, to its form with 16 capitals."""
    label = item.get("label") if isinstance(item, dict) else None
    if isinstance(item, dict) and isinstance(label, str) and _LABEL.fullmatch(label):
        return {**item, "label": label.upper().zfill(16)}
    return item


_BY_TOPIC: dict[str, _Sort] = {
    sort.kind: sort
    for sort in (
        _Sort("products", TypeAdapter(ProductsBody), "products", TypeAdapter(Product), "gtin", ProductsUpdate, _plain),
        _Sort(
            "bindings",
            TypeAdapter(BindingsBody),
            "bindings",
            TypeAdapter(Binding),
            "label",
            BindingsUpdate,
            _with_label,
        ),
        _Sort(
            "planogram", TypeAdapter(PlanogramBody), "facings", TypeAdapter(Facing), "facing", PlanogramUpdate, _plain
        ),
    )
}
_REQUEST = TypeAdapter(CommandBody)
_ITEMS = TypeAdapter(tuple[Any, ...])


def parse_order(kind: str, payload: bytes, arrival: Arrival) -> Parsed:
    """Parse what came on `down/{kind}`. Never raises; a refusal is a fact (or, for a wave, a `WaveRejected`)."""
    return finished(parsing(kind, payload, arrival))


def parsing(kind: str, payload: bytes, arrival: Arrival) -> Work[Parsed]:
    """Do the same step by step: an order of 30 000 lines takes half a second, and a till waits for one step."""
    if kind == "prices":
        part = yield from parsing_part(payload, at=arrival.at, source=arrival.source, trusted_now=arrival.trusted_now)
        return Parsed((part,), (), part.reason if isinstance(part, WaveRejected) else None)
    sort = _BY_TOPIC.get(kind)
    if sort is not None:
        return (yield from _master(sort, payload, arrival))
    if kind in NOT_YET:
        reason = f"this gateway does not take {kind} from head office yet; nothing was changed"
        return refused_command(None, kind, reason, arrival)
    name = kind.removeprefix("commands/")
    if name == kind or not _COMMAND_NAME.fullmatch(name):
        return refused_command(None, kind, "this gateway takes no such order", arrival)
    return _request(name, payload, arrival)


def refuse_whole(kind: str, reason: str, arrival: Arrival) -> Parsed:
    """Refuse an order unread."""
    if kind == "prices":
        return Parsed((WaveRejected(at=arrival.at, source=arrival.source, wave=None, reason=reason),), (), reason)
    sort = _BY_TOPIC.get(kind)
    if sort is not None:
        return Parsed((), (_refused(sort.kind, None, None, reason, arrival),), reason)
    return refused_command(None, kind.removeprefix("commands/"), reason, arrival)


def refused_command(command: str | None, name: str, reason: str, arrival: Arrival) -> Parsed:
    """Refuse a command by name."""
    shown = name[:60] if name.isprintable() else "?"
    fact = CommandRefused(
        at=arrival.at, source=arrival.source, cause=command, command=command, name=shown, reason=reason
    )
    return Parsed((), (fact,), reason)


def _request(name: str, payload: bytes, arrival: Arrival) -> Parsed:
    if len(payload) > MAX_COMMAND_BYTES:
        return refused_command(None, name, f"{len(payload)} bytes, at most {MAX_COMMAND_BYTES}", arrival)
    try:
        body: CommandBody = _REQUEST.validate_json(payload)
    except ValidationError as error:
        return refused_command(wave_id(payload), name, explain(error), arrival)
    if not (body.id.isprintable() and body.issuer.isprintable()):
        return refused_command(None, name, "id and issuer must not hold control characters", arrival)
    if arrival.trusted_now is not None and body.issued_at - arrival.trusted_now > MAX_ISSUED_AHEAD:
        reason = f"issued_at {body.issued_at.isoformat()} is in the future; check the clock of head office"
        return refused_command(body.id, name, reason, arrival)
    request = Request(
        at=arrival.at,
        source=arrival.source,
        id=body.id,
        name=name,
        issuer=body.issuer,
        issued_at=body.issued_at,
        args=body.args,
    )
    return Parsed((request,), (), None)


def _master(sort: _Sort, payload: bytes, arrival: Arrival) -> Work[Parsed]:
    kind = sort.kind
    if len(payload) > MAX_BYTES:
        return refuse_whole(kind, f"{len(payload)} bytes; send parts of at most {MAX_BYTES}", arrival)
    found = yield from cut(payload, sort.member)
    try:
        body = sort.body.validate_json(payload if found is None else found.head)
        items = getattr(body, sort.member) if found is None else (yield from _all_items(found.slices))
    except ValidationError as error:
        reason = explain(error)
        return Parsed((), (_refused(kind, None, None, reason, arrival),), reason)
    good, facts = yield from _judge(sort, items, body.sequence, arrival)
    if body.full and facts:
        # Replacing all by a list with holes would erase what the bad items were meant to update.
        reason = f"{len(facts)} items were refused, so the others are added and nothing is removed"
        facts.append(_refused(kind, body.sequence, None, reason, arrival))
    command = sort.command(
        at=arrival.at,
        source=arrival.source,
        sequence=body.sequence,
        full=body.full and not facts,
        **{sort.member: tuple(good)},
    )
    return Parsed((command,), tuple(facts), None)


def _all_items(slices: Iterable[bytes]) -> Work[Sequence[Any]]:
    items: list[Any] = []
    for some in slices:
        items += _ITEMS.validate_json(some)
        yield PAUSE
    return items


def _judge(sort: _Sort, items: Sequence[Any], sequence: int, arrival: Arrival) -> Work[tuple[list[Any], list[Fact]]]:
    good: dict[str, Any] = {}
    facts: list[Fact] = []
    for number, raw in enumerate(items):
        if number % PAGE == 0:
            yield PAUSE
        item, fault = _item(sort, raw)
        name = None if item is None else str(getattr(item, sort.key))
        if name in good:
            fault = f"{sort.key} twice in this order"
        if fault is not None or name is None:
            facts.append(_refused(sort.kind, sequence, _label_of(sort, raw, number), fault or "no item", arrival))
        else:
            good[name] = item
    return list(good.values()), facts


def _item(sort: _Sort, raw: object) -> tuple[Any, str | None]:
    try:
        item = sort.item.validate_python(sort.prepare(raw))
    except ValidationError as error:
        return None, explain(error, "the item")
    return item, gtin_fault(item.gtin) if item.gtin is not None else None


def _label_of(sort: _Sort, raw: object, number: int) -> str:
    """Return what the sender knows the item by: its key if it has one fit to be repeated, else its place."""
    key = raw.get(sort.key) if isinstance(raw, dict) else None
    return key if isinstance(key, str) and 0 < len(key) <= 80 and key.isprintable() else f"item {number}"


def _refused(kind: MasterKind, sequence: int | None, item: str | None, reason: str, arrival: Arrival) -> MasterRefused:
    return MasterRefused(at=arrival.at, source=arrival.source, kind=kind, sequence=sequence, item=item, reason=reason)
