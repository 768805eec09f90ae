"""For tests of writing tags with serial readers: both families, a tag, an order, and why an order was refused."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from drivers import rfid_m100, rfid_uhf288
from gateway.driver import TagOrder, TagWriter
from gateway.errors import Rejected
from tests.drivers import m100_peer, uhf288_peer
from tests.drivers.gen2_chip import Chip
from tests.drivers.serial_pipes import Pipe, Rig
from tests.virtual_time import run, stopped

OLD, NEW, LONG = "3034257BF7194E4000001A85", "3034257BF7194E4000001A86", "3034257BF7194E4000001A86AABBCCDD"
ACCESS, KILL = bytes.fromhex("5EC2E7A1"), bytes.fromhex("DEADC0DE")
FAMILIES = {"m100": (rfid_m100, m100_peer.Peer), "uhf288": (rfid_uhf288, uhf288_peer.Peer)}


def chip(epc: str = OLD, **more: Any) -> Chip:
    return Chip(bytes.fromhex(epc), **more)


def order(action: Any, epc: str = OLD, antenna: int = 1, new_epc: str | None = None) -> TagOrder:
    return TagOrder(action, epc, antenna, new_epc)


def told(
    family: str,
    chips: list[Chip],
    *orders: TagOrder,
    pipe: Pipe | None = None,
    peer: dict[str, Any] | None = None,
    **settings: Any,
) -> str:
    """Run the driver, give it orders one after the other; return why the last was refused, nothing when it was done."""
    module, kind = FAMILIES[family]

    async def main() -> str:
        shop = Rig(module, kind(chips, **(peer or {})), pipe, **settings)
        assert isinstance(shop.driver, TagWriter)
        task = asyncio.create_task(shop.driver.run(shop.emit))
        await asyncio.sleep(3)
        reason = ""
        for one in orders:
            reason = await refusal(shop.driver.write_tag(one))
        count = len(shop.reads)
        await asyncio.sleep(3 if pipe is None else 10)
        alive = [chip for chip in chips if not chip.killed]
        assert task.done() or len(shop.reads) > count or not alive, "it reads on"
        await stopped(task)
        return reason

    return run(main)


async def refusal(doing: Awaitable[None]) -> str:
    try:
        await doing
    except Rejected as error:
        return str(error)
    return ""
