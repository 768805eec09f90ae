"""A simulated tag: it sleeps, asks, downloads block by block, says "complete" and only then draws.

Its glass is the ground truth: it shows what the stored bytes decode to. Not here: what the access point believes
(`_ap_delivery.py`). `Air` is what a tag may know of the access point in whose reach it is.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from drivers.simulators import _ap_image
from drivers.simulators._ap_delivery import BLOCK_BYTES, COMMANDS, FIRST_BOOT, WATCHDOG, Report
from drivers.simulators._ap_radio import COMMAND, NO_UPDATE, SECONDS, Announcement, Radio
from drivers.simulators._ap_timeline import Timeline, Timer
from drivers.simulators._ap_types import TAG_TYPES

LONG_REPORT_S = 300.0
BLOCK_S = 0.5
RETRY_S = 0.35
BLOCK_ATTEMPTS = 5
ANSWER_S = 0.05
REPEAT_COMPLETE_S = 0.09  # "complete" is repeated so long when nobody acknowledges
LOST_AFTER = 14
LADDER_S = (
    (24, 3600.0),
    (12, 7200.0),
)  # looking for an access point: hourly for a day, then every two hours, then daily
DAILY_S = 86_400.0
TYPICAL_RSSI = -60
WORST_LOSS = 0.999
SCAN = 0xFD
CAPABILITIES = 0x01 | 0x02 | 0x20  # LED, compression, button
CACHED_IMAGES = 8


class Air(Protocol):
    """The reach of one access point, as a tag meets it."""

    radio: Radio
    rng: Random
    timeline: Timeline
    loss: float
    checkin_s: tuple[float, float]
    refresh_scale: float
    caching: bool

    def hears(self, mac: str) -> bool:
        """Whether a packet of this tag arrives and is answered."""

    def checked_in(self, mac: str, report: Report | None) -> None:
        """Pass a check-in on to the application."""

    def block(self, mac: str, version: bytes, number: int) -> bytes | None:
        """Pass a block request on to the application."""

    def completed(self, mac: str) -> None:
        """Pass "transfer complete" on to the application."""


@dataclass
class Download:
    """A picture on its way into the tag; it survives failed attempts and is resumed by its version."""

    wanted: Announcement
    blocks: list[bytes] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Number of blocks."""
        return -(-self.wanted.size // BLOCK_BYTES)


@dataclass(eq=False)
class SimTag:
    """One tag. `glass` is None while nothing, or only the boot screen, is on it; `since_s` says since when."""

    mac: str
    kind_number: int
    version: int
    air: Air
    on_glass: Callable[[str, bytes | None, float], None]
    battery_mv: int = 2600
    temperature: int = 21
    rssi: int = -60
    lqi: int = 200
    glass: bytes | None = None
    since_s: float = 0.0
    wakeup_reason: int = 0
    leds: deque[tuple[float, bytes]] = field(default_factory=lambda: deque(maxlen=100))
    stored: bytes = b""  # version of the last complete picture; forgotten by a reboot
    cache: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    download: Download | None = None
    unheard: int = 0
    long_due_s: float = 0.0
    deep_sleep: bool = False
    lose_complete: bool = False
    lose_acknowledgement: bool = False
    _next: Timer | None = None
    _refresh: Timer | None = None

    def start(self, delay_s: float) -> None:
        """Check in for the first time after `delay_s`."""
        self._then(delay_s, self.check_in)

    def _then(self, delay_s: float, act: Callable[..., None], *args: object) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = self.air.timeline.after(delay_s, act, *args)

    def check_in(self) -> None:
        """Wake, ask for news, act on the answer."""
        air = self.air
        if not air.hears(self.mac) or self._lost():
            self.unheard += 1
            self._then(self._patience_s(), self.check_in)
            return
        lost = self.unheard >= LOST_AFTER
        self.unheard = 0
        if lost:
            self.wakeup_reason = self.wakeup_reason or SCAN
        report = self._report()
        answer = air.radio.answer(self.mac)
        air.checked_in(self.mac, report)
        self._obey(answer)

    def _lost(self) -> bool:
        """Toss for one exchange: the loss of the air is that of a tag at -60 dBm; weaker ones lose more."""
        air = self.air
        return bool(air.loss) and air.rng.random() < min(air.loss * self.rssi / TYPICAL_RSSI, WORST_LOSS)

    def _patience_s(self) -> float:
        if self.unheard < LOST_AFTER:
            return min(600.0, self.air.checkin_s[0] + 70.0 * self.unheard)
        left = self.unheard - LOST_AFTER
        for times, wait_s in LADDER_S:
            if left < times:
                return wait_s
            left -= times
        return DAILY_S

    def _report(self) -> Report | None:
        now_s = self.air.timeline.now_s
        if now_s < self.long_due_s and not self.wakeup_reason:
            return None
        self.long_due_s = now_s + LONG_REPORT_S
        reason, self.wakeup_reason = self.wakeup_reason, 0
        return Report(
            self.kind_number, self.rssi, self.lqi, self.temperature, self.battery_mv, reason, CAPABILITIES, self.version
        )

    def _obey(self, answer: Announcement | None) -> None:
        if answer is None or answer.kind == NO_UPDATE:
            self._sleep(answer.next_checkin if answer else 0)
        elif answer.kind == COMMAND:
            self._then(ANSWER_S, self._command, answer)
        elif answer.version == self.stored:
            self._then(ANSWER_S, self._complete, answer, None)
        elif answer.version in self.cache:
            self._then(ANSWER_S, self._complete, answer, self.cache[answer.version][1])
        else:
            if self.download is None or self.download.wanted.version != answer.version:
                self.download = Download(answer)
            self._then(ANSWER_S, self._ask, answer, 1)

    def _sleep(self, ordered: int = 0) -> None:
        first, last = self.air.checkin_s
        own_s = first if first == last else self.air.rng.uniform(first, last)
        ordered_s = float(ordered & 0x7FFF) * (1.0 if ordered & SECONDS else 60.0)
        self._then(ordered_s or own_s, self.check_in)

    # download

    def _ask(self, answer: Announcement, attempt: int) -> None:
        """Ask for the next block. Cancelled, unanswered or too often lost: try again at the next check-in."""
        air, download = self.air, self.download
        assert download is not None
        if not air.hears(self.mac) or not air.radio.may_transfer(self.mac):
            self._sleep()
            return
        data = air.block(self.mac, answer.version, len(download.blocks))
        if data is None:
            self._sleep()
        elif self._lost():
            if attempt < BLOCK_ATTEMPTS:
                self._then(BLOCK_S + RETRY_S, self._again, answer, data, attempt + 1)
            else:
                self._sleep()
        else:
            self._then(BLOCK_S, self._got, answer, data)

    def _again(self, answer: Announcement, data: bytes, attempt: int) -> None:
        """Ask for the missing parts only: the radio has the block still, the application is not asked."""
        air = self.air
        if not air.hears(self.mac) or not air.radio.may_transfer(self.mac):
            self._sleep()
        elif not self._lost():
            self._then(BLOCK_S, self._got, answer, data)
        elif attempt < BLOCK_ATTEMPTS:
            self._then(BLOCK_S + RETRY_S, self._again, answer, data, attempt + 1)
        else:
            self._sleep()

    def _got(self, answer: Announcement, data: bytes) -> None:
        download = self.download
        assert download is not None
        download.blocks.append(data)
        if len(download.blocks) < download.total:
            self._ask(answer, 1)
            return
        picture = b"".join(download.blocks)
        self.download = None
        if self.air.caching:
            self.cache[answer.version] = (answer.kind, picture)
            if len(self.cache) > CACHED_IMAGES:
                del self.cache[next(iter(self.cache))]
        self._complete(answer, picture)

    def _complete(self, answer: Announcement, picture: bytes | None) -> None:
        """Say "complete", then draw: nobody hears of the drawing (T9)."""
        air = self.air
        if self.lose_complete:
            self.lose_complete = False
        else:
            self._say_complete()
        if self.lose_acknowledgement:
            self.lose_acknowledgement = False
            air.timeline.after(REPEAT_COMPLETE_S, self._say_complete)
        self.stored = answer.version
        if picture is None:
            self._sleep(answer.next_checkin)
            return
        refresh_s = TAG_TYPES[self.kind_number].refresh_s * air.refresh_scale
        self._refresh = air.timeline.after(refresh_s, self._draw, answer.kind, picture)
        self._then(refresh_s, self._sleep, answer.next_checkin)

    def _say_complete(self) -> None:
        if self.air.hears(self.mac) and self.air.radio.complete(self.mac):
            self.air.radio.release(self.mac)
            self.air.completed(self.mac)

    def _draw(self, kind: int, picture: bytes) -> None:
        self._refresh = None
        self._show(_ap_image.glass(self.kind_number, kind, picture))

    def _show(self, glass: bytes | None) -> None:
        if glass != self.glass:
            self.glass, self.since_s = glass, self.air.timeline.now_s
            self.on_glass(self.mac, glass, self.since_s)

    # commands and mishaps

    def _command(self, answer: Announcement) -> None:
        if answer.argument == COMMANDS["deepsleep"]:
            self.deep_sleep = True  # until somebody presses its button
            return
        self._say_complete()
        if answer.argument == COMMANDS["reboot"]:
            self.reboot(watchdog=True)
            return
        if answer.argument == COMMANDS["scan"]:
            self.wakeup_reason = SCAN
        elif answer.argument == COMMANDS["ledflash"]:
            self.leds.append((self.air.timeline.now_s, answer.version + answer.size.to_bytes(4, "little")))
        self._sleep(answer.next_checkin)

    def reboot(self, *, watchdog: bool = False) -> None:
        """Forget all but the glass and the cache; a new battery also wipes the glass (boot screen)."""
        self.stored, self.download, self.unheard = b"", None, 0
        self.deep_sleep = False
        if self._refresh is not None:  # interrupted: the panel keeps what it had
            self._refresh.cancel()
            self._refresh = None
        if not watchdog:
            self._show(None)
        self.wake(WATCHDOG if watchdog else FIRST_BOOT, 2.0)

    def wake(self, reason: int, delay_s: float = 0.0) -> None:
        """Check in soon, for this reason (button, NFC, boot). A restart that is not yet told is not forgotten."""
        self.deep_sleep = False
        self.wakeup_reason = max(reason, self.wakeup_reason)
        self._then(delay_s, self.check_in)

    def stop(self) -> None:
        """Be gone: nothing more happens to it."""
        for timer in (self._next, self._refresh):
            if timer is not None:
                timer.cancel()

    def move(self, air: Air) -> None:
        """Come into the reach of another access point; a download cannot be resumed there by luck alone."""
        if self._next is not None:
            self._next.cancel()
        self.air = air
        self.wakeup_reason = SCAN
        self._next = None
        self._then(2.0, self.check_in)
