"""What head office hears of a count: that it began, how far it is, what it found. Pure values in, facts out.

Not here: when they are said (`counts.py`), what they hold (`count_session.py`, `count_result.py`).
"""

from datetime import datetime

from gateway.count_notes import CountOpened, Ended
from gateway.messages import (
    GATEWAY,
    CountFinished,
    CountProgress,
    CountResult,
    CountStarted,
    Fact,
    GoodsReceived,
)
from gateway.rules.count_result import Result
from gateway.rules.count_session import CountSession

ROWS_A_PART = 200


def started(opened: CountOpened, expected: int, cause: str | None) -> CountStarted:
    """Return that a count began, and how many items it should find."""
    return CountStarted(
        at=opened.at,
        source=GATEWAY,
        cause=cause,
        session=opened.session,
        kind=opened.kind,
        zones=opened.zones,
        expected=expected,
    )


def progress(session: CountSession, at: datetime) -> CountProgress:
    """Return how far a count is."""
    return CountProgress(
        at=at,
        source=GATEWAY,
        session=session.opened.session,
        seen=len(session.seen),
        found=session.found,
        expected=len(session.expected) if session.opened.lines is None else sum(n for _, n in session.opened.lines),
        coverage=_rounded(session.coverage()),
        new_per_1000_reads=_rounded(session.new_per_1000()),
    )


def told(session: CountSession, found: Result, at: datetime, ended: Ended, cause: str | None) -> list[Fact]:
    """Return what head office hears: rows in parts, what a delivery brought, the end; if cancelled only that."""
    opened, name = session.opened, session.opened.session
    rows = () if ended == "cancelled" else found.rows
    parts = [rows[start : start + ROWS_A_PART] for start in range(0, len(rows), ROWS_A_PART)]
    facts: list[Fact] = [
        CountResult(at=at, source=GATEWAY, id=f"{name}:part{n}", session=name, part=n, parts=len(parts), rows=part)
        for n, part in enumerate(parts, 1)
    ]
    if opened.kind == "receiving" and ended != "cancelled":
        facts += _received(session, found, at)
    facts.append(
        CountFinished(
            at=at,
            source=GATEWAY,
            id=f"{name}:finished",
            cause=cause,
            session=name,
            kind=opened.kind,
            zones=opened.zones,
            started_at=opened.at,
            ended=ended,
            expected=found.total("expected"),
            found=found.total("found"),
            missing=found.total("missing"),
            unexpected=found.total("unexpected"),
            undecoded=found.undecoded,
            products=len(found.rows),
            coverage=_rounded(found.coverage),
        )
    )
    return facts


def _received(session: CountSession, found: Result, at: datetime) -> list[Fact]:
    """Return what came, by product: all that was heard and that nobody has said was received."""
    came: dict[str | None, list[str]] = {}
    for epc, item in session.seen.items():
        if epc in found.came:
            came.setdefault(item.gtin, []).append(epc)
    return [
        GoodsReceived(
            at=at,
            source=GATEWAY,
            id=f"{session.opened.session}:received:{gtin or 'unknown'}:{start}",
            gtin=gtin,
            epcs=tuple(epcs[start : start + ROWS_A_PART]),
            zone=session.opened.zones[0],
            document=session.opened.document,
        )
        for gtin, epcs in came.items()
        for start in range(0, len(epcs), ROWS_A_PART)
    ]


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
