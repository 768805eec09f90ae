"""What an OpenEPaperLink access point says over its WebSocket, as events: tag records, heartbeats, lines of its log.

Pure; nothing here knows of sockets or of our own pushes. The texts are those of the firmware's log lines.
Next: `_oepl_record.py` for tag records and JSON, `_oepl_trace.py` for what the events mean for a push.
"""

import re
from dataclasses import dataclass
from typing import Any

from drivers._oepl_record import LABEL, TagRecord, integer, read_object, read_records
from gateway.errors import BadFrame

_NEW_IMAGE = re.compile(r"new image: (/current/([0-9A-F]{16})_\d+\.pending)")
_BLOCK = re.compile(r"([0-9A-F]{16}) block request (\S+) block (\d{1,5}),")
_COMPLETE = re.compile(r"([0-9A-F]{16}) reports xfer complete")
_TIMEOUT = re.compile(r"< ([0-9A-F]{16}) xfer timeout")
_UPDATING = re.compile(r"Updating ([0-9A-F]{16})")
_NOT_FOUND = re.compile(r"Not found: (/\S*?([0-9A-Fa-f]{16})_\S*)")
_SAME = "new image is the same as current image"


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
        body = read_object(text)
    except BadFrame as error:
        return [], [str(error)]
    if "tags" in body:
        records, bad = read_records(body["tags"])
        return list(records), bad
    try:
        return _other_events(body), []
    except BadFrame as error:
        return [], [str(error)]


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
        epoch=integer(sys, "currtime"),
        ap_state=integer(sys, "apstate"),
        run_state=integer(sys, "runstate"),
        flash_free_bytes=integer(sys, "littlefsfree"),
        record_count=integer(sys, "recordcount"),
        uptime_s=integer(sys, "uptime"),
    )


def _progress(upload: dict[str, Any]) -> list[Event]:
    label = upload.get("src")
    if not isinstance(label, str) or not LABEL.fullmatch(label):
        raise BadFrame(f"upload.src: {label!r:.80}")
    return [Progress(label, integer(upload, "current"), integer(upload, "total"))]


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
