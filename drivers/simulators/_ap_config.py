"""Configuration of the simulated access point: how many tags of which kind, how they behave, how the box is set up."""

import random
from dataclasses import dataclass
from typing import Any

from drivers.simulators._ap_types import TAG_TYPES

# What most shops have on their shelves: 2.9 inch, then small ones, some big ones.
MIXED = (0x01, 0x01, 0x6E, 0x03, 0x00, 0x21, 0x34, 0x07, 0x5A, 0x36)
SETTINGS: dict[str, Any] = {  # defaults of a box out of its carton; note nightlyreboot
    "channel": 0,
    "subghzchannel": 0,
    "alias": "",
    "led": 255,
    "tft": 255,
    "language": 0,
    "maxsleep": 10,
    "stopsleep": 1,
    "preview": 1,
    "nightlyreboot": 1,
    "lock": 0,
    "wifipower": 34,
    "timezone": "CET-1CEST,M3.5.0,M10.5.0/3",
    "sleeptime1": 0,
    "sleeptime2": 0,
    "ble": 0,
    "repo": "",
    "env": "simulated",
    "discovery": 0,
    "showtimestamp": 0,
}


@dataclass(frozen=True)
class ApConfig:
    """One access point and the tags in its air. Times are virtual seconds; `epoch_s` is the wall clock at second 0."""

    tags: int = 10
    seed: int = 0
    macs: tuple[str, ...] = ()  # overrides `tags`; 16 hex upper
    types: tuple[int, ...] = MIXED  # hwType of the tags, repeated in turn
    tag_version: int = 0x28
    known: bool = True  # the tags are in the box's database already
    caching: bool = False  # tags keep pictures and redraw a known one without a download
    checkin_s: tuple[float, float] = (40.0, 60.0)
    loss: float = 0.0  # of a check-in, and of a block attempt, at -60 dBm; weaker tags lose more
    refresh_scale: float = 1.0
    psram: bool = True  # frame buffer of RGB565 and zlib; else RGB332 and raw only
    slots: int = 250
    flash_bytes: int = 11_900_000
    paging_wraps: bool = True  # `pos` of /get_db is 8 bit
    answers_twice: bool = True  # a 400 of the upload handler is overwritten by a bare 200
    settings: tuple[tuple[str, Any], ...] = ()  # over the defaults of the box
    epoch_s: float = 1_795_000_000.0
    utc_offset_s: int = 0
    clock_wrong_s: float = 0.0  # added to the reported clock until /set_time
    speed: float = 1.0  # how fast virtual time runs against the wall clock that is reported
    boot_s: float = 8.0  # from restart to answering HTTP
    warm_up_s: float = 30.0  # from then to accepting uploads
    ip: str = "127.0.0.1"
    wlan_mac: str = "A0:B1:C2:D3:E4:F5"

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, with the field's name."""
        unknown = set(self.types) - TAG_TYPES.keys()
        if unknown or not self.types:
            raise ValueError(f"types: unknown {sorted(unknown)}; known are {sorted(TAG_TYPES)}")
        for mac in self.macs:
            if len(mac) != 16 or mac.strip("0123456789ABCDEF"):
                raise ValueError(f"macs: {mac!r} is not 16 hexadecimal digits in upper case")
        if not 0 <= self.tags <= 5000:
            raise ValueError(f"tags: {self.tags} is not within 0..5000")
        if not 0.0 <= self.loss < 1.0:
            raise ValueError(f"loss: {self.loss} is not within 0 (included) .. 1 (excluded)")
        if not 0.0 < self.checkin_s[0] <= self.checkin_s[1]:
            raise ValueError(f"checkin_s: {self.checkin_s} is not a range above 0")
        if not self.speed > 0:
            raise ValueError(f"speed: {self.speed} is not above 0")
        odd = {name for name, _ in self.settings} - SETTINGS.keys()
        if odd:
            raise ValueError(f"settings: unknown {sorted(odd)}; known are {sorted(SETTINGS)}")

    @property
    def tag_macs(self) -> tuple[str, ...]:
        """MAC of each tag: as given, else drawn from the seed."""
        if self.macs:
            return self.macs
        draw = random.Random(f"macs {self.seed}")  # noqa: S311 (repeatable, not secret)
        found: dict[str, None] = {}
        while len(found) < self.tags:
            found[f"0000{draw.getrandbits(48):012X}"] = None
        return tuple(found)
