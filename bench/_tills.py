"""The tills' interface as a process: `python -m bench._tills memory|store FOLDER`. Says port and tokens.

`memory`: events are accepted at once, so only the interface is measured. `store`: the gateway's own desk, rules and
store on disk with FULL sync, 30 000 products on sale.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bench.waves import LINES, gtin, payload
from drivers import _terminal_tokens as tokens
from drivers.checkout_http import Config, Driver
from gateway import messages as m
from gateway.codes import CodeTable
from gateway.core import Core
from gateway.driver import Services, ShopFacts, Tills
from gateway.errors import NotForSale
from gateway.garbage import look_seldom
from gateway.messages.tills import Restrictions
from gateway.prices.answers import PriceAnswers, Upstream
from gateway.prices.board import PriceBoard
from gateway.prices.pricing import Policy, Pricing
from gateway.prices.waves import parse_part
from gateway.rules.sales import Policy as SalesPolicy
from gateway.rules.sales import Sales
from gateway.rules.stock_book import StockBook
from gateway.store.apply_prices import PriceTables
from gateway.store.apply_prices import load as load_prices
from gateway.store.apply_sales import SaleTables
from gateway.store.apply_sales import load as load_sales
from gateway.store.journal import Journal
from gateway.store.store import Store
from gateway.till_desk import TillDesk
from gateway.till_evidence import Evidence
from gateway.till_leases import TillLeases

TILLS = 8
ZONE = ZoneInfo("Asia/Shanghai")


class Clock:
    """The wall clock, trusted."""

    def now(self) -> datetime:
        """Return UTC."""
        return datetime.now(UTC)

    def quality(self) -> str:
        """Return that it can be trusted."""
        return "synced"


class Memory:
    """Accepts everything at once, as a store without cost would."""

    version = 1

    def __init__(self) -> None:
        self._acks: dict[str, int] = {}

    def look_up(self, scan: str, symbology: str | None = None) -> m.PriceAnswer:
        """Return a price."""
        if symbology:
            raise NotForSale(scan)
        return m.PriceAnswer(
            gtin=scan.zfill(14),
            name="Apple juice",
            price_minor=1290,
            currency="CNY",
            unit="EA",
            amount_minor=1290,
            weight_mg=None,
            price_version=1,
            wave="w-1",
            valid_from=datetime.now(UTC) - timedelta(days=1),
            valid_to=None,
            label_pending=False,
            labels="proven",
            restrictions=Restrictions(),
            expected_weight=None,
            stale=False,
            upstream_age_s=0,
        )

    def changes(self, _: int) -> list[m.PriceChange]:
        """Return none."""
        return []

    async def wait_beyond(self, _: int) -> int:
        """Wait for ever."""
        return await asyncio.get_running_loop().create_future()

    async def take(
        self, _: str, terminal: str, events: Sequence[m.EventIn], __: datetime | None = None
    ) -> list[m.Outcome]:
        """Accept all."""
        self._acks[terminal] = events[-1].seq
        return [m.Outcome(event_id=event.event_id, seq=event.seq, result="accepted") for event in events]

    def ack_seq(self, terminal: str) -> int:
        """Return the last number."""
        return self._acks.get(terminal, 0)


async def desk(folder: Path, clock: Clock, *, waves: bool) -> tuple[Tills, list[asyncio.Task[None]]]:
    """Put the parts behind the tills together, and 30 000 products on sale; `waves`: one after another."""
    tables = (Journal(), PriceTables(), SaleTables())
    store = Store(folder / "aisled.db", store_id="0421", gateway_id="gw1", clock=clock, projections=tables)
    await store.open()
    now = clock.now()
    kept, sold = await store.write(lambda db: (load_prices(db, now), load_sales(db)))
    pricing, board, sales = Pricing(Policy("CNY", ZONE), kept), PriceBoard(kept, now), Sales(SalesPolicy(), sold)

    def committed(messages: Sequence[m.Message]) -> None:
        board.committed(messages)
        found.committed(messages)

    core = Core(store, (pricing, sales, StockBook(sold.stock, ())), committed=committed)
    leases = TillLeases(core.ask, clock, lambda: board.version, kept.lease_s)
    answers = PriceAnswers(pricing, board, CodeTable(()), sales.expect, lambda: Upstream(0, stale=False))
    found = TillDesk(answers, sales, core.ask, Evidence(board, store.read), leases, clock, sold.logs)
    running = [asyncio.create_task(core.run()), asyncio.create_task(leases.run())]
    products = tuple(m.Product(gtin=gtin(n), name={"en": "Apple juice"}) for n in range(LINES))
    await core.submit(m.ProductsUpdate(at=now, source="hq", sequence=1, full=False, products=products))
    await roll(1, core, pricing)
    store.free("telemetry", 2**50)
    if waves:
        running.append(asyncio.create_task(roll_on(core, pricing)))
    return found, running


async def roll_on(core: Core, pricing: Pricing) -> None:
    """Let head office change all prices again and again."""
    for sequence in count(2):
        await roll(sequence, core, pricing)


async def roll(sequence: int, core: Core, pricing: Pricing) -> None:
    now = Clock().now()
    part = parse_part(payload(sequence, now), at=now, source="hq", trusted_now=now)
    await core.submit(part)
    while pricing.more:
        await core.emit(m.Tick(at=now, source=m.GATEWAY))


async def serve(kind: str, folder: Path) -> None:
    clock, running = Clock(), list[asyncio.Task[None]]()
    tills: Any = Memory()
    if kind != "memory":
        tills, running = await desk(folder, clock, waves=kind == "waves")
    given = [tokens.add(folder / "terminals.json", f"till-{n}", clock.now()) for n in range(TILLS)]
    facts = ShopFacts(ZONE, "CNY", 2)
    services = Services(clock=clock, report=lambda *_: None, tills=tills, data_dir=folder, shop=facts)
    config = Config.model_validate(
        {"id": "tills", "driver": "checkout_http", "host": "127.0.0.1", "port": 0, "plaintext": True}
    )
    driver = Driver(config, services)
    serving = asyncio.create_task(driver.run(_keep))
    while driver.port is None:  # noqa: ASYNC110 - it says so nowhere else
        await asyncio.sleep(0.01)
    prices = {one: tills.look_up(one).price_minor for one in (gtin(n) for n in range(0, LINES, 100))}
    print(json.dumps({"port": driver.port, "tokens": given, "prices": prices}), flush=True)
    await asyncio.gather(serving, *running)


async def _keep(*_: object) -> None:
    """Nothing is told in this bench."""


if __name__ == "__main__":
    look_seldom()
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2])))
