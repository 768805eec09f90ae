"""What the tests of counts share: zones and items, readers that hear a share of them, the rule over its tables."""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from sqlite_utils import Database

from gateway import messages as m
from gateway.count_notes import ExpectedItem
from gateway.rules.count_result import Known
from gateway.rules.count_schedule import CountPlan
from gateway.rules.counts import CountPolicy, Counts
from gateway.rules.zones import Zone, Zones
from gateway.store.apply_counts import CountTables, load

AT = datetime(2026, 11, 22, 2, 0, 0, tzinfo=UTC)
ZONES = Zones(
    Zone.model_validate(zone)
    for zone in (
        {"id": "floor", "kind": "floor", "antennas": ("r1:1",)},
        {"id": "back", "kind": "backroom", "antennas": ("r1:2",)},
        {"id": "dock", "kind": "goods_in", "antennas": ("r2:1",)},
        {"id": "door", "kind": "exit", "antennas": ("r2:2",)},
    )
)
ANTENNA = {"floor": ("r1", 1), "back": ("r1", 2), "dock": ("r2", 1), "door": ("r2", 2)}


def gtin_of(epc: str) -> str | None:
    """Return the product: the test's EPCs hold its number in clear; those that begin with FF hold none."""
    return None if epc.startswith("FF") else f"0690123456789{epc[1]}"


def epc(product: int, serial: int) -> str:
    return f"3{product}{serial:022X}"


class World:
    """Where items are by what is known (the view), and where they are really."""

    def __init__(self) -> None:
        self.listed: dict[str, Known] = {}
        self.real: dict[str, str] = {}

    def put(self, item: str, zone: str, *, listed: bool = True, inbound: bool = False) -> None:
        self.real[item] = zone
        if listed:
            self.listed[item] = Known(zone, in_stock=True, inbound=inbound)

    def expected(self, zones: frozenset[str]) -> Iterator[ExpectedItem]:
        for item, known in self.listed.items():
            if known.in_stock and known.zone in zones:
                yield ExpectedItem(item, gtin_of(item), known.zone)

    def known(self, item: str) -> Known | None:
        return self.listed.get(item)


class Shop:
    """The rule over the real tables, kept after each feed."""

    def __init__(self, plans: tuple[CountPlan, ...] = (), zones: Zones = ZONES) -> None:
        self.world, self.at, self.zones = World(), AT, zones
        self.policy = CountPolicy(3600.0, plans, ZoneInfo("Asia/Shanghai"))
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        CountTables.migrations.apply(Database(self.db))
        self.all: list[m.Message] = []
        self.restart()

    def restart(self) -> None:
        self.rule = Counts(self.policy, self.zones, self.world, gtin_of, load(self.db))

    def feed(self, message: m.Message) -> list[m.Message]:
        out = list(self.rule.feed(message))
        CountTables().apply(self.db, out)
        self.all += out
        return out

    def order(self, name: str, **args: Any) -> list[m.Message]:
        request = m.Request(
            at=self.at, source="hq", id=f"cmd-{len(self.all)}", name=name, issuer="hq/anna", issued_at=AT, args=args
        )
        return self.feed(request)

    def sweep(self, random: Random, share: float, items: Iterable[str] | None = None, seconds: float = 10) -> None:
        """Let the readers hear each item with this chance, and time go on."""
        by_reader: dict[str, list[m.TagRead]] = {}
        for item in self.world.real if items is None else items:
            if random.random() < share:
                reader, antenna = ANTENNA[self.world.real[item]]
                at_us = int(self.at.timestamp() * 1e6)
                by_reader.setdefault(reader, []).append(m.TagRead(item, antenna, at_us, -6000))
        for reader, reads in by_reader.items():
            self.feed(m.TagReads(at=self.at, source=reader, reads=tuple(reads)))
        self.at += timedelta(seconds=seconds)
        self.feed(m.ReaderHeard(at=self.at, source="r1", antennas=(1, 2)))

    def facts(self, kind: type[m.Fact]) -> list[Any]:
        return [fact for fact in self.all if isinstance(fact, kind)]
