"""A whole shop in virtual time: the real core, store, Pricing, LabelSync and drivers, against simulated access points.

Ground truth is what the simulated panels draw. A till charges what the last `PriceCharged` on disk said. After each
change of either, no till may charge more than a label of the product shows. Kills drop everything but the store.
"""

import asyncio
import hashlib
import random
from collections.abc import Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from drivers.label_oepl import Config, Driver
from drivers.simulators._ap_timeline import Timeline
from drivers.simulators.access_point import AccessPoint, ApConfig
from gateway import messages as m
from gateway.core import Core
from gateway.driver import Services
from gateway.health import HealthBoard
from gateway.notes import Kept
from gateway.prices.face_content import Style
from gateway.prices.labels import LabelSync
from gateway.prices.pricing import Policy, Pricing
from gateway.prices.studio import Job, Studio
from gateway.store.apply_prices import PriceTables, load
from gateway.store.journal import Journal, verify
from gateway.store.schema import MEMORY
from gateway.store.store import Store
from gateway.supervisor import Supervisor
from gateway.ticker import Ticker
from tests.virtual_time import AirTime, InProcessLink, VirtualClock, stopped

GTINS = ("06901234567892", "04006381333931")
POLICY = Policy("CNY", ZoneInfo("Asia/Shanghai"))
SMALL_BW = 0x00


def draw(jobs: Sequence[Job]) -> list[bytes]:
    """Pictures that differ by what they say, and cost nothing: 16 hex digits as rows of blocks."""
    found = []
    for content, panel, _ in jobs:
        rows = [bytes([1 if int(digit, 16) >> bit & 1 else 0 for bit in range(4)]) for digit in content.key]
        block = panel.width // 4
        row_bytes = [b"".join(bytes([cell]) * block for cell in row).ljust(panel.width, b"\0") for row in rows]
        height = panel.height // 16
        pixels = b"".join(row * (height - 1) + bytes(panel.width) for row in row_bytes)
        found.append(pixels.ljust(panel.width * panel.height, b"\0"))
    return found


class Clock(VirtualClock):
    """Trusted virtual time."""

    quality = "synced"


class Gateway:
    """One life of the daemon on a store that outlives it."""

    def __init__(self, twin: "Twin") -> None:
        self.twin = twin
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        twin = self.twin
        kept = await twin.store.read(lambda db: load(db, twin.clock.now()))
        board = HealthBoard(twin.clock)
        drivers = {name: self._driver(name, board) for name in twin.aps}
        self.pricing = Pricing(POLICY, kept, self._wake)
        studio = Studio(Style(), draw, in_thread=False)
        self.sync = LabelSync(self.pricing, self._submit, drivers, studio, twin.clock, twin.rng.random)
        self.core = Core(twin, (self.pricing, *await self.rules(kept), self.sync), committed=self.committed)
        self.ticker = Ticker(self.pricing, self.core.submit, twin.clock)
        supervisor = Supervisor(drivers, self.core.emit, board, twin.clock, jitter=twin.rng.uniform)
        parts = (self.core.run, self.sync.run, self.ticker.run, supervisor.run, lambda: board.run(self.core.emit))
        for run in (*parts, *self.more):
            self.tasks.append(asyncio.create_task(run()))

    more: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = ()

    async def rules(self, _kept: Kept) -> tuple[Any, ...]:
        """Rules beside the prices."""
        return ()

    def committed(self, messages: Sequence[m.Message]) -> None:
        """See what is on disk."""

    def _driver(self, name: str, board: HealthBoard) -> Driver:
        config = Config(id=name, driver="label_oepl", url="http://127.0.0.1")
        return Driver(config, Services(self.twin.clock, board.reporter(name)), self.twin.links[name])

    def _wake(self) -> None:
        self.sync.wake()
        self.ticker.wake()

    async def _submit(self, *commands: m.Message) -> list[m.Fact]:
        return await self.core.submit(*commands)

    async def kill(self) -> None:
        """End it where it stands: from this moment nothing of it reaches the disk."""
        self.core._store = _Dead()
        for task in self.tasks:
            await stopped(task)

    def failed(self) -> BaseException | None:
        return next((t.exception() for t in self.tasks if t.done() and not t.cancelled()), None)


class _Dead:
    def refusal(self, _messages: Sequence[m.Message]) -> None:
        return None

    async def append(self, _messages: Sequence[m.Message]) -> None:
        raise asyncio.CancelledError


class Twin:
    """The shop. `labels` on two access points; one seed, one run."""

    projections: tuple[Any, ...] = (Journal(), PriceTables())
    life = Gateway

    def __init__(self, seed: int, labels: int = 3) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.clock = Clock()
        self.names = [f"00000000000A{n:04X}" for n in range(1, labels + 1)]
        self.bound: dict[str, str | None] = {}
        self.charges: dict[str, int | None] = {}
        self.meaning: dict[str, tuple[str | None, int | None]] = {}
        self.sequence = 0
        self.waves: list[str] = []
        self.sent = 0
        self.trace: list[str] = []
        self.harm: list[object] = []  # kept, not raised: it is found deep in callbacks of the shop

    async def start(self) -> None:
        timeline = Timeline()
        half = max(1, len(self.names) // 2 + 1)
        groups = {"ap-1": self.names[:half], "ap-2": self.names[half:]}
        self.aps = {
            name: AccessPoint(
                ApConfig(macs=tuple(macs), types=(SMALL_BW,), seed=self.seed, loss=self.rng.choice((0, 0, 0.2))),
                self._on_glass,
                timeline,
            )
            for name, macs in groups.items()
            if macs
        }
        self.air = AirTime(timeline)
        self.links = {name: InProcessLink(ap, self.air, self.rng) for name, ap in self.aps.items()}
        self.store = Store(
            MEMORY,
            store_id="1",
            gateway_id="gw1",
            clock=self.clock,
            projections=self.projections,
            in_thread=False,
        )
        await self.store.open()
        self.gateway = self.life(self)
        await self.gateway.start()

    # the store, watched

    def refusal(self, messages: Sequence[m.Message]) -> None:
        return self.store.refusal(messages)

    async def append(self, messages: Sequence[m.Message]) -> None:
        for message in messages:
            if isinstance(message, m.LabelSent):
                self.meaning[message.digest] = (message.gtin, message.price_minor)
                self.sent += 1
        await self.store.append(messages)
        for message in messages:
            if isinstance(message, m.PriceCharged):
                self.charges[message.gtin] = message.price_minor
        self.check("charge")

    # the truth

    def _on_glass(self, mac: str, pixels: bytes | None, _at: float) -> None:
        if pixels is not None:
            self.trace.append(f"{self.now_s:.0f} glass {mac[-2:]} {self.meaning.get(_digest(pixels))}")
        self.check("glass")

    @property
    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def shown(self, label: str) -> tuple[str | None, int | None] | None:
        for ap in self.aps.values():
            tag = ap.tags.get(label)
            if tag is not None:
                return None if tag.glass is None else self.meaning.get(_digest(tag.glass))
        return None

    def check(self, why: str) -> None:
        for label in self.names:
            gtin, price = self.shown(label) or (None, None)
            charge = None if gtin is None else self.charges.get(gtin)
            if price is not None and charge is not None and charge > price:
                self.harm.append((self.seed, why, label, gtin, charge, price, self.trace[-60:]))

    def wrong(self) -> list[object]:
        """What does not agree yet: labels that show something else, tills that charge something else."""
        found: list[object] = []
        for label, gtin in self.bound.items():
            wanted = None if gtin is None else self.gateway.pricing.wanted(gtin)
            if wanted is None or gtin is None:
                continue
            if self.shown(label) != (gtin, wanted) or not self._till_agrees(gtin, wanted):
                glass = self.gateway.pricing.shelf.glass(label)
                found.append((self.seed, label, self.shown(label), wanted, self.charges[gtin], glass, self.trace[-60:]))
        return found

    def _till_agrees(self, gtin: str, wanted: int) -> bool:
        """A lower charge is right only while another access point may still hold a face that it never converted."""
        if self.charges[gtin] == wanted:
            return True
        shelf, route = self.gateway.pricing.shelf, self.gateway.sync.route
        elsewhere = [
            entry
            for label in self.names
            for entry in shelf.glass(label).entries
            if entry.gtin == gtin and entry.state == "sent" and (known := route(label)) and entry.via != known.via
        ]
        return bool(elsewhere) and self.charges[gtin] < wanted

    # what head office and the world do

    async def submit(self, *commands: m.Command) -> None:
        """As head office does: again, until it is acknowledged."""
        core = self.gateway.core
        await core.submit(*commands)

    async def setup(self) -> None:
        now = self.clock.now()
        products = tuple(m.Product(gtin=gtin, name={"en": f"P{gtin[-4:]}"}) for gtin in GTINS)
        await self.submit(m.ProductsUpdate(at=now, source="hq", sequence=1, full=True, products=products))
        for label in self.names:
            await self.bind(label, self.rng.choice(GTINS))

    async def bind(self, label: str, gtin: str | None) -> None:
        self.sequence += 1
        self.bound[label] = gtin
        self.trace.append(f"{self.now_s:.0f} bind {label[-2:]} {gtin}")
        binding = m.Binding(label=label, gtin=gtin)
        await self.submit(
            m.BindingsUpdate(at=self.clock.now(), source="hq", sequence=self.sequence, full=False, bindings=(binding,))
        )

    async def wave(self, prices: dict[str, int], delay_s: float = 0, lasts_s: float | None = None) -> None:
        await self._send("change", prices, delay_s, lasts_s, self.rng.choice((None, None, *self.waves[-1:])))

    async def cancel(self, target: str) -> None:
        await self._send("cancel", {}, 0, None, target)

    async def _send(
        self, kind: str, prices: dict[str, int], delay_s: float, lasts_s: float | None, supersedes: str | None
    ) -> None:
        self.sequence += 1
        now = self.clock.now()
        wave = m.Wave(
            id=f"w{self.sequence}",
            kind=kind,
            issued_at=now,
            issuer="hq",
            sequence=self.sequence,
            effective_at=now + timedelta(seconds=delay_s),
            expires_at=None if lasts_s is None else now + timedelta(seconds=delay_s + lasts_s),
            supersedes=supersedes,
        )
        self.trace.append(f"{self.now_s:.0f} {wave.id} {kind} {prices} +{delay_s} for {lasts_s} over {supersedes}")
        lines = tuple(m.PriceLine(gtin=g, price_minor=p, currency="CNY") for g, p in prices.items())
        await self.submit(m.PricePart(at=now, source="hq", wave=wave, part=1, lines=lines))
        if kind == "change":
            self.waves.append(wave.id)

    async def kill(self) -> None:
        self.trace.append(f"{self.now_s:.0f} kill")
        await self.gateway.kill()
        await asyncio.sleep(self.rng.choice((0, 0, 5, 120)))
        self.gateway = self.life(self)
        await self.gateway.start()

    def fault(self, ap: str, name: str, *args: object, **named: object) -> None:
        self.trace.append(f"{self.now_s:.0f} {ap} {name} {args} {named}")
        self.air.catch_up()
        getattr(self.aps[ap].faults, name)(*args, **named)
        self.air.arm()

    def somewhere(self) -> tuple[str, str]:
        """Return a label and the access point that it is at."""
        label = self.rng.choice(self.names)
        return label, next(name for name, ap in self.aps.items() if label in ap.tags)

    async def journal_is_sound(self) -> bool:
        return await self.store.read(verify) is None

    async def stop(self) -> None:
        await self.gateway.kill()
        await self.store.close()


def _digest(pixels: bytes) -> str:
    return hashlib.sha256(pixels).hexdigest()


@asynccontextmanager
async def open_twin(seed: int, labels: int = 3, kind: type[Twin] = Twin):
    twin = kind(seed, labels)
    await twin.start()
    try:
        await twin.setup()
        yield twin
    finally:
        await twin.stop()
