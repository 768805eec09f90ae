"""Scheduled waves happen at their instant; with a doubtful clock they wait for a person or for trusted time."""

import asyncio
from datetime import timedelta

from gateway import messages as m
from gateway.ticker import Ticker
from tests import virtual_time
from tests.prices.world import GTINS, World


class Clock:
    quality = "synced"

    def __init__(self, world: World) -> None:
        self.start = world.now

    def now(self):
        return self.start + timedelta(seconds=asyncio.get_running_loop().time())


class Rig:
    def __init__(self) -> None:
        self.world = World(1)
        self.clock = Clock(self.world)
        self.ticks = 0
        self.ticker = Ticker(self.world.pricing, self.submit, self.clock)
        self.world.pricing.wake = self.ticker.wake
        self.task = asyncio.create_task(self.ticker.run())

    async def submit(self, *messages: m.Message):
        self.ticks += len(messages)
        return [fact for message in messages for fact in self.world.tell(message)]

    async def stop(self) -> None:
        await virtual_time.stopped(self.task)


def test_a_scheduled_wave_takes_effect_at_its_instant():
    async def main() -> None:
        rig = Rig()
        rig.world.wave({GTINS[0]: 200}, delay_s=100)
        await asyncio.sleep(99.9)
        assert rig.world.pricing.wanted(GTINS[0]) == 300
        await asyncio.sleep(0.2)
        assert rig.world.pricing.wanted(GTINS[0]) == 200
        await rig.stop()

    virtual_time.run(main)


def test_with_a_doubtful_clock_the_schedule_waits_and_the_rest_goes_on():
    async def main() -> None:
        rig = Rig()
        await asyncio.sleep(1)
        rig.clock.quality = "unknown"
        rig.world.wave({GTINS[0]: 200}, delay_s=100)
        await asyncio.sleep(5000)
        assert rig.world.pricing.wanted(GTINS[0]) == 300
        rig.world.wave({GTINS[1]: 250})
        assert rig.world.pricing.wanted(GTINS[1]) == 250  # meant for the moment of issue: no clock delays it
        rig.clock.quality = "synced"
        await asyncio.sleep(31)
        assert rig.world.pricing.wanted(GTINS[0]) == 200
        await rig.stop()

    virtual_time.run(main)


def test_an_idle_shop_is_ticked_twice_a_minute_and_no_more():
    async def main() -> None:
        rig = Rig()
        await asyncio.sleep(1)
        before = rig.ticks
        await asyncio.sleep(600)
        assert rig.ticks - before <= 20
        await rig.stop()

    virtual_time.run(main)
