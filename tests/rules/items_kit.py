"""What the tests of items share: a small shop with readers, the rule over the real tables, and reads by the second."""

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlite_utils import Database

from gateway import messages as m
from gateway.codes.epc import decode, encode_sgtin96
from gateway.rules.items import Items, Policy
from gateway.rules.zones import Zone, Zones
from gateway.store.apply_items import ItemTables, load
from gateway.store.schema import connect_writer

AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
SHIRT, SHOE = "06901234567892", "04012345678901"
EPC = encode_sgtin96(SHIRT, 7, 1)
SHOP = Zones(
    [
        Zone(id="dock", kind="goods_in", antennas=("back:1",)),
        Zone(id="store", kind="backroom", antennas=("back:2",)),
        Zone(id="floor", kind="floor", antennas=("front:1", "front:2")),
        Zone(id="wall", kind="floor", antennas=("front:3",)),
        Zone(id="door", kind="exit", antennas=("gate:1",), outside=("gate:2",)),
        Zone(id="side", kind="exit", antennas=("gate:3",)),
    ]
)
ANTENNAS = {"back": (1, 2), "front": (1, 2, 3), "gate": (1, 2, 3)}


def gtin_of(epc: str) -> str | None:
    found = decode(epc)
    return None if found is None else found.gtin


def epc(number: int, gtin: str = SHIRT) -> str:
    return encode_sgtin96(gtin, 7, number)


def us(at: datetime) -> int:
    return round((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def of(messages: Iterable[m.Message], *kinds: type[m.Message]) -> list[Any]:
    return [one for one in messages if isinstance(one, kinds)]


class Floor:
    """The rule with its tables, committed after each message. `now` is the gateway's clock."""

    def __init__(self, policy: Policy = Policy(), zones: Zones = SHOP, path: str = ":memory:") -> None:  # noqa: B008 - frozen
        self.policy, self.zones = policy, zones
        self.db = connect_writer(path) if path != ":memory:" else sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA synchronous = OFF")  # nobody pulls the plug here
        ItemTables.migrations.apply(Database(self.db))
        self.tables = ItemTables()
        self.now = AT
        self.all: list[m.Message] = []
        self.restart()

    def restart(self) -> None:
        """Be killed and start again: what is committed is all there is."""
        self.rule = Items(self.policy, self.zones, load(self.db), gtin_of)

    def feed(self, *messages: m.Message) -> list[m.Message]:
        out = [said for one in messages for said in self.rule.feed(one)]
        self.db.execute("BEGIN")
        self.tables.apply(self.db, out)
        self.db.execute("COMMIT")
        self.all += out
        return out

    def go(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def read(
        self, epc: str, *antennas: str, dbm: float | None = -55, ago_s: float = 0, seen: int = 1
    ) -> list[m.Message]:
        """Have antennas read a tag now, or that long ago and told now."""
        out: list[m.Message] = []
        at_us = us(self.now) - round(ago_s * 1e6)
        for antenna in antennas:
            reader, _, number = antenna.partition(":")
            power = None if dbm is None else round(dbm * 100)
            read = m.TagRead(epc, int(number), at_us, power, seen)
            out += self.feed(m.TagReads(at=self.now, source=reader, reads=(read,)))
        return out

    def reads(self, epc: str, antenna: str, times: int, every_s: float = 1, dbm: float = -55) -> list[m.Message]:
        """Have an antenna read a tag again and again, while all readers are heard."""
        out: list[m.Message] = []
        for _ in range(times):
            out += self.read(epc, antenna, dbm=dbm)
            out += self.live(every_s)
        return out

    def live(self, seconds: float, *without: str, step_s: float = 5) -> list[m.Message]:
        """Let time pass; every reader is heard, but these."""
        out: list[m.Message] = []
        left = seconds
        while left > 0:
            self.go(min(step_s, left))
            left -= step_s
            for reader, antennas in ANTENNAS.items():
                if reader not in without:
                    out += self.feed(m.ReaderHeard(at=self.now, source=reader, antennas=antennas))
        return out

    def tick(self) -> list[m.Message]:
        return self.feed(m.Tick(at=self.now, source=m.GATEWAY))

    def wait(self, seconds: float) -> list[m.Message]:
        """Let time pass as the ticker does: a tick whenever one is wanted, and at the end."""
        out: list[m.Message] = []
        end = self.now + timedelta(seconds=seconds)
        while (due := self.rule.next_at) is not None and due <= end:
            self.now = max(self.now, due)
            out += self.tick()
        self.now = end
        return [*out, *self.tick()]

    def walk_out(self, epc: str, *, inner: str = "gate:1", outer: str = "gate:2") -> list[m.Message]:
        """Carry an item out: louder towards the door and fainter behind it."""
        return self.walk(epc, (inner, -68), (inner, -58), (inner, -52), (outer, -52), (outer, -58), (outer, -68))

    def walk_in(self, epc: str) -> list[m.Message]:
        inner, outer = "gate:1", "gate:2"
        return self.walk(epc, (outer, -68), (outer, -58), (outer, -52), (inner, -52), (inner, -58), (inner, -68))

    def walk(self, epc: str, *steps: tuple[str, float], every_s: float = 0.4) -> list[m.Message]:
        out: list[m.Message] = []
        for antenna, dbm in steps:
            out += self.read(epc, antenna, dbm=dbm)
            self.go(every_s)
        return out

    def stocked(self, *epcs: str, antenna: str = "front:1") -> list[m.Message]:
        """Have items lie in the shop for a while."""
        out: list[m.Message] = []
        for _ in range(5):
            for one in epcs:
                out += self.read(one, antenna)
            out += self.live(5)
        return out

    def state(self, epc: str) -> str | None:
        item = self.rule.item(epc)
        return None if item is None else item.state


def sale(*epcs: str, gtin: str | None = SHIRT, pieces: int | None = None, at: datetime = AT, **more: Any) -> m.SaleLine:
    fields: dict[str, Any] = {
        "at": at,
        "source": "till-1",
        "cause": "e1",
        "terminal": "sco-1",
        "basket": "B1",
        "line": 1,
        "gtin": gtin,
        "quantity_thousandths": (len(epcs) if pieces is None else pieces) * 1000,
        "weight_mg": None,
        "unit_price_minor": 100,
        "amount_minor": 100,
        "discount_minor": 0,
        "currency": "EUR",
        "price_version": None,
        "shelf": None,
        "wave": None,
        "pending": False,
        "epcs": epcs,
    }
    return m.SaleLine.model_validate(fields | more)


def request(name: str, number: int = 1, at: datetime = AT, **args: Any) -> m.Request:
    return m.Request(at=at, source="hq", id=f"c{number}", name=name, issuer="hq/anna", issued_at=at, args=args)
