"""What `test_exporter.py` kills: a store with ten sold items and an export that sends them. Ends when nothing is left.

`python kill_target.py DATABASE URL`; at the second start it finds what the first one kept.
"""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from gateway.epcis.mapping import Steps
from gateway.store.apply_epcis import EpcisTables
from gateway.store.store import Store
from tests.epcis.epcis_kit import AT, ZONES, Reports, config, exporter, running, sold
from tests.mosquitto import until
from tests.store.store_kit import SetClock


async def main(path: Path, url: str, *, fresh: bool) -> None:
    tables = EpcisTables(Steps(ZONES), 1000)
    store = Store(path, store_id="0421", gateway_id="gw1", clock=SetClock(), projections=[tables])
    await store.open()
    if fresh:
        await store.append([sold(n, at=AT + timedelta(seconds=n)) for n in range(10)])
    reports = Reports()
    async with running(exporter(config(url), store, SetClock(AT + timedelta(minutes=1)), reports)):
        await until(lambda: "events_taken" in reports.reasons())
    left = await store.read(lambda db: db.execute("SELECT count(*) FROM epcis_event").fetchone()[0])
    print("left", left)
    await store.close()


where = Path(sys.argv[1])
asyncio.run(main(where, sys.argv[2], fresh=not where.exists()))
