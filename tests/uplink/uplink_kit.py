"""What tests and benches of the uplink share: a gateway's uplink on a real store, and a head office that counts."""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drivers._mqtt import Incoming, MqttLink, MqttOptions
from gateway.core import Core, Rule
from gateway.messages import Fact, SensorEvent, SensorEventKept, Stream
from gateway.store.store import Store
from gateway.uplink.mqtt import Timing, Uplink
from gateway.uplink.settings import HqConfig
from gateway.uplink.topics import Topics
from tests.mosquitto import until

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
TOPICS = Topics("0421", "gw1")
QUICK = Timing(patience_s=0.6, connect_timeout_s=0.3, worked_s=0.3, scale=0.1)  # the same faults, a tenth of the time


class FixedClock:
    quality = "synced"

    def now(self) -> datetime:
        return AT


def event(number: int, *, size: int = 0, kept: bool = False) -> Fact:
    body = json.dumps({"n": number, "filling": "x" * size})
    return (SensorEventKept if kept else SensorEvent)(at=AT, source="sensors", body=body)


@dataclass
class HeadOffice:
    """Subscribed at the broker itself, past every fault. `arrived` holds sequences by stream, as they came."""

    arrived: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    bodies: list[dict[str, Any]] = field(default_factory=list)
    status: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Incoming] = field(default_factory=list)
    first_at: float | None = None
    batches: int = 0
    link: MqttLink | None = None

    def first_seen(self, stream: Stream) -> list[int]:
        """Every sequence where it came first."""
        return list(dict.fromkeys(self.arrived[stream]))

    def missing(self, stream: Stream, count: int) -> int:
        return count - len(set(self.arrived[stream]))

    def duplicates(self, stream: Stream) -> int:
        return len(self.arrived[stream]) - len(set(self.arrived[stream]))

    def in_order(self, stream: Stream) -> bool:
        return self.first_seen(stream) == sorted(self.first_seen(stream))

    def mark(self) -> None:
        """Note when the next batch comes."""
        self.first_at = None

    def take(self, message: Incoming) -> None:
        kind = message.topic.rpartition("/")[2]
        if message.topic.startswith("answers/"):
            self.answers.append(message)
        elif kind == "status":
            self.status.append(json.loads(message.payload))
        elif kind in {"business", "telemetry"}:
            self.batches += 1
            self.first_at = self.first_at or asyncio.get_running_loop().time()
            for one in json.loads(message.payload):
                self.arrived[kind].append(int(one["sequence"]))
                self.bodies.append(one)

    async def listen(self, url: str, ready: asyncio.Event) -> None:
        options = MqttOptions(url, "hq", subscriptions=("aisled/v1/+/+/up/#", "answers/#"), receive_maximum=1000)
        async with MqttLink(options) as self.link:
            ready.set()
            while True:
                messages = await self.link.receive()
                for message in messages:
                    self.take(message)
                self.link.ack(*messages)

    @contextlib.asynccontextmanager
    async def at(self, url: str) -> AsyncIterator["HeadOffice"]:
        """Listen while the block runs."""
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.listen(url, ready))
            await ready.wait()
            try:
                yield self
            finally:
                task.cancel()


@dataclass
class Reports:
    """What the uplink says of itself."""

    said: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, state: str, reason: str, evidence: str, next_step: str) -> None:
        assert state == "online" or next_step
        self.said.append((state, reason, evidence))

    def online(self) -> int:
        return sum(state == "online" for state, _, _ in self.said)


@dataclass
class Rig:
    """A gateway without devices: store, core and uplink."""

    store: Store
    core: Core
    uplink: Uplink
    reports: Reports
    emitted: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def emit(self, count: int, *, kept: bool = False, size: int = 0) -> None:
        """Emit events, a hundred a commit."""
        stream = "business" if kept else "telemetry"
        while count:
            step = min(count, 100)
            first = self.emitted[stream]
            await self.core.emit(*(event(first + number, kept=kept, size=size) for number in range(step)))
            self.emitted[stream] += step
            count -= step


@contextlib.asynccontextmanager
async def gateway(
    folder: Path, url: str, *, timing: Timing = QUICK, rules: Sequence[Rule] = (), **config: Any
) -> AsyncIterator[Rig]:
    """Run a gateway's uplink while the block runs."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  (before anything runs)
    clock, reports = FixedClock(), Reports()
    store = Store(folder / "aisled.db", store_id="0421", gateway_id="gw1", clock=clock)
    await store.open()
    core = Core(store, rules)

    hq = HqConfig(url=url, allow_plaintext=True, **{"keep_alive_s": 5, **config})
    uplink = Uplink(hq, TOPICS, store, core.submit, clock, reports, timing=timing)
    running = [asyncio.ensure_future(core.run()), asyncio.ensure_future(uplink.run())]
    try:
        yield Rig(store, core, uplink, reports)
        failed = [task.exception() for task in running if task.done()]
        assert not failed, failed
    finally:
        for task in reversed(running):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await store.close()


async def all_there(office: HeadOffice, rig: Rig, deadline_s: float = 20.0) -> None:
    """Wait until head office has every event that was emitted, and the gateway has freed them."""

    def complete() -> bool:
        done = all(office.missing(stream, count) <= 0 for stream, count in rig.emitted.items())  # type: ignore[arg-type]
        return done and sum(rig.store.waiting().values()) == 0

    await until(complete, deadline_s)
