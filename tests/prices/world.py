"""An abstract shop for Pricing: access points that delay, lose, repeat and forget; ground truth of every glass.

Quicker than the real simulator, and nastier: a face handed to an access point may be drawn at any later moment, unless
that access point has truly dropped it. What it reports keeps to the contract of `gateway.driver.Labels`, nothing more.
"""

import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from sqlite_utils import Database

from gateway import messages as m
from gateway.prices.board import PriceBoard
from gateway.prices.pricing import Policy, Pricing
from gateway.store.apply_prices import PriceTables, load

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
POLICY = Policy("CNY", ZoneInfo("Asia/Shanghai"), ("en",), None, 900.0)
GTINS = ("06901234567892", "04006381333931", "00012345678905")


@cache
def empty_tables() -> bytes:
    """Return the tables of prices as a new shop has them: made once, for thousands of shops."""
    with closing(sqlite3.connect(":memory:")) as db:
        PriceTables().migrations.apply(Database(db))
        return db.serialize()


@dataclass
class Flight:
    """One face that an access point still holds."""

    revision: int
    gtin: str | None
    price: int | None
    sent: m.LabelSent
    reported: bool = False


@dataclass
class World:
    """Everything: the gateway's Pricing on its tables, and the truth outside."""

    seed: int
    labels: int = 4
    absurd_change_percent: float | None = None
    aps: tuple[str, ...] = ("ap-1", "ap-2")
    now: datetime = START
    sequence: int = 0
    glass: dict[str, tuple[str | None, int | None, int]] = field(default_factory=dict)
    flights: dict[tuple[str, str], list[Flight]] = field(default_factory=dict)
    pending: list[m.Message] = field(default_factory=list)
    sent: dict[tuple[str, str, int], m.LabelSent] = field(default_factory=dict)
    ended: set[tuple[str, str, int]] = field(default_factory=set)
    uploads: int = 0
    trace: list[str] = field(default_factory=list)
    said: list[m.Message] = field(default_factory=list)
    person_decides: bool = False  # a person may force a price or sign a label off: then harm is theirs to judge
    late = timedelta(seconds=POLICY.converge_alarm_s)

    def __post_init__(self):
        self.random = random.Random(self.seed)
        self.db = sqlite3.connect(":memory:")
        self.db.deserialize(empty_tables())
        self.tables = PriceTables()
        self.names = [f"{n:016X}" for n in range(1, self.labels + 1)]
        self.at_ap = {label: self.random.choice(self.aps) for label in self.names}
        self.policy = replace(POLICY, absurd_change_percent=self.absurd_change_percent)
        self.start()
        products = tuple(m.Product(gtin=g, name={"en": f"Product {g[-3:]}"}) for g in GTINS)
        self.tell(m.ProductsUpdate(at=self.now, source="hq", sequence=1, full=False, products=products))
        for label in self.names:
            self.bind(label, self.random.choice(GTINS))
        for gtin in GTINS:
            self.wave({gtin: 300})

    def start(self):
        kept = load(self.db, self.now)
        self.pricing, self.board = Pricing(self.policy, kept), PriceBoard(kept, self.now)

    def tell(self, message):
        """One batch of the core: feed, commit; then the truth is checked."""
        out = []
        for step in self.pricing.steps(message):
            out += step
            self.look()
            self.check()
        kept = [*([] if isinstance(message, m.Reading) else [message]), *out]
        with self.db:
            self.tables.apply(self.db, kept)
        self.board.committed(kept)
        self.said += out
        self.check()
        return out

    def look(self):
        """Others read between two steps, and what they see is remembered by the shelf."""
        for label in self.names:
            self.pricing.shelf.wish(label, self.at_ap[label])

    def check(self):
        for label, (gtin, price, _) in self.glass.items():
            charge = None if gtin is None else self.pricing.charge(gtin)
            assert self.person_decides or price is None or charge is None or charge <= price, (
                self.seed,
                label,
                gtin,
                charge,
                price,
                self.trace[-40:],
            )

    def kill(self):
        """kill -9 and start again: what was not committed is gone, facts on their way too."""
        self.trace.append("kill")
        self.pending.clear()
        self.start()
        self.tick()

    def tick(self, seconds=0.0):
        self.now += timedelta(seconds=seconds)
        self.tell(m.Tick(at=self.now, source=m.GATEWAY))

    def bind(self, label, gtin):
        self.sequence += 1
        self.trace.append(f"bind {label[-1]} {gtin and gtin[-3:]}")
        binding = m.Binding(label=label, gtin=gtin)
        self.tell(m.BindingsUpdate(at=self.now, source="hq", sequence=self.sequence, full=False, bindings=(binding,)))

    def wave(self, prices, *, delay_s=0.0, lasts_s=None, supersedes=None, kind="change"):
        self.sequence += 1
        self.trace.append(f"wave {self.sequence} {kind} {prices} in {delay_s} for {lasts_s} over {supersedes}")
        effective = self.now + timedelta(seconds=delay_s)
        wave = m.Wave(
            id=f"w{self.sequence}",
            kind=kind,
            issued_at=self.now,
            issuer="hq/anna",
            sequence=self.sequence,
            effective_at=effective,
            expires_at=None if lasts_s is None else effective + timedelta(seconds=lasts_s),
            supersedes=supersedes,
        )
        lines = tuple(m.PriceLine(gtin=g, price_minor=p, currency="CNY") for g, p in prices.items())
        self.tell(m.PricePart(at=self.now, source="hq", wave=wave, part=1, lines=lines))
        return wave.id

    def head(self, sequence=None, parts=1):
        self.sequence = max(self.sequence + 1, sequence or 0)
        sequence = sequence or self.sequence
        return m.Wave(
            id=f"w{sequence}",
            issued_at=self.now,
            issuer="hq/anna",
            sequence=sequence,
            effective_at=self.now,
            parts=parts,
        )

    def send(self, wave, prices, part=1):
        """One part; only what is said upstream comes back."""
        lines = tuple(m.PriceLine(gtin=g, price_minor=p, currency="CNY") for g, p in prices.items())
        out = self.tell(m.PricePart(at=self.now, source="hq", wave=wave, part=part, lines=lines))
        return [message for message in out if isinstance(message, m.Fact)]

    def command(self, name, id_=None, **args):
        self.sequence += 1
        return self.tell(
            m.Request(
                at=self.now,
                source="hq",
                id=id_ or f"c{self.sequence}",
                name=name,
                issuer="hq/anna",
                issued_at=self.now,
                args=args,
            )
        )

    def tick_facts(self):
        out = self.tell(m.Tick(at=self.now, source=m.GATEWAY))
        return [message for message in out if isinstance(message, m.Fact)]

    def settle(self, without=None):
        """Every face is drawn and proven at once, but those of one label."""
        for _ in range(6):
            self.tick()
            self.sync()
            for (label, _), flights in self.flights.items():
                while flights and label != without:
                    flight = flights.pop(0)
                    self.glass[label] = (flight.gtin, flight.price, flight.revision)
                    self.report(m.LabelShown, flight.sent, proof="pixels")
            while self.pending:
                self.deliver()

    def sync(self):
        """What LabelSync does, without drawing."""
        for label in self.pricing.shelf.take_stale(1000):
            via = self.at_ap.get(label)
            if via is None:
                continue
            wish = self.pricing.shelf.wish(label, via)
            if wish is None:
                continue
            ask = m.ShowFace(
                at=self.now,
                source=via,
                label=label,
                gtin=wish.gtin,
                price_minor=wish.price_minor,
                currency=wish.currency,
                wave=wish.wave,
                content=wish.content.key,
                digest=f"{self.random.getrandbits(256):064x}",
                revision=self.pricing.shelf.glass(label).revision + 1,
            )
            for fact in self.tell(ask):
                if isinstance(fact, m.LabelSent):
                    self.uploads += 1
                    self.sent[label, via, fact.revision] = fact
                    flight = Flight(fact.revision, fact.gtin, fact.price_minor, fact)
                    self.flights.setdefault((label, via), []).append(flight)

    def move(self, label, ap):
        """A label is heard by another access point; LabelSync then looks at it again."""
        self.at_ap[label] = ap
        self.pricing.shelf.mark(label)

    def deliver(self):
        """One report reaches the core."""
        if self.pending:
            self.tell(self.pending.pop(0))

    def draw(self, *, keep=False):
        held = [(key, f) for key, flights in self.flights.items() for f in flights]
        if held:
            (label, via), flight = self.random.choice(held)
            self.trace.append(f"{via} draws {flight.revision}={flight.price} on {label[-1]} keep={keep}")
            self.glass[label] = (flight.gtin, flight.price, flight.revision)
            if not keep:
                self.flights[label, via].remove(flight)
            self.check()

    def prove(self):
        """A driver reads back a glass, and can rule out all that it was given before."""
        for label in self.random.sample(self.names, len(self.names)):
            shown = self.glass.get(label)
            via = self.at_ap[label]
            sent = None if shown is None else self.sent.get((label, via, shown[2]))
            if sent is None or any(f.revision <= sent.revision for f in self.flights.get((label, via), ())):
                continue
            self.trace.append(f"{via} proves {sent.revision}={sent.price_minor} on {label[-1]}")
            self.report(m.LabelShown, sent, proof="pixels")
            return

    def fail(self, outcome):
        held = [(key, f) for key, flights in self.flights.items() for f in flights if not f.reported]
        if not held:
            return
        key, flight = self.random.choice(held)
        shown = self.glass.get(key[0])
        if outcome == "never_sent" and shown is not None and shown[2] == flight.revision:
            return
        flight.reported = True
        if outcome != "unsettled":
            self.flights[key].remove(flight)
        self.trace.append(f"{key[1]} fails {flight.revision}={flight.price} on {key[0][-1]}: {outcome}")
        self.report(m.LabelFailed, flight.sent, outcome=outcome, reason="lost")

    def report(self, kind, sent, **more):
        self.now += timedelta(milliseconds=1)
        self.ended.add((sent.label, sent.source, sent.revision))
        fields = sent.model_dump(exclude={"id", "at"})
        self.pending.append(kind(at=self.now, **fields, **more))

    def calm(self):  # noqa: C901 - one round after another
        """The adversary goes home: everything is drawn and proven; afterwards all must agree."""
        for label in self.names:
            self.move(label, "ap-1")
        self.tick(5000)
        for (label, via, revision), sent in self.sent.items():
            held = [f.revision for f in self.flights.get((label, via), ())]
            if (label, via, revision) not in self.ended and revision not in held:
                self.report(m.LabelFailed, sent, outcome="settled", reason="lost")
        for number in range(40):
            self.tick(1)
            before = self.uploads, len(self.ended)
            if number in (2, 10):
                for label, via in ((label, via) for label in self.names for via in self.aps):
                    if via != self.at_ap[label] and not self.flights.get((label, via)):
                        self.pending.append(m.LabelLeft(at=self.now, source=via, label=label))
            while self.pricing.more:
                self.tick()
            while self.pending:
                self.deliver()
            self.sync()
            for (label, via), flights in list(self.flights.items()):
                for flight in sorted(flights, key=lambda f: f.revision):
                    flights.remove(flight)
                    self.glass[label] = (flight.gtin, flight.price, flight.revision)
                    self.check()
                    kind = (
                        {"proof": "pixels"} if via == self.at_ap[label] else {"outcome": "settled", "reason": "roamed"}
                    )
                    self.report(m.LabelShown if via == self.at_ap[label] else m.LabelFailed, flight.sent, **kind)
            if number > 12 and not self.pending and before == (self.uploads, len(self.ended)):
                return
