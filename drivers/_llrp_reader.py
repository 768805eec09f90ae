"""One connection to a reader from greeting to end: sets it up, and turns what it says into messages and health.

`Reader.run` raises when the connection or the reader fails; the supervisor makes a new one. What a report or an event
holds that cannot be read is counted, told, and skipped: the stream stays in step. Whether the reader really reads is
said with `ReaderHeard` only for times in which bytes came from it.
Next: `_llrp_session.py` for the connection, `_llrp_control.py` for the messages, `_llrp_write.py` for tags.
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from drivers import _llrp_control as control
from drivers._llrp_clock import ReaderClock
from drivers._llrp_config import Config
from drivers._llrp_frames import ERROR_MESSAGE, RO_ACCESS_REPORT, Frame
from drivers._llrp_health import Watch
from drivers._llrp_look import Look
from drivers._llrp_outbox import Outbox
from drivers._llrp_plan import Plan, make_plan
from drivers._llrp_reports import Reports, TagSeen
from drivers._llrp_session import CONNECT_S, KEEPALIVE_S, Session, Streams
from drivers._llrp_specs import OURS, ROSPEC_ID, add_rospec
from gateway.driver import Emit, Services
from gateway.errors import BadFrame, LinkDown, Rejected
from gateway.messages import ReaderHeard, ReaderInput

HEARD_S = 3.0  # so often `ReaderHeard` and health are told
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HELD = (1, 2)  # LLRP 1.0.1, 13.2.6.11: somebody else, or the reader's own choice, is connected
SOMEBODY_ELSE_TRIED = 4
HELD_STEP = "close the other program, or restart the reader; it is tried again by itself"

log = logging.getLogger(__name__)


class Reader:
    """The conversation with one reader. `plan` is known when it reads; `look` is there while a tag is written."""

    def __init__(self, config: Config, services: Services, streams: Streams) -> None:
        self._config, self._services = config, services
        self._outbox = Outbox(config.id, services.clock.now)
        self.session = Session(streams, config.where, self._take, self._outbox.room)
        self._reports, self._clock = Reports(), ReaderClock()
        self._watch = Watch(asyncio.get_running_loop().time(), config.antenna_silent_min * 60)
        self._greeting: asyncio.Future[control.Event] = asyncio.get_running_loop().create_future()
        self._floor = None if config.rssi_floor_dbm is None else round(100 * config.rssi_floor_dbm)
        self._bad = self._skipped = 0
        self._told_s = 0.0
        self._running = False
        self._paused = True  # by us: nothing was asked for yet, or a tag is written
        self.plan: Plan | None = None
        self.look: Look | None = None

    async def run(self, emit: Emit) -> None:
        """Read until cancelled or the connection fails."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.session.run(), name=f"{self._config.id} session")
            group.create_task(self._outbox.run(emit), name=f"{self._config.id} outbox")
            plan = await self.prepare()
            await self._set_up(plan)
            if self._config.report_ms is not None:
                group.create_task(self._fetch(self._config.report_ms / 1000), name=f"{self._config.id} reports")
            while True:
                self._tell(plan)
                await asyncio.sleep(HEARD_S)

    async def prepare(self) -> Plan:
        """Wait to be let in and ask what the reader can do. Raises LinkDown, ConfigError; changes nothing there."""
        await self._greeted()
        plan = make_plan(self._config, control.capabilities(await self.asked(control.get_capabilities())))
        for note in plan.notes:
            log.warning("%s", note, extra={"device": self._config.id, "once": note})
        return plan

    async def _greeted(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                event = await self._greeting
        except TimeoutError as error:
            raise LinkDown(f"{self._config.where}: no greeting in {CONNECT_S:g} s: an LLRP reader? TLS?") from error
        if event.attempt in HELD:
            evidence = f"{self._config.where}: the reader is held by another client"
            self._services.report("offline", "reader_held", evidence, HELD_STEP)
            raise LinkDown(evidence)
        if event.attempt:
            raise LinkDown(f"{self._config.where}: the reader does not let us in (status {event.attempt})")
        self._clock.greeted(event.utc_us, event.uptime_us, self._now_us())

    async def _set_up(self, plan: Plan) -> None:
        """Tell the reader what to do. What it kept while we were away is taken first, before anything is deleted."""
        if (hello := control.hello(plan.vendor)) is not None:
            await self.asked(hello)
        await self._either(control.set_config(plan, KEEPALIVE_S), control.set_keepalive(KEEPALIVE_S), "events")
        self._watch.uses(plan.antennas)
        await self._ask_antennas()
        await self.session.tell(control.release())
        await self._clear()
        await self._either(add_rospec(plan), add_rospec(plan, extensions=False), "extensions of its maker")
        if plan.config.gpi_start is None:
            await self.asked(control.enable(ROSPEC_ID))
        await self.resume(plan)
        self.plan = plan

    async def resume(self, plan: Plan) -> None:
        """Begin to read; with `gpi_start` the reader does that itself, but waits only when it is enabled."""
        if plan.config.gpi_start is not None:
            await self.asked(control.enable(ROSPEC_ID))
        else:
            await self.asked(control.start(ROSPEC_ID))
            self._running = True
        self._paused = False

    async def pause(self, plan: Plan) -> None:
        """Stop reading for a while. It must be resumed before `look` is taken away, else `run` raises LinkDown."""
        self._running, self._paused = False, True
        await self.asked((control.stop if plan.config.gpi_start is None else control.disable)(ROSPEC_ID))

    async def asked(self, request: bytes) -> control.LLRPMessage:
        """Ask and return the answer. Raises LinkDown, BadFrame, or Rejected with the reader's reason."""
        return control.answer(await self.session.ask(request))

    async def _fetch(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            if not self._outbox.full:  # else the reader had better keep it
                await self.session.tell(control.get_report())

    async def _either(self, full: bytes, plain: bytes, what: str) -> None:
        """Ask for all; a reader that refuses is asked for what every reader knows."""
        try:
            await self.asked(full)
        except Rejected as error:
            if full == plain:
                raise
            log.warning("the reader refuses %s: %s", what, error, extra={"device": self._config.id, "once": what})
            await self.asked(plain)

    async def _ask_antennas(self) -> None:
        try:
            for antenna, there in control.connected(await self.asked(control.get_antennas())).items():
                self._watch.antenna(antenna, connected=there)
        except Rejected:
            return  # it cannot tell

    async def _clear(self) -> None:
        """Delete what an earlier run of ours left in the reader; what others left is told."""
        there = control.rospec_ids(await self.asked(control.get_rospecs()))
        for rospec in set(OURS) & set(there):
            await self.asked(control.delete(rospec))
        if foreign := sorted(set(there) - set(OURS)):
            self._trouble(
                "foreign_rospec", f"ROSpecs {', '.join(map(str, foreign))} of another program are in the reader"
            )

    def _take(self, frames: list[Frame]) -> None:
        """Take messages that nobody asked for, in order; reports that came together become reads together."""
        seen: list[TagSeen] = []
        for frame in frames:
            try:
                if frame.kind == RO_ACCESS_REPORT:
                    seen += self._reports.decode(frame.data)
                else:
                    self._take_reads(seen)
                    seen = []
                    self._take_other(frame)
            except BadFrame as error:
                self._bad += 1
                self._trouble("bad_reports", f"{self._bad} messages could not be read, the last: {error}")
                log.warning("skipped: %s", error, extra={"device": self._config.id, "once": "bad_reports"})
        self._take_reads(seen)

    def _take_other(self, frame: Frame) -> None:
        if frame.kind != ERROR_MESSAGE:
            self._take_event(control.event(frame))
            return
        try:
            control.answer(frame)
        except Rejected as error:
            log.warning("the reader: %s", error, extra={"device": self._config.id, "once": "refused"})

    def _take_reads(self, seen: list[TagSeen]) -> None:
        if not seen:
            return
        if self.look is not None:
            self.look.take([tag for tag in seen if tag.rospec != ROSPEC_ID])
            seen = [tag for tag in seen if tag.rospec == ROSPEC_ID]
        reads = self._clock.reads(seen, self._now_us(), self._floor)
        self._watch.read(reads, asyncio.get_running_loop().time())
        self._outbox.add_reads(reads)

    def _take_event(self, event: control.Event) -> None:
        if event.attempt is not None and not self._greeting.done():
            self._greeting.set_result(event)
        elif event.attempt == SOMEBODY_ELSE_TRIED:
            self._trouble("other_client", "another client tried to connect to the reader")
        if event.closed:
            raise LinkDown(f"{self._config.where}: the reader says that it closes the connection")
        if event.antenna is not None:
            self._watch.antenna(event.antenna[0], connected=event.antenna[1])
        if event.input is not None:
            at_us = self._clock.instant_us(event.utc_us, event.uptime_us, self._now_us())
            at = EPOCH + timedelta(microseconds=at_us)
            self._outbox.add(ReaderInput(at=at, source=self._config.id, port=event.input[0], high=event.input[1]))
        if event.rospec is not None and event.rospec[0] == ROSPEC_ID:
            self._take_state(began=event.rospec[1])
        self._take_troubles(event)

    def _take_state(self, *, began: bool) -> None:
        if self._running and not began and self._config.gpi_start is None:
            raise LinkDown(f"{self._config.where}: the reader stopped reading by itself")
        self._running = began and self.look is None

    def _take_troubles(self, event: control.Event) -> None:
        if event.overflow:
            self._trouble("reads_lost", "the reader's report buffer overflowed")
        if event.buffer_percent is not None:
            self._trouble("buffer_filling", f"the reader's report buffer is {event.buffer_percent} % full")
        if event.exception is not None:
            self._trouble("reader_exception", f"the reader says: {event.exception}")

    def _trouble(self, reason: str, evidence: str) -> None:
        self._watch.trouble(reason, evidence, asyncio.get_running_loop().time())

    def _tell(self, plan: Plan) -> None:
        now_s, heard_s = asyncio.get_running_loop().time(), self.session.heard_s
        reads = self._running or plan.config.gpi_start is not None  # which may wait for its input
        if self.look is None and (self._paused or not reads):
            raise LinkDown(f"{self._config.where}: the reader does not read any more")
        if self.session.skipped > self._skipped:
            self._skipped = self.session.skipped
            self._trouble("bad_reports", f"{self._skipped} messages were too large to be true")
        if self._running and heard_s > self._told_s:
            self._told_s = heard_s
            at = self._services.clock.now() - timedelta(seconds=now_s - heard_s)
            self._outbox.add(ReaderHeard(at=at, source=self._config.id, antennas=self._watch.antennas))
        offset_s = self._clock.offset_s
        clock = "" if offset_s is None else f", clock {-offset_s:+.1f} s"
        who = f"{plan.capabilities}{clock}{''.join(f', {note}' for note in plan.notes)}"
        self._services.report(*self._watch.verdict(now_s, who, running=self._running))

    def _now_us(self) -> int:
        return (self._services.clock.now() - EPOCH) // timedelta(microseconds=1)
