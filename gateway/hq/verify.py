"""`aisled hq verify`: listens to all streams of a shop and proves that no event is missing.

With `--state FILE` the count goes on where it stopped: each batch is acknowledged to the broker only after the file
holds it, and the broker keeps the session meanwhile, so that an observer who restarts has seen everything too.
"""

import asyncio
import json
import os
import sys
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gateway.errors import BadFrame, ConfigError
from gateway.hq.completeness import Ledger
from gateway.hq.line import Broker, listen
from gateway.hq.wire import parse_batch, stream_of, up

KEEP_S = 7 * 24 * 3600  # how long the broker keeps the session of an observer that is away


async def verify(broker: Broker, store: str, session: str, *, seconds: float, state: Path | None, as_json: bool) -> int:
    """Listen for `seconds`, report. Returns 0 when all is there, 1 when something is missing or contradicts itself."""
    ledger, bad = _load(state), list[str]()
    topics = [up(store, "business"), up(store, "telemetry")]
    options = broker.options(f"{session}-{store}", topics, keep_s=KEEP_S if state else 0)
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as limit, aclosing(listen(options)) as arriving:
            async for link, messages in arriving:
                if limit.when() is None:  # the first connection is made: now the time counts
                    limit.reschedule(asyncio.get_running_loop().time() + seconds)
                for message in messages:
                    _count(ledger, message.topic, message.payload, bad)
                if state:
                    _save(state, ledger)
                link.ack(*messages)
    _report(ledger, bad, as_json=as_json)
    return 0 if ledger.complete() and not bad else 1


def _count(ledger: Ledger, topic: str, payload: bytes, bad: list[str]) -> None:
    try:
        for event in parse_batch(payload, stream_of(topic)[1]):
            ledger.feed(event)
    except BadFrame as error:
        bad.append(f"{topic}: {error}")


def _load(state: Path | None) -> Ledger:
    if state is None or not state.exists():
        return Ledger()
    try:
        return Ledger.from_json(json.loads(state.read_text("utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{state}: is no state of this command ({error!r}); move it away to begin anew") from None


def _save(state: Path, ledger: Ledger) -> None:
    """Write beside, sync, rename: after a power cut there is the old count or the new one."""
    beside = state.with_name(state.name + ".new")
    with beside.open("w", encoding="utf-8") as file:
        json.dump(ledger.to_json(), file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(state)


def _report(ledger: Ledger, bad: list[str], *, as_json: bool) -> None:
    rows = ledger.report()
    if as_json:
        facts: dict[str, Any] = {"complete": ledger.complete() and not bad, "streams": rows, "unreadable": bad}
        sys.stdout.write(json.dumps(facts) + "\n")
        return
    table = Table("gateway", "stream", "first", "last", "events", "repeats", "dropped", "missing", box=None)
    for row in rows:
        missing = ", ".join(f"{first}-{last}" for first, last in row["gaps"]) or "none"
        cells = [row[name] for name in ("gateway", "stream", "first", "last", "events", "repeats", "dropped")]
        table.add_row(*map(str, cells), missing)
    console = Console(highlight=False)
    console.print(table if rows else "nothing was heard; is the gateway connected?")
    for row in rows:
        for sequence in row["conflicts"]:
            console.print(f"two different events have number {sequence} ({row['gateway']} {row['stream']})")
    for line in bad:
        console.print(line)
