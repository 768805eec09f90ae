"""What an OpenEPaperLink access point says, as values: tag records, `/get_db` pages, WebSocket texts, configuration.

Pure; nothing here knows of sockets or of our own pushes. The rule for all of it: one bad record never hides the others,
so readers return what was good together with a list of complaints. Texts are those of the firmware's log lines.
Next: `_oepl_trace.py` for what the events mean for a push.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.errors import BadFrame

TEXT_CAP = 262_144  # one tag record is about 600 B and a `/get_db` page 5 kB; more than this is no access point
DEEP_SLEEP_EPOCH = 3_216_153_600  # `nextcheckin` of a tag that was sent to deep sleep
NEVER_EPOCH = 3_216_153_600  # `nextupdate` of a tag for which no upload waits to be converted
NO_BATTERY_READING = (0, 1337)
REMOTE_CONTENT = 12  # contentMode of a tag that another access point feeds
EPOCH_FLOOR = 1_600_000_000  # an access point whose clock was never set counts from 1970
WAKEUP_REBOOT = 0xE0  # wakeupReason from here on: failed update, boot, network scan, watchdog
LABEL = re.compile(r"[0-9A-F]{16}")

_NEW_IMAGE = re.compile(r"new image: (/current/([0-9A-F]{16})_\d+\.pending)")
_BLOCK = re.compile(r"([0-9A-F]{16}) block request (\S+) block (\d{1,5}),")
_COMPLETE = re.compile(r"([0-9A-F]{16}) reports xfer complete")
_TIMEOUT = re.compile(r"< ([0-9A-F]{16}) xfer timeout")
_UPDATING = re.compile(r"Updating ([0-9A-F]{16})")
_NOT_FOUND = re.compile(r"Not found: (/\S*?([0-9A-Fa-f]{16})_\S*)")
_DIGITS = re.compile(r"-?[0-9]{1,18}")
_INTEGER_LIMIT = 2**63
_SAME = "new image is the same as current image"


@dataclass(frozen=True, slots=True)
class TagRecord:
    """One tag as the access point's memory has it. `hash` is 32 hex; `file` the JPEG that its content comes from."""

    label: str
    hash: str
    last_seen_epoch: int
    next_check_in_epoch: int
    next_update_epoch: int
    pending: int
    content_mode: int
    lqi: int
    rssi_dbm: int
    temperature_c: int
    battery_mv: int | None
    hw_type: int
    wakeup_reason: int
    capabilities: int
    file: str
    external: bool
    update_count: int
    version: int

    @property
    def ours(self) -> bool:
        """False when another access point serves this tag (esl T12)."""
        return not self.external

    @property
    def was_away(self) -> bool:
        """Whether another access point served this tag since the last push: the mode stays until the next one."""
        return self.external or self.content_mode == REMOTE_CONTENT

    @property
    def rebooted(self) -> bool:
        """True when the tag's last check-in told of a restart."""
        return self.wakeup_reason >= WAKEUP_REBOOT

    @property
    def blank(self) -> bool:
        """True when the access point knows no image of this tag: new, or restarted (esl T5)."""
        return self.hash.strip("0") == ""

    @property
    def asleep(self) -> bool:
        """True in deep sleep: only a button or a magnet wakes it."""
        return self.next_check_in_epoch == DEEP_SLEEP_EPOCH


@dataclass(frozen=True, slots=True)
class SystemState:
    """The `sys` message, every 5 s: the heartbeat of the access point."""

    epoch: int
    ap_state: int
    run_state: int
    flash_free_bytes: int
    record_count: int
    uptime_s: int


@dataclass(frozen=True, slots=True)
class NewImage:
    """A JPEG became a file in the queue of this tag."""

    label: str
    file: str


@dataclass(frozen=True, slots=True)
class BlockRequest:
    """The tag fetches block `block` (4096 bytes, from 0) of this file."""

    label: str
    file: str
    block: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Block `current` of `total` (from 1) went out to the tag."""

    label: str
    current: int
    total: int


@dataclass(frozen=True, slots=True)
class TransferComplete:
    """The tag says that it has all bytes of something; it does not say of what."""

    label: str


@dataclass(frozen=True, slots=True)
class TransferTimeout:
    """The access point gave up and forgot all that was queued for this tag."""

    label: str


@dataclass(frozen=True, slots=True)
class Updating:
    """The access point starts to convert the content of this tag."""

    label: str


@dataclass(frozen=True, slots=True)
class SameImage:
    """The image last converted was dropped: equal to what the access point believes the tag has."""


@dataclass(frozen=True, slots=True)
class FileMissing:
    """The JPEG of this tag is gone, nothing was queued."""

    label: str
    file: str


@dataclass(frozen=True, slots=True)
class Rebooting:
    """The access point restarts now."""


Event = (
    TagRecord
    | SystemState
    | NewImage
    | BlockRequest
    | Progress
    | TransferComplete
    | TransferTimeout
    | Updating
    | SameImage
    | FileMissing
    | Rebooting
)


def read_ws(text: str) -> tuple[list[Event], list[str]]:
    """Return the events of one WebSocket text and what was wrong with it. Unknown kinds are no fault."""
    try:
        body = _object(text)
    except BadFrame as error:
        return [], [str(error)]
    if "tags" in body:
        records, bad = _records(body["tags"])
        return list(records), bad
    try:
        return _other_events(body), []
    except BadFrame as error:
        return [], [str(error)]


def read_page(body: bytes) -> tuple[list[TagRecord], int | None, list[str]]:
    """Return records, the position of the next page, and complaints of one `/get_db` answer. Raises BadFrame."""
    page = _object(body)
    if "tags" not in page:
        raise BadFrame(f"get_db without tags: {body[:80]!r}")
    records, bad = _records(page["tags"])
    following = page.get("continu")
    return records, None if following is None else _integer(page, "continu"), bad


def read_object(body: bytes) -> dict[str, Any]:
    """Return a JSON object (configuration, system information). Raises BadFrame."""
    return _object(body)


def read_record(tag: object) -> TagRecord:
    """Return one tag record. Raises BadFrame and says which member is wrong."""
    if not isinstance(tag, dict):
        raise BadFrame(f"tag record is no object: {tag!r:.80}")
    label, digest = tag.get("mac"), tag.get("hash")
    if not isinstance(label, str) or not LABEL.fullmatch(label):
        raise BadFrame(f"mac: {label!r:.80}")
    if not isinstance(digest, str) or len(digest) != 32:
        raise BadFrame(f"{label}: hash: {digest!r:.80}")
    battery_mv = _integer(tag, "batteryMv")
    return TagRecord(
        label=label,
        hash=digest.lower(),
        last_seen_epoch=_integer(tag, "lastseen"),
        next_check_in_epoch=_integer(tag, "nextcheckin"),
        next_update_epoch=_integer(tag, "nextupdate"),
        pending=_integer(tag, "pending"),
        content_mode=_integer(tag, "contentMode"),
        lqi=_integer(tag, "LQI"),
        rssi_dbm=_integer(tag, "RSSI"),
        temperature_c=_integer(tag, "temperature"),
        battery_mv=None if battery_mv in NO_BATTERY_READING else battery_mv,
        hw_type=_integer(tag, "hwType"),
        wakeup_reason=_integer(tag, "wakeupReason"),
        capabilities=_integer(tag, "capabilities"),
        file=_content_file(tag.get("modecfgjson")),
        external=tag.get("isexternal") is True,
        update_count=_integer(tag, "updatecount"),
        version=_integer(tag, "ver"),
    )


def _records(tags: object) -> tuple[list[TagRecord], list[str]]:
    if not isinstance(tags, list):
        return [], [f"tags is no list: {tags!r:.80}"]
    records: list[TagRecord] = []
    bad: list[str] = []
    for tag in tags:
        try:
            records.append(read_record(tag))
        except BadFrame as error:
            bad.append(str(error))
    return records, bad


def _other_events(body: dict[str, Any]) -> list[Event]:
    match body:
        case {"sys": dict(sys)}:
            return [_system(sys)]
        case {"upload": dict(upload)}:
            return _progress(upload)
        case {"logMsg": str(line)}:
            return _log_line(line)
        case {"errMsg": str(line)}:
            return _error_line(line)
    return []


def _system(sys: dict[str, Any]) -> SystemState:
    return SystemState(
        epoch=_integer(sys, "currtime"),
        ap_state=_integer(sys, "apstate"),
        run_state=_integer(sys, "runstate"),
        flash_free_bytes=_integer(sys, "littlefsfree"),
        record_count=_integer(sys, "recordcount"),
        uptime_s=_integer(sys, "uptime"),
    )


def _progress(upload: dict[str, Any]) -> list[Event]:
    label = upload.get("src")
    if not isinstance(label, str) or not LABEL.fullmatch(label):
        raise BadFrame(f"upload.src: {label!r:.80}")
    return [Progress(label, _integer(upload, "current"), _integer(upload, "total"))]


def _log_line(line: str) -> list[Event]:
    if found := _BLOCK.match(line):
        return [BlockRequest(found[1], found[2], int(found[3]))]
    if found := _NEW_IMAGE.match(line):
        return [NewImage(found[2], found[1])]
    if found := _COMPLETE.match(line):
        return [TransferComplete(found[1])]
    if found := _UPDATING.match(line):
        return [Updating(found[1])]
    return [SameImage()] if line.startswith(_SAME) else []


def _error_line(line: str) -> list[Event]:
    if found := _TIMEOUT.match(line):
        return [TransferTimeout(found[1])]
    if found := _NOT_FOUND.match(line):
        return [FileMissing(found[2].upper(), found[1])]
    return [Rebooting()] if line == "REBOOTING" else []


def _content_file(config: object) -> str:
    """Return `filename` of the content configuration, "" when there is none (a foreign text is no fault of the tag)."""
    return _file_name(config) if isinstance(config, str) and config.startswith("{") else ""


@lru_cache(maxsize=512)  # the same text comes with every record of a tag
def _file_name(config: str) -> str:
    try:
        name = json.loads(config).get("filename")
    except (ValueError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""


def _object(text: str | bytes) -> dict[str, Any]:
    if len(text) > TEXT_CAP:
        raise BadFrame(f"{len(text)} bytes of JSON, at most {TEXT_CAP}")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"not JSON: {text[:80]!r}") from error
    if not isinstance(body, dict):
        raise BadFrame(f"no JSON object: {text[:80]!r}")
    return body


def _integer(body: dict[str, Any], name: str) -> int:
    """Return an integer member; numbers in strings are taken, as the configuration has them."""
    value = body.get(name)
    if type(value) is int and -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    raise BadFrame(f"{name}: {value!r:.80}")
