"""The content runner: once a second it turns uploads whose gates are open into pictures and queues them.

Here live the dropped "same image" (T1), the lost source after a reboot ("Not found", T4, T5), the overlay (T11). It
only wakes when an upload waits. Where to look next: `_ap_delivery.py` (what happens to a queued picture).
"""

import json
import math
import time

from drivers.simulators import _ap_image
from drivers.simulators._ap_box import RESERVE_BYTES, RUN, Box
from drivers.simulators._ap_delivery import Delivery
from drivers.simulators._ap_radio import SECONDS, Announcement
from drivers.simulators._ap_record import NEVER, Record
from drivers.simulators._ap_types import TAG_TYPES

PICTURE_MODES = {0, 22, 23, 24, 25}
CHECKIN_AHEAD_S = 300.0
RETRY_S = 60.0


class Content:
    """Uploads and the runner of one access point."""

    def __init__(self, box: Box, delivery: Delivery) -> None:
        self._box = box
        self._delivery = delivery
        self._tick_at_s = math.inf

    def upload(self, record: Record, fields: dict[str, str], jpeg: bytes, name: str) -> None:
        """Keep an upload; an earlier one that was not yet converted is forgotten."""
        box = self._box
        box.write(f"/temp/{name}", jpeg)
        record.alias = fields.get("alias", record.alias)
        for field in ("rotate", "lut", "invert"):
            if field in fields:
                setattr(record, field, to_int(fields[field]) & 0xFF)
        record.modecfgjson = json.dumps(
            {
                "filename": f"/temp/{name}",
                "timetolive": str(to_int(fields.get("ttl", "0"))),
                "dither": str(to_int(fields.get("dither", "1")) & 0xFF),
                "delete": "1",
                "preload": "1" if "preloadtype" in fields else "0",
                "preload_lut": str(to_int(fields.get("preloadlut", "0"))),
                "preload_type": str(to_int(fields.get("preloadtype", "0"))),
            },
            separators=(",", ":"),
        )
        record.contentmode = to_int(fields.get("contentmode", "24")) & 0xFF
        record.nextupdate = 0.0
        box.say_tag(record.mac)
        self.wake()

    def wake(self) -> None:
        """Something changed that may open a gate: look at the next full second."""
        now_s = self._box.timeline.now_s
        self._look_at(math.floor(now_s) + 1.0)

    def _look_at(self, at_s: float) -> None:
        if at_s < self._tick_at_s:
            self._tick_at_s = at_s
            self._box.timeline.at(at_s, self._tick, at_s)

    def _tick(self, asked_for_s: float) -> None:
        if asked_for_s != self._tick_at_s:
            return  # an earlier look took its place
        self._tick_at_s = math.inf
        box = self._box
        if not box.up or box.run_state != RUN:
            return  # wakes again when the box runs
        for record in tuple(box.records.values()):
            if record.nextupdate < NEVER and record.rssi:
                self._consider(record)

    def _consider(self, record: Record) -> None:
        box = self._box
        now = box.clock()
        if now < record.nextupdate:
            self._look_at(self._second(box.until_epoch_s(record.nextupdate)))
        elif box.asleep():
            self._look_at(self._second(600.0))
        elif box.free_bytes() <= RESERVE_BYTES:
            self._look_at(self._second(10.0))
        elif record.nextcheckin >= box.later(CHECKIN_AHEAD_S) and not box.keeps_awake():
            self._look_at(self._second(box.until_epoch_s(record.nextcheckin) - CHECKIN_AHEAD_S))
        else:
            self._draw(record)
            record.wakeup_reason = 0
            if record.nextupdate < NEVER:
                self._look_at(self._second(box.until_epoch_s(record.nextupdate)))

    def _second(self, delay_s: float) -> float:
        now_s = self._box.timeline.now_s
        return max(math.floor(now_s) + 1.0, math.ceil(now_s + min(delay_s, 86_400.0)))

    def _draw(self, record: Record) -> None:
        box = self._box
        box.log(f"Updating {record.mac}")
        record.nextupdate = box.later(RETRY_S)
        if record.contentmode not in PICTURE_MODES:
            record.nextupdate = NEVER
            return
        told = _config(record.modecfgjson)
        name = str(told.get("filename") or "")
        if name:
            name = name if name.startswith("/") else "/" + name
            if name in box.files:
                self._convert(record, told, name)
            else:
                box.error(f"Not found: {name}")
        record.nextupdate = NEVER

    def _convert(self, record: Record, told: dict[str, object], name: str) -> None:
        box = self._box
        kind = TAG_TYPES.get(record.hw_type)
        if kind is None:
            record.nextupdate = box.later(CHECKIN_AHEAD_S)
            return
        stamp = time.strftime("%Y-%m-%d %H:%M", time.gmtime(box.clock() + box.config.utc_offset_s))
        drawing = _ap_image.Drawing(
            dither=to_int(str(told.get("dither", "0"))),
            rotate=record.rotate % 4,
            invert=record.invert == 1,
            psram=box.config.psram,
            tag_version=record.version,
            timestamp=stamp if box.settings["showtimestamp"] else "",
        )
        try:
            encoded = _ap_image.encode(box.files[name], kind, drawing)
        except _ap_image.NotAJpeg:
            box.error("invalid jpg")
            box.error(f"File not found. /temp/{record.mac}.raw")
            box.error(f"Error accessing /temp/{record.mac}.raw")
            return
        if told.get("delete") == "1":
            del box.files[name]
        self._offer(record, encoded, to_int(str(told.get("timetolive", "0"))))

    def _offer(self, record: Record, encoded: _ap_image.Encoded, ttl_minutes: int) -> None:
        """Queue a picture, unless the tag is thought to show it (T1: whatever else is queued stays queued)."""
        box = self._box
        if encoded.version == record.hash[:8]:
            box.log("new image is the same as current image. not updating tag.")
            box.say_tag(record.mac)
            return
        checkin = ttl_minutes & 0xFFFF
        if not checkin & SECONDS:
            checkin = 0 if box.keeps_awake() else min(checkin, int(box.settings["maxsleep"]))
        record.filename = f"/current/{record.mac}_{box.millis() % 1_000_000}.pending"
        box.files[record.filename] = encoded.data
        box.log(f"new image: {record.filename}")
        record.idle_s = float((checkin & 0x7FFF) + 5 if checkin & SECONDS else checkin * 60 + 60)
        announcement = Announcement(record.mac, encoded.kind, encoded.version, len(encoded.data), next_checkin=checkin)
        self._delivery.enqueue(record, announcement, encoded.data)
        box.say_tag(record.mac)


def _config(text: str) -> dict[str, object]:
    try:
        told = json.loads(text or "{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def to_int(text: str) -> int:
    """Read a number as C's atoi does: leading digits, else 0."""
    text = text.strip()
    sign = -1 if text[:1] == "-" else 1
    digits = text.lstrip("+-")
    end = next((at for at, letter in enumerate(digits) if letter not in "0123456789"), len(digits))
    return sign * int(digits[: min(end, 18)] or "0")
