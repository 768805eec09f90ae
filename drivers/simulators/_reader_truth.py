"""The truth of a simulated shop as JSON, and the hooks by which a demo or a test steers it.

Pure: values in, values out. Not here: HTTP (`_reader_serve.py`).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from drivers.simulators._reader_script import arguments, check
from drivers.simulators._reader_tag import Tag
from drivers.simulators._reader_world import NotThere

if TYPE_CHECKING:
    from drivers.simulators._reader_device import Reader
    from drivers.simulators.reader import ReaderFleet

MOST_AT_ONCE = 20_000
Body = Mapping[str, Any]


class Truth:
    """What is really so in a shop, and who may say what happens next. Hooks raise ValueError on what cannot be."""

    def __init__(self, fleet: "ReaderFleet") -> None:
        self._fleet, self._world = fleet, fleet.world
        self.hooks: dict[str, Callable[[Body], list[Tag]]] = {
            "sell": self.sell,
            "walk": self.walk,
            "move": self.move,
            "deliver": self.deliver,
            "fault": self.fault,
        }

    def told(self, ports: list[int]) -> dict[str, Any]:
        """Return everything. Zone null = at the door, or outside when `left` says since when."""
        world = self._world
        return {
            "at": self._rfc3339(world.timeline.now_s),
            "zones": {zone.name: zone.kind for zone in world.layout.zones.values()},
            "readers": [self._reader(*one) for one in zip(self._fleet.readers, ports, strict=False)],
            "tags": {epc.hex().upper(): self._tag(tag) for epc, tag in world.tags.items()},
            "ghosts": [epc.hex().upper() for epc in world.ghosts],
            "shoppers": {"came": self._fleet.shoppers.came, "stole": self._fleet.shoppers.stole},
        }

    def _reader(self, reader: "Reader", port: int) -> dict[str, Any]:
        box = reader.outbox
        return {
            "name": reader.name,
            "port": port,
            "client": reader.client is not None,
            "refused": reader.refused,
            "reads_sent": box.reads,
            "reports_sent": box.reports,
            "held": box.held,
            "lost": box.lost,
            "keepalives": reader.keepalives,
            "acknowledged": reader.acknowledged,
            "antennas": {str(one.number): one.connected for one in reader.antennas},
            "rospecs": {str(number): job.state for number, job in reader.inventory.jobs.items()},
        }

    def _tag(self, tag: Tag) -> dict[str, Any]:
        return {
            "gtin": tag.gtin,
            "zone": tag.zone.name if tag.zone else None,
            "since": self._rfc3339(tag.since_s),
            "left": self._rfc3339(tag.left_s),
            "sold": self._rfc3339(tag.sold_s),
            "killed": tag.killed,
        }

    def _rfc3339(self, at_s: float | None) -> str | None:
        if at_s is None:
            return None
        at = datetime.fromtimestamp(self._fleet.utc_s(at_s), UTC)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    # hooks

    def sell(self, body: Body) -> list[Tag]:
        """Sell items: `epc`, `epcs`, or `gtin` and `items`; `leave` true = they are carried out at once."""
        found = self._items(body)
        for tag in found:
            self._world.sell(tag)
            if body.get("leave") is True and tag.zone is not None:
                self._world.walk(tag)
        return found

    def walk(self, body: Body) -> list[Tag]:
        """Carry items through the door: `way` out (default), in, or turn = up to it and back."""
        way = body.get("way", "out")
        if way not in ("out", "in", "turn"):
            raise NotThere(f"way: {way!r} is none of out, in, turn")
        found = self._items(body)
        for tag in found:
            self._world.walk(tag, way)
        return found

    def move(self, body: Body) -> list[Tag]:
        """Carry items into the zone `to`; with `from` and `items` any of that zone."""
        zone = self._world.zone(str(body.get("to")))
        found = self._items(body)
        for tag in found:
            self._world.move(tag, zone)
        return found

    def deliver(self, body: Body) -> list[Tag]:
        """Bring new items to goods in: `items`, of `gtin` or of the shop's products in turn."""
        count = _count(body)
        gtin = body.get("gtin")
        return self._world.deliver([str(gtin).zfill(14)] * count if gtin else self._world.next_gtins(count))

    def fault(self, body: Body) -> list[Tag]:
        """Let a mishap happen now: `fault` and its arguments."""
        check("fault", body, len(self._fleet.readers), timed=False)
        getattr(self._fleet.faults, body["fault"])(**arguments(body))
        return []

    def _items(self, body: Body) -> list[Tag]:
        world = self._world
        if "epc" in body or "epcs" in body:
            epcs = body.get("epcs", [body.get("epc")])
            if not isinstance(epcs, list) or len(epcs) > MOST_AT_ONCE:
                raise NotThere("epcs is no list, or too long")
            return [world.tag(str(epc)) for epc in epcs]
        if "gtin" in body:
            return world.of_product(str(body["gtin"]), _count(body))
        zones = [world.zone(str(body["from"]))] if "from" in body else world.layout.of_kind("floor")
        return world.any_of(zones, _count(body))


def _count(body: Body) -> int:
    count = body.get("items", 1)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_AT_ONCE:
        raise NotThere(f"items: {count!r} is not within 1..{MOST_AT_ONCE}")
    return count
