"""What is told of labels behind an OpenEPaperLink access point: readings and facts made of records and faces.

Pure. When they are told is `label_oepl.py`'s.
"""

from datetime import UTC, datetime
from typing import Literal

from drivers._oepl_record import EPOCH_FLOOR, TagRecord
from drivers._oepl_tagtype import TagType
from gateway.driver import Face
from gateway.messages import LabelFailed, LabelHealth, LabelSeen, LabelShown

Outcome = Literal["never_sent", "settled", "unsettled"]
Proof = Literal["pixels", "hash"]


def label_seen(record: TagRecord, kind: TagType, at: datetime, source: str) -> LabelSeen:
    """Return the discovery reading of a tag."""
    return LabelSeen(
        at=at,
        source=source,
        label=record.label,
        width=kind.width,
        height=kind.height,
        colors=kind.colors,
        model=kind.name,
        last_seen=_instant(record.last_seen_epoch),
        battery_mv=record.battery_mv,
        rssi_dbm=record.rssi_dbm or None,
        lqi=record.lqi or None,
        temperature_c=_temperature(record),
        image=image_of(record),
    )


def image_of(record: TagRecord) -> str | None:
    """Return the access point's name of the tag's newest image, None when it knows none or one is on its way."""
    return None if record.blank or record.pending else record.hash


def label_health(record: TagRecord, at: datetime, source: str) -> LabelHealth:
    """Return the health fact of a tag. A tag that was never heard gives no figures."""
    return LabelHealth(
        at=at,
        source=source,
        label=record.label,
        battery_mv=record.battery_mv,
        rssi_dbm=record.rssi_dbm or None,
        lqi=record.lqi or None,
        temperature_c=_temperature(record),
        last_seen=_instant(record.last_seen_epoch),
    )


def label_shown(face: Face, proof: Proof, image: str | None, at: datetime, source: str) -> LabelShown:
    """Return the fact that the glass shows the face; `image` is `image_of` the tag then."""
    return LabelShown.of(face, at, source, proof=proof, image=image)


def label_failed(face: Face, reason: str, outcome: Outcome, at: datetime, source: str) -> LabelFailed:
    """Return the fact that the face was not, or is no longer, proven."""
    return LabelFailed.of(face, at, source, reason=reason, outcome=outcome)


def _instant(epoch: int) -> datetime | None:
    """Return the time of a tag's check-in; None when the access point had no clock, or the tag never checked in."""
    return datetime.fromtimestamp(epoch, UTC) if EPOCH_FLOOR < epoch < 2**32 else None


def _temperature(record: TagRecord) -> int | None:
    return record.temperature_c if record.rssi_dbm else None
