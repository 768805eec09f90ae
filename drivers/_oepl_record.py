"""What an OpenEPaperLink access point tells as JSON: objects, tag records, `/get_db` pages.

Pure. One bad record never hides the others, so readers of many return what was good together with a list of complaints.
Next: `_oepl_wire.py` for what comes over the WebSocket, tag records among it.
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

_DIGITS = re.compile(r"-?[0-9]{1,18}")
_INTEGER_LIMIT = 2**63


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


def read_page(body: bytes) -> tuple[list[TagRecord], int | None, list[str]]:
    """Return records, the position of the next page, and complaints of one `/get_db` answer. Raises BadFrame."""
    page = read_object(body)
    if "tags" not in page:
        raise BadFrame(f"get_db without tags: {body[:80]!r}")
    records, bad = read_records(page["tags"])
    following = page.get("continu")
    return records, None if following is None else integer(page, "continu"), bad


def read_record(tag: object) -> TagRecord:
    """Return one tag record. Raises BadFrame and says which member is wrong."""
    if not isinstance(tag, dict):
        raise BadFrame(f"tag record is no object: {tag!r:.80}")
    label, digest = tag.get("mac"), tag.get("hash")
    if not isinstance(label, str) or not LABEL.fullmatch(label):
        raise BadFrame(f"mac: {label!r:.80}")
    if not isinstance(digest, str) or len(digest) != 32:
        raise BadFrame(f"{label}: hash: {digest!r:.80}")
    battery_mv = integer(tag, "batteryMv")
    return TagRecord(
        label=label,
        hash=digest.lower(),
        last_seen_epoch=integer(tag, "lastseen"),
        next_check_in_epoch=integer(tag, "nextcheckin"),
        next_update_epoch=integer(tag, "nextupdate"),
        pending=integer(tag, "pending"),
        content_mode=integer(tag, "contentMode"),
        lqi=integer(tag, "LQI"),
        rssi_dbm=integer(tag, "RSSI"),
        temperature_c=integer(tag, "temperature"),
        battery_mv=None if battery_mv in NO_BATTERY_READING else battery_mv,
        hw_type=integer(tag, "hwType"),
        wakeup_reason=integer(tag, "wakeupReason"),
        capabilities=integer(tag, "capabilities"),
        file=_content_file(tag.get("modecfgjson")),
        external=tag.get("isexternal") is True,
        update_count=integer(tag, "updatecount"),
        version=integer(tag, "ver"),
    )


def read_records(tags: object) -> tuple[list[TagRecord], list[str]]:
    """Return the good records of a list, and what is wrong with the others."""
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


def read_object(text: str | bytes) -> dict[str, Any]:
    """Return a JSON object (configuration, system information, a WebSocket text). Raises BadFrame."""
    if len(text) > TEXT_CAP:
        raise BadFrame(f"{len(text)} bytes of JSON, at most {TEXT_CAP}")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"not JSON: {text[:80]!r}") from error
    if not isinstance(body, dict):
        raise BadFrame(f"no JSON object: {text[:80]!r}")
    return body


def integer(body: dict[str, Any], name: str) -> int:
    """Return an integer member; numbers in strings are taken, as the configuration has them."""
    value = body.get(name)
    if type(value) is int and -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    raise BadFrame(f"{name}: {value!r:.80}")
