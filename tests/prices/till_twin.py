"""The shop of `twin.py` with tills: simulated self-checkouts before the real desk, rule of sales and price board.

The tills' requests are carried by hand instead of sockets; the driver itself is tried in `tests/drivers`. Ground truth:
what the simulated panels drew, and what each shopper was really charged (`TillFleet.ledger`).
"""

import asyncio
import json
from urllib.parse import parse_qs, unquote, urlsplit

from drivers.simulators._till_link import NO_HEADERS, Answer, Away
from drivers.simulators.till import Article, TillConfig, TillFleet
from gateway import messages as m
from gateway.codes import CodeTable
from gateway.errors import NotForSale, Refused
from gateway.prices.answers import PriceAnswers, Upstream
from gateway.prices.board import PriceBoard
from gateway.rules.sales import Policy, Sales
from gateway.store.apply_prices import PriceTables
from gateway.store.apply_sales import SaleTables
from gateway.store.apply_sales import load as load_sales
from gateway.store.journal import Journal
from gateway.till_desk import TillDesk
from gateway.till_evidence import Evidence
from gateway.till_leases import TillLeases
from tests.prices.twin import GTINS, Gateway, Twin

TERMINALS = {"sco-1": "ask", "sco-2": "cache", "sco-3": "fallback"}


class TillGateway(Gateway):
    """One life of the daemon, with a desk for tills."""

    async def rules(self, kept):
        twin = self.twin
        sold = await twin.store.read(load_sales)
        self.sales = Sales(Policy(), sold)
        self.board = PriceBoard(kept, twin.clock.now())
        self.leases = TillLeases(self._ask, twin.clock, lambda: self.board.version, kept.lease_s)
        answers = PriceAnswers(
            self.pricing, self.board, CodeTable(), self.sales.expect, lambda: Upstream(0, stale=False)
        )
        evidence = Evidence(self.board, twin.store.read)
        self.desk = TillDesk(answers, self.sales, self._ask, evidence, self.leases, twin.clock, sold.logs)
        self.more = (self.leases.run,)
        return (self.sales,)

    def committed(self, messages):
        self.board.committed(messages)
        self.desk.committed(messages)

    async def _ask(self, *commands):
        return await self.core.ask(*commands)


class DeskLink:
    """One till's way to whatever life of the gateway there is."""

    def __init__(self, twin, terminal):
        self.twin, self.terminal = twin, terminal

    async def request(self, method, path, body, deadline_s, headers=NO_HEADERS):
        del deadline_s, headers
        gateway = self.twin.gateway
        if self.twin.down:
            raise Away("nobody listens")
        answer = await self._answer(gateway.desk, method, path, json.loads(body) if body else None)
        if self.twin.gateway is not gateway or self.twin.down:
            raise Away("it died before it answered")
        return answer

    async def _answer(self, desk, method, path, said):
        url = urlsplit(path)
        match method, [unquote(step) for step in url.path.split("/")[2:]]:
            case "GET", ["price", code]:
                return _price(desk, code)
            case "POST", ["price", "batch"]:
                found = {"prices": [json.loads(_price(desk, code).body) for code in said["codes"]]}
            case "GET", ["prices"]:
                return _feed(desk, int(parse_qs(url.query)["since"][0]))
            case "PUT", ["sco", _, "lease"]:
                found = await desk.lease("tills", self.terminal, said["version"])
            case "GET", ["sco", _, "ack"]:
                found = {"ack_seq": desk.ack_seq(self.terminal)}
            case "POST", ["sco", _, "events"]:
                events = [m.EventIn.model_validate_json(json.dumps(one)) for one in said]
                outcomes = await desk.take("tills", self.terminal, events)
                results = [outcome.model_dump() for outcome in outcomes]
                found = {"results": results, "ack_seq": desk.ack_seq(self.terminal)}
            case "POST", ["sco", _, "verify"]:
                found = desk.verify(self.terminal, said["basket_id"])
        return _json(found)

    async def listen(self, path, hear):
        del path
        gateway, version = self.twin.gateway, 0
        while self.twin.gateway is gateway and not self.twin.down:
            if version != gateway.desk.version:
                version = gateway.desk.version
                hear(json.dumps({"type": "price.changed", "version": version}))
            await asyncio.sleep(20)
        raise Away("the stream ended")


def _feed(desk, since):
    lines = [change.model_dump_json() for change in desk.changes(since)]
    return Answer(200, "\n".join([*lines, json.dumps({"version": desk.version})]).encode())


def _price(desk, code):
    try:
        return _json(desk.look_up(code))
    except NotForSale as error:
        return Answer(404, json.dumps({"status": 404, "detail": str(error)}).encode())
    except Refused as error:
        return Answer(422, json.dumps({"status": 422, "detail": str(error)}).encode())


def _json(value):
    return Answer(200, (json.dumps(value) if isinstance(value, dict) else value.model_dump_json()).encode())


class TillTwin(Twin):
    """The shop with tills of each kind: one asks per scan, one sells from its cache, one does so when it must."""

    projections = (Journal(), PriceTables(), SaleTables())
    life = TillGateway
    down = False

    def __init__(self, seed, labels=3):
        super().__init__(seed, labels)
        self.sold, self.mismatches, self.baskets = [], [], []
        self.glass_log = []

    async def open_tills(self, baskets=5):
        articles = tuple(Article(gtin) for gtin in GTINS)
        self.fleets = {}
        for number, (terminal, mode) in enumerate(TERMINALS.items()):
            config = TillConfig(articles, mode=mode, seed=self.seed * 10 + number, baskets=baskets, every_s=120)
            self.fleets[terminal] = TillFleet({terminal: DeskLink(self, terminal)}, config, utc=self.clock.now)
        self.shopping = [asyncio.create_task(fleet.run()) for fleet in self.fleets.values()]

    @property
    def ledger(self):
        return [line for fleet in self.fleets.values() for line in fleet.ledger.lines]

    def misfortune(self, name, *args, **named):
        terminal = self.rng.choice(list(TERMINALS))
        self.trace.append(f"{self.now_s:.0f} {terminal} {name} {args} {named}")
        getattr(self.fleets[terminal].faults, name)(*args, **named)

    async def append(self, messages):
        await super().append(messages)
        for message in messages:
            match message:
                case m.SaleLine():
                    self.sold.append(message)
                case m.SaleBasket():
                    self.baskets.append(message)
                case m.PriceMismatch():
                    self.mismatches.append(message)

    def check(self, why):
        super().check(why)
        if why == "glass":
            self.glass_log.append((self.clock.now(), {label: self.shown(label) for label in self.names}))

    def lowest_at(self, gtin, at):
        """The lowest price of a product on any glass at an instant, by the truth."""
        glasses = {}
        for when, now in self.glass_log:
            if when > at:
                break
            glasses = now
        return min((shown[1] for shown in glasses.values() if shown and shown[0] == gtin and shown[1]), default=None)

    async def kill(self):
        self.down = True
        await super().kill()
        self.down = False

    async def stop(self):
        for task in getattr(self, "shopping", ()):
            task.cancel()
        await asyncio.gather(*getattr(self, "shopping", ()), return_exceptions=True)
        await super().stop()
