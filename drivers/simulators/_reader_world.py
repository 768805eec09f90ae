"""The one shop that all simulated readers hear: items, where they are, who left, what was sold. The ground truth.

Runs on a timeline: nothing here polls. Not here: people who carry things of their own accord (`_reader_shopper.py`),
its truth as JSON (`_reader_truth.py`).
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from drivers.simulators._ap_timeline import Timeline
from drivers.simulators._reader_epc import item_epc, made_gtins
from drivers.simulators._reader_layout import Layout, Zone
from drivers.simulators._reader_tag import Tag
from drivers.simulators._reader_walk import Walk, Way

ITEMS_OF_A_PRODUCT = 20
WEAK_SHARE, WEAK_HIT = 0.03, 0.1  # tags behind metal or folded
PACE_MPS = (0.8, 1.6)
MOST_TAGS = 200_000
MOST_GHOSTS = 10_000


class NotThere(ValueError):
    """No such item, zone or product in the shop; the text says which."""


@dataclass(frozen=True)
class Stock:
    """What is in the shop at the beginning. `gtins` empty = made up; `odd_share`: EPCs that are no SGTIN-96."""

    tags: int = 1000
    gtins: tuple[str, ...] = ()
    static: int = -1  # tags that lie close to the door; -1 = a hundredth, at most 20
    odd_share: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no shop has, with the reason."""
        if not 0 <= self.tags <= MOST_TAGS:
            raise ValueError(f"tags: {self.tags} is not within 0..{MOST_TAGS}")


class World:
    """The items of a shop. All times are seconds of the timeline."""

    def __init__(self, timeline: Timeline, layout: Layout, stock: Stock) -> None:
        self.timeline, self.layout = timeline, layout
        self.seed = stock.seed
        self.rng = Random(f"world {stock.seed}")  # noqa: S311 (repeatable, not secret)
        self.tags: dict[bytes, Tag] = {}
        self.items: list[Tag] = []  # all that ever were, by number
        self.walks: dict[int, Walk] = {}  # who is at the door now, by number of the tag
        self.ghosts: deque[bytes] = deque(maxlen=MOST_GHOSTS)
        self._gtins = list(stock.gtins) or made_gtins(max(1, stock.tags // ITEMS_OF_A_PRODUCT))
        self._of_gtin: dict[str, list[Tag]] = {gtin: [] for gtin in self._gtins}
        self._odd_share = stock.odd_share
        self._fill(stock)

    def _fill(self, stock: Stock) -> None:
        static = min(20, stock.tags // 100) if stock.static < 0 else min(stock.static, stock.tags)
        homes = [zone for zone in self.layout.zones.values() if zone.kind in ("floor", "backroom")]
        by_door, homes = homes[-1], homes[:-1]
        for number in range(stock.tags):
            self._make(by_door if number < static else homes[number % len(homes)], self._next_gtin())

    def _next_gtin(self) -> str:
        return self._gtins[len(self.items) % len(self._gtins)]

    def _make(self, zone: Zone, gtin: str) -> Tag:
        number = len(self.items)
        epc = item_epc(gtin, 100_000 + number, self.rng, self._odd_share)
        said = gtin if epc[0] in (0x30, 0x36) else None
        tag = Tag(number, epc, said, WEAK_HIT if self.rng.random() < WEAK_SHARE else 1.0)
        self.items.append(tag)
        self.tags[epc] = tag
        if said is not None:
            self._of_gtin.setdefault(gtin, []).append(tag)
        zone.add(tag)
        tag.since_s = self.timeline.now_s
        return tag

    # finding

    def zone(self, name: str) -> Zone:
        """Return a zone by its name. Raises NotThere."""
        if name not in self.layout.zones:
            raise NotThere(f"no zone {name!r}; there are {', '.join(self.layout.zones)}")
        return self.layout.zones[name]

    def tag(self, epc_hex: str) -> Tag:
        """Return a tag by its EPC. Raises NotThere."""
        try:
            return self.tags[bytes.fromhex(epc_hex)]
        except (KeyError, ValueError):
            raise NotThere(f"no tag {epc_hex!r}") from None

    def of_product(self, gtin: str, count: int = 1) -> list[Tag]:
        """Return unsold items that say they are this product: those at the till first, then the floor's. NotThere."""
        found = [tag for tag in self._of_gtin.get(gtin.zfill(14), ()) if tag.zone and tag.sold_s is None]
        found.sort(key=lambda tag: {"till": 0, "floor": 1}.get(tag.zone.kind, 2) if tag.zone else 2)
        if len(found) < count:
            raise NotThere(f"{len(found)} unsold items of {gtin!r} are in the shop, not {count}")
        return found[:count]

    def any_of(self, zones: Sequence[Zone], count: int) -> list[Tag]:
        """Return so many different items that lie in these zones, by chance. Raises NotThere."""
        pool = [tag for zone in zones for tag in zone.tags]
        if not 0 <= count <= len(pool):
            raise NotThere(f"{len(pool)} items are in {', '.join(zone.name for zone in zones)}, not {count}")
        return self.rng.sample(pool, count)

    # what happens

    def deliver(self, gtins: Iterable[str]) -> list[Tag]:
        """Bring new items of these products to goods in (or where there is none, the back room)."""
        zone = next(iter(self.layout.of_kind("goods_in") or self.layout.of_kind("backroom")))
        return [self._make(zone, gtin) for gtin in gtins if len(self.items) < MOST_TAGS]

    def next_gtins(self, count: int) -> list[str]:
        """Return the products of the next delivery."""
        return [self._gtins[(len(self.items) + more) % len(self._gtins)] for more in range(count)]

    def move(self, tag: Tag, zone: Zone) -> None:
        """Put an item into another zone; one that walks or is gone stays so."""
        if tag.zone is None or tag.zone is zone:
            return
        tag.zone.drop(tag)
        zone.add(tag)
        tag.since_s = self.timeline.now_s

    def sell(self, tag: Tag) -> None:
        """Remember that an item was paid for."""
        if tag.sold_s is None:
            tag.sold_s = self.timeline.now_s

    def rename(self, tag: Tag, old: bytes) -> None:
        """Follow a tag whose EPC was written."""
        if self.tags.get(old) is tag:
            del self.tags[old]
        self.tags[tag.epc] = tag

    def walk(self, tag: Tag, way: Way = "out") -> Walk:
        """Carry an item through the door; it is in no zone meanwhile. Raises NotThere when it cannot be carried."""
        if tag.number in self.walks or (tag.zone is None) == (way != "in"):
            raise NotThere(f"{tag.epc.hex().upper()} is at the door, or not where a walk {way!r} begins")
        home = tag.zone
        if home is not None:
            home.drop(tag)
        walk = Walk(tag, way, self.timeline.now_s, self.rng.uniform(*PACE_MPS))
        self.walks[tag.number] = walk
        if way != "turn":
            self.timeline.at(walk.crossing_s, self._cross, walk)
        self.timeline.after(walk.seconds, self._arrive, walk, home)
        return walk

    def _cross(self, walk: Walk) -> None:
        walk.tag.left_s = self.timeline.now_s if walk.way == "out" else None
        walk.tag.since_s = self.timeline.now_s

    def _arrive(self, walk: Walk, home: Zone | None) -> None:
        del self.walks[walk.tag.number]
        if walk.way == "in":
            home = self.layout.of_kind("floor")[0]
        if home is not None and walk.way != "out":
            home.add(walk.tag)
            walk.tag.since_s = self.timeline.now_s if walk.way == "in" else walk.tag.since_s

    def ghost(self) -> Tag:
        """Return a tag that does not exist: noise whose CRC happened to be right."""
        tag = Tag(0, self.rng.randbytes(12), None, 1.0)
        self.ghosts.append(tag.epc)
        return tag
