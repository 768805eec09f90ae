"""The rule of counts: begins them by command or schedule, follows them, ends them, says what they found.

Commands: `count_start` (args: session, kind, zones, minutes, document, lines), `count_stop` and `count_cancel` (args:
session). A count ends by command, when nothing new is heard any more, or when its time is up. What was heard is written
every few seconds, with the progress that tells of it, so that a count goes on after any stop.
Not here: the estimate (`count_session.py`), verdicts (`count_result.py`), stock and shrinkage (`stock.py`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Protocol

from gateway.count_notes import CountClosed, CountOpened, CountSeen, Ended, ExpectedItem, KeptCount, KeptCounts
from gateway.messages import (
    GATEWAY,
    CommandDone,
    CommandRefused,
    Message,
    ReaderHeard,
    Request,
    TagReads,
    Tick,
)
from gateway.rules.count_facts import progress, started, told
from gateway.rules.count_orders import COMMANDS, Start, parse_start, session_of, zones_of
from gateway.rules.count_result import COVERED, Known, Result, result
from gateway.rules.count_schedule import CountPlan, due
from gateway.rules.count_session import CountSession
from gateway.rules.zones import Zones

MOST_OPEN = 4
MOST_ENDED = 500
WRITE_EVERY = timedelta(seconds=5)


class ItemView(Protocol):
    """What is known of items otherwise."""

    def expected(self, zones: frozenset[str]) -> Iterable[ExpectedItem]:
        """Return the items that should be in these zones."""

    def known(self, epc: str) -> Known | None:
        """Return where an item is, None when it was never heard of."""


@dataclass(frozen=True)
class CountPolicy:
    """What a shop may set."""

    limit_s: float
    plans: tuple[CountPlan, ...]
    timezone: tzinfo


class Counts:
    """The rule. Pure: time comes with the messages."""

    hears: tuple[type[Message], ...] = (Request, TagReads, ReaderHeard, Tick)

    def __init__(
        self, policy: CountPolicy, zones: Zones, view: ItemView, gtin_of: Callable[[str], str | None], kept: KeptCounts
    ) -> None:
        self._policy, self._zones, self._view, self._gtin_of = policy, zones, view, gtin_of
        self.load(kept)

    def load(self, kept: KeptCounts) -> None:
        """Forget everything, and go on from what the store has."""
        self._open = {one.opened.session: CountSession(one) for one in kept.open}
        self._ended = dict(kept.ended)
        self._written = {session: one.opened.at for session, one in self._open.items()}

    def feed(self, message: Message) -> Sequence[Message]:
        """Return the facts and notes that follow."""
        if isinstance(message, TagReads):
            return self._heard(message) if self._open else ()
        if isinstance(message, Request):
            return self._request(message) if message.name in COMMANDS else ()
        out = self._begin_due(message.at) if isinstance(message, Tick) and message.trusted else []
        return [*out, *self._follow(message.at)]

    def _heard(self, message: TagReads) -> list[Message]:
        spots = self._zones.spots(message.source)
        for session in self._open.values():
            session.hear(message, spots, self._gtin_of)
        return self._follow(message.at)

    def _follow(self, at: datetime) -> list[Message]:
        """Write what is new when it is time, and end what is complete or too long."""
        out: list[Message] = []
        for session in list(self._open.values()):
            begun = session.opened.at
            if at - begun >= timedelta(seconds=session.opened.limit_s):
                out += self._end(session, at, "time_limit", None)
            elif at - self._written[session.opened.session] >= WRITE_EVERY:
                out += self._write(session, at)
                if session.is_complete():
                    out += self._end(session, at, "complete", None)
        return out

    def _write(self, session: CountSession, at: datetime) -> list[Message]:
        name = session.opened.session
        self._written[name] = at
        kept = CountSeen(
            at=at, source=GATEWAY, session=name, items=session.take_changed(), reads=session.reads, slots=session.slots
        )
        return [kept, progress(session, at)]

    def _request(self, request: Request) -> list[Message]:
        if request.name == "count_start":
            start = parse_start(request, self._zones)
            return [_refused(request, start)] if isinstance(start, str) else self._start(request, start)
        name = session_of(request)
        if name in self._ended:
            return [_done(request)]
        session = self._open.get(name or "")
        if session is None:
            known = ", ".join(self._open) or "none"
            return [_refused(request, f"args.session must name a count that is open; open: {known}")]
        ended: Ended = "command" if request.name == "count_stop" else "cancelled"
        return [*self._end(session, request.at, ended, request.id), _done(request)]

    def _start(self, request: Request, start: Start) -> list[Message]:
        if start.session in self._open or start.session in self._ended:
            return [_done(request)]  # a repeated order
        if len(self._open) >= MOST_OPEN:
            return [_refused(request, f"{MOST_OPEN} counts are open already: {', '.join(self._open)}; stop one first")]
        return [*self._begin(start, request.at, request.id), _done(request)]

    def _begin_due(self, at: datetime) -> list[Message]:
        out: list[Message] = []
        for plan, session in due(self._policy.plans, self._policy.timezone, at):
            if session not in self._open and session not in self._ended and len(self._open) < MOST_OPEN:
                out += self._begin(
                    Start(session, "count", plan.zones or zones_of("count", self._zones), None, None, None), at, None
                )
        return out

    def _begin(self, start: Start, at: datetime, cause: str | None) -> list[Message]:
        zones = start.zones
        expected = () if start.kind == "receiving" else tuple(self._view.expected(frozenset(zones)))
        opened = CountOpened(
            at=at,
            source=GATEWAY,
            session=start.session,
            kind=start.kind,
            zones=zones,
            limit_s=start.limit_s or self._policy.limit_s,
            document=start.document,
            expected=expected,
            lines=start.lines,
        )
        self._open[start.session] = CountSession(KeptCount(opened, []))
        self._written[start.session] = at
        wanted = len(expected) if start.lines is None else sum(pieces for _, pieces in start.lines)
        return [opened, started(opened, wanted, cause)]

    def _end(self, session: CountSession, at: datetime, ended: Ended, cause: str | None) -> list[Message]:
        name = session.opened.session
        del self._open[name], self._written[name]
        self._ended[name] = at
        if len(self._ended) > MOST_ENDED:
            del self._ended[next(iter(self._ended))]
        found = result(session, self._view.known)
        seen = CountSeen(
            at=at, source=GATEWAY, session=name, items=session.take_changed(), reads=session.reads, slots=session.slots
        )
        return [seen, self._closed(session, found, at, ended), *told(session, found, at, ended, cause)]

    def _closed(self, session: CountSession, found: Result, at: datetime, ended: Ended) -> CountClosed:
        whole = session.zones.issuperset(zones_of("count", self._zones))
        tells = whole and ended != "cancelled" and session.opened.kind == "count" and session.opened.lines is None
        return CountClosed(
            at=at,
            source=GATEWAY,
            session=session.opened.session,
            ended=ended,
            coverage=found.coverage,
            items=tuple(found.verdicts.items()),
            rows=found.rows,
            counted=found.counted if tells and (found.coverage or 0) >= COVERED else None,
        )


def _done(request: Request) -> CommandDone:
    return CommandDone(at=request.at, source=request.source, cause=request.id, command=request.id, name=request.name)


def _refused(request: Request, reason: str) -> CommandRefused:
    return CommandRefused(
        at=request.at, source=request.source, cause=request.id, command=request.id, name=request.name, reason=reason
    )
