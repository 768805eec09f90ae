"""ROSpecs of one simulated reader and the one that runs: triggers, antennas in turn, reads, reports.

Everything that a client asks for is a deadline that `beat` looks at: its wishes cannot fill the timeline. One ROSpec is
active at a time; a second one waits or is refused, none is pre-empted.
Not here: bytes (`_reader_spec.py`, `_reader_entry.py`), what an antenna hears (`_reader_radio.py`).
"""

import math
import struct
from functools import partial
from typing import TYPE_CHECKING

from drivers.simulators import _reader_settings as events
from drivers.simulators import _reader_spec as kinds
from drivers.simulators._reader_access import fits
from drivers.simulators._reader_kind import FULL_CDBM, MOST_ROSPECS
from drivers.simulators._reader_radio import ROUNDS_S, Heard
from drivers.simulators._reader_reports import Gathering
from drivers.simulators._reader_spec import AiSpec, Edge, RoSpec
from drivers.simulators._reader_wire import A_INVALID, A_OUT_OF_RANGE, R_DEVICE_ERROR, BadMessage, tlv

if TYPE_CHECKING:
    from drivers.simulators._reader_device import Reader

TICK_S = 0.02
HOP_TICKS = 20  # 0.4 s on a channel
CHANNELS = 16
DISABLED, INACTIVE, ACTIVE = range(3)
STARTED, ENDED = 0, 1  # ROSpecEventType


class Job:
    """One ROSpec that the reader keeps. `stopped`: by command, so that it does not begin again by itself."""

    def __init__(self, spec: RoSpec) -> None:
        self.spec = spec
        self.state = DISABLED
        self.stopped = False
        self.due_s: float | None = None  # of a periodic one

    def told(self) -> bytes:
        """Return it as a parameter, with the state it is in."""
        return self.spec.raw[:9] + bytes([self.state]) + self.spec.raw[10:]


class Run:
    """The ROSpec that is active: which AISpec (-1 = has not begun), what was heard in it, when what ends."""

    def __init__(self, job: Job, gathering: Gathering, begin_s: float) -> None:
        self.job, self.gathering = job, gathering
        self.begin_s = begin_s
        self.end_s = self.ai_end_s = self.report_s = math.inf
        self.index = -1
        self.turn = self.observed = 0
        self.seen: set[int] = set()
        self.ai_begin_s = self.new_s = 0.0  # of the AISpec; when a tag was seen that had not been
        self.report_now = False  # an AccessSpec came to its end

    @property
    def ai(self) -> AiSpec:
        """Return the AISpec that runs."""
        return self.job.spec.ais[self.index]


class Inventory:
    """All ROSpecs of one reader. Commands raise BadMessage when they cannot be obeyed."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader
        self.jobs: dict[int, Job] = {}
        self.run: Run | None = None

    # commands

    def add(self, spec: RoSpec) -> None:
        """Keep a ROSpec, disabled."""
        if spec.number == 0 or spec.state != DISABLED:
            raise BadMessage("a ROSpec is added disabled, and its id is not 0", A_INVALID)
        if spec.number in self.jobs:
            raise BadMessage(f"ROSpec {spec.number} is there already", A_INVALID)
        if len(self.jobs) >= MOST_ROSPECS:
            raise BadMessage(f"there are {MOST_ROSPECS} ROSpecs already", R_DEVICE_ERROR)
        kind, antennas = self._reader.kind, len(self._reader.antennas)
        for ai in spec.ais:
            _within("antenna", ai.antennas, range(antennas + 1))
            _within("transmit power", ai.powers, range(len(kind.powers_cdbm) + 1))
            _within("mode", ai.modes, kind.modes)
        self.jobs[spec.number] = Job(spec)

    def delete(self, number: int) -> None:
        """Forget one, or all (0)."""
        for job in self._chosen(number):
            self._disable(job)
            del self.jobs[job.spec.number]

    def enable(self, number: int) -> None:
        """Let one, or all (0), wait for its trigger."""
        for job in self._chosen(number):
            if job.state == DISABLED:
                job.state, job.stopped = INACTIVE, False
                if job.spec.start == kinds.IMMEDIATE:
                    self._begin(job)
                elif job.spec.start == kinds.PERIODIC:
                    job.due_s = self._reader.now_s + job.spec.offset_ms / 1000

    def disable(self, number: int) -> None:
        """Stop one, or all (0), and let it wait for nothing."""
        for job in self._chosen(number):
            self._disable(job)

    def start(self, number: int) -> None:
        """Begin one now."""
        (job,) = self._chosen(number, all_too=False)
        if job.state == DISABLED:
            raise BadMessage(f"ROSpec {number} is disabled", A_INVALID)
        if self.run is not None and self.run.job is not job:
            raise BadMessage(f"ROSpec {self.run.job.spec.number} is active", R_DEVICE_ERROR)
        job.stopped = False
        self._begin(job)

    def stop(self, number: int) -> None:
        """End one now."""
        (job,) = self._chosen(number, all_too=False)
        if job.state == DISABLED:
            raise BadMessage(f"ROSpec {number} is disabled", A_INVALID)
        job.stopped = True
        self._end_of(job)

    def report(self) -> list[bytes]:
        """Return what was gathered so far, and gather anew."""
        return self.run.gathering.flush() if self.run else []

    def edge(self, port: int, *, high: bool) -> None:
        """Tell of an input that changed."""
        run = self.run
        if run is not None and _is_edge(run.job.spec.stop_edge, port, high=high):
            self._end(run)
        elif run is not None and run.index >= 0 and _is_edge(run.ai.edge, port, high=high):
            self._end_ai(run)
        for job in list(self.jobs.values()):
            if job.state == INACTIVE and _is_edge(job.spec.start_edge, port, high=high):
                self._begin(job)

    def _chosen(self, number: int, *, all_too: bool = True) -> list[Job]:
        if number == 0 and all_too:
            return list(self.jobs.values())
        if number not in self.jobs:
            raise BadMessage(f"there is no ROSpec {number}", A_INVALID)
        return [self.jobs[number]]

    # life of the one that runs

    def beat(self) -> None:
        """Let a tick pass: begin what is due, read, end what is over."""
        now_s, run = self._reader.now_s, self.run
        if run is None:
            self._next(now_s)
        elif run.index < 0:
            if now_s >= run.begin_s:
                self._go(run)
        elif now_s >= run.end_s:
            self._end(run)
        elif now_s >= run.ai_end_s:
            self._end_ai(run)
        else:
            self._read(run)

    def _next(self, now_s: float) -> None:
        """Begin what begins by itself."""
        for job in self.jobs.values():
            if job.due_s is not None and now_s >= job.due_s:
                job.due_s = now_s + job.spec.period_ms / 1000 if job.spec.period_ms else None
                self._begin(job)
            elif job.spec.start == kinds.IMMEDIATE and not job.stopped:
                self._begin(job)

    def _begin(self, job: Job) -> None:
        if self.run is None and job.state == INACTIVE:
            job.state = ACTIVE
            report = job.spec.report or self._reader.settings.report
            begin_s = self._reader.now_s + self._reader.start_delay_s
            self.run = Run(job, Gathering(job.spec, report, utc=self._reader.kind.utc), begin_s)

    def _go(self, run: Run) -> None:
        spec, now_s = run.job.spec, self._reader.now_s
        self._tell(spec, STARTED)
        if spec.stop == kinds.DURATION:
            run.end_s = now_s + spec.duration_ms / 1000
        elif spec.stop_edge and spec.stop_edge.timeout_ms:
            run.end_s = now_s + spec.stop_edge.timeout_ms / 1000
        run.report_s = now_s + run.gathering.every_s
        self._begin_ai(run, 0)

    def _begin_ai(self, run: Run, index: int) -> None:
        run.index, run.observed = index, 0
        run.ai_begin_s = run.new_s = self._reader.now_s
        run.seen.clear()
        ai = run.ai
        run.gathering.begin(index, ai)
        limit_ms = ai.duration_ms if ai.stop == kinds.DURATION else 0
        limit_ms = ai.edge.timeout_ms if ai.edge else limit_ms
        limit_ms = ai.observation.timeout_ms if ai.observation else limit_ms
        run.ai_end_s = self._reader.now_s + limit_ms / 1000 if limit_ms else math.inf

    def _end_ai(self, run: Run) -> None:
        self._reader.tell(events.AISPEC, tlv(254, struct.pack(">BIH", 0, run.job.spec.number, run.index + 1)))
        if run.gathering.at_ai_end:
            self._reader.outbox.report(run.gathering.flush())
        if run.index + 1 < len(run.job.spec.ais):
            self._begin_ai(run, run.index + 1)
        else:
            self._end(run)

    def _end(self, run: Run) -> None:
        self.run, run.job.state = None, INACTIVE
        if run.gathering.report.trigger:
            self._reader.outbox.report(run.gathering.flush())
        self._tell(run.job.spec, ENDED)

    def _end_of(self, job: Job) -> None:
        if self.run is not None and self.run.job is job:
            self._end(self.run)

    def _disable(self, job: Job) -> None:
        self._end_of(job)
        job.state, job.due_s = DISABLED, None

    def _tell(self, spec: RoSpec, what: int) -> None:
        self._reader.tell(events.ROSPEC, tlv(249, struct.pack(">BII", what, spec.number, 0)))

    # reads

    def _read(self, run: Run) -> None:
        heard, antenna = self._hear(run)
        began_us = self._reader.clock.us() - int(TICK_S * 1e6)
        step_us = TICK_S * 1e6 / max(1, len(heard))
        channel = 1 + run.turn // HOP_TICKS % CHANNELS
        acting = partial(self._act, run, antenna) if self._reader.access else None
        for report in run.gathering.take(heard, antenna, channel, began_us, step_us, acting):
            self._reader.outbox.report(report)
        if run.report_now or self._reader.now_s >= run.report_s:
            run.report_now, run.report_s = False, self._reader.now_s + run.gathering.every_s
            self._reader.outbox.report(run.gathering.flush())
        if run.ai.observation:
            self._observe(run, heard)

    def _hear(self, run: Run) -> tuple[list[Heard], int]:
        reader, ai = self._reader, run.ai
        antennas = [one for one in reader.antennas if one.connected and (0 in ai.antennas or one.number in ai.antennas)]
        run.turn += 1
        if not antennas:
            return [], 0
        antenna = antennas[run.turn % len(antennas)]
        powers = [power for power in ai.powers if power]
        loss_cdb = FULL_CDBM - reader.kind.powers_cdbm[powers[0] - 1] if powers else 0
        wanted = antenna.share(reader.reads_per_s * TICK_S, TICK_S * len(antennas))
        chosen = partial(fits, masks=ai.masks) if ai.masks else None
        heard = antenna.sweep(wanted, loss_cdb, chosen)
        heard += antenna.pass_by(tuple(reader.world.walks.values()), self._reader.now_s, chosen)
        if reader.ghost_share and reader.rng.random() < reader.ghost_share * len(heard):
            heard.append(Heard(reader.world.ghost(), -7500, 0, 0))
        return heard, antenna.number

    def _act(self, run: Run, antenna: int, heard: Heard) -> bytes:
        tag, before = heard.tag, heard.tag.epc
        told, at_end = self._reader.access.act(tag, antenna, run.job.spec.number)
        run.report_now |= at_end
        if tag.epc != before:
            self._reader.world.rename(tag, before)
        return told

    def _observe(self, run: Run, heard: list[Heard]) -> None:
        """End an AISpec by what was seen (TagObservationTrigger)."""
        wanted, now_s = run.ai.observation, self._reader.now_s
        assert wanted is not None
        fresh = {one.tag.number for one in heard} - run.seen
        run.seen |= fresh
        run.observed += len(heard)
        run.new_s = now_s if fresh else run.new_s
        rounds = (now_s - run.ai_begin_s) * ROUNDS_S
        over = (run.observed >= wanted.tags > 0, now_s - run.new_s >= wanted.t_ms / 1000, rounds >= wanted.attempts)
        if over[wanted.kind]:
            self._end_ai(run)


def _within(what: str, asked: tuple[int, ...], known: range | tuple[int, ...]) -> None:
    for number in asked:
        if number not in known:
            raise BadMessage(f"the reader has no {what} {number}", A_OUT_OF_RANGE)


def _is_edge(edge: Edge | None, port: int, *, high: bool) -> bool:
    return edge is not None and edge.port == port and edge.high is high
