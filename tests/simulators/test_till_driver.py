"""Simulated tills against the real `checkout_http`: sockets, jumping time, and a desk as small as can be behind it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from aiohttp import ClientSession

from drivers import _terminal_tokens
from drivers.checkout_http import Config, Driver
from drivers.simulators._till_client import HttpLink
from drivers.simulators._till_log import Event
from drivers.simulators._till_serve import Where, learn, tills_at
from drivers.simulators.till import TillConfig, TillFleet
from gateway.driver import Services
from gateway.errors import NotForSale
from gateway.messages import BaggingVerdict, EventIn, Lease, Outcome, PriceAnswer, PriceChange
from gateway.messages.tills import Restrictions
from tests.jumping_time import FakeClock, run_virtual
from tests.simulators.till_gateway import APPLES, BREAD, BY_WEIGHT, MILK, PRICES, WINE, Gateway

DAY_S = 86_400.0
LINES = 200


class Desk:
    """What the driver sees of a gateway: the same prices and leases as those of the small one, and a list of events."""

    def __init__(self) -> None:
        self.prices = Gateway()
        self.kept: dict[str, dict[int, EventIn]] = {}
        self.repeats = 0
        self._acks: dict[str, int] = {}
        self._newer = asyncio.Event()

    @property
    def version(self) -> int:
        return self.prices.version

    def charge(self, gtin: str, price: int | None) -> None:
        self.prices.charge(gtin, price)
        self._newer.set()
        self._newer = asyncio.Event()

    def look_up(self, scan: str, symbology: str | None = None) -> PriceAnswer:
        del symbology
        gtin = scan.zfill(14)
        price = self.prices.price(gtin)
        if price is None:
            raise NotForSale(f"{gtin} is not for sale")
        return PriceAnswer(
            gtin=gtin,
            name=None,
            price_minor=price,
            currency="CNY",
            unit="KG" if gtin in BY_WEIGHT else "EA",
            amount_minor=price,
            weight_mg=None,
            price_version=self.prices.changes[gtin].version,
            wave=None,
            valid_from=None,
            valid_to=None,
            label_pending=False,
            labels="none",
            restrictions=Restrictions(),
            expected_weight=None,
            stale=False,
            upstream_age_s=None,
        )

    def changes(self, since: int) -> Sequence[PriceChange]:
        newer = [one for one in self.prices.changes.values() if one.version > since]
        return sorted(newer, key=lambda one: one.version)

    async def wait_beyond(self, version: int) -> int:
        while self.version <= version:
            await self._newer.wait()
        return self.version

    async def lease(self, source: str, terminal: str, version: int) -> Lease:
        del source
        return Lease.model_validate_json(self.prices._lease(terminal, version).body)

    async def take(
        self, source: str, terminal: str, events: Sequence[EventIn], sent_at: datetime | None = None
    ) -> Sequence[Outcome]:
        assert source == "tills"
        assert sent_at is not None
        return [self._keep(terminal, event) for event in events]

    def _keep(self, terminal: str, event: EventIn) -> Outcome:
        known = self.kept.setdefault(terminal, {}).setdefault(event.seq, event)
        self.repeats += known is not event
        result = "accepted" if known is event else "duplicate" if known == event else "conflict"
        return Outcome(event_id=event.event_id, seq=event.seq, result=result)

    def ack_seq(self, terminal: str) -> int:
        ack = self._acks.get(terminal, 0)
        while ack + 1 in self.kept.get(terminal, {}):
            ack += 1
        self._acks[terminal] = ack
        return ack

    def verify(self, terminal: str, basket: str) -> BaggingVerdict:
        del terminal, basket
        return BaggingVerdict(
            verdict="match", z=0.0, tolerance_mg=1, missing_lines=(), unexplained_mg=0, expected=(), reason="ok"
        )


class Server:
    """The driver, which can be switched off and on again at the same port."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk, self._folder, self.clock = desk, folder, FakeClock()
        self._port = 0
        names, file = ("sco-1", "sco-2"), folder / "terminals.json"
        self._tokens = {name: _terminal_tokens.add(file, name, self.clock.now()) for name in names}

    async def on(self) -> None:
        config = Config(id="tills", driver="checkout_http", host="127.0.0.1", port=self._port, plaintext=True)
        up = asyncio.Event()
        driver = Driver(config, Services(self.clock, lambda *_: up.set(), tills=self.desk, data_dir=self._folder))
        self._running = asyncio.create_task(driver.run(None))
        await up.wait()
        assert driver.port is not None
        self._port = driver.port

    async def off(self) -> None:
        self._running.cancel()
        await asyncio.wait({self._running})

    @property
    def where(self) -> Where:
        return Where(f"http://127.0.0.1:{self._port}", self._tokens)


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Server]:
    server = Server(Desk(), folder)
    await server.on()
    yield server
    await server.off()


def play(folder: Path, config: TillConfig, script=(), act=None) -> tuple[Desk, TillFleet]:
    async def main() -> tuple[Desk, TillFleet]:
        async with served(folder) as server:
            tills = tills_at(server.where, config, utc=server.clock.now)
            async with tills as fleet, asyncio.TaskGroup() as group:
                if act:
                    group.create_task(act(server))
                await fleet.run(script)
            return server.desk, fleet

    return run_virtual(main())


def no_loss_no_repeat(desk: Desk, terminal: str, made: list[Event]) -> None:
    assert sorted(desk.kept[terminal]) == [event.seq for event in made]
    for event in made:
        assert desk.kept[terminal][event.seq].model_dump(exclude={"at"}) == {
            "event_id": event.event_id,
            "seq": event.seq,
            "type": event.type,
            "basket_id": event.basket_id,
            "data": event.data,
        }
        assert desk.kept[terminal][event.seq].at == event.at


def test_tills_learn_prices_sell_and_deliver(tmp_path: Path) -> None:
    desk, fleet = play(tmp_path, TillConfig(seed=1, baskets=20, mode="ask"))
    assert {article.gtin for article in fleet.config.articles} == set(PRICES)
    assert [article.gtin for article in fleet.config.articles if article.by_weight] == [APPLES]
    assert len(fleet.ledger.lines) > 20
    for terminal, till in fleet.tills.items():
        no_loss_no_repeat(desk, terminal, till.log.events)
        assert till.log.refused == {}


def test_72_hours_offline_resume_without_loss(tmp_path: Path) -> None:
    script = [
        {"at_s": 300.0, "fault": "offline", "seconds": 3 * DAY_S},
        {"at_s": 500.0, "fault": "shuffle", "count": 2, "terminal": "sco-2"},
    ]

    async def act(server: Server) -> None:
        await asyncio.sleep(600.0)
        await server.off()
        await asyncio.sleep(3 * DAY_S)
        await server.on()

    desk, fleet = play(tmp_path, TillConfig(seed=2, mode="ask", baskets=120, every_s=2400.0), script, act)
    for terminal, till in fleet.tills.items():
        made = till.log.events
        assert made[-1].true_at - made[0].true_at > timedelta(days=3)
        no_loss_no_repeat(desk, terminal, made)
        assert till.log.passed_over == []
        assert len(made) > 500


def test_every_mishap_at_once_loses_nothing(tmp_path: Path) -> None:
    names = ("die", "shuffle", "repeat", "die_at_send", "lose_answers", "cut_feed")
    script = [{"at_s": 20.0 + 40.0 * at, "fault": names[at % len(names)]} for at in range(24)]
    script += [{"at_s": 0.0, "fault": "skew", "by_s": -3600.0, "terminal": "sco-1"}]

    async def act(server: Server) -> None:
        for price in range(1000, 1020):
            await asyncio.sleep(40.0)
            server.desk.charge((MILK, BREAD, WINE)[price % 3], price)

    desk, fleet = play(tmp_path, TillConfig(seed=3, baskets=25, every_s=5.0, mode="cache"), script, act)
    assert fleet.ledger.beyond_lease() == []
    assert any(line.from_cache for line in fleet.ledger.lines)
    assert desk.repeats
    for terminal, till in fleet.tills.items():
        no_loss_no_repeat(desk, terminal, till.log.events)


def test_a_token_opens_only_its_own_terminal(tmp_path: Path) -> None:
    async def main() -> list[int]:
        async with served(tmp_path) as server, ClientSession() as session:
            where = server.where
            link = HttpLink(session, where.base_url, where.tokens["sco-1"])
            paths = ("/v1/sco/sco-1/ack", "/v1/sco/sco-2/ack")
            assert await learn(link)
            return [(await link.request("GET", path, None, 5.0)).status for path in paths]

    assert run_virtual(main()) == [200, 403]
