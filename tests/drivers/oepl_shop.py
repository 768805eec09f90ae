"""A small shop for the tests of `label_oepl`: simulated access point, link, driver, and all that was said."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from drivers.label_oepl import Config, Driver
from drivers.simulators.access_point import AccessPoint, ApConfig
from gateway.driver import Face, Services
from gateway.messages import Fact, LabelFailed, LabelSeen, LabelShown, LabelStored, Reading
from tests.virtual_time import AirTime, InProcessLink, VirtualClock, eventually, stopped

SMALL_BWR = 0x00  # 152x152, white, black, red
TAG = "0000000000000A01"
OTHER = "0000000000000A02"


class Shop:
    """Everything of one test. `faces` were handed over, `glass` is what panels drew, `late` older faces drawn late."""

    def __init__(self, config: ApConfig | None = None, **settings: Any) -> None:
        self.ap = AccessPoint(config or ApConfig(macs=(TAG,), types=(SMALL_BWR,)), on_glass=self._on_glass)
        self.air = AirTime(self.ap.timeline)
        self.link = InProcessLink(self.ap, self.air)
        self.clock = VirtualClock()
        self.messages: list[Reading | Fact] = []
        self.health: list[tuple[str, str, str, str]] = []
        self.faces: dict[tuple[str, int], Face] = {}
        self.glass: list[tuple[float, str, str | None]] = []
        self.late: list[str] = []
        self.hold: asyncio.Event | None = None  # keep facts from the disk
        self.slow_return: asyncio.Event | None = None  # they are on the disk, but `emit` has not returned
        services = Services(clock=self.clock, report=lambda *said: self.health.append(said))
        config = Config(id="ap-1", driver="label_oepl", url="http://127.0.0.1", **settings)
        self.driver = Driver(config, services, self.link)
        self._task: asyncio.Task[None] | None = None

    async def emit(self, *messages: Reading | Fact) -> None:
        if self.hold is not None:
            await self.hold.wait()
        self.messages += messages
        if self.slow_return is not None:
            await self.slow_return.wait()

    def start(self) -> None:
        self._task = asyncio.create_task(self.driver.run(self.emit))

    async def stop(self) -> None:
        if self._task is not None:
            await stopped(self._task)
            if not self._task.cancelled():
                self._task.result()

    async def discovered(self) -> dict[str, LabelSeen]:
        await eventually(lambda: self.ap.tags.keys() <= self.seen().keys(), 60)
        return self.seen()

    def seen(self) -> dict[str, LabelSeen]:
        return {m.label: m for m in self.messages if isinstance(m, LabelSeen)}

    def face(self, revision: int, label: str = TAG, *, like: int | None = None, **changed: Any) -> Face:
        """Return a face that differs from all others by its mark; with `like` it is the picture of that revision."""
        seen = self.seen()[label]
        mark = revision if like is None else like
        colors = len(seen.colors)
        pixels = bytearray((x // 9 + y // 7 * mark) % colors for y in range(seen.height) for x in range(seen.width))
        pixels[:16] = bytes((mark >> bit) & 1 for bit in range(16))
        values: dict[str, Any] = {
            "label": label,
            "gtin": "06901234567892",
            "price_minor": 100 + revision,
            "currency": "CNY",
        }
        values |= {"wave": "wave-1", "revision": revision, "width": seen.width, "height": seen.height}
        values |= {"colors": seen.colors, "pixels": bytes(pixels)} | changed
        return Face(**values)

    async def show(self, revision: int, label: str = TAG, **changed: Any) -> Face:
        face = self.face(revision, label, **changed)
        self.faces[label, revision] = face
        await self.driver.show(face)
        return face

    def fault(self, name: str, *args: Any, **named: Any) -> None:
        """Let something go wrong now."""
        self.air.catch_up()
        getattr(self.ap.faults, name)(*args, **named)
        self.air.arm()

    async def converge(self, revision: int, label: str = TAG) -> Face:
        """Push, and push again with a new mark for as long as it fails, as the gateway does."""
        face = await self.show(revision, label)
        while isinstance(await self.outcome(face), LabelFailed):
            revision += 1
            await asyncio.sleep(5)
            face = await self.show(revision, label)
        return face

    async def outcome(self, face: Face, limit_s: float = 7_200) -> LabelShown | LabelFailed:
        """Wait for the terminal fact of a face; a test fails when there are two."""
        await eventually(lambda: self.terminal(face), limit_s)
        return self.terminal(face)[0]

    def terminal(self, face: Face) -> list[LabelShown | LabelFailed]:
        """Return the terminal facts of a face; those that take a proof back are not counted."""
        found = [m for m in self.messages if isinstance(m, LabelShown | LabelFailed) and _is_of(m, face)]
        shown = any(isinstance(m, LabelShown) for m in found[:1])
        return found[:1] if shown else found

    def taken_back(self, face: Face) -> list[str]:
        """Return the reasons for which a proof of this face was taken back."""
        found = [m for m in self.messages if isinstance(m, LabelShown | LabelFailed) and _is_of(m, face)]
        return [m.reason for m in found[1:] if isinstance(m, LabelFailed)] if found[:1] != found else []

    def stored(self, face: Face) -> list[LabelStored]:
        return [m for m in self.messages if isinstance(m, LabelStored) and _is_of(m, face)]

    def shows(self, face: Face) -> bool:
        """Ground truth: whether the glass shows this face now."""
        glass = self.ap.tags[face.label].glass
        return glass is not None and hashlib.sha256(glass).hexdigest() == face.digest

    def _on_glass(self, mac: str, pixels: bytes | None, at_s: float) -> None:
        digest = None if pixels is None else hashlib.sha256(pixels).hexdigest()
        self.glass.append((at_s, mac, digest))
        drawn = [face.revision for face in self.faces.values() if face.label == mac and face.digest == digest]
        proven = [m.revision for m in self.messages if isinstance(m, LabelShown) and m.label == mac]
        if drawn and proven and max(drawn) < max(proven):
            self.late.append(f"{mac}: face {max(drawn)} drawn at {at_s:.1f} s after face {max(proven)} was proven")


def _is_of(fact: LabelShown | LabelFailed | LabelStored, face: Face) -> bool:
    return (fact.label, fact.revision) == (face.label, face.revision)


@asynccontextmanager
async def open_shop(config: ApConfig | None = None, **settings: Any) -> AsyncIterator[Shop]:
    """A shop whose driver runs and has seen its labels."""
    shop = Shop(config, **settings)
    shop.start()
    try:
        await shop.discovered()
        yield shop
    finally:
        await shop.stop()
