"""The driver `rfid_uhf288` on bad ways, on a real socket and a real terminal: it costs reads, and never invents one."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from drivers import rfid_uhf288
from drivers.rfid_uhf288 import Config, Driver
from gateway.driver import Checkable, Services
from gateway.messages.tags import TagReads
from tests.drivers.gen2_chip import Chip
from tests.drivers.serial_pipes import Pipe, Rig, over_pty, over_tcp
from tests.drivers.uhf288_peer import Peer
from tests.virtual_time import VirtualClock, run

EPCS = [bytes.fromhex(f"3034257BF7194E400000{number:04X}") for number in range(20)]
SHIRT, JEANS, SOCKS = EPCS[:3]


def chips(*epcs: bytes, antenna: int = 1) -> list[Chip]:
    return [Chip(epc, rssi=0x50, antenna=antenna) for epc in epcs]


def names(*epcs: bytes) -> set[str]:
    return {epc.hex().upper() for epc in epcs}


def rig(peer: Peer, pipe: Pipe | None = None, **settings: Any) -> Rig:
    return Rig(rfid_uhf288, peer, pipe, **settings)


HOSTILE: dict[str, tuple[int, Callable[[], Pipe]]] = {
    "one byte at a time": (8, lambda: Pipe(one_by_one=True)),
    "one slow byte at a time": (8, lambda: Pipe(one_by_one=True, delay_s=(0.0, 0.0002))),
    "noise": (24, lambda: Pipe(noise=0.5)),
    "1 % lost": (24, lambda: Pipe(lose=0.01)),
    "delayed": (24, lambda: Pipe(delay_s=(0.0, 0.3))),
    "all of it": (24, lambda: Pipe(one_by_one=True, noise=0.1, lose=0.005, delay_s=(0.0, 0.0002))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_ways_cost_reads_and_never_invent_one(name: str) -> None:
    seconds, pipe = HOSTILE[name]

    async def main() -> None:
        shop = rig(Peer(chips(*EPCS), tids="lost" in name), pipe())
        await shop.run_on(seconds)
        assert shop.epcs == names(*EPCS)
        assert len(shop.heard) >= seconds / 12

    run(main)


def test_a_fifth_of_all_bytes_lost_is_a_bad_line_and_no_wrong_tag() -> None:
    async def main() -> None:
        pipe = Pipe()
        shop = rig(Peer(chips(*EPCS)), pipe)
        loop = asyncio.get_running_loop()
        loop.call_later(8, lambda: setattr(pipe, "lose", 0.2))
        loop.call_later(200, lambda: setattr(pipe, "lose", 0.0))
        fell = await shop.run_on(230)
        assert any("bytes that came belonged to no good frame" in reason for reason in fell)
        assert shop.epcs == names(*EPCS)
        assert shop.reads[-1].at_us > (VirtualClock().epoch_s + 228) * 1e6  # healed

    run(main)


def test_unplugged_in_the_middle_and_plugged_in_again() -> None:
    async def main() -> None:
        shop = rig(Peer(chips(SHIRT)))
        asyncio.get_running_loop().call_later(5, lambda: shop.line and shop.line.unplug())
        assert await shop.run_on(20) == ["virtual: unplugged"]
        assert shop.reads[-1].at_us > (VirtualClock().epoch_s + 18) * 1e6

    run(main)


def real(port: str) -> Driver:
    services = Services(clock=VirtualClock(), report=lambda *_: None)
    return Driver(Config(id="reader", driver="rfid_uhf288", port=port, scan_time_s=0.3), services)


async def reads_of(driver: Driver) -> set[str]:
    got: asyncio.Queue[TagReads] = asyncio.Queue()

    async def emit(*messages: Any) -> None:
        for message in messages:
            if isinstance(message, TagReads):
                got.put_nowait(message)

    task = asyncio.create_task(driver.run(emit))
    try:
        async with asyncio.timeout(10):
            return {read.epc for read in (await got.get()).reads}
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_over_tcp_byte_by_byte() -> None:
    async with over_tcp(Peer(chips(SHIRT, JEANS)), Pipe(one_by_one=True)) as port:
        driver = real(port)
        assert isinstance(driver, Checkable)
        assert await driver.check() == f"{port}: type 0C, version 0.22, 30 dBm"
        assert await reads_of(driver) == names(SHIRT, JEANS)


async def test_over_a_serial_port() -> None:
    async with over_pty(Peer(chips(SHIRT, JEANS, SOCKS))) as (port, _):
        assert await reads_of(real(port)) == names(SHIRT, JEANS, SOCKS)
