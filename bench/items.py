"""What following items costs: 20 000 tags, 1 000 reads/s on three readers, ten minutes; CPU, memory, growth.

`python -m bench.items`. Core, store on disk and the rule run in a process that has loaded the whole gateway and nothing
of the made-up world; the readers' messages come to it ten times a second as drivers give them. Their time is
compressed: CPU is told as a share of the ten minutes that they stand for. Then the rule alone, as fast as it goes. Not
here: the wire (`bench/llrp.py`), right or wrong (`bench/presence.py`).
"""

import asyncio
import gc
import pickle
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import gateway.app  # noqa: F401 - its memory counts
from bench._tag_world import ANTENNAS, READERS, SECOND_US, START_US, World
from gateway.core import Core
from gateway.messages import GATEWAY, ReaderHeard, Reading, TagRead, TagReads, Tick
from gateway.rules.items import Items, Policy
from gateway.rules.zones import Zone, Zones
from gateway.store.apply_items import ItemTables, load
from gateway.store.store import Store
from gateway.tag_notes import KeptItems

TAGS = 20_000
MINUTES = 10
SETTLE_S = 300  # until all tags were heard: not counted
SLICE_US = SECOND_US // 10
ALONE_S = 800
EVERY = tuple(range(1, ANTENNAS + 1))
SHOP = Zones(
    Zone(id=f"r{reader}-{number}", kind="floor", antennas=(f"r{reader}:{number}",))
    for reader in range(READERS)
    for number in EVERY
)
Row = tuple[int, int, TagRead]  # tenth of the second, reader


class Clock:
    """The clock of the messages."""

    quality = "synced"

    def __init__(self) -> None:
        self.us = START_US

    def now(self) -> datetime:
        """Return UTC."""
        return datetime.fromtimestamp(self.us / SECOND_US, UTC)


def rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def made_up(seconds: int) -> None:
    """Write what is heard second by second to the process that waits for it."""
    for _, heard in World(TAGS, seconds, settle_s=0).run():
        rows = [
            (one.at_us % SECOND_US // SLICE_US, one.zone // ANTENNAS, epc(one.tag), one.zone % ANTENNAS + 1, *one[2:])
            for one in heard
        ]
        pickle.dump(rows, sys.stdout.buffer)


def epc(number: int) -> str:
    return f"3035A537C8{number:014X}"


def messages(number: int, source: "subprocess.Popen[bytes]", clock: Clock) -> list[Reading]:
    """Return what drivers say in the next second."""
    assert source.stdout is not None
    said: list[Reading] = []
    reads: dict[tuple[int, int], list[TagRead]] = {}
    for tenth, reader, *read in pickle.load(source.stdout):
        reads.setdefault((tenth, reader), []).append(TagRead(*read))
    for (tenth, reader), rows in reads.items():
        clock.us = START_US + number * SECOND_US + (tenth + 1) * SLICE_US
        said.append(TagReads(at=clock.now(), source=f"r{reader}", reads=tuple(rows)))
    if number % 5 == 0:
        said += [ReaderHeard(at=clock.now(), source=f"r{reader}", antennas=EVERY) for reader in range(READERS)]
    if number % 30 == 0:
        said.append(Tick(at=clock.now(), source=GATEWAY))
    return said


async def daemon(source: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Run ten minutes; print CPU, and memory every two."""
    clock = Clock()
    store = Store(folder / "aisled.db", store_id="0421", gateway_id="gw1", clock=clock, projections=[ItemTables()])
    await store.open()
    rule = Items(Policy(), SHOP, await store.write(load), lambda _: None)
    core = Core(store, [rule])
    running = asyncio.create_task(core.run())
    gc.collect()
    print(f"start: {rss_mib():.0f} MiB, the gateway's code and no item")
    spent, commits = 0.0, 0
    for number in range(SETTLE_S + MINUTES * 60):
        said = messages(number, source, clock)
        if number == SETTLE_S:
            spent, commits = 0.0, core.batches
        start = time.process_time()
        for message in said:
            await core.emit(message)
        store.free("telemetry", 2**50)
        spent += time.process_time() - start
        if number >= SETTLE_S and (number - SETTLE_S) % 120 == 0:
            print(f"minute {(number - SETTLE_S) // 60}: {rss_mib():.0f} MiB, {sum(1 for _ in rule.items())} items")
    print(f"minute {MINUTES}: {rss_mib():.0f} MiB")
    print(f"CPU: {spent / (MINUTES * 60):.1%} of a core at 1 000 reads/s, with {core.batches - commits} batches")
    running.cancel()
    await store.close()


def alone(source: "subprocess.Popen[bytes]") -> None:
    """Print reads a second of the rule."""
    rule, clock = Items(Policy(), SHOP, KeptItems(), lambda _: None), Clock()
    ready = [message for number in range(ALONE_S) for message in messages(number, source, clock)]
    half = len(ready) // 2
    for message in ready[:half]:
        rule.feed(message)
    taken = sum(len(message.reads) for message in ready[half:] if isinstance(message, TagReads))
    start = time.process_time()
    for message in ready[half:]:
        rule.feed(message)
    print(f"the rule alone: {taken / (time.process_time() - start):,.0f} reads a second of CPU, {TAGS} tags")


def main() -> None:
    for part, seconds in (("daemon", SETTLE_S + MINUTES * 60), ("alone", ALONE_S)):
        subprocess.run([sys.executable, "-m", "bench.items", part, str(seconds)], check=True)


def part(name: str, seconds: str) -> None:
    """Run one part in this process, the world in another."""
    world = subprocess.Popen([sys.executable, "-m", "bench.items", "world", seconds], stdout=subprocess.PIPE)
    with world, tempfile.TemporaryDirectory() as folder:
        if name == "daemon":
            asyncio.run(daemon(world, Path(folder)))
        else:
            alone(world)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["world", duration]:
            made_up(int(duration))
        case [which, duration]:
            part(which, duration)
        case _:
            main()
