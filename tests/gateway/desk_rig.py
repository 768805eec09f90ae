"""The gateway's side of the tills in one process: real store, core, rules and desk, without devices and head office."""

import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from gateway import messages as m
from gateway.codes import CodeTable
from gateway.core import Core
from gateway.driver import ShopFacts
from gateway.notes import Kept
from gateway.prices.answers import PriceAnswers, Upstream
from gateway.prices.board import PriceBoard
from gateway.prices.pricing import Policy, Pricing
from gateway.rules.sales import Policy as SalesPolicy
from gateway.rules.sales import Sales
from gateway.store.apply_prices import PriceTables
from gateway.store.apply_prices import load as load_prices
from gateway.store.apply_sales import SaleTables
from gateway.store.apply_sales import load as load_sales
from gateway.store.journal import Journal
from gateway.store.store import Store
from gateway.till_desk import TillDesk
from gateway.till_evidence import Evidence
from gateway.till_leases import TillLeases

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
SHOP = ShopFacts(ZoneInfo("Asia/Shanghai"), "CNY", 2)
APPLE, PEAR, CHEESE = "06901234567892", "04006381333931", "02112345000008"
CATALOGUE = (
    m.Product(gtin=APPLE, name={"en": "Apple juice"}, weight_mg=1_040_000),
    m.Product(gtin=PEAR, name={"en": "Pear"}, minimum_age=18, recalled=True),
    m.Product(gtin=CHEESE, name={"en": "Cheese"}, unit="KG"),
)


class DeskRig:
    """`async with DeskRig(folder) as rig:`; `restart()` begins again from the file."""

    def __init__(self, folder, templates=(), upstream=None):
        self.folder, self.templates = folder, templates
        self.upstream = upstream or Upstream(0, stale=False)
        self.time, self.sequence, self.facts = START, 0, []

    def now(self):
        return self.time

    def quality(self):
        return "synced"

    async def __aenter__(self):
        import asyncio

        self.store = Store(
            self.folder / "aisled.db",
            store_id="0421",
            gateway_id="gw1",
            clock=self,
            projections=(Journal(), PriceTables(), SaleTables()),
        )
        await self.store.open()
        kept, sold = await self.store.write(lambda db: (load_prices(db, self.time), load_sales(db)))
        self._build(kept, sold)
        self.tasks = [asyncio.create_task(self.core.run()), asyncio.create_task(self.leases.run())]
        return self

    def _build(self, kept: Kept, sold):
        self.pricing = Pricing(Policy("CNY", SHOP.zone), kept)
        self.board = PriceBoard(kept, self.time)
        self.sales = Sales(SalesPolicy(), sold)
        self.core = Core(self.store, (self.pricing, self.sales), committed=self._committed)
        self.leases = TillLeases(self.core.ask, self, lambda: self.board.version, kept.lease_s)
        codes = CodeTable(self.templates)
        answers = PriceAnswers(self.pricing, self.board, codes, self.sales.expect, lambda: self.upstream)
        evidence = Evidence(self.board, self.store.read)
        self.desk = TillDesk(answers, self.sales, self.core.ask, evidence, self.leases, self, sold.logs)

    def _committed(self, messages):
        self.board.committed(messages)
        self.desk.committed(messages)
        self.facts += [message for message in messages if isinstance(message, m.Fact)]

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
            with contextlib.suppress(BaseException):
                await task
        await self.store.close()

    async def restart(self):
        await self.__aexit__()
        await self.__aenter__()

    def of(self, kind):
        return [fact for fact in self.facts if isinstance(fact, kind)]

    async def prices(self, **prices):
        """A wave at once; keys are names of this file's products."""
        self.sequence += 1
        wave = m.Wave(
            id=f"w{self.sequence}", issued_at=self.time, issuer="hq", sequence=self.sequence, effective_at=self.time
        )
        gtins = {"apple": APPLE, "pear": PEAR, "cheese": CHEESE}
        lines = tuple(m.PriceLine(gtin=gtins[name], price_minor=p, currency="CNY") for name, p in prices.items())
        await self.core.submit(m.PricePart(at=self.time, source="hq", wave=wave, part=1, lines=lines))

    async def stock_up(self):
        await self.core.submit(
            m.ProductsUpdate(at=self.time, source="hq", sequence=1, full=False, products=CATALOGUE),
            m.BindingsUpdate(
                at=self.time,
                source="hq",
                sequence=1,
                full=False,
                bindings=(m.Binding(label="0" * 15 + "1", gtin=APPLE),),
            ),
        )

    async def show(self, price, revision, gtin=APPLE):
        """The label is pushed this price and proven to show it. Returns whether the push was allowed."""
        glass = self.pricing.shelf.wish("0" * 15 + "1", "ap-1")
        if glass is None or glass.price_minor != price:
            return False
        ask = m.ShowFace(
            at=self.time,
            source="ap-1",
            label="0" * 15 + "1",
            gtin=gtin,
            price_minor=price,
            currency="CNY",
            wave=glass.wave,
            content=glass.content.key,
            digest=f"{revision:064x}",
            revision=revision,
        )
        sent = await self.core.submit(ask)
        if not sent:
            return False
        self.pass_s(1)
        fields = sent[0].model_dump(exclude={"id", "at"})
        await self.core.submit(m.LabelShown(at=self.time, proof="pixels", **fields))
        return True

    def pass_s(self, seconds):
        self.time += timedelta(seconds=seconds)


def event(seq, kind, basket="b-1", at=START, **data):
    return m.EventIn(event_id=f"e-{seq}", seq=seq, type=kind, at=at, basket_id=basket, data=data)


def added(seq, line, gtin, price, at=START, quantity=1, basket="b-1", **more):
    body = {"line": line, "gtin": gtin, "quantity": quantity, "unit_price_minor": price, "currency": "CNY"}
    return event(seq, "item.added", basket, at, amount_minor=price * quantity, **body, **more)
