"""kill -9 of the whole daemon at random moments, while sensors talk, tills sell and waves roll: nothing is missing."""

import asyncio
import json
import os
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from drivers import _terminal_tokens
from drivers.simulators._till_serve import Where, tills_at
from drivers.simulators._till_shopper import Shopper, random_shopper
from drivers.simulators.till import Article, TillConfig
from tests.mosquitto import Mosquitto, free_port
from tests.whole.shop import PATIENCE_S, Shop, gtin

pytestmark = pytest.mark.long

LABELS = 4


class Sensors:
    """A sensor's side: numbered events at QoS 1; `acknowledged` are those that its broker has taken."""

    def __init__(self, port: int) -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="load")
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.number = 0
        self._infos: list[paho.MQTTMessageInfo] = []

    @property
    def acknowledged(self) -> set[str]:
        return {f"e{number}" for number, info in enumerate(self._infos, 1) if info.is_published()}

    def send(self, count: int) -> None:
        for _ in range(count):
            self.number += 1
            body = json.dumps({"id": f"e{self.number}", "grams": self.number})
            self._infos.append(self.client.publish(f"sensors/s{self.number % 4}/events", body, qos=1))

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Tills:
    """Two tills whose shoppers never end before `close`; one has a cache. They are told of no kill."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop, self.seed, self.closing = shop, seed, False
        self.port = free_port()
        shop.devices += f'[[device]]\nid = "tills"\ndriver = "checkout_http"\nhost = "127.0.0.1"\nport = {self.port}\n'
        shop.devices += "plaintext = true\n"

    async def open(self, stack: AsyncExitStack) -> None:
        articles, now = tuple(Article(gtin(n)) for n in range(LABELS)), datetime.now(UTC)
        self.fleets = []
        for terminal, mode in (("sco-1", "ask"), ("sco-2", "fallback")):
            token = _terminal_tokens.add(self.shop.folder / "data" / "terminals.json", terminal, now)
            where = Where(f"http://127.0.0.1:{self.port}", {terminal: token})
            config = TillConfig(articles, mode=mode, seed=self.seed, speed=40)
            shoppers = {terminal: self.shoppers(terminal, articles)}
            self.fleets.append(await stack.enter_async_context(tills_at(where, config, shoppers)))
        self.selling = [asyncio.create_task(fleet.run()) for fleet in self.fleets]
        stack.push_async_callback(self.leave)

    def shoppers(self, terminal: str, articles: tuple[Article, ...]) -> Iterator[Shopper]:
        dice = random.Random(f"{terminal} {self.seed}")
        while not self.closing:
            yield random_shopper(dice, articles, 60)

    @property
    def sold(self) -> int:
        """Lines that were paid so far."""
        return sum(len(fleet.ledger.lines) for fleet in self.fleets)

    async def close(self) -> list[tuple[object, ...]]:
        """Let the last shoppers go, and everything be delivered; return what was paid."""
        self.closing = True
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*self.selling)
        return [
            (line.terminal, line.basket, line.line, line.gtin, line.unit_price_minor, line.amount_minor)
            for fleet in self.fleets
            for line in fleet.ledger.lines
        ]

    async def leave(self) -> None:
        for task in self.selling:
            task.cancel()
        await asyncio.gather(*self.selling, return_exceptions=True)


def told(event: dict[str, Any]) -> tuple[object, ...]:
    names = ("terminal", "basket", "line", "gtin", "unit_price_minor", "amount_minor")
    return tuple(event["data"][name] for name in names)


async def kill_and_start(shop: Shop, tills: Tills, sensors: Sensors, kills: int, dice: random.Random) -> None:
    started = 0
    for number in range(kills):
        sensors.send(dice.randrange(20, 200))
        if dice.random() < 0.5:
            shop.wave(f"w{number}", {gtin(n): dice.randrange(100, 900) for n in range(LABELS)})
        if dice.random() < 0.7:  # else it dies while it starts
            await shop.until(lambda before=started: shop.log().count('"gateway started"') > before, "a start")
            if dice.random() < 0.5:  # however slow the machine: some kills meet tills that sell
                await shop.until(lambda before=tills.sold: tills.sold > before, "a sale")
        started = shop.log().count('"gateway started"')
        await asyncio.sleep(dice.choice((0.0, 0.01, 0.03, 0.1, 0.3)))
        shop.kill()
        sensors.send(dice.randrange(0, 50))
        shop.start()


async def kill_often(folder: Path, kills: int, seed: int) -> None:
    dice = random.Random(seed)
    async with AsyncExitStack() as stack:
        shop = Shop(folder, stack)
        await shop.broker()
        devices = Mosquitto(
            folder / "devices", "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 100"
        )
        await devices.start()
        stack.callback(devices.stop)
        shop.sensors(devices.url)
        shop.access_point(LABELS, 40)
        tills = Tills(shop, seed)
        shop.configure()
        shop.start()
        await shop.sees("gateway.started")
        shop.products(LABELS)
        shop.bind(sorted(shop.truth()))
        shop.wave("first", {gtin(n): 500 for n in range(LABELS)})
        await shop.until(lambda: len(shop.of("price.charged")) >= LABELS, "prices")
        await tills.open(stack)
        sensors = Sensors(devices.port)
        stack.callback(sensors.stop)
        sensors.send(1)
        await shop.sees("sensor.event")  # the session is there: from now on its broker keeps events for the gateway
        await kill_and_start(shop, tills, sensors, kills, dice)
        paid = await tills.close()
        shop.wave("last", {gtin(n): 950 for n in range(LABELS)})  # a rise: no lease of a till that left holds it up
        await shop.sees("price.wave.converged", wave="last")
        ids = lambda: {e["id"].removeprefix("sensors-") for e in shop.of("sensor.event")}  # noqa: E731
        await shop.until(lambda: sensors.acknowledged <= ids(), "acknowledged sensor events")
        assert len(sensors.acknowledged) > kills * 10
        await shop.until(lambda: set(paid) <= {told(event) for event in shop.of("sale.line")}, "sale lines")
        assert sorted(map(told, shop.of("sale.line"))) == sorted(paid)
        assert len(paid) > kills
        assert shop.of("price.mismatch", direction="over") == []
        assert shop.stop()[0] == 0
        await shop.sees("gateway.stopped")
        assert shop.gaps("business") == []
        assert shop.gaps("telemetry") == []
        truth = shop.truth()
        for label, digest in truth.items():
            assert shop.of("label.shown", wave="last", label=label)[-1]["data"]["digest"] == digest


async def test_fifty_kills_of_the_whole_daemon(tmp_path):
    await kill_often(tmp_path, 50, seed=11)


@pytest.mark.soak
async def test_a_thousand_kills_of_the_whole_daemon(tmp_path):
    await kill_often(tmp_path, int(os.environ.get("AISLED_KILLS", "1000")), seed=12)
