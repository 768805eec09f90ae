"""How each terminal is used, by the minute: from the times of its events, told when a minute cannot change any more.

A minute is over when the terminal told of a later one, or rests. A shopper who only thinks sends nothing, so a minute
in the middle of a basket waits for the next event, half an hour at most. A terminal without events says nothing.
`wait_s` are the seconds with somebody in the queue, if the till tells of it. Late events count for nothing here.
Not here: sales (`basket.py`); what is odd (`loss.py`). The state is kept with each telling and replayed from there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway.messages import BagWeight, Message, TerminalMinute, TerminalStatus, TillEvent, Wire
from gateway.sale_notes import MinuteKept, TerminalKept

REST = timedelta(minutes=2)  # after its last event an idle terminal's minute is over
SILENCE_S = 1800.0  # nobody thinks that long: the shopper has left
AHEAD = timedelta(hours=1)  # a terminal whose clock is further ahead is not measured
KEEP_EVERY = timedelta(hours=1)  # of a terminal that tells no minutes, so that its events need no replay
MINUTES = 5_000  # waiting to be told, of one terminal: three days that come at once; older ones are lost


@dataclass(slots=True)
class _Minute:
    busy_s: float = 0.0
    baskets: int = 0
    abandoned: int = 0
    lines: int = 0
    queue_max: int | None = None
    wait_s: float | None = None


@dataclass(slots=True)
class _Terminal:
    """One terminal. `told` is the last minute that was told; `bag_mg` lies in its bagging area.

    `kept` and `kept_turn`: when and after which turn its state was kept last.
    """

    source: str
    last_s: float  # when it said something last, by its own clock, from 1970
    last_received: datetime
    kept: datetime
    kept_turn: int = 0
    turn: int = 0
    told: int = 0
    busy: bool = False
    queue: int | None = None
    bag_mg: int = 0
    minutes: dict[int, _Minute] = field(default_factory=dict)


class Terminals:
    """All terminals."""

    def __init__(self, kept: Iterable[TerminalKept]) -> None:
        self._terminals = {one.terminal: _restored(one) for one in kept}

    def turn(self, terminal: str) -> int:
        """Return the last turn that is in the state of a terminal."""
        one = self._terminals.get(terminal)
        return 0 if one is None else one.turn

    def bag_mg(self, terminal: str) -> int:
        """Return what lies in the bagging area."""
        one = self._terminals.get(terminal)
        return 0 if one is None else one.bag_mg

    def hear(self, event: TillEvent, body: Wire | None, turn: int, *, late: bool) -> None:
        """Take an event in, in its turn."""
        one = self._terminals.get(event.terminal)
        if one is None:
            last_s = min(event.at, event.received_at).timestamp()
            one = _Terminal(event.source, last_s, event.received_at, event.received_at)
            self._terminals[event.terminal] = one
        one.turn = turn
        if not late:
            _hear(one, event, body)

    def tick(self, at: datetime) -> list[Message]:
        """Tell the minutes that are over. Each terminal's state is kept with them, or at least once an hour."""
        told: list[Message] = []
        for terminal, one in self._terminals.items():
            minutes = list(_over(one, at)) if one.minutes else []
            if minutes:
                told += [_fact(terminal, one, minute) for minute in minutes]
                one.told = minutes[-1]
                for minute in minutes:
                    del one.minutes[minute]
            if minutes or (one.turn > one.kept_turn and at - one.kept >= KEEP_EVERY):
                one.kept, one.kept_turn = at, one.turn
                told.append(_kept(terminal, one, at))
        return told


def _hear(one: _Terminal, event: TillEvent, body: Wire | None) -> None:
    one.source, one.last_received = event.source, event.received_at
    if event.at > event.received_at and event.at - event.received_at > AHEAD:
        return
    at_s = event.at.timestamp()
    if at_s > one.last_s:
        _spend(one, at_s)
        one.last_s = at_s
    minute = _minute(one, int(at_s // 60))
    kind = event.kind
    if kind == "bag.weight" and isinstance(body, BagWeight) and body.stable:
        one.bag_mg = body.weight_mg
    elif kind == "terminal.status" and isinstance(body, TerminalStatus):
        _queue(one, minute, body.queue)
    elif minute is not None:
        _count(one, minute, kind)


def _queue(one: _Terminal, minute: _Minute | None, queue: int | None) -> None:
    one.queue = queue
    if minute is not None and queue is not None:
        minute.queue_max = max(minute.queue_max or 0, queue)
        minute.wait_s = minute.wait_s or 0.0


def _count(one: _Terminal, minute: _Minute, kind: str) -> None:
    match kind:
        case "item.added":
            one.busy = True
            minute.lines += 1
        case "basket.opened":
            one.busy = True
        case "basket.closed":
            minute.baskets += one.busy
            one.busy = False
        case "basket.abandoned":
            minute.abandoned += one.busy
            one.busy = False


def _spend(one: _Terminal, until_s: float) -> None:
    """Share the time since the last event out to its minutes."""
    start_s = one.last_s
    if until_s - start_s >= SILENCE_S:
        _leave(one)
        return
    if not one.busy and not one.queue:
        return
    first, last = int(start_s // 60), int(until_s // 60)
    if first == last:  # nearly always
        _pass(one, first, until_s - start_s)
        return
    for number in range(first, last + 1):
        _pass(one, number, min(until_s, 60.0 * number + 60) - max(start_s, 60.0 * number))


def _pass(one: _Terminal, number: int, spent_s: float) -> None:
    minute = _minute(one, number)
    if minute is None:
        return
    if one.busy:
        minute.busy_s += spent_s
    if one.queue:
        minute.wait_s = (minute.wait_s or 0.0) + spent_s


def _leave(one: _Terminal) -> None:
    """Note that the shopper has left without a word."""
    if one.busy and (minute := _minute(one, int(one.last_s // 60))) is not None:
        minute.abandoned += 1
    one.busy = False


def _minute(one: _Terminal, number: int) -> _Minute | None:
    """Return a minute that was not told yet."""
    if number <= one.told:
        return None
    minute = one.minutes.get(number)
    if minute is None:
        minute = one.minutes[number] = _Minute()
        if len(one.minutes) > MINUTES:
            del one.minutes[min(one.minutes)]
    if one.queue is not None:
        minute.queue_max = max(minute.queue_max or 0, one.queue)
        minute.wait_s = minute.wait_s or 0.0
    return minute


def _over(one: _Terminal, at: datetime) -> Iterator[int]:
    """Yield the minutes that cannot change any more, in order."""
    silent = at - one.last_received
    if silent.total_seconds() >= SILENCE_S:
        _leave(one)
    newest, rests = int(one.last_s // 60), not one.busy and silent >= REST
    yield from (number for number in sorted(one.minutes) if number < newest or rests)


def _fact(terminal: str, one: _Terminal, number: int) -> TerminalMinute:
    minute = one.minutes[number]
    return TerminalMinute(
        at=datetime.fromtimestamp(number * 60, UTC),
        source=one.source,
        terminal=terminal,
        busy_s=round(minute.busy_s),
        baskets=minute.baskets,
        abandoned=minute.abandoned,
        lines=minute.lines,
        queue_max=minute.queue_max,
        wait_s=None if minute.wait_s is None else round(minute.wait_s),
    )


def _kept(terminal: str, one: _Terminal, at: datetime) -> TerminalKept:
    return TerminalKept(
        at=at,
        source=one.source,
        terminal=terminal,
        turn=one.turn,
        told=one.told,
        last_s=one.last_s,
        last_received=one.last_received,
        busy=one.busy,
        queue=one.queue,
        bag_mg=one.bag_mg,
        minutes=tuple(
            MinuteKept(number, m.busy_s, m.baskets, m.abandoned, m.lines, m.queue_max, m.wait_s)
            for number, m in one.minutes.items()
        ),
    )


def _restored(kept: TerminalKept) -> _Terminal:
    return _Terminal(
        kept.source,
        kept.last_s,
        kept.last_received,
        kept.at,
        kept.turn,
        kept.turn,
        kept.told,
        kept.busy,
        kept.queue,
        kept.bag_mg,
        {one.minute: _Minute(*one[1:]) for one in kept.minutes},
    )
