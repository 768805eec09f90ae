"""The shop that simulated readers stand in: zones, and which antenna hears which of them how well.

Pure. Not here: what is in the zones (`_reader_world.py`), what hearing gives (`_reader_radio.py`).
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from drivers.simulators._reader_tag import Tag

HIT, NEAR, FAR = 0.6, 0.25, 0.08  # how often a tag answers a round: in the zone, next to it, two away
NEAR_CDB, FAR_CDB = -600, -1200
INSIDE_M, OUTSIDE_M = -0.75, 0.75  # the two antennas of a door, seen from its sill


@dataclass
class Zone:
    """A place in the shop and the tags that lie there, in no order."""

    name: str
    kind: str
    tags: list[Tag] = field(default_factory=list)

    def add(self, tag: Tag) -> None:
        """Put a tag here."""
        tag.zone, tag.slot = self, len(self.tags)
        self.tags.append(tag)

    def drop(self, tag: Tag) -> None:
        """Take a tag away, in one step: the last one takes its place."""
        last = self.tags.pop()
        if last is not tag:
            self.tags[tag.slot] = last
            last.slot = tag.slot
        tag.zone = None


class Ear(NamedTuple):
    """One zone as an antenna hears it: how much weaker than its own (0.01 dB), and how often (0 to 1)."""

    zone: Zone
    loss_cdb: int
    hit: float


class Mount(NamedTuple):
    """One antenna of a reader. `door_m`: where it hangs at the door, negative = inside; None = elsewhere."""

    ears: tuple[Ear, ...]
    door_m: float | None = None


class Layout(NamedTuple):
    """`readers`: for each reader its antennas, 1 first. Zones in the order of a walk from goods in to the door."""

    zones: dict[str, Zone]
    readers: tuple[tuple[Mount, ...], ...]

    def of_kind(self, kind: str) -> list[Zone]:
        """Return the zones of a kind."""
        return [zone for zone in self.zones.values() if zone.kind == kind]


BACK = (("goods-in", "goods_in"), ("backroom", "backroom"))
FRONT = (("fitting", "fitting"), ("till", "till"))
BY_DOOR = ("by-door", "floor")


def shop(readers: int = 1) -> Layout:
    """Return a shop with so many readers of 2 to 4 antennas; the last antennas are the door's, inside then outside.

    1: backroom, floor-1, door. 2: goods in, backroom, floor-1, till; door. From 3 on: goods in and backroom; floors,
    fitting and till; door.
    """
    floors = [(f"floor-{number}", "floor") for number in range(1, max(2, 4 * (readers - 2) - 1))]
    match readers:
        case 1:
            plan = [[*BACK[1:], floors[0]]]
        case 2:
            plan = [[*BACK, floors[0], FRONT[1]]]
        case _:
            rest = [*floors, *FRONT]
            plan = [list(BACK)] + [rest[at : at + 4] for at in range(0, len(rest), 4)]
    zones = {name: Zone(name, kind) for antennas in plan for name, kind in antennas}
    mounts = [tuple(_mount(list(zones.values()), zones[name]) for name, _ in antennas) for antennas in plan]
    door = zones[BY_DOOR[0]] = Zone(*BY_DOOR)
    gate = (Mount((Ear(door, -300, 0.4),), INSIDE_M), Mount((Ear(door, -1000, 0.05),), OUTSIDE_M))
    if readers == 1:
        return Layout(zones, (mounts[0] + gate,))
    return Layout(zones, (*mounts, gate))


def _mount(zones: list[Zone], own: Zone) -> Mount:
    """Hear one zone well, the next ones through the wall."""
    at = zones.index(own)
    found = [Ear(own, 0, HIT)]
    for away, loss_cdb, hit in ((1, NEAR_CDB, NEAR), (2, FAR_CDB, FAR)):
        found += [Ear(zones[to], loss_cdb, hit) for to in (at - away, at + away) if 0 <= to < len(zones)]
    return Mount(tuple(found))
