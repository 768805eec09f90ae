"""Order and repeats of a terminal's events: each number once, applied in order, nothing accepted is ever lost.

An event whose predecessors have not come waits for them: ten minutes, or until too many wait. Then the gap is given
up, said, and remembered: what comes of it later is applied late. Memory is bounded: the newest 10 000 events of a
terminal are remembered (as hashes, about 1.5 MB). An older number is no repeat but a conflict: a till that begins its
numbers again would otherwise hear that its new sales are known, and drop them.
A terminal that is heard for the first time begins at 1; one that does not waits ten minutes once.
Not here: what an event does (`basket.py`), how it is kept (`store/apply_sales.py`).
"""

from array import array
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from gateway.messages import GATEWAY, Message, Outcome, TillEvent, TillGap
from gateway.sale_notes import Gap, KeptLog, TillGapsKept

REMEMBERED = 10_000  # numbers back that bodies are compared
WAITING = 2_000  # events that may wait for others
PATIENCE = timedelta(minutes=10)
GAPS = 1_000  # gaps remembered; a terminal with more has lost count: what comes of its oldest ones is refused
GIVEN_UP = 50  # gaps of one terminal in one tick: the next tick goes on, and nobody else waits for it


class Ready(NamedTuple):
    """An event to apply now. `late`: its gap was given up before. `waited`: it is kept already."""

    turn: int
    event: TillEvent
    late: bool
    waited: bool


class TillLog:
    """The logs of all terminals."""

    def __init__(self, kept: Mapping[str, KeptLog]) -> None:
        self._logs = {terminal: _Log(terminal, one) for terminal, one in kept.items()}

    def take(self, event: TillEvent) -> tuple[Outcome, Sequence[Ready], Sequence[Message]]:
        """Judge an event; return that, what can be applied, and what is to be said of gaps."""
        log = self._logs.get(event.terminal)
        if log is None:
            log = self._logs[event.terminal] = _Log(event.terminal, KeptLog())
        refusal = log.refuse(event)
        if refusal is not None:
            return refusal, (), ()
        ready, notes = log.accept(event)
        return Outcome(event_id=event.event_id, seq=event.seq, result="accepted"), ready, notes

    def tick(self, at: datetime) -> tuple[list[Ready], list[Message]]:
        """Give up gaps that others have waited for too long."""
        ready, notes = list[Ready](), list[Message]()
        for log in self._logs.values():
            some, gaps = log.give_up(at)
            ready += some
            notes += gaps
        return ready, notes

    def applied(self, terminal: str) -> tuple[int, int]:
        """Return the number up to which every event of the terminal was applied or given up, and the last turn."""
        log = self._logs[terminal]
        return log.ack, log.turn

    def ack_seq(self, terminal: str) -> int:
        """Return the number up to which every event of the terminal has come; 0 = none. What it may forget.

        A gap that was given up still counts as missing, until it is 10 000 numbers back.
        """
        log = self._logs.get(terminal)
        return 0 if log is None else log.complete()


class _Log:
    """One terminal."""

    def __init__(self, terminal: str, kept: KeptLog) -> None:
        self._terminal = terminal
        self.ack, self.turn = kept.ack, kept.turn
        self._gaps: list[Gap] = list(kept.gaps)
        self._waiting = {event.seq: event for event in kept.waiting}
        self._highest = max([kept.ack, *self._waiting, *(one.seq for one in kept.seen)])
        self._numbers = array("q", bytes(8 * REMEMBERED))  # by number, the newest 10 000: the number itself
        self._ids = array("q", bytes(8 * REMEMBERED))  # and the hash of the event's id
        self._marks: dict[int, int] = {}  # hash of the id -> hash of number and body
        for seq, event_id, digest in kept.seen:
            self._remember(seq, event_id, digest)

    def complete(self) -> int:
        """Return the number up to which nothing is missing."""
        recent = (first for first, _ in self._gaps if first > self._highest - REMEMBERED)
        return next(recent, self.ack + 1) - 1

    def refuse(self, event: TillEvent) -> Outcome | None:
        """Return why the event is not taken, None when it is new."""
        seq = event.seq
        mark = self._marks.get(hash(event.event_id))
        if mark is not None:
            same = mark == hash((seq, event.digest))
            return _outcome(event, None if same else "this event_id was used for another event")
        if (seq > self.ack and seq not in self._waiting) or (seq < self.ack and self._gap_of(seq) is not None):
            return None
        if self._numbers[seq % REMEMBERED] == seq:
            return _outcome(event, f"number {seq} was used for another event")
        return _outcome(event, f"number {seq} was used long ago; go on above {self._highest}")

    def accept(self, event: TillEvent) -> tuple[Sequence[Ready], Sequence[Message]]:
        """Take a new event; return what can be applied."""
        seq = event.seq
        self._highest = max(self._highest, seq)
        self._remember(seq, event.event_id, event.digest)
        if seq == self.ack + 1:
            self.ack = seq
            return ((self._next(event), *self.drain()) if self._waiting else (self._next(event),)), ()
        if seq <= self.ack:
            return [self._next(event, late=True)], [self._close(event)]
        self._waiting[seq] = event
        ready, notes = list[Ready](), list[Message]()
        while len(self._waiting) > WAITING:
            notes.append(self._skip(event.received_at))
            ready += self.drain(newest=seq)
        return ready, [*notes, self._kept_gaps(event.received_at)] if notes else ()

    def give_up(self, at: datetime) -> tuple[list[Ready], list[Message]]:
        """Give up some of the gaps that an event has waited for too long; return what can be applied, and the notes."""
        ready, notes = list[Ready](), list[Message]()
        while len(notes) < GIVEN_UP and self._impatient(at):
            notes.append(self._skip(at))
            ready += self.drain()
        return ready, [*notes, self._kept_gaps(at)] if notes else []

    def _impatient(self, at: datetime) -> bool:
        return bool(self._waiting) and at - min(one.received_at for one in self._waiting.values()) >= PATIENCE

    def _skip(self, at: datetime) -> TillGap:
        """Give up the numbers that the lowest waiting event waits for."""
        first, last = self.ack + 1, min(self._waiting) - 1
        self.ack = last
        self._gaps = [*self._gaps, (first, last)][-GAPS:]
        return TillGap(at=at, source=GATEWAY, terminal=self._terminal, first_seq=first, last_seq=last)

    def drain(self, newest: int | None = None) -> list[Ready]:
        """Return the waiting events whose turn has come; the one with number `newest` is not kept yet."""
        ready = []
        while (event := self._waiting.pop(self.ack + 1, None)) is not None:
            self.ack = event.seq
            ready.append(self._next(event, waited=event.seq != newest))
        return ready

    def _next(self, event: TillEvent, *, late: bool = False, waited: bool = False) -> Ready:
        self.turn += 1
        return Ready(self.turn, event, late, waited)

    def _remember(self, seq: int, event_id: str, digest: str) -> None:
        if seq <= self._highest - REMEMBERED:
            return
        slot, name = seq % REMEMBERED, hash(event_id)
        self._marks.pop(self._ids[slot], None)
        self._numbers[slot], self._ids[slot] = seq, name
        self._marks[name] = hash((seq, digest))

    def _gap_of(self, seq: int) -> Gap | None:
        return next((gap for gap in reversed(self._gaps) if gap[0] <= seq <= gap[1]), None)

    def _close(self, event: TillEvent) -> Message:
        gap = self._gap_of(event.seq)
        assert gap is not None
        at = self._gaps.index(gap)
        rest = [(gap[0], event.seq - 1), (event.seq + 1, gap[1])]
        self._gaps[at : at + 1] = [one for one in rest if one[0] <= one[1]]
        return self._kept_gaps(event.received_at)

    def _kept_gaps(self, at: datetime) -> TillGapsKept:
        return TillGapsKept(at=at, source=GATEWAY, terminal=self._terminal, gaps=tuple(self._gaps))


def _outcome(event: TillEvent, conflict: str | None) -> Outcome:
    return Outcome(
        event_id=event.event_id,
        seq=event.seq,
        result="duplicate" if conflict is None else "conflict",
        reason=conflict,
    )
