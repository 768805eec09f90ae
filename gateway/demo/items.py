"""The demo's items with RFID tags: what head office heard of them beside the simulated readers' ground truth. Pure.

The promises: what nobody sold and leaves is an alarm; what a till sold is none. Radio misses now and then, so a few
silent thefts are a figure; an alarm for a sold item is a broken promise. Not here: what happens there (`readers.py`).
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.hq.wire import Event

MISSED_SHARE = 0.2  # of thefts that may go unheard before the demo calls it broken
HEARD_AGAIN_S = 15.0  # a thief who left so long ago without an alarm was missed
MOST_TO_SELL = 1000

Sold = tuple[str, int]  # GTIN, pieces


@dataclass
class Items:
    """`zones`: where head office believes each item; `truth`: where it is; `stolen`, `sold`: items that we sent out."""

    zones: dict[str, str] = field(default_factory=dict)
    known_at: dict[str, datetime] = field(default_factory=dict)
    alarms: dict[str, datetime] = field(default_factory=dict)
    truth: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stolen: set[str] = field(default_factory=set)
    sold: set[str] = field(default_factory=set)
    to_sell: deque[Sold] = field(default_factory=lambda: deque(maxlen=MOST_TO_SELL))

    def feed(self, event: Event) -> None:
        """Take one event."""
        data = event.data
        match event.type:
            case "tag.arrived" | "tag.moved":
                self.zones[data["epc"]] = data["zone"]
                self.known_at.setdefault(data["epc"], event.at)
            case "tag.absent":
                self.zones.pop(data["epc"], None)
            case "exit.alarm":
                self.alarms[data["epc"]] = event.at
                self.zones.pop(data["epc"], None)
            case "sale.line" if data.get("kind") == "sale" and data["gtin"] and data["weight_mg"] is None:
                self.to_sell.append((data["gtin"], max(1, data["quantity_thousandths"] // 1000)))

    def known(self) -> int:
        """Return how many items were ever heard of."""
        return len(self.known_at)

    def right_share(self) -> float | None:
        """Return the share of items inside that are believed to be where they are; None before any was compared."""
        pairs = [
            (zone, self.truth[epc]["zone"])
            for epc, zone in self.zones.items()
            if epc in self.truth and self.truth[epc]["zone"] not in (None, "by-door")
        ]
        return sum(believed == real for believed, real in pairs) / len(pairs) if pairs else None

    def delays_s(self) -> list[float]:
        """Return by how much each alarm came after its item was on the sill."""
        crossed = {epc: self._left_at(epc) for epc in self.stolen & self.alarms.keys()}
        return [(self.alarms[epc] - at).total_seconds() for epc, at in crossed.items() if at is not None]

    def missed(self, now: datetime) -> list[str]:
        """Return thefts that went without an alarm."""
        return [
            epc
            for epc in sorted(self.stolen - self.alarms.keys())
            if (at := self._left_at(epc)) is not None and (now - at).total_seconds() > HEARD_AGAIN_S
        ]

    def pending(self) -> bool:
        """Say whether somebody is still on the way out unheard."""
        return any(epc not in self.alarms and self._left_at(epc) is None for epc in self.stolen)

    def wrong(self) -> list[str]:
        """Return alarms for items that a till sold."""
        return sorted(self.sold & self.alarms.keys())

    def false(self) -> list[str]:
        """Return alarms for items that nobody carried out."""
        return sorted(self.alarms.keys() - self.stolen - self.sold)

    def _left_at(self, epc: str) -> datetime | None:
        text = self.truth.get(epc, {}).get("left")
        return None if text is None else datetime.fromisoformat(text)


def breaches(items: Items, now: datetime) -> list[str]:
    """Return what broke, in words."""
    broken = [f"item {epc} was sold and gave an alarm at the door" for epc in items.wrong()[:10]]
    missed = len(items.missed(now))
    if items.stolen and missed > MISSED_SHARE * len(items.stolen):
        broken.append(f"{missed} of {len(items.stolen)} thefts gave no alarm")
    return broken


def figures(items: Items, now: datetime) -> dict[str, Any]:
    """Return what was measured."""
    share, delays = items.right_share(), items.delays_s()
    return {
        "items_known": items.known(),
        "items_in_right_zone_percent": None if share is None else round(100 * share, 1),
        "items_carried_out_sold": len(items.sold),
        "items_stolen": len(items.stolen),
        "thefts_without_alarm": len(items.missed(now)),
        "alarms_for_sold_items": len(items.wrong()),
        "alarms_for_items_inside": len(items.false()),
        "alarm_after_the_sill_max_s": round(max(delays), 1) if delays else None,
    }
