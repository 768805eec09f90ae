"""What is said of an item: facts for head office, and the note that keeps its state. Pure values in, messages out.

Not here: when they are said (`items.py`, `items_book.py`, `exit_gate.py`).
"""

from datetime import UTC, datetime, timedelta
from typing import cast

from gateway.messages import GATEWAY, ExitAlarm, ExitCleared, ExitRead, TagAbsent, TagArrived, TagMoved
from gateway.rules.exit_direction import UNTOLD, DoorRead, Verdict
from gateway.rules.tag_place import best_antenna, share
from gateway.rules.tag_state import Tag
from gateway.tag_notes import KeptTag, TagKept, TagState

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
EVIDENCE = 16  # reads of an alarm that are told


def micros(at: datetime) -> int:
    """Return UTC microseconds."""
    return (at - EPOCH) // MICROSECOND


def instant(at_us: int) -> datetime:
    """Return the instant of UTC microseconds."""
    return EPOCH + timedelta(microseconds=at_us)


def kept(tag: Tag, at: datetime) -> TagKept:
    """Return the note that keeps an item's whole state."""
    tag.kept_gap_us = tag.gap_us
    habit = tag.habit
    state = KeptTag(
        epc=tag.epc,
        gtin=tag.gtin,
        state=cast("TagState", tag.state),
        zone=tag.zone,
        antenna=best_antenna(tag),
        last_us=tag.last_us,
        gap_us=int(tag.gap_us),
        until_us=tag.since_us if tag.state in ("sold", "left") else None,
        alarm=tag.alarm,
        inbound=tag.inbound,
        door_cdbm=habit.loudest_cdbm if habit is not None and habit.learnt else None,
        passage=tag.passage,
    )
    return TagKept(at=at, source=GATEWAY, tag=state)


def arrived(tag: Tag, zone: str, at: datetime, source: str, *, back: bool) -> TagArrived:
    """Return that an item is in the shop."""
    return TagArrived(at=at, source=source, epc=tag.epc, gtin=tag.gtin, zone=zone, share=share(tag, zone), back=back)


def moved(tag: Tag, zone: str, before: str, at: datetime, source: str) -> TagMoved:
    """Return that an item is in another zone."""
    return TagMoved(
        at=at, source=source, epc=tag.epc, gtin=tag.gtin, zone=zone, from_zone=before, share=share(tag, zone)
    )


def absent(tag: Tag, zone: str, at: datetime, silent_us: int) -> TagAbsent:
    """Return that an item is not heard any more."""
    return TagAbsent(
        at=at,
        source=GATEWAY,
        epc=tag.epc,
        gtin=tag.gtin,
        zone=zone,
        last_read_at=instant(tag.last_us),
        silent_s=round(silent_us / 1e6, 1),
    )


def alarm(tag: Tag, zone: str, verdict: Verdict, at: datetime) -> ExitAlarm:
    """Return that an item left that nobody sold. Its id names item and instant: the same passage is one alarm."""
    return ExitAlarm(
        at=at,
        source=verdict.reader,
        id=f"exit:{tag.epc}:{verdict.at_us}",
        epc=tag.epc,
        gtin=tag.gtin,
        zone=zone,
        left_at=instant(verdict.at_us),
        reads=sum(read.seen for read in verdict.reads),
        score=verdict.score,
        evidence=tuple(_evidence(read, micros(at)) for read in spread(verdict.reads)),
    )


def cleared(tag: Tag, reason: str, at: datetime, source: str, cause: str | None = None) -> ExitCleared:
    """Return that an alarm was none, and forget it."""
    name, tag.alarm = tag.alarm or "", None
    return ExitCleared.model_validate(
        {"at": at, "source": source, "cause": cause, "alarm": name, "epc": tag.epc, "reason": reason}
    )


def spread(reads: tuple[DoorRead, ...]) -> list[DoorRead]:
    """Return at most EVIDENCE of these reads: first, last, and evenly between."""
    told = [read for read in reads if read.antenna != UNTOLD]
    if len(told) <= EVIDENCE:
        return told
    return [told[round(n * (len(told) - 1) / (EVIDENCE - 1))] for n in range(EVIDENCE)]


def _evidence(read: DoorRead, now_us: int) -> ExitRead:
    dbm = None if read.cdbm is None else read.cdbm / 100
    return ExitRead(read.antenna, round((now_us - read.at_us) / 1e6, 3), dbm)
