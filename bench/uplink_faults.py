"""Full-length link faults before a real Mosquitto: how soon data flows after the link's return, what is missing.

`python bench/uplink_faults.py [scale]`; scale 0.1 shortens the faults (not the gateway's own times). 200 events/s, one
in five of business. Prints one line a fault: first data after the return, drained after, missing, repeats, order.
"""

import asyncio
import logging
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from gateway.uplink.mqtt import Timing
from tests.mosquitto import Mosquitto, until
from tests.tcp_proxy import TcpProxy
from tests.uplink.uplink_kit import HeadOffice, Rig, all_there, gateway

Fault = Callable[[TcpProxy, float], Awaitable[None]]
DRAIN_S = 90.0


async def refused(proxy: TcpProxy, scale: float) -> None:
    await proxy.refuse()
    await asyncio.sleep(60 * scale)
    await proxy.start()


async def black_hole(proxy: TcpProxy, scale: float) -> None:
    proxy.black_hole()
    await asyncio.sleep(30 * scale)
    proxy.reset()
    proxy.heal()


async def slow_pubacks(proxy: TcpProxy, scale: float) -> None:
    proxy.delay_s = 6.0
    await asyncio.sleep(30 * scale)
    proxy.delay_s = 0.0


async def load(rig: Rig, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await rig.emit(8)
        await rig.emit(2, kept=True)
        await asyncio.sleep(0.05)


async def run(fault: Fault, scale: float, folder: Path) -> None:
    broker = Mosquitto(folder / "broker", "allow_anonymous true\nmax_queued_messages 0")
    await broker.start()
    proxy = TcpProxy(broker.port)
    await proxy.start()
    office = HeadOffice()
    try:
        async with office.at(broker.url), gateway(folder / "gw", proxy.url, timing=Timing(), keep_alive_s=20) as rig:
            stop = asyncio.Event()
            loading = asyncio.ensure_future(load(rig, stop))
            await asyncio.sleep(3)
            await fault(proxy, scale)
            office.mark()
            back = asyncio.get_running_loop().time()
            await until(lambda: office.first_at is not None, DRAIN_S)
            await asyncio.sleep(3)
            stop.set()
            await loading
            await all_there(office, rig, DRAIN_S)
            tell(fault.__name__, (office.first_at or 0.0) - back, office, rig)
    finally:
        await proxy.stop()
        broker.stop()


def tell(name: str, first_s: float, office: HeadOffice, rig: Rig) -> None:
    total = sum(rig.emitted.values())
    missing = sum(office.missing(s, rig.emitted[s]) for s in ("business", "telemetry"))
    repeats = sum(office.duplicates(s) for s in ("business", "telemetry"))
    order = all(office.in_order(s) for s in ("business", "telemetry"))
    print(
        f"{name:15} first data {first_s:6.2f} s after return  events {total}  missing {missing}  "
        f"repeats {repeats}  order {'kept' if order else 'BROKEN'}",
        flush=True,
    )


async def bench(scale: float) -> None:
    for fault in (refused, black_hole, slow_pubacks):
        with tempfile.TemporaryDirectory() as folder:
            await run(fault, scale, Path(folder))


def main() -> None:
    logging.disable(logging.WARNING)
    asyncio.run(bench(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))


if __name__ == "__main__":
    main()
