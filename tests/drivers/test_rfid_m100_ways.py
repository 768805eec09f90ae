"""The driver `rfid_m100` on bad ways, on a real socket and a real terminal: it costs reads, and never invents one."""

import asyncio
import logging
import os
from typing import Any

import pytest

from drivers import rfid_m100
from drivers.rfid_m100 import Config, Driver
from gateway.driver import Checkable, Services
from gateway.errors import ConfigError, LinkDown
from gateway.messages.tags import TagReads
from tests.drivers.gen2_chip import Chip
from tests.drivers.m100_peer import Peer
from tests.drivers.serial_pipes import Pipe, Rig, over_pty, over_tcp
from tests.virtual_time import VirtualClock, run

SHIRT, JEANS, SOCKS = (bytes.fromhex(f"3034257BF7194E400000{number:04X}") for number in (0x1A85, 0xBB7E, 3))


def chips(*epcs: bytes) -> list[Chip]:
    return [Chip(epc) for epc in epcs]


def names(*epcs: bytes) -> set[str]:
    return {epc.hex().upper() for epc in epcs}


def rig(peer: Peer, pipe: Pipe | None = None, **settings: Any) -> Rig:
    return Rig(rfid_m100, peer, pipe, **settings)


HOSTILE = {
    "one byte at a time": (5, Pipe(one_by_one=True)),
    "one slow byte at a time": (6, Pipe(one_by_one=True, delay_s=(0.0, 0.0002))),
    "noise": (40, Pipe(noise=0.5)),
    "1 % lost": (40, Pipe(lose=0.01)),
    "5 % lost": (40, Pipe(lose=0.05)),
    "delayed": (40, Pipe(delay_s=(0.0, 0.4))),
    "all of it": (25, Pipe(one_by_one=True, noise=0.1, lose=0.02, delay_s=(0.0, 0.0002))),
}
NOISY = {"noise", "1 % lost", "5 % lost", "all of it"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_ways_cost_reads_and_never_invent_one(name: str) -> None:
    seconds, pipe = HOSTILE[name]

    async def main() -> None:
        shop = rig(Peer(chips(SHIRT, JEANS, SOCKS)), pipe)
        await shop.run_on(seconds)
        assert shop.epcs == names(SHIRT, JEANS, SOCKS)
        assert len(shop.heard) >= seconds / 8
        assert (("degraded", "line_noise") in {said[:2] for said in shop.health}) == (name in NOISY)

    run(main)


def test_a_fifth_of_all_bytes_lost_is_a_bad_line_and_no_wrong_tag() -> None:
    async def main() -> None:
        pipe = Pipe()
        shop = rig(Peer(chips(SHIRT, JEANS, SOCKS)), pipe)
        loop = asyncio.get_running_loop()
        loop.call_later(20, lambda: setattr(pipe, "lose", 0.2))
        loop.call_later(120, lambda: setattr(pipe, "lose", 0.0))
        fell = await shop.run_on(150)
        assert any("bytes that came belonged to no good frame" in reason for reason in fell)
        assert shop.epcs == names(SHIRT, JEANS, SOCKS)
        last_us = shop.reads[-1].at_us - int(VirtualClock().epoch_s * 1e6)
        assert last_us > 149e6  # healed

    run(main)


def test_unplugged_in_the_middle_and_plugged_in_again() -> None:
    async def main() -> None:
        shop = rig(Peer(chips(SHIRT)))
        asyncio.get_running_loop().call_later(5, lambda: shop.line and shop.line.unplug())
        fell = await shop.run_on(20)
        assert fell == ["virtual: unplugged"]
        assert shop.reads[-1].at_us > (VirtualClock().epoch_s + 19) * 1e6

    run(main)


def real(port: str, said: list[Any], **settings: Any) -> Driver:
    services = Services(clock=VirtualClock(), report=lambda *health: said.append(health))
    return Driver(Config(id="reader", driver="rfid_m100", port=port, **settings), services)


async def first_reads(driver: Driver) -> tuple[asyncio.Task[None], set[str]]:
    got: asyncio.Queue[TagReads] = asyncio.Queue()

    async def emit(*messages: Any) -> None:
        for message in messages:
            if isinstance(message, TagReads):
                got.put_nowait(message)

    task = asyncio.create_task(driver.run(emit))
    async with asyncio.timeout(10):
        return task, {read.epc for read in (await got.get()).reads}


async def test_over_tcp_byte_by_byte() -> None:
    async with over_tcp(Peer(chips(SHIRT, JEANS)), Pipe(one_by_one=True)) as port:
        driver = real(port, [])
        assert isinstance(driver, Checkable)
        assert (await driver.check()).endswith("M100 26dBm V1.0 V2.3.5 MagicRF; 2 tag(s) answered one poll")
        task, epcs = await first_reads(driver)
        assert epcs == names(SHIRT, JEANS)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()


async def test_over_a_serial_port_that_is_pulled_out() -> None:
    said: list[Any] = []
    async with over_pty(Peer(chips(SHIRT))) as (port, theirs):
        task, epcs = await first_reads(real(port, said))
        assert epcs == names(SHIRT)
        unplug(theirs)
        with pytest.raises(LinkDown, match="unplugged"):
            await asyncio.wait_for(task, 10)
    assert said[-1][:2] == ("offline", "reader_unreachable")


def unplug(theirs: int) -> None:
    """Close both ends that the test holds: the kernel hangs the terminal up, as it does for a USB device."""
    os.close(theirs)
    os.close(theirs - 1)


async def test_a_tcp_peer_that_goes_away_is_a_link_that_is_down() -> None:
    async with over_tcp(Peer(chips(SHIRT))) as port:
        task, _ = await first_reads(real(port, []))
    with pytest.raises(LinkDown, match="closed by the other side"):
        await asyncio.wait_for(task, 10)


async def test_one_port_is_for_one_driver() -> None:
    async with over_pty(Peer(chips(SHIRT))) as (port, _):
        task, _ = await first_reads(real(port, []))
        with pytest.raises(LinkDown, match="in use by another program"):
            await real(port, []).check()
        task.cancel()
        await asyncio.wait({task})


async def test_a_port_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(LinkDown, match=r"/dev/ttyNOPE: it is not there; ports of this machine: "):
        await real("/dev/ttyNOPE", []).check()
    with pytest.raises(LinkDown, match="usb:FFFE:FFFE: no such device is plugged in; ports of this machine: "):
        await real("usb:FFFE:FFFE", []).check()
    with pytest.raises(ConfigError, match="/dev/null: no serial port"):
        await real("/dev/null", []).check()
    with pytest.raises(ConfigError, match="no serial port"):
        await real("socket://", []).check()


def test_no_byte_of_the_line_is_ever_logged() -> None:
    assert logging.getLogger("serialx").getEffectiveLevel() >= logging.INFO
