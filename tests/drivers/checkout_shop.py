"""A gateway's desk in memory, and the real driver on a loopback port in front of it."""

import asyncio
import contextlib
import io
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import aiohttp
from multidict import CIMultiDict

from drivers import _checkout_gate, _checkout_web, checkout_http
from drivers import _terminal_tokens as tokens
from drivers.checkout_http import Config, Driver
from gateway.driver import Services, ShopFacts
from gateway.errors import GatewayError, NotForSale, Refused
from gateway.messages import BaggingVerdict, EventIn, Lease, Outcome, PosTransaction, PriceAnswer, PriceChange
from gateway.messages.tills import Restrictions

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MILK = "06901234567892"
TILL, OTHER = "till-1", "till-2"
PATIENCE_S = 10


@dataclass
class Clock:
    """Stands still unless moved."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass
class Tills:
    """The gateway behind the interface, in memory. `trouble` is what it raises; `hold` keeps commits waiting."""

    prices: dict[str, PriceChange] = field(default_factory=dict)
    version: int = 0
    kept: dict[str, dict[int, EventIn]] = field(default_factory=dict)
    sent_at: list[datetime | None] = field(default_factory=list)
    sales: list[PosTransaction] = field(default_factory=list)
    leases: list[tuple[str, int]] = field(default_factory=list)
    trouble: GatewayError | None = None
    verdict: str = "match"
    age_s: int | None = 3
    hold: asyncio.Event | None = None
    takes: int = 0
    _grown: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.charge(MILK, 1290)

    def charge(self, gtin: str, price: int | None) -> None:
        self.version += 1
        self.prices[gtin] = PriceChange(version=self.version, gtin=gtin, price_minor=price, currency="CNY", name="milk")
        self._grown.set()
        self._grown = asyncio.Event()

    def look_up(self, scan: str, symbology: str | None = None) -> PriceAnswer:
        del symbology
        self._may_fail()
        if not scan.isdecimal():
            raise Refused(f"{scan}: not a code that is known here")
        change = self.prices.get(scan.zfill(14))
        if change is None or change.price_minor is None:
            raise NotForSale(f"{scan}: not a product of this shop")
        return answer(change, self.age_s)

    def changes(self, since: int) -> list[PriceChange]:
        return sorted((one for one in self.prices.values() if one.version > since), key=lambda one: one.version)

    async def wait_beyond(self, version: int) -> int:
        while self.version <= version:
            await self._grown.wait()
        return self.version

    async def lease(self, source: str, terminal: str, version: int) -> Lease:
        assert source == "tills"
        self._may_fail()
        self.leases.append((terminal, version))
        return Lease(version=self.version, lease_s=900 if version == self.version else 0)

    async def take(
        self, source: str, terminal: str, events: Sequence[EventIn], sent_at: datetime | None = None
    ) -> list[Outcome]:
        assert source == "tills"
        self._may_fail()
        self.takes += 1
        if self.hold is not None:
            await self.hold.wait()
        self.sent_at.append(sent_at)
        return [self._take(self.kept.setdefault(terminal, {}), event) for event in events]

    def _take(self, kept: dict[int, EventIn], event: EventIn) -> Outcome:
        known = kept.setdefault(event.seq, event)
        result = "accepted" if known is event else "duplicate" if known == event else "conflict"
        reason = "this number is another event's" if result == "conflict" else None
        return Outcome(event_id=event.event_id, seq=event.seq, result=result, reason=reason)

    async def import_sales(self, sales: Sequence[PosTransaction]) -> list[Outcome]:
        self._may_fail()
        known = {key(sale) for sale in self.sales}
        self.sales += [sale for sale in sales if key(sale) not in known]
        results = ["duplicate" if key(sale) in known else "accepted" for sale in sales]
        return [Outcome(event_id=None, seq=None, result=result) for result in results]

    def ack_seq(self, terminal: str) -> int:
        ack = 0
        while ack + 1 in self.kept.get(terminal, {}):
            ack += 1
        return ack

    def verify(self, terminal: str, basket: str) -> BaggingVerdict:
        self._may_fail()
        return BaggingVerdict(
            verdict=self.verdict,
            z=0.4,
            tolerance_mg=6000,
            missing_lines=(),
            unexplained_mg=0,
            expected=(),
            reason=f"{terminal} {basket}",
        )

    def _may_fail(self) -> None:
        if self.trouble is not None:
            raise self.trouble


def key(sale: PosTransaction) -> tuple[object, ...]:
    return sale.store, sale.workstation, sale.business_day, sale.sequence


def answer(change: PriceChange, age_s: int | None = 3) -> PriceAnswer:
    return PriceAnswer(
        gtin=change.gtin,
        name=change.name,
        price_minor=change.price_minor,
        currency=change.currency,
        unit="EA",
        amount_minor=change.price_minor,
        weight_mg=None,
        price_version=change.version,
        wave="w-1",
        valid_from=NOW - timedelta(days=1),
        valid_to=None,
        label_pending=False,
        labels="proven",
        restrictions=Restrictions(),
        expected_weight=None,
        stale=False,
        upstream_age_s=age_s,
    )


def event(seq: int, type_: str = "basket.opened", **members: Any) -> dict[str, Any]:
    said = {"event_id": f"e-{seq}", "seq": seq, "type": type_, "at": NOW.isoformat(), "basket_id": "b-1", "data": {}}
    return said | members


def item(seq: int, **data: Any) -> dict[str, Any]:
    said = {
        "line": 1,
        "scan": MILK[1:],
        "gtin": MILK,
        "unit_price_minor": 1290,
        "amount_minor": 1290,
        "currency": "CNY",
    }
    return event(seq, "item.added", data=said | data)


@dataclass
class Shop:
    """The running driver and what is behind it."""

    driver: Driver
    tills: Tills
    clock: Clock
    tokens: dict[str, str]
    said: list[tuple[str, str, str, str]]
    facts: list[Any]
    tokens_file: Path
    running: asyncio.Future[None]
    session: aiohttp.ClientSession
    scheme: str = "http"
    tls: ssl.SSLContext | bool = True

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.driver.port}"

    def auth(self, terminal: str | None = TILL) -> dict[str, str]:
        return {} if terminal is None else {"Authorization": f"Bearer {self.tokens[terminal]}"}

    async def ask(
        self, method: str, path: str, said: object = None, terminal: str | None = TILL, **options: Any
    ) -> "Answer":
        """Ask as a till does; `said` is JSON unless it is bytes."""
        headers = self.auth(terminal) | options.pop("headers", {})
        if said is not None and not isinstance(said, bytes):
            said = json.dumps(said).encode()
        if said is not None:
            headers.setdefault("Content-Type", "application/json")
        data = io.BytesIO(said) if said is not None else None
        request = self.session.request(method, self.url + path, data=data, headers=headers, ssl=self.tls, **options)
        async with request as response:
            return Answer(response.status, await response.read(), CIMultiDict(response.headers))

    def stream(self, query: str = "", terminal: str = TILL, **options: Any) -> Any:
        """Open the till's WebSocket; pings are answered unless `autoping` is false."""
        url = f"{self.url}/v1/sco/{terminal}/stream{query}"
        return self.session.ws_connect(url, headers=self.auth(terminal), ssl=self.tls, **options)

    async def raw(self, data: bytes) -> bytes:
        """Send bytes and return all that comes until the gateway closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.driver.port)
        try:
            writer.write(data)
            async with asyncio.timeout(PATIENCE_S):
                return await reader.read()
        finally:
            writer.close()


@dataclass
class Answer:
    """What the gateway answered."""

    status: int
    body: bytes
    headers: CIMultiDict[str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextlib.asynccontextmanager
async def open_shop(folder: Path, certificates: Any = None, **fields: Any) -> AsyncIterator[Shop]:
    """Run the driver with two tills, plain on loopback unless there are certificates."""
    clock, tills = Clock(), Tills()
    file = folder / "terminals.json"
    given = {terminal: tokens.add(file, terminal, clock.now()) for terminal in (TILL, OTHER)}
    said: list[tuple[str, str, str, str]] = []
    facts = list[Any]()
    services = Services(
        clock=clock,
        report=lambda *words: said.append(words),
        tills=tills,
        certificates=certificates,
        data_dir=folder,
        shop=ShopFacts(ZoneInfo("Asia/Shanghai"), "CNY", 2),
    )
    basic = {
        "id": "tills",
        "driver": "checkout_http",
        "host": "127.0.0.1",
        "port": 0,
        "plaintext": certificates is None,
    }
    driver = Driver(Config.model_validate(basic | fields), services)

    async def keep(*messages: Any) -> None:
        facts.extend(messages)

    quick = [
        mock.patch.object(checkout_http, "TICK_S", 0.05),
        mock.patch.object(_checkout_web, "TRUST_S", 0.05),
        mock.patch.object(_checkout_gate, "SWEEP_S", 0.05),
    ]
    for one in quick:
        one.start()
    running = asyncio.ensure_future(driver.run(keep))
    try:
        await until(lambda: driver.port is not None or running.done())
        if running.done():
            await running
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            yield Shop(driver, tills, clock, given, said, facts, file, running, session)
    finally:
        running.cancel()
        await asyncio.wait({running}, timeout=PATIENCE_S)
        for one in quick:
            one.stop()


async def until(true: Any) -> None:
    """Wait for something that comes by itself."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - what is waited for has no event to wait on
            await asyncio.sleep(0.005)


async def hear(socket: Any, kind: str | None = None) -> Any:
    """Return the next frame, of this kind if one is given."""
    while True:
        said = await socket.receive_json(timeout=PATIENCE_S)
        if kind is None or said["type"] == kind:
            return said


async def goodbye(socket: Any) -> tuple[int, str]:
    """Return code and reason of the close; frames before it are let pass."""
    while True:
        message = await socket.receive(timeout=PATIENCE_S)
        if message.type is aiohttp.WSMsgType.CLOSE:
            return message.data, message.extra or ""
        if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
            return socket.close_code or 0, ""
