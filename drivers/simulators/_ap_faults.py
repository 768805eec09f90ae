"""Mishaps of one access point and its tags, callable at any moment as `ap.faults.<name>(...)`.

Where to look next: `_ap_script.py` plays them from a file.
"""

import io
from random import Random
from typing import TYPE_CHECKING

from PIL import Image

from drivers.simulators._ap_delivery import Delivery
from drivers.simulators._ap_tag import SimTag
from drivers.simulators._ap_types import TAG_TYPES

if TYPE_CHECKING:
    from drivers.simulators.access_point import AccessPoint


class Faults:
    """What can go wrong with one access point and its tags. Unknown MACs raise KeyError."""

    def __init__(self, ap: "AccessPoint") -> None:
        self._ap = ap

    def _tag(self, mac: str) -> SimTag:
        return self._ap.tags[mac]

    # the box

    def reboot_ap(self, *, crash: bool = False) -> None:
        """Restart it: asked for (database saved), or by a crash (up to five minutes of the database lost)."""
        (self._ap.power.crash if crash else self._ap.power.reboot)()

    def drop_ws(self, *, silent: bool = False) -> None:
        """End all WebSockets; `silent` = without telling the client, frames just stop."""
        if silent:
            for listener in tuple(self._ap.box.listeners):
                listener.close()
        else:
            self._ap.box.hang_up()

    def http_timeout_next(self, count: int = 1) -> None:
        """Carry out the next requests, but let their answers be lost."""
        self._ap.lose_answers = count

    def slow_http(self, seconds: float) -> None:
        """Let every answer wait so long (wall seconds, when served)."""
        self._ap.http_delay_s = seconds

    def busy_409(self, seconds: float) -> None:
        """Refuse uploads with 409 for a while."""
        self._ap.busy_until_s = self._ap.now + seconds

    def flash_full(self, full: bool = True) -> None:  # noqa: FBT001, FBT002 (reads as a sentence in a script)
        """Leave less than the 31 kB without which no picture is made, or free it again."""
        self._ap.box.flash_is_full = full
        self._ap.content.wake()

    def clock_wrong(self, by_s: float) -> None:
        """Let the box's clock be wrong, until `/set_time`."""
        self._ap.box.clock_offset_s += by_s
        self._ap.power.plan_night()

    def radio_reset(self) -> None:
        """Reset the radio co-processor: announcements are gone, the application marks waiting tags for a new draw."""
        ap = self._ap
        ap.radio.reset()
        for record in ap.box.records.values():
            if record.pending > 0:
                record.filename, record.nextupdate = "", 0.0
                ap.box.say_tag(record.mac)
        ap.content.wake()

    def foreign_upload(self, mac: str, seed: int = 0) -> None:
        """Let somebody else upload a picture for this tag."""
        record = self._ap.box.records[mac]
        kind = TAG_TYPES[self._tag(mac).kind_number]
        self._ap.content.upload(record, {"dither": "0"}, _noise(kind.width, kind.height, seed), f"foreign_{seed}.jpg")

    # tags

    def reboot_tag(self, mac: str, *, watchdog: bool = False) -> None:
        """Change its battery (the boot screen wipes the glass), or let its watchdog bite (the glass stays)."""
        self._tag(mac).reboot(watchdog=watchdog)

    def wake_tag(self, mac: str, reason: int = 4) -> None:
        """Press its button (4, 5), touch it by NFC (3)."""
        self._tag(mac).wake(reason)

    def lose_xfc_ack(self, mac: str) -> None:
        """Let the acknowledgement of its next "complete" be lost: it repeats the "complete"."""
        self._tag(mac).lose_acknowledgement = True

    def lose_xfc(self, mac: str) -> None:
        """Let its next "complete" be lost: it draws, the access point does not know."""
        self._tag(mac).lose_complete = True

    def battery(self, mac: str, mv: int) -> None:
        """Set the battery that it reports."""
        tag = self._tag(mac)
        tag.battery_mv, tag.long_due_s = mv, 0.0

    def silence_tag(self, mac: str, *, silent: bool = True) -> None:
        """Carry it out of reach (its transfers time out), or back."""
        (self._ap.silent.add if silent else self._ap.silent.discard)(mac)

    def radio_loss(self, p: float) -> None:
        """Set the probability that a check-in or a block is lost."""
        self._ap.loss = min(max(p, 0.0), 0.999)

    def foreign_tag(self, mac: str, hw_type: int = 1) -> None:
        """Let an unknown tag boot in reach (T13)."""
        if mac not in self._ap.tags:
            self._ap.add_tag(mac, hw_type, known=False)

    def roam(self, mac: str, other_ap: "AccessPoint | None" = None) -> None:
        """Carry a tag into the reach of another access point (T12); without one it is just gone from here."""
        tag = self._ap.tags.pop(mac)
        if other_ap is None:
            tag.stop()
            return
        neighbours(self._ap.delivery, other_ap.delivery)
        other_ap.tags[mac] = tag
        tag.on_glass = other_ap.on_glass
        tag.move(other_ap)

    def duplicate_mac(self, mac: str, other_ap: "AccessPoint") -> None:
        """Let a second tag of the same MAC boot in the reach of another access point."""
        neighbours(self._ap.delivery, other_ap.delivery)
        other_ap.add_tag(mac, self._tag(mac).kind_number, known=False)


def neighbours(one: Delivery, other: Delivery) -> None:
    """Let two access points hear of each other."""
    for here, there in ((one, other), (other, one)):
        if there not in here.neighbours:
            here.neighbours.append(there)
            here.box.peers.append(there.box)


def _noise(width: int, height: int, seed: int) -> bytes:
    noise = Random(seed).randbytes(32)  # noqa: S311 (repeatable, not secret)
    picture = Image.frombytes("L", (8, 4), noise).point([0] * 128 + [255] * 128)
    out = io.BytesIO()
    picture.resize((width, height), Image.Resampling.NEAREST).convert("RGB").save(out, "JPEG", quality=90)
    return out.getvalue()
