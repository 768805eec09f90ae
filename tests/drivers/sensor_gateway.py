"""A small gateway for tests that kill it: `sensor_mqtt`, core and store. Arguments: data folder, broker URL."""

import asyncio
import sys
from pathlib import Path

from drivers.sensor_mqtt import Config, Driver
from gateway.clock import SystemClock
from gateway.core import Core
from gateway.driver import Services
from gateway.messages import Fact, Reading
from gateway.store.store import Store

SLOW_DISK_S = 0.01  # a kill must find messages that are taken and not yet kept


async def main(folder: Path, url: str) -> None:
    clock = SystemClock.load(folder)
    store = Store(folder / "aisled.db", store_id="0421", gateway_id="gw1", clock=clock)
    await store.open()
    core = Core(store, [])
    config = Config(id="sensors", driver="sensor_mqtt", url=url, topic="sensors/+/events", id_pointer="/id")

    async def emit(*messages: Reading | Fact) -> None:
        await asyncio.sleep(SLOW_DISK_S)
        await core.emit(*messages)

    driver = Driver(config, Services(clock=clock, report=lambda *_: None))
    async with asyncio.TaskGroup() as group:
        group.create_task(core.run())
        group.create_task(driver.run(emit))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
