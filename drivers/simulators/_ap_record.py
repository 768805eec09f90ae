"""One tag as the access point's database knows it, and the database's JSON pages with their 8-bit wrap (T8)."""

from collections.abc import Iterable
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted
from operator import attrgetter
from typing import Any

NEVER = 3216153600  # of `nextupdate`: never; of `nextcheckin`: in deep sleep
PAGE_BYTES = 5000


@dataclass(slots=True)
class Record:
    """What `/get_db` and the WebSocket tell. Epochs are seconds of the access point's own clock."""

    mac: str
    hash: bytes = bytes(16)
    lastseen: float = 0.0
    nextupdate: float = 0.0
    nextcheckin: float = 0.0
    pending: int = 0
    alias: str = ""
    contentmode: int = 0
    lqi: int = 0
    rssi: int = 0
    temperature: int = 0
    battery_mv: int = 0
    hw_type: int = 0
    wakeup_reason: int = 0
    capabilities: int = 0
    modecfgjson: str = ""
    isexternal: bool = False
    apip: str = "0.0.0.0"  # noqa: S104 (the protocol's "no address"; nothing listens)
    rotate: int = 0
    lut: int = 0
    invert: int = 0
    updatecount: int = 0
    updatelast: float = 0.0
    channel: int = 0
    version: int = 0
    # not told: what the box keeps in memory only
    idle_s: float = 0.0
    filename: str = ""

    def as_json(self) -> str:
        """Return the record in the access point's own names and order. Written out: it is sent at every check-in."""
        return (
            f'{{"mac":"{self.mac}","hash":"{self.hash.hex()}","lastseen":{int(self.lastseen)}'
            f',"nextupdate":{int(self.nextupdate)},"nextcheckin":{int(self.nextcheckin)},"pending":{self.pending}'
            f',"alias":{quoted(self.alias)},"contentMode":{self.contentmode},"LQI":{self.lqi},"RSSI":{self.rssi}'
            f',"temperature":{self.temperature},"batteryMv":{self.battery_mv},"hwType":{self.hw_type}'
            f',"wakeupReason":{self.wakeup_reason},"capabilities":{self.capabilities}'
            f',"modecfgjson":{quoted(self.modecfgjson)},"isexternal":{"true" if self.isexternal else "false"}'
            f',"apip":"{self.apip}","rotate":{self.rotate},"lut":{self.lut},"invert":{self.invert}'
            f',"updatecount":{self.updatecount},"updatelast":{int(self.updatelast)},"ch":{self.channel}'
            f',"ver":{self.version}}}'
        )

    def copy(self) -> "Record":
        """Return a second one, as flash keeps it."""
        return Record(*_VALUES(self))


_VALUES = attrgetter(*Record.__slots__)

_FIELD_OF = {
    "contentMode": "contentmode",
    "LQI": "lqi",
    "RSSI": "rssi",
    "batteryMv": "battery_mv",
    "hwType": "hw_type",
    "wakeupReason": "wakeup_reason",
    "ch": "channel",
    "ver": "version",
}


def restored(told: dict[str, Any], soon: float) -> Record | None:
    """Read a record back from a backup; `pending` is not kept, an overdue check-in becomes `soon`."""
    mac = parse_mac(str(told.get("mac", "")))
    if mac is None:
        return None
    record = Record(mac)
    for name, value in told.items():
        field = _FIELD_OF.get(name, name)
        if field in Record.__slots__ and isinstance(value, type(getattr(record, field)) | int):
            setattr(record, field, value)
    try:
        record.hash = bytes.fromhex(str(told.get("hash", "")))[:16].ljust(16, b"\0")
    except ValueError:
        record.hash = bytes(16)
    record.mac, record.pending = mac, 0
    record.nextcheckin = max(record.nextcheckin, soon)
    return record


def page(records: list[Record], start: int) -> str:
    """Return one page of the database; `continu` says where the next begins, one past the last that fitted."""
    told: list[str] = []
    size = len('{"tags":[]}')
    for at in range(start, len(records)):
        told.append(records[at].as_json())
        size += len(told[-1]) + (1 if len(told) > 1 else 0)
        if size > PAGE_BYTES:
            return _tags(told, f',"continu":{at + 1}')
    return _tags(told)


def one(records: Iterable[Record]) -> str:
    """Return the answer for one tag: `records` holds it, or nothing."""
    return _tags(record.as_json() for record in records)


def _tags(told: Iterable[str], more: str = "") -> str:
    return '{"tags":[' + ",".join(told) + "]" + more + "}"


def parse_mac(text: str) -> str | None:
    """Read a MAC of 12 or 16 hexadecimal digits; 12 are filled up with zeros in front. None when it is neither."""
    if len(text) not in (12, 16) or text.strip("0123456789abcdefABCDEF"):
        return None
    return text.upper().rjust(16, "0")
