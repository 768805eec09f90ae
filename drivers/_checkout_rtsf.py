"""Events as Intel's Real Time Sensor Fusion (RTSF) clients send them -> our own events. Pure.

Source: its documentation and event simulator, as of 2022; they differ (milliseconds or 14 digits of time, with and
without a lane), and both are understood. They name no event, no number and no line, so these are made here; names of
customers and staff are not read at all. Not here: who may send, and the numbers (`_checkout_lanes.py`).
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from drivers._checkout_events import checked
from drivers._checkout_problem import Problem, unreadable
from gateway.messages import EventIn
from gateway.messages.tills import BasketId, Terminal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_LINES = 10_000
MG: dict[str, int | Decimal] = {"g": 1_000, "kg": 1_000_000, "lb": Decimal("453592.37"), "oz": Decimal("28349.523125")}
UNITS = {"lbs": "lb", "pound": "lb", "pounds": "lb", "gram": "g", "grams": "g", "kilogram": "kg", "ounce": "oz"}
NAMES = {
    ("device-pos-rest", "basket-open"): "basket.opened",
    ("device-pos-rest", "scanned-item"): "item.added",
    ("device-pos-rest", "remove-item"): "item.voided",
    ("device-pos-rest", "payment-start"): "payment.started",
    ("device-pos-rest", "payment-success"): "payment.succeeded",
    ("device-pos-rest", "basket-close"): "basket.closed",
    ("device-scale-rest", "scale-item"): "bag.weight",
    ("device-cv-roi-rest", "cv-roi-event"): "roi",
    ("device-rfid-roi-rest", "rfid-roi-event"): "roi",
}
LANE_UNNAMED = "1"  # older scripts name no lane: they know one only
_BIG = Decimal(10) ** 9
_TERMINAL = TypeAdapter[str](Terminal)
_BASKET = TypeAdapter[str](BasketId)


@dataclass(frozen=True, slots=True)
class Money:
    """The shop's currency and its decimals."""

    currency: str
    minor_digits: int

    def minor(self, amount: Decimal) -> int:
        """Return an amount in minor units, halves away from zero."""
        return int(amount.scaleb(self.minor_digits).quantize(Decimal(1), ROUND_HALF_UP))


@dataclass(frozen=True, slots=True)
class Said:
    """One event of a client, read as far as it goes without knowing its lane. `digest` names its body."""

    kind: str
    members: dict[str, Any]
    digest: str

    @property
    def lane(self) -> str:
        """Return its lane as it was sent."""
        return str(self.members.get("lane_id") or LANE_UNNAMED)


@dataclass(slots=True)
class Lane:
    """What is remembered of one lane: the lines of its basket by product, for they have no numbers there."""

    lines: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def took(self, said: Said, event: EventIn) -> None:
        """Note an event that was kept."""
        if event.type in ("basket.opened", "basket.closed"):
            self.lines.clear()
        elif event.type == "item.added":
            self.lines.setdefault(_product(said), []).append((event.data["line"], event.data["amount_minor"]))
        elif event.type == "item.voided":
            lines = self.lines[_product(said)]
            lines.pop()
            if not lines:
                del self.lines[_product(said)]


def read(device: str, name: str, body: bytes) -> Said:
    """Read one event. Raises Problem (400, 404, 422)."""
    kind = NAMES.get((device, name))
    if kind is None:
        raise Problem(
            404, "no-such-path", "no such device and event; RTSF has " + ", ".join(f"{d}/{e}" for d, e in NAMES)
        )
    try:
        members = json.loads(body, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "no-json", f"the body is not JSON: {type(error).__name__}") from None
    if not isinstance(members, dict):
        raise Problem(422, "wrong-body", "the body is not an object")
    return Said(kind, members, hashlib.sha256(f"{device}/{name}/".encode() + body).hexdigest())


def terminal_of_lane(lane: str, table: dict[str, str]) -> str:
    """Return the terminal that a lane is: by the table of the configuration, or `lane-<lane>`. Raises Problem."""
    try:
        return table.get(lane) or _TERMINAL.validate_python(f"lane-{lane.lower()}")
    except ValidationError:
        raise Problem(422, "wrong-body", "lane_id: not a name that a terminal can have; see `rtsf_lanes`") from None


def as_event(said: Said, lane: Lane, seq: int, money: Money, now: datetime) -> EventIn:
    """Return our event. `now` is for one that has no time. Raises Problem (422)."""
    kind, data = _DATA[said.kind](said, lane, seq, money)
    try:
        event = EventIn(
            event_id=f"rtsf-{UUID(said.digest[:32])}",  # in the form that no card number has
            seq=seq,
            type=kind,
            at=instant(said.members.get("event_time"), now),
            basket_id=_basket(said.members.get("basket_id")),
            data=data,
        )
    except ValidationError as error:
        raise unreadable(error) from None
    if refused := checked([event], suspect=True).refused:
        raise Problem(422, "wrong-body", refused[0].reason or "")
    return event


def instant(value: object, now: datetime) -> datetime:
    """Return a time counted since 1970 in seconds or any decimal part of them: told by its magnitude."""
    text = str(value).partition(".")[0]
    if not (text.isascii() and text.isdecimal() and 10 <= len(text.lstrip("0")) <= 19):
        return now
    text = text.lstrip("0")
    at = EPOCH + timedelta(microseconds=int(text) * 1_000_000 // 10 ** (len(text) - 10))
    return at if 2000 <= at.year < 2100 else now


def _item_added(said: Said, _: Lane, seq: int, money: Money) -> tuple[str, dict[str, Any]]:
    unit = _unit(said.members.get("quantity_unit"))
    quantity, price = _number(said, "quantity", 1), _number(said, "unit_price", 0)
    product = _product(said)
    data: dict[str, Any] = {
        "line": (seq - 1) % MAX_LINES + 1,  # no two lines of a basket alike, and the same after a restart
        "gtin": product if len(product) == 14 and product.isascii() and product.isdecimal() else None,
        "scan": str(said.members.get("product_id") or "")[:2048] or None,
        "amount_minor": money.minor(price * quantity),
        "currency": money.currency,
    }
    if unit in MG:
        kg = MG[unit] / Decimal(1_000_000)
        weight = {"weight_mg": _mg(quantity, unit), "unit_price_minor": money.minor(price / kg)}
        return "item.added", data | weight
    whole = max(1, int(quantity.quantize(Decimal(1), ROUND_HALF_UP)))
    return "item.added", data | {"quantity": whole, "unit_price_minor": money.minor(price)}


def _item_voided(said: Said, lane: Lane, _: int, __: Money) -> tuple[str, dict[str, Any]]:
    """Name the line by its product. One that is not remembered, after a restart, is kept unread."""
    lines = lane.lines.get(_product(said))
    if not lines:
        return "rtsf.remove_item", {"product": _product(said)[:200]}
    return "item.voided", {"line": lines[-1][0]}


def _payment(said: Said, lane: Lane, _: int, money: Money) -> tuple[str, dict[str, Any]]:
    """No amount is sent: it is the sum of the lines that are remembered."""
    total = sum(amount for lines in lane.lines.values() for _, amount in lines)
    return said.kind, {"amount_minor": total, "currency": money.currency}


def _nothing(said: Said, _: Lane, __: int, ___: Money) -> tuple[str, dict[str, Any]]:
    return said.kind, {}


def _bag_weight(said: Said, _: Lane, __: int, ___: Money) -> tuple[str, dict[str, Any]]:
    unit = _unit(said.members.get("units"))
    if unit not in MG:
        raise Problem(422, "wrong-body", "units: " + ", ".join(MG))
    return "bag.weight", {"weight_mg": _mg(_number(said, "total", None), unit)}


def _region(said: Said, _: Lane, __: int, ___: Money) -> tuple[str, dict[str, Any]]:
    action = str(said.members.get("roi_action")).upper()
    if action not in ("ENTERED", "EXITED"):
        raise Problem(422, "wrong-body", "roi_action: ENTERED or EXITED")
    epc = said.members.get("epc")
    item = str(epc if epc is not None else said.members.get("product_name") or "")
    data = {"roi": str(said.members.get("roi_name") or "")[:200], "item": item[:200]}
    return f"roi.{action.lower()}", data | {"by": "camera" if epc is None else "rfid"}


_DATA: dict[str, Callable[[Said, Lane, int, Money], tuple[str, dict[str, Any]]]] = {
    "basket.opened": _nothing,
    "item.added": _item_added,
    "item.voided": _item_voided,
    "payment.started": _payment,
    "payment.succeeded": _payment,
    "basket.closed": _nothing,
    "bag.weight": _bag_weight,
    "roi": _region,
}


def _product(said: Said) -> str:
    text = str(said.members.get("product_id") or "").strip()
    return text.zfill(14) if text.isascii() and text.isdecimal() else text[:200]


def _basket(value: object) -> str | None:
    if value is None or value == "":
        return None
    try:
        return _BASKET.validate_python(str(value))
    except ValidationError:
        return f"rtsf-{UUID(hashlib.sha256(str(value).encode('utf-8', 'replace')).hexdigest()[:32])}"


def _unit(value: object) -> str:
    text = str(value or "").strip().lower()
    return UNITS.get(text, text)


def _number(said: Said, name: str, default: int | None) -> Decimal:
    value = said.members.get(name, default)
    try:
        number = Decimal(value if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else "none")
        if abs(number) < _BIG:
            return number.quantize(Decimal("1e-9"))
    except ArithmeticError:  # no number, or NaN
        pass
    raise Problem(422, "wrong-body", f"{name}: a number below {_BIG:f}")


def _mg(quantity: Decimal, unit: str) -> int:
    return int((quantity * MG[unit]).quantize(Decimal(1), ROUND_HALF_UP))


def _no_number(text: str) -> None:
    raise ValueError(text)
