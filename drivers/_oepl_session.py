"""Stay connected to one OpenEPaperLink access point: listen, list its tags, keep its settings right, tell its health.

Feeds the station (`_oepl_station.py`) with what is heard. Not here: pushes and facts (`label_oepl.py`). While nothing
happens the only timers are the deadline of the next life sign and the hourly look at list and settings.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from drivers._oepl_calls import Calls, Link
from drivers._oepl_health import CLOCK_TOLERANCE_S, SYS_SILENCE_S, TAGS_MAX, judge, wrong_settings
from drivers._oepl_station import Station
from drivers._oepl_wire import SystemState, read_ws
from gateway.driver import Services
from gateway.errors import DeviceError, LinkDown

RECONNECT_FIRST_S = 1.0
RECONNECT_MAX_S = 30.0
REFRESH_S = 3_600.0
REFRESH_AGAIN_S = 15.0
SET_TIME_EVERY_S = 600.0

_log = logging.getLogger(__name__)


class Session:
    """`wanted` are the settings that the access point must have; they are set when `manage` allows it."""

    def __init__(
        self, station: Station, link: Link, calls: Calls, services: Services, wanted: dict[str, int], *, manage: bool
    ) -> None:
        self._station = station
        self._link = link
        self._calls = calls
        self._services = services
        self._wanted = wanted
        self._manage = manage
        self._first = True  # no life sign yet on this connection
        self._chore = asyncio.Event()
        self._set_time_s = float("-inf")

    async def run(self) -> None:
        """Connect, listen, and connect again, until cancelled."""
        pause_s = RECONNECT_FIRST_S
        while True:
            try:
                reason = await self._connected()
            except LinkDown as error:
                reason = str(error)
            pause_s = RECONNECT_FIRST_S if self._station.evidence.system else min(2 * pause_s, RECONNECT_MAX_S)
            self._lose(reason)
            await asyncio.sleep(pause_s)

    async def _connected(self) -> str:
        """Serve one connection; returns why it ended. Raises LinkDown when there was none."""
        async with self._link.listen() as texts, asyncio.TaskGroup() as group:
            self._station.opened()
            self._chore.clear()
            self._first = True
            chores = group.create_task(self._chores(), name="oepl chores")
            try:
                return await self._listen(texts)
            finally:
                chores.cancel()

    def _lose(self, reason: str) -> None:
        evidence = self._station.evidence
        if not evidence.silent:
            evidence.link_error = reason
        evidence.system = None
        self._station.lost()
        self.report()

    async def _listen(self, texts: AsyncIterator[str]) -> str:
        """Take texts until the stream ends or no life sign comes; returns why."""
        try:
            async with asyncio.timeout(SYS_SILENCE_S) as deadline:
                async for text in texts:
                    if self._hear(text):
                        deadline.reschedule(_now_s() + SYS_SILENCE_S)
        except TimeoutError:
            self._station.evidence.silent = True
            return "no life sign"
        except LinkDown as error:
            return str(error)
        return "the access point closed the event stream"

    def _hear(self, text: str) -> bool:
        """Take one text; true for a life sign."""
        events, bad = read_ws(text)
        self._complain(bad)
        alive = False
        for event in events:
            self._station.hear(event, _now_s())
            if isinstance(event, SystemState):
                self._look_at_system(event)
                alive = True
        return alive

    def _complain(self, bad: list[str]) -> None:
        for text in bad:
            self._station.complain(text)
            _log.warning("not understood: %s", text)

    def _look_at_system(self, system: SystemState) -> None:
        evidence = self._station.evidence
        evidence.epoch_error_s = system.epoch - int(self._services.clock.now().timestamp())
        if self._first or (self._clock_wrong and _now_s() - self._set_time_s > SET_TIME_EVERY_S):
            self._first = False
            self._chore.set()
        self.report()

    @property
    def _clock_wrong(self) -> bool:
        return self._manage and abs(self._station.evidence.epoch_error_s) > CLOCK_TOLERANCE_S

    async def _chores(self) -> None:
        """Look at settings, clock and list: after the first life sign, when asked, hourly, and soon after a failure."""
        pause_s: float | None = None
        while True:
            try:
                async with asyncio.timeout(pause_s):
                    await self._chore.wait()
            except TimeoutError:
                pass
            self._chore.clear()
            pause_s = await self._refresh()
            self.report()

    async def _refresh(self) -> float:
        """Bring settings, clock and list up to date; returns when to do so again."""
        evidence = self._station.evidence
        try:
            evidence.wrong = await self._settings()
            await self._set_clock()
            await self._list()
        except DeviceError as error:
            evidence.http_error = str(error)
            return REFRESH_AGAIN_S
        evidence.http_error = None
        return REFRESH_S

    async def _settings(self) -> dict[str, int]:
        """Return the settings that are wrong, after mending them where we may."""
        wrong = wrong_settings(await self._calls.config(), self._wanted)
        if not wrong or not self._manage:
            return wrong
        hours = {name: self._wanted[name] for name in ("sleeptime1", "sleeptime2")}
        _log.info("setting %s", wrong)
        await self._calls.save_config(wrong | (hours if wrong.keys() & hours.keys() else {}))  # it reads both or none
        return wrong_settings(await self._calls.config(), self._wanted)

    async def _set_clock(self) -> None:
        if self._clock_wrong and _now_s() - self._set_time_s > SET_TIME_EVERY_S:
            self._set_time_s = _now_s()
            await self._calls.set_time(int(self._services.clock.now().timestamp()))

    async def _list(self) -> None:
        records, bad = await self._calls.records()
        self._station.evidence.bad_records = 0
        self._complain(bad)
        for record in records:
            self._station.read_again(record, _now_s())
        if len(records) <= TAGS_MAX:  # a longer list may be cut (esl T8)
            self._station.keep_only({record.label for record in records})

    def report(self) -> None:
        """Tell the state; telling it again is what keeps it fresh."""
        verdict = judge(self._station.evidence)
        self._services.report(verdict.state, verdict.reason, verdict.evidence, verdict.next_step)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
