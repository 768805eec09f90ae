"""The interface of the gateway as a till vendor writes it: paths, bodies and what the answers mean. Pure, no sockets.

Written from the published description of the interface and on purpose not with the gateway's own classes: a twin that
shares the code of what it tests finds nothing. Answers with more members than expected are fine.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote as quoted

from drivers.simulators._till_basket import Lease, Quote
from drivers.simulators._till_cache import Change
from drivers.simulators._till_log import Event

BATCH = 500  # events in one request
KEPT = ("accepted", "duplicate")


class BadAnswer(ValueError):
    """The gateway answered something that its interface does not say."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of the events of one request, and up to where the gateway has all."""

    kept: tuple[int, ...]
    refused: tuple[tuple[int, str], ...]
    ack_seq: int


@dataclass(frozen=True, slots=True)
class Feed:
    """One whole answer of the feed."""

    changes: tuple[Change, ...]
    version: int


def events_path(terminal: str) -> str:
    """Return where events go (POST)."""
    return f"/v1/sco/{terminal}/events"


def ack_path(terminal: str) -> str:
    """Return where to ask what the gateway has (GET)."""
    return f"/v1/sco/{terminal}/ack"


def verify_path(terminal: str) -> str:
    """Return where to have the bagging area checked (POST)."""
    return f"/v1/sco/{terminal}/verify"


def lease_path(terminal: str) -> str:
    """Return where to acknowledge the feed (PUT)."""
    return f"/v1/sco/{terminal}/lease"


def stream_path(terminal: str) -> str:
    """Return where the gateway tells of changes (WebSocket)."""
    return f"/v1/sco/{terminal}/stream"


def price_path(code: str) -> str:
    """Return where to ask for one price (GET)."""
    return f"/v1/price/{quoted(code, safe='')}"


BATCH_PATH = "/v1/price/batch"


def feed_path(since: int) -> str:
    """Return where the changes after a version are (GET)."""
    return f"/v1/prices?since={since}"


def events_body(events: Sequence[Event]) -> bytes:
    """Write events, in this order."""
    return _json([event.wire() for event in events])


def lease_body(version: int) -> bytes:
    """Write the acknowledgement of a version."""
    return _json({"version": version})


def verify_body(basket: str) -> bytes:
    """Write the question whether a basket fits what lies in the bagging area."""
    return _json({"basket_id": basket})


def batch_body(codes: Sequence[str]) -> bytes:
    """Write the question for several prices."""
    return _json({"codes": list(codes)})


def _json(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def read_delivered(events: Sequence[Event], body: bytes) -> Delivered:
    """Read the outcomes: one for each event sent, in order."""
    said = _object(body)
    results = _member(said, "results", list)
    if len(results) != len(events):
        raise BadAnswer(f"{len(events)} events, {len(results)} results")
    kept: list[int] = []
    refused: list[tuple[int, str]] = []
    for event, one in zip(events, results, strict=True):
        result = _member(one, "result", str)
        if result in KEPT:
            kept.append(event.seq)
        else:
            refused.append((event.seq, f"{result}: {one.get('reason')}"))
    return Delivered(tuple(kept), tuple(refused), _member(said, "ack_seq", int))


def read_ack(body: bytes) -> int:
    """Read up to where the gateway has all events."""
    ack_seq: int = _member(_object(body), "ack_seq", int)
    return ack_seq


def read_price(body: bytes, asked_at: datetime) -> Quote:
    """Read the price of one code."""
    return _quote(_object(body), asked_at)


def read_batch(codes: Sequence[str], body: bytes, asked_at: datetime) -> list[Quote | None]:
    """Read the prices of several codes, in order; None = that one is not for sale."""
    answers = _member(_object(body), "prices", list)
    if len(answers) != len(codes):
        raise BadAnswer(f"{len(codes)} codes, {len(answers)} prices")
    return [_quote(one, asked_at) if isinstance(one, dict) and "price_minor" in one else None for one in answers]


def read_feed(body: bytes) -> Feed:
    """Read one answer of the feed. Raises BadAnswer when its last line is missing: then nothing of it counts."""
    lines = [_object(line) for line in body.splitlines() if line.strip()]
    if not lines or lines[-1].keys() != {"version"}:
        raise BadAnswer("the feed was cut short")
    return Feed(tuple(_change(line) for line in lines[:-1]), _member(lines[-1], "version", int))


def read_lease(body: bytes) -> tuple[int, int]:
    """Read version and seconds of a lease."""
    said = _object(body)
    return _member(said, "version", int), _member(said, "lease_s", int)


def read_verdict(body: bytes) -> str:
    """Read what the bagging check said in one word."""
    verdict: str = _member(_object(body), "verdict", str)
    return verdict


def cached_quote(change: Change, asked_at: datetime, lease: Lease, *, by_weight: bool) -> Quote:
    """Return a price from the till's own cache as if it had been told just now."""
    assert change.price_minor is not None
    assert change.currency is not None
    return Quote(
        gtin=change.gtin,
        unit_price_minor=change.price_minor,
        amount_minor=change.price_minor,
        currency=change.currency,
        version=change.version,
        asked_at=asked_at,
        by_weight=by_weight,
        from_cache=True,
        lease=lease,
    )


def _quote(said: dict[str, Any], asked_at: datetime) -> Quote:
    return Quote(
        gtin=_member(said, "gtin", str),
        unit_price_minor=_member(said, "price_minor", int),
        amount_minor=_member(said, "amount_minor", int),
        currency=_member(said, "currency", str),
        version=_member(said, "price_version", int),
        asked_at=asked_at,
        by_weight=str(said.get("unit") or "").upper() in ("KG", "KGM"),
        weight_mg=said.get("weight_mg"),
    )


def _change(said: dict[str, Any]) -> Change:
    price, currency = said.get("price_minor"), said.get("currency")
    if price is not None and (type(price) is not int or not isinstance(currency, str)):
        raise BadAnswer(f"no price: {said!r:.200}")
    return Change(_member(said, "version", int), _member(said, "gtin", str), price, currency)


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError as error:
        raise BadAnswer(f"not JSON: {body[:200]!r}") from error
    if not isinstance(said, dict):
        raise BadAnswer(f"not an object: {body[:200]!r}")
    return said


def _member(said: Any, name: str, kind: type[Any]) -> Any:  # noqa: ANN401 (what JSON gives)
    if not isinstance(said, dict) or type(said.get(name)) is not kind:
        raise BadAnswer(f"no {name} ({kind.__name__}): {said!r:.200}")
    return said[name]
