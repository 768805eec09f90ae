"""kill -9 of the whole daemon at random moments, while sensors talk and waves roll: nothing acknowledged is missing."""

import asyncio
import json
import os
import random
from contextlib import AsyncExitStack
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.mosquitto import Mosquitto
from tests.whole.shop import Shop, gtin

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
        shop.configure()
        shop.start()
        await shop.sees("gateway.started")
        shop.products(LABELS)
        shop.bind(sorted(shop.truth()))
        sensors = Sensors(devices.port)
        stack.callback(sensors.stop)
        sensors.send(1)
        await shop.sees("sensor.event")  # the session is there: from now on its broker keeps events for the gateway
        started = 0
        for number in range(kills):
            sensors.send(dice.randrange(20, 200))
            if dice.random() < 0.5:
                shop.wave(f"w{number}", {gtin(n): dice.randrange(100, 900) for n in range(LABELS)})
            if dice.random() < 0.7:  # else it dies while it starts
                await shop.until(lambda before=started: shop.log().count('"gateway started"') > before, "a start")
            started = shop.log().count('"gateway started"')
            await asyncio.sleep(dice.choice((0.0, 0.01, 0.03, 0.1, 0.3)))
            shop.kill()
            sensors.send(dice.randrange(0, 50))
            shop.start()
        shop.wave("last", {gtin(n): 555 for n in range(LABELS)})
        await shop.sees("price.wave.converged", wave="last")
        ids = lambda: {e["id"].removeprefix("sensors-") for e in shop.of("sensor.event")}  # noqa: E731
        await shop.until(lambda: sensors.acknowledged <= ids(), "acknowledged sensor events")
        assert len(sensors.acknowledged) > kills * 10
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
