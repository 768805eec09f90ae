"""Which of our facts are events of EPCIS: each item with its business step, by the Core Business Vocabulary (CBV) 2.0.

Pure. All are observations (action OBSERVE): a shop neither commissions nor decommissions here. Nothing is said of an
item that is absent (an inference, not an observation), of one that was sold and leaves (we do not keep that), of
fitting rooms and tills (what people do there is nobody's business upstream), and never `stolen` of one that leaves.
CBV: `receiving` excludes `arriving` and `accepting`; so there is either one step at goods in, or two.
Not here: how events look (`compose.py`).
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from gateway import messages as m
from gateway.rules.zones import Zone, ZoneKind, Zones

Context = tuple[tuple[str, str], ...]  # what all items of an event share, (name, value), sorted


class Observed(NamedTuple):
    """One item in one step. `place`: `zones/<id>`, `terminals/<id>`, `shop/tills` or `devices/<id>`.

    `disposition` may be unknown.
    """

    step: str
    disposition: str | None
    place: str
    at: datetime
    epc: str
    context: Context = ()


SHELVED: dict[ZoneKind, tuple[str, str]] = {
    "floor": ("stocking", "sellable_accessible"),
    "backroom": ("storing", "sellable_not_accessible"),
}
COUNTED: dict[ZoneKind, str] = {"backroom": "sellable_not_accessible", "goods_in": "in_progress"}

TILLS = "shop/tills"  # all of them: one till and a time to the second are a basket


class Steps:
    """The mapping for one shop. `arrivals`: two steps at goods in; `baskets`: sold items name till and basket."""

    def __init__(self, zones: Zones, *, arrivals: bool = False, baskets: bool = False) -> None:
        self._zones = zones
        self._arrivals, self._baskets = arrivals, baskets
        self._by_type: dict[type[m.Message], Callable[[Any], Iterator[Observed]]] = {
            m.TagArrived: self._arrived,
            m.TagMoved: self._moved,
            m.GoodsReceived: self._received,
            m.SaleLine: self._sold,
            m.ExitAlarm: self._left,
            m.TagWritten: self._written,
        }

    def observed(self, message: m.Message) -> Iterable[Observed]:
        """Return the items of a fact; nothing for what is no event of EPCIS. A count is `counted`."""
        mapped = self._by_type.get(type(message))
        return () if mapped is None else mapped(message)

    def counted(self, count: m.CountFinished, seen: Iterable[tuple[str, str]]) -> Iterator[Observed]:
        """Return what a count heard, from (EPC, zone). One of a delivery says `receiving` already."""
        if count.kind != "count" or count.ended == "cancelled":
            return
        for epc, zone in seen:
            disposition = COUNTED.get(self._kind(zone) or "floor", "sellable_accessible")
            context = (("session", count.session),)
            yield Observed("cycle_counting", disposition, f"zones/{zone}", count.at, epc, context)

    def _arrived(self, fact: m.TagArrived) -> Iterator[Observed]:
        kind = self._kind(fact.zone)
        if kind in SHELVED:
            yield Observed(*SHELVED[kind], f"zones/{fact.zone}", fact.at, fact.epc)
        elif kind == "goods_in" and self._arrivals and not fact.back:
            yield Observed("arriving", "in_progress", f"zones/{fact.zone}", fact.at, fact.epc)

    def _moved(self, fact: m.TagMoved) -> Iterator[Observed]:
        kind = self._kind(fact.zone)
        if kind in SHELVED:
            context = (("fromZone", fact.from_zone),)
            yield Observed(*SHELVED[kind], f"zones/{fact.zone}", fact.at, fact.epc, context)

    def _received(self, fact: m.GoodsReceived) -> Iterator[Observed]:
        step = "accepting" if self._arrivals else "receiving"
        context = () if fact.document is None else (("desadv", fact.document),)
        for epc in fact.epcs:
            yield Observed(step, "in_progress", f"zones/{fact.zone}", fact.at, epc, context)

    def _sold(self, fact: m.SaleLine) -> Iterator[Observed]:
        step = ("retail_selling", "retail_sold") if fact.kind == "sale" else ("receiving", "returned")
        context: Context = (("inv", f"{fact.terminal}/{fact.basket}"),) if self._baskets else ()
        place = f"terminals/{fact.terminal}" if self._baskets else TILLS
        for epc in fact.epcs:
            yield Observed(*step, place, fact.at, epc, context)

    def _left(self, fact: m.ExitAlarm) -> Iterator[Observed]:
        context = () if fact.id is None else (("alarm", fact.id),)
        yield Observed("entering_exiting", "unknown", f"zones/{fact.zone}", fact.left_at, fact.epc, context)

    def _written(self, fact: m.TagWritten) -> Iterator[Observed]:
        if fact.action == "kill" and fact.result == "done":
            zones = self._heard_by(fact.source)
            place = f"zones/{zones[0].id}" if len(zones) == 1 else f"devices/{fact.source}"
            at_till = bool(zones) and all(zone.kind == "till" for zone in zones)
            yield Observed("killing", "retail_sold" if at_till else None, place, fact.at, fact.epc)

    def _kind(self, zone: str) -> ZoneKind | None:
        found = self._zones.get(zone)
        return None if found is None else found.kind

    def _heard_by(self, reader: str) -> list[Zone]:
        return list({spot.zone.id: spot.zone for spot in self._zones.spots(reader).values()}.values())
