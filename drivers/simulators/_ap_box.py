"""The access point's memory: database, files, queue, settings, clock and the people who listen.

State and small questions about it; what the firmware does with them is in `_ap_delivery.py` (queue and radio),
`_ap_content.py` (uploads to pictures) and `_ap_power.py` (boot, crash, save).
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from drivers.simulators._ap_config import SETTINGS, ApConfig
from drivers.simulators._ap_radio import Announcement, Radio
from drivers.simulators._ap_record import Record
from drivers.simulators._ap_timeline import Timeline

STOP, PAUSE, RUN, INIT = 0, 1, 2, 3  # runstate
ONLINE, OFFLINE = 1, 0  # apstate
SYS_S = 5.0
SYS_FULL_S = 60.0
RESERVE_BYTES = 31_000  # below this no picture is made
LOW_BATTERY_MV = 2400

_as_json = json.JSONEncoder(separators=(",", ":")).encode


@dataclass
class Pending:
    """One item of the application's queue: an announcement and the file behind it."""

    announcement: Announcement
    filename: str
    data: bytes


@dataclass(eq=False)
class Listener:
    """One WebSocket client. `on_close` is called when the access point ends it."""

    on_text: Callable[[str], None]
    on_close: Callable[[], None]
    box: "Box"
    closed: bool = False

    def close(self) -> None:
        """Leave, from the client's side."""
        if not self.closed:
            self.closed = True
            self.box.listeners.remove(self)


@dataclass(eq=False)
class Box:
    """Everything that one access point knows. Time inside is virtual; `clock` is what it believes to be the epoch."""

    config: ApConfig
    timeline: Timeline
    rng: random.Random
    radio: Radio
    settings: dict[str, Any] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    queue: dict[str, list[Pending]] = field(default_factory=dict)
    listeners: list[Listener] = field(default_factory=list)
    run_state: int = RUN
    up: bool = True
    booted_at_s: float = 0.0
    clock_offset_s: float = 0.0
    flash_is_full: bool = False
    last_millis: int = 0
    sys_full_at_s: float = 0.0
    beating: bool = False
    peers: list["Box"] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start with the settings of the carton, changed as configured."""
        self.settings = SETTINGS | dict(self.config.settings)
        self.clock_offset_s = self.config.clock_wrong_s

    def clock(self) -> float:
        """Return the epoch as this box believes it."""
        return self.config.epoch_s + self.timeline.now_s / self.config.speed + self.clock_offset_s

    def later(self, delay_s: float) -> float:
        """Return the epoch in `delay_s` virtual seconds."""
        return self.clock() + delay_s / self.config.speed

    def until_epoch_s(self, epoch: float) -> float:
        """Return virtual seconds from now to that epoch of the own clock."""
        return (epoch - self.clock()) * self.config.speed

    def millis(self) -> int:
        """Milliseconds since boot, never twice the same: file names come from it."""
        self.last_millis = max(int((self.timeline.now_s - self.booted_at_s) * 1000), self.last_millis + 1)
        return self.last_millis

    def free_bytes(self) -> int:
        """Return free flash."""
        if self.flash_is_full:
            return 20_000
        return max(0, self.config.flash_bytes - sum(map(len, self.files.values())))

    def write(self, name: str, data: bytes) -> None:
        """Write a file; without room for it there is none, and nobody is told."""
        if len(data) <= self.free_bytes():
            self.files[name] = data

    def asleep(self) -> bool:
        """Whether the nightly hours without refresh are on. The box's own local time."""
        first, last = self.settings["sleeptime1"], self.settings["sleeptime2"]
        hour = int(self.clock() + self.config.utc_offset_s) // 3600 % 24
        if first == last:
            return False
        return bool(first <= hour < last if first < last else hour >= first or hour < last)

    def keeps_awake(self) -> bool:
        """Whether a WebSocket client keeps tags from sleeping long."""
        return bool(self.listeners) and self.settings["stopsleep"] == 1

    def queued(self, mac: str) -> list[Pending]:
        """Return the tag's queue, oldest first."""
        return self.queue.get(mac, [])

    # the people who listen

    def say(self, what: dict[str, Any]) -> None:
        """Tell every WebSocket client."""
        if self.listeners:
            self.send(_as_json(what))

    def log(self, text: str) -> None:
        """Tell a `logMsg`."""
        if self.listeners:
            self.say({"logMsg": text})

    def error(self, text: str) -> None:
        """Tell an `errMsg`."""
        if self.listeners:
            self.say({"errMsg": text})

    def say_tag(self, mac: str) -> None:
        """Tell a tag's whole record. Deletion is told to nobody."""
        record = self.records.get(mac)
        if record is None:
            return
        if self.listeners:
            self.send('{"tags":[' + record.as_json() + "]}")

    def send(self, text: str) -> None:
        """Send one frame to every client."""
        for listener in tuple(self.listeners):
            if not listener.closed:
                listener.on_text(text)

    def hang_up(self) -> None:
        """End every WebSocket, from the access point's side."""
        for listener in tuple(self.listeners):
            listener.close()
            listener.on_close()

    def say_sys(self) -> None:
        """Tell `sys` out of turn."""
        if self.listeners:
            self.say({"sys": self._sys()})

    def beat(self) -> None:
        """Tell `sys` every 5 s while somebody listens."""
        self.beating = bool(self.listeners) and self.up
        if self.beating:
            self.say_sys()
            self.timeline.after(SYS_S, self.beat)

    def _sys(self) -> dict[str, Any]:
        now_s = self.timeline.now_s
        told: dict[str, Any] = {
            "currtime": int(self.clock()),
            "heap": 150_000,
            "recordcount": len(self.records),
            "dbsize": 300 * len(self.records),
            "littlefsfree": self.free_bytes(),
            "psfree": 4_000_000,
            "apstate": ONLINE,
            "runstate": self.run_state,
            "rssi": -52,
            "wifistatus": 3,
            "wifissid": "simulated",
            "uptime": int((now_s - self.booted_at_s) / self.config.speed),
        }
        if now_s >= self.sys_full_at_s:
            self.sys_full_at_s = now_s + SYS_FULL_S
            told |= {"lowbattcount": self._low_batteries(), "timeoutcount": self._timeouts()}
        return told

    def _low_batteries(self) -> int:
        return sum(record.battery_mv < LOW_BATTERY_MV and record.battery_mv not in (0, 1337) for record in self._all())

    def _timeouts(self) -> int:
        silent_since = self.later(-(self.settings["maxsleep"] * 60 + 300))
        overdue = self.later(-600)
        return sum(record.lastseen < silent_since and record.nextcheckin < overdue for record in self._all())

    def _all(self) -> list[Record]:
        return list(self.records.values())
