"""Shelf labels behind an OpenEPaperLink access point (HTTP and WebSocket on the shop's own network).

Source: behaviour of the access point firmware, read in its public source as of August 2026. Grade: `simulated` (against
our own access point simulator; no hardware yet). The firmware is under CC BY-NC-SA 4.0, which forbids commercial use: a
shop needs its authors' permission to run it. Nothing of it is contained here; tag types are fetched from the access
point at run time. It has no login and tells its Wi-Fi password to all: give it a network of its own.

One attempt per face, exactly one terminal fact for it. A face that was shown may be taken back later: `LabelFailed`
with reason `tag_rebooted`, `foreign_write`, `moved` or `ap_forgot` says that its proof no longer holds: push again.
Not done: tags with 3 or 4 bits per pixel or TFTs, reading back G5 images (newest tag firmware: `proof = "hash"`), tag
firmware updates, roaming between access points (route by who saw the label last). What happened to a label while the
gateway was not running: a restart is found out here (`LabelDoubted`), what somebody else wrote by `LabelSeen.image`.
Next: `_oepl_push.py` for the steps of a push, `_oepl_trace.py` for what is believed, `_oepl_session.py` for the link.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Literal

from pydantic import Field

from drivers._oepl_calls import Calls, Link
from drivers._oepl_facts import Proof, image_of, label_failed, label_shown
from drivers._oepl_health import wanted_settings, wrong_settings
from drivers._oepl_link import AiohttpLink
from drivers._oepl_push import NotShown, Push
from drivers._oepl_session import Session
from drivers._oepl_station import Lane, Station
from drivers._oepl_tell import Teller, uninterrupted
from gateway.driver import DeviceConfig, Emit, Face, Services
from gateway.errors import Rejected
from gateway.messages import Fact, LabelStored

WISHES_MAX = 250  # labels with work in hand: the slots that the access point's radio has
OVERTAKEN_MAX = 32  # wishes for one label that were replaced and not yet told
HAS_LED = 0x01
BLINK_MAX_S = 255

_log = logging.getLogger(__name__)


class Config(DeviceConfig):
    """One access point."""

    url: str = Field(pattern=r"^http://[A-Za-z0-9.:\[\]-]+/?$", description="address, such as http://192.168.20.5")
    mode: Literal["fast", "eco"] = Field(
        default="fast", description="fast: labels answer within about a minute; eco: within 10, batteries last longer"
    )
    upload_concurrency: int = Field(default=2, ge=1, le=4, description="uploads at the same time")
    manage_ap: bool = Field(default=True, description="set the access point's clock and the settings that are needed")
    lock: Literal[0, 1, 2] | None = Field(
        default=None, description="1 = take on no new labels, 2 = only freshly started ones, 0 = all; unset = leave it"
    )
    proof: Proof = Field(
        default="pixels", description="weakest proof that counts; hash also serves labels that get G5 images"
    )
    battery_low_mv: int = Field(default=2400, ge=1800, le=3600, description="a battery below this is told at once")
    request_timeout_s: float = Field(default=10.0, ge=1, le=60, description="deadline of one request")


class Driver:
    """Drives the labels of one access point. `link` replaces the network in tests."""

    def __init__(self, config: Config, services: Services, link: Link | None = None) -> None:
        self._config = config
        self._services = services
        self._link = link
        self._station = Station(config.url, config.battery_low_mv)
        self._uploads = asyncio.Semaphore(config.upload_concurrency)
        self._wanted = wanted_settings(config.mode, config.lock)
        self._emit: Emit | None = None
        self._calls: Calls | None = None
        self._group: asyncio.TaskGroup | None = None

    async def run(self, emit: Emit) -> None:
        """Work until cancelled. What an earlier run left unfinished is told first."""
        async with self._opened() as (link, calls):
            self._emit, self._calls = emit, calls
            session = Session(self._station, link, calls, self._services, self._wanted, manage=self._config.manage_ap)
            teller = Teller(self._station, calls, emit, self._services.clock, self._config.id)
            await self._tell_unfinished()
            try:
                async with asyncio.TaskGroup() as self._group:
                    for lane in self._station.lanes.values():
                        self._start(lane)
                    self._group.create_task(teller.doubts(), name=f"{self._config.id} doubts")
                    self._group.create_task(teller.news(), name=f"{self._config.id} news")
                    self._group.create_task(teller.sweep(), name=f"{self._config.id} sweep")
                    await session.run()
            finally:
                self._group = self._calls = None
                self._station.lost()

    async def show(self, face: Face) -> None:
        """Take the face over. Raises Rejected, and takes nothing, when more is wished for than any shop would."""
        lanes = self._station.lanes
        lane = lanes.get(face.label)
        if lane is None:
            if len(lanes) >= WISHES_MAX:
                raise Rejected(f"{self._config.id}: work on {WISHES_MAX} labels in hand")
            lane = lanes[face.label] = Lane(face.label)
        if lane.wish is not None:
            if len(lane.overtaken) >= OVERTAKEN_MAX:
                raise Rejected(f"{face.label}: {OVERTAKEN_MAX} wishes replaced and not yet told")
            lane.overtaken.append(lane.wish)
        lane.wish = face
        lane.signal.set()
        self._start(lane)

    async def blink(self, label: str, seconds: int) -> None:
        """Flash the label's LED at its next check-in. Raises Rejected while an image is on its way (esl T7)."""
        tag = self._station.tags.get(label)
        if tag is None or not tag.record.ours:
            raise Rejected(f"{label}: not a label of {self._config.id}")
        if not tag.record.capabilities & HAS_LED:
            raise Rejected(f"{label}: has no LED")
        if label in self._station.lanes or tag.record.pending:
            raise Rejected(f"{label}: an image is on its way, try again when it is shown")
        if self._calls is None:
            raise Rejected(f"{self._config.id}: not running")
        tag.command_s = asyncio.get_running_loop().time()
        await self._calls.led(label, _led_pattern(seconds))

    async def check(self) -> str:
        """Ask the access point what it is; changes nothing."""
        async with self._opened() as (_, calls):
            system = await calls.system()
            wrong = wrong_settings(await calls.config(), self._wanted)
            records, bad = await calls.records()
        said = f"firmware {system.get('buildversion', '?')}, {len(records)} tags"
        if bad:
            said += f", {len(bad)} records not understood ({bad[0]})"
        if wrong:
            doing = "will be set" if self._config.manage_ap else "set them on its page, or allow manage_ap"
            said += f", settings to change ({doing}): " + ", ".join(f"{name}={value}" for name, value in wrong.items())
        return said

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple[Link, Calls]]:
        if self._link is not None:
            yield self._link, Calls(self._link, self._config.request_timeout_s)
            return
        async with AiohttpLink(self._config.url) as link:
            yield link, Calls(link, self._config.request_timeout_s)

    def _start(self, lane: Lane) -> None:
        if self._group is not None and not lane.running:
            lane.running = True
            self._group.create_task(self._work(lane), name=f"{self._config.id} {lane.label}")

    async def _work(self, lane: Lane) -> None:
        """Serve one label until nothing is wished for it; then its lane is given up."""
        while lane.wish is not None:
            while lane.overtaken:
                await uninterrupted(self._tell_overtaken(lane))
            face, lane.current, lane.wish, lane.began = lane.wish, lane.wish, None, False
            await self._attempt(lane, face)
        del self._station.lanes[lane.label]

    async def _attempt(self, lane: Lane, face: Face) -> None:
        assert self._calls is not None
        push = Push(self._station, self._calls, lane, face, self._uploads, self._config.proof)
        try:
            proof = await push.run(lambda: self._send(LabelStored.of(face, self._now(), self._config.id)))
        except NotShown as error:
            _log.info("%s: not shown: %s (%s)", face.label, error.reason, error.outcome)
            lane.verdict = label_failed(face, error.reason, error.outcome, self._now(), self._config.id)
        else:
            tag = self._station.tags.get(face.label)
            image = None if tag is None else image_of(tag.record)
            lane.verdict = label_shown(face, proof, image, self._now(), self._config.id)
        shown = lane.verdict.type == "label.shown"
        await uninterrupted(self._tell_verdict(lane))
        self._release(face, watch=shown)

    def _release(self, face: Face, *, watch: bool) -> None:
        """End the push of a tag; a face that was shown is watched from here on."""
        tag = self._station.tags.get(face.label)
        if tag is None:
            return
        trace, tag.push = tag.push, None
        if watch and trace is not None:
            tag.shown, tag.watch = face, trace
            self._station.look_at_watch(face.label, tag)

    async def _tell_verdict(self, lane: Lane) -> None:
        assert lane.verdict is not None
        await self._send(lane.verdict)
        lane.verdict = lane.current = None

    async def _tell_overtaken(self, lane: Lane) -> None:
        faces = [*lane.overtaken]
        await self._send(*(label_failed(f, "superseded", "never_sent", self._now(), self._config.id) for f in faces))
        for _ in faces:
            lane.overtaken.popleft()

    async def _tell_unfinished(self) -> None:
        """Close what an earlier run had in hand; what had not had its turn yet stays wished for."""
        for lane in [*self._station.lanes.values()]:
            lane.running = False
            if lane.current is not None:
                outcome: Literal["unsettled", "never_sent"] = "unsettled" if lane.began else "never_sent"
                lane.verdict = lane.verdict or label_failed(
                    lane.current, "driver_restarted", outcome, self._now(), self._config.id
                )
                await uninterrupted(self._tell_verdict(lane))
            if lane.wish is None:
                del self._station.lanes[lane.label]
        for label, tag in self._station.tags.items():
            tag.push = None
            self._station.tell(label)
            self._station.look_at_watch(label, tag)

    async def _send(self, *messages: Fact) -> None:
        assert self._emit is not None
        await self._emit(*messages)

    def _now(self) -> datetime:
        return self._services.clock.now()


def _led_pattern(seconds: int) -> bytes:
    """Return the LED command: one red flash in about a second, repeated (times not measured on hardware)."""
    mode_and_duration, red, one_flash_at_speed_5, pause = 0x81, 0xE4, 0x51, 5
    repeats = max(1, min(seconds, BLINK_MAX_S))
    return bytes((mode_and_duration, red, one_flash_at_speed_5, pause, 0, 0, 0, 0, 0, 0, repeats, 0))
