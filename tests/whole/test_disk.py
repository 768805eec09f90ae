"""The disk takes nothing more while the whole daemon works: it says so, acknowledges nothing, and recovers alone."""

import json
import resource
from contextlib import AsyncExitStack

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.mosquitto import Mosquitto
from tests.whole.shop import Shop

LIMIT = 600_000  # bytes of a file: the log of the database hits it soon
EVENTS = 3_000


async def test_a_full_disk_loses_nothing_and_is_told(tmp_path):
    async with AsyncExitStack() as stack:
        shop = Shop(tmp_path, stack)
        await shop.broker()
        devices = Mosquitto(tmp_path / "devices", "allow_anonymous true\nmax_queued_messages 0")
        await devices.start()
        stack.callback(devices.stop)
        shop.sensors(devices.url)
        shop.configure()
        shop.start()
        await shop.sees("gateway.started")
        sensor = paho.Client(CallbackAPIVersion.VERSION2, client_id="load")
        sensor.connect("127.0.0.1", devices.port)
        sensor.loop_start()
        stack.callback(sensor.loop_stop)
        stack.callback(sensor.disconnect)
        sensor.publish("sensors/s/events", json.dumps({"id": "e0"}), qos=1).wait_for_publish(10)
        await shop.sees("sensor.event")
        _, hard = resource.prlimit(shop.gateway.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(shop.gateway.pid, resource.RLIMIT_FSIZE, (LIMIT, hard))
        sent = [sensor.publish("sensors/s/events", _event(number), qos=1) for number in range(1, EVENTS)]
        await shop.until(lambda: "the disk does not take data" in shop.log(), "word of the trouble")
        assert len(shop.of("sensor.event")) < EVENTS
        resource.prlimit(shop.gateway.pid, resource.RLIMIT_FSIZE, (hard, hard))
        for info in sent:
            info.wait_for_publish(30)
        await shop.until(lambda: len(shop.of("sensor.event")) == EVENTS, "every event")
        await shop.sees("alarm.cleared", alarm="store")
        assert shop.log().count("the disk does not take data") == 1
        assert shop.stop()[0] == 0
        await shop.sees("gateway.stopped")
        assert shop.gaps("business") == []
        assert shop.gaps("telemetry") == []


def _event(number: int) -> str:
    return json.dumps({"id": f"e{number}", "text": "x" * 2_000})
