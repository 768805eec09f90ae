"""The store against a simple model: any order of appends, reads, frees, restarts and crashes."""

import asyncio
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway import messages as m
from gateway.store.schema import STREAMS
from gateway.store.store import Store
from tests.store.store_kit import cleared, crashed, make, sensor

streams = st.sampled_from(STREAMS)


class OutboxMachine(RuleBasedStateMachine):
    """`rows`: what must wait, by stream and sequence; `last`: the newest number ever given."""

    @initialize(in_thread=st.booleans())
    def begin(self, *, in_thread: bool) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.in_thread = in_thread
        self.runner = asyncio.Runner()
        self.copies = 0
        self.rows: dict[str, dict[int, int]] = {stream: {} for stream in STREAMS}
        self.last = dict.fromkeys(STREAMS, 0)
        self.serial = 0
        self.open(self.folder / "a.db")

    def open(self, path: Path) -> None:
        self.path = path
        self.store: Store = make(path, in_thread=self.in_thread)
        report = self.runner.run(self.store.open())
        assert not report.facts
        assert report.salvaged is None

    @rule(kinds=st.lists(st.sampled_from(["telemetry", "business", "kept", "command"]), max_size=30))
    def append(self, kinds: list[str]) -> None:
        messages: list[m.Message] = []
        for kind in kinds:
            self.serial += 1
            if kind == "command":
                messages.append(m.Tick(at=cleared().at, source=m.GATEWAY))
                continue
            stream = "telemetry" if kind == "telemetry" else "business"
            self.last[stream] += 1
            self.rows[stream][self.last[stream]] = self.serial
            fact = cleared(f"{self.serial}") if kind == "business" else sensor(self.serial, kept=kind == "kept")
            messages.append(fact)
        self.runner.run(self.store.append(messages))

    @rule(stream=streams, share=st.floats(0, 1.3))
    def free(self, stream: m.Stream, share: float) -> None:
        through = int(self.last[stream] * share)
        self.store.free(stream, through)
        through = min(through, self.last[stream])
        self.rows[stream] = {n: serial for n, serial in self.rows[stream].items() if n > through}

    @rule(stream=streams, after=st.integers(0, 40), limit=st.integers(1, 9), max_bytes=st.integers(1, 2000))
    def look(self, stream: m.Stream, after: int, limit: int, max_bytes: int) -> None:
        rows = self.runner.run(self.store.unsent(stream, after, limit, max_bytes))
        expected = [n for n in sorted(self.rows[stream]) if n > after][: len(rows)]
        assert [n for n, _ in rows] == expected
        assert len(rows) <= limit
        assert rows or not any(n > after for n in self.rows[stream])
        assert len(rows) == 1 or sum(len(event) for _, event in rows) <= max_bytes

    @rule()
    def restart(self) -> None:
        self.runner.run(self.store.close())
        self.open(self.path)

    @rule()
    def crash(self) -> None:
        self.copies += 1
        self.runner.run(self.store.append([cleared("before the crash")]))  # so that what was freed is deleted
        self.last["business"] += 1
        self.rows["business"][self.last["business"]] = -1
        left = crashed(self.path, self.folder / f"{self.copies}")
        self.runner.run(self.store.close())
        self.open(left)

    @invariant()
    def all_that_must_wait_waits(self) -> None:
        for stream in STREAMS:
            rows = self.runner.run(self.store.unsent(stream, 0, 10_000, 2**24))
            assert {n: _serial(json.loads(event)) for n, event in rows} == self.rows[stream]

    def teardown(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)


def _serial(event: dict[str, Any]) -> int:
    data = event["data"]
    if "n" in data:
        return int(data["n"])
    return -1 if data["alarm"] == "before the crash" else int(data["alarm"])


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(
    max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
