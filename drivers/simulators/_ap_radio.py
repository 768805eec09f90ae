"""The radio co-processor: 250 announcements ("slots"), one transfer at a time, and its own ideas of what was said.

It knows nothing of the application's queue: that the two disagree is where wrong prices come from (T3, T3b, T3c).
Pure state on virtual time. Where to look next: `_ap_firmware.py` (who fills slots), `_ap_tag.py` (who asks).
"""

from collections.abc import Callable
from dataclasses import dataclass

from drivers.simulators._ap_timeline import Timeline, Timer

NO_UPDATE = 0x00
COMMAND = 0xAF
HOUSEKEEPING_S = 60.0
BUSY_S = 1.2  # after a block request nobody else is served for so long
SECONDS = 0x8000  # flag in `next_checkin`: the rest are seconds, else minutes


@dataclass(frozen=True)
class Announcement:
    """What a tag is told when it checks in. `version` names a picture; for a command it is its payload."""

    mac: str
    kind: int
    version: bytes
    size: int
    argument: int = 0
    next_checkin: int = 0
    attempts: int = 20  # minutes that it lives without being renewed


class Radio:
    """Slots, the transfer lock and the filter for repeated "transfer complete" packets."""

    def __init__(self, timeline: Timeline, slots: int) -> None:
        self._timeline = timeline
        self._capacity = slots
        self._slots: dict[str, tuple[Announcement, float]] = {}
        self._expiry: dict[str, Timer] = {}
        self._busy_with = ""
        self._busy_until_s = 0.0
        self._last_complete = ""
        self.on_timeout: Callable[[str], None] = _ignore

    def announce(self, announcement: Announcement) -> bool:
        """Fill the tag's slot; False when none is free (the application tries again at the next check-in)."""
        mac, now_s = announcement.mac, self._timeline.now_s
        if mac not in self._slots and len(self._slots) >= self._capacity:
            self._forget_expired()
            if len(self._slots) >= self._capacity:
                return False
        ends_s = (now_s // HOUSEKEEPING_S + announcement.attempts) * HOUSEKEEPING_S
        self._slots[mac] = (announcement, ends_s)
        if announcement.kind != NO_UPDATE:
            self._arm(mac, ends_s)
        return True

    def _arm(self, mac: str, ends_s: float) -> None:
        timer = self._expiry.get(mac)
        if timer is None or timer.act is None or timer.at_s < self._timeline.now_s:
            self._expiry[mac] = self._timeline.at(ends_s, self._expire, mac)

    def _expire(self, mac: str) -> None:
        del self._expiry[mac]
        held = self._slots.get(mac)
        if held is None or held[0].kind == NO_UPDATE:
            return
        if held[1] > self._timeline.now_s:  # renewed since
            self._arm(mac, held[1])
            return
        del self._slots[mac]
        self.on_timeout(mac)

    def _forget_expired(self) -> None:
        now_s = self._timeline.now_s
        for mac in [mac for mac, (held, ends_s) in self._slots.items() if held.kind == NO_UPDATE and ends_s <= now_s]:
            del self._slots[mac]

    def cancel(self, mac: str) -> None:
        """Forget what would be announced to this tag."""
        self._slots.pop(mac, None)

    def answer(self, mac: str) -> Announcement | None:
        """Tell a tag that checks in. Any check-in, of any tag, resets the filter of repeats."""
        self._last_complete = ""
        held = self._slots.get(mac)
        if held is None:
            return None
        if held[0].kind == NO_UPDATE and held[1] <= self._timeline.now_s:
            del self._slots[mac]
            return None
        return held[0]

    def may_transfer(self, mac: str) -> bool:
        """Hear a block request. False = cancelled: another tag is served, or nothing is announced to this one."""
        now_s = self._timeline.now_s
        if mac != self._busy_with and now_s <= self._busy_until_s:
            return False
        self._busy_with, self._busy_until_s = mac, now_s + BUSY_S
        return mac in self._slots

    def complete(self, mac: str) -> bool:
        """Hear a "complete": True = pass it on (after `release`), False = a repeat."""
        if mac == self._last_complete:
            return False
        self._last_complete = mac
        return True

    def release(self, mac: str) -> None:
        """Free the slot of a tag that is complete (before the application announces the next item)."""
        self._slots.pop(mac, None)

    def reset(self) -> None:
        """Power-cycle: all announcements are gone."""
        self._slots.clear()
        self._busy_until_s = 0.0
        self._last_complete = ""


def _ignore(_mac: str) -> None:
    """Nobody listens yet."""
