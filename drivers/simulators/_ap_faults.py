"""Mishaps, callable at any moment, and the script that plays them from a file (`--faults FILE`).

A script is a JSON list of `{"at_s": 12.5, "fault": "reboot_tag", "mac": "0000..."}`: virtual seconds, the name of a
method of `Faults`, its arguments by name. `"tag": 3` may stand for the MAC of the fourth tag.
"""

import inspect
import io
import json
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from PIL import Image

from drivers.simulators._ap_delivery import Delivery
from drivers.simulators._ap_tag import SimTag
from drivers.simulators._ap_types import TAG_TYPES

if TYPE_CHECKING:
    from drivers.simulators.access_point import AccessPoint

MAX_SCRIPT_BYTES = 10_000_000


class BadScript(ValueError):
    """The fault file cannot be used; the text says where and what would be right."""


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


def load_script(path: Path) -> list[dict[str, Any]]:
    """Read a fault script. Raises BadScript with the entry and what is wrong."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadScript(f"{path}: {error.strerror}") from error
    if len(data) > MAX_SCRIPT_BYTES:
        raise BadScript(f"{path}: more than {MAX_SCRIPT_BYTES} bytes")
    try:
        script = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadScript(f"{path}: not JSON: {error}") from error
    if not isinstance(script, list):
        raise BadScript(f'{path}: must be a list of {{"at_s": 1.0, "fault": "reboot_ap"}}')
    for at, entry in enumerate(script):
        _check(f"{path}: entry {at}", entry)
    return script


def _check(where: str, entry: object) -> None:
    if not isinstance(entry, dict):
        raise BadScript(f"{where}: not an object")
    at_s = entry.get("at_s")
    if isinstance(at_s, bool) or not isinstance(at_s, int | float) or not 0 <= at_s < float("inf"):
        raise BadScript(f"{where}: at_s must be seconds from 0, not {at_s!r}")
    names = [name for name, _ in inspect.getmembers(Faults, inspect.isfunction) if not name.startswith("_")]
    if entry.get("fault") not in names:
        raise BadScript(f"{where}: unknown fault {entry.get('fault')!r}; known are {', '.join(names)}")
    arguments = entry.keys() - {"at_s", "fault"}
    known = inspect.signature(getattr(Faults, entry["fault"])).parameters.keys() - {"self", "other_ap"}
    odd = arguments - known - ({"tag"} if "mac" in known else set())
    if odd:
        raise BadScript(f"{where}: {entry['fault']} takes {sorted(known)}, not {sorted(odd)}")
    if "mac" in known and not arguments & {"mac", "tag"}:
        raise BadScript(f'{where}: {entry["fault"]} needs "mac", or "tag" (its number from 0)')


def play(ap: "AccessPoint", script: list[dict[str, Any]]) -> None:
    """Put a checked script on the timeline. Raises BadScript when it names a tag that is not there."""
    for at, entry in enumerate(script):
        arguments = {name: value for name, value in entry.items() if name not in ("at_s", "fault", "tag")}
        if "tag" in entry:
            macs = ap.config.tag_macs
            number = entry["tag"]
            if not isinstance(number, int) or not 0 <= number < len(macs):
                raise BadScript(f"entry {at}: there is no tag {number!r}, only 0..{len(macs) - 1}")
            arguments["mac"] = macs[number]
        if "mac" in arguments and arguments["mac"] not in ap.tags and entry["fault"] != "foreign_tag":
            raise BadScript(f"entry {at}: there is no tag {arguments['mac']!r}")
        ap.timeline.at(entry["at_s"], _call, getattr(ap.faults, entry["fault"]), arguments)


def _call(fault: Any, arguments: dict[str, Any]) -> None:  # noqa: ANN401 (any fault)
    fault(**arguments)
