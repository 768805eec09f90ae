"""What `test_kill.py` kills: a gateway's store at work. Prints what was acknowledged, unbuffered: a kill cuts it.

`begin` is a process's whole life: it appends batches of random size, reads and frees as head office would.
"""

import asyncio
import json
import os
import random
from multiprocessing.connection import Connection
from pathlib import Path

from gateway.store.journal import Journal
from gateway.store.store import Store
from tests.store.store_kit import SetClock, cleared, sensor


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def work(store: Store, chance: random.Random) -> None:
    serial = chance.randrange(10**9) * 1000
    while True:
        count = chance.choice((1, 1, 2, 10, 300))
        kept = [cleared(f"{serial + n}") for n in range(chance.choice((0, 1, 3)))]
        await store.append([*(sensor(serial + n, size=chance.randrange(400)) for n in range(count)), *kept])
        for n in range(count):
            say("telemetry", serial + n)
        for n in range(len(kept)):
            say("business", serial + n)
        serial += 1000
        for stream in ("telemetry", "business"):
            rows = await store.unsent(stream, 0)
            if rows and chance.random() < 0.4:
                through = rows[chance.randrange(len(rows))][0]
                for sequence, event in rows:
                    if sequence <= through:
                        data = json.loads(event)["data"]
                        say("sent", stream, sequence, data.get("n", data.get("alarm")))
                store.free(stream, through)


async def live(path: Path, seed: int) -> None:
    store = Store(path, store_id="0421", gateway_id="gw1", clock=SetClock(), projections=[Journal()])
    report = await store.open()
    say("open", report.salvaged)
    await work(store, random.Random(seed))


def begin(path: Path, seed: int, said: Connection) -> None:
    """Work until killed; what is printed, and what goes wrong, is `said`."""
    for descriptor in (1, 2):
        os.dup2(said.fileno(), descriptor)
    asyncio.run(live(path, seed))
