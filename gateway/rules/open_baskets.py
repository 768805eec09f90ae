"""The baskets that live at each terminal, and which of them an event belongs to.

A basket lives from its first event until half an hour after its last one, so that what comes late still finds it. One
that did not end is taken for abandoned then, unless its whole terminal is silent: that is cut off, and will tell how
the basket ended. Its lines are kept for a week: a shopper may come back, and pays for all of them.
Of a terminal the newest 50 live, those that have ended go first: an offline till sends a day of baskets in a minute.
Not here: what an event does to its basket (`basket.py`), facts (`sales.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.messages import TillEvent
from gateway.rules.basket import OPENING, Basket, Stage
from gateway.rules.loss import Watch
from gateway.rules.sale_facts import Where, where
from gateway.sale_notes import BasketBegun

SILENCE = timedelta(minutes=30)  # without an event a basket is abandoned, or forgotten if it had ended
CUT_OFF = timedelta(days=7)  # a basket that nobody ended is forgotten, and so is that of a silent terminal
PAUSES = 20  # a basket that was taken for abandoned so often is forgotten
OF_NO_BASKET = ("terminal.", "session.")
LIVING = 50  # baskets of one terminal


@dataclass(slots=True)
class Living:
    """A basket, what its bagging area saw, its last event and the turn of that."""

    basket: Basket
    begun: BasketBegun
    watch: Watch
    last: TillEvent
    turn: int
    judged: bool = False  # at its payment
    judged_after: bool = False  # at its end

    @property
    def name(self) -> str:
        """Return what its terminal calls it."""
        return self.begun.basket

    @property
    def place(self) -> Where:
        """Return where its last event stands."""
        return where(self.last, self.name)


@dataclass(slots=True)
class _Terminal:
    baskets: dict[str, Living] = field(default_factory=dict)  # the most recently used one last
    newest: Living | None = None  # the most recently used one
    current: str | None = None  # what an event without a basket belongs to
    heard: datetime | None = None  # when the terminal's newest event came, of whatever basket

    def spoke_after(self, one: Living, at: datetime) -> bool:
        """Tell whether the terminal was heard half an hour after a basket's last event, or was silent for a week."""
        heard = self.heard or one.last.received_at
        return max(heard, at - CUT_OFF) - one.last.received_at >= SILENCE

    def left(self, one: Living, at: datetime) -> bool:
        """Tell whether a basket is to be taken for abandoned, and kept."""
        going = one.basket.stage is not Stage.LEFT and one.basket.unfinished and len(one.begun.left) < PAUSES
        return going and at - one.last.received_at >= SILENCE and self.spoke_after(one, at)

    def over(self, one: Living, at: datetime) -> bool:
        """Tell whether a basket is to be forgotten.

        The newest one waits until its terminal spoke, even if it has ended: no older one becomes the current one.
        """
        silence = at - one.last.received_at
        if one.basket.unfinished and len(one.begun.left) < PAUSES:
            return silence >= CUT_OFF
        ended = one.basket.stage is Stage.CLOSED and one is not self.newest
        return silence >= SILENCE and (ended or self.spoke_after(one, at))


class OpenBaskets:
    """All living baskets."""

    def __init__(self) -> None:
        self._terminals: dict[str, _Terminal] = {}

    def find(self, event: TillEvent, *, late: bool) -> tuple[str | None, Living | None]:
        """Return the basket of an event: its own, else the one that its terminal is at; and whether it lives."""
        terminal, name = self._terminals.get(event.terminal), event.basket
        if terminal is None:
            return name, None
        if name is None and not late and not event.kind.startswith(OF_NO_BASKET):
            name = terminal.current
        return name, None if name is None else terminal.baskets.get(name)

    def hear(self, event: TillEvent) -> None:
        """Note that a terminal spoke."""
        terminal = self._terminals.get(event.terminal)
        if terminal is not None:
            terminal.heard = event.received_at

    def living(self, terminal: str, basket: str) -> Living | None:
        """Return a basket that lives."""
        one = self._terminals.get(terminal)
        return None if one is None else one.baskets.get(basket)

    def begin(self, event: TillEvent, begun: BasketBegun) -> Living:
        """Let a basket live."""
        one = Living(Basket(), begun, Watch(begun.bag_mg), event, begun.turn)
        self._terminals.setdefault(event.terminal, _Terminal()).baskets[one.name] = one
        return one

    def touch(self, one: Living, event: TillEvent, turn: int) -> None:
        """Note that the basket heard an event: it is the one its terminal is at, unless it has ended or was left."""
        terminal, one.last, one.turn = self._terminals[event.terminal], event, turn
        if terminal.newest is not one:
            terminal.newest = terminal.baskets[one.name] = terminal.baskets.pop(one.name)
        terminal.current = None if one.basket.stage in (Stage.CLOSED, Stage.LEFT) else one.name

    def crowded(self, terminal: str) -> Living | None:
        """Return the basket that must go because too many live at the terminal; the last has only just begun."""
        baskets = [*self._terminals[terminal].baskets.values()][:-1]
        ended = (one for one in baskets if one.basket.stage is Stage.CLOSED)
        return next(ended, baskets[0]) if len(baskets) >= LIVING else None

    def left(self, at: datetime) -> list[Living]:
        """Return the baskets to be taken for abandoned: they heard nothing for too long, though their till spoke."""
        return [one for terminal, one in self._all() if terminal.left(one, at)]

    def over(self, at: datetime) -> list[Living]:
        """Return the baskets to be forgotten."""
        return [one for terminal, one in self._all() if terminal.over(one, at)]

    def leave(self, one: Living) -> None:
        """Note that a basket was taken for abandoned."""
        terminal = self._terminals[one.last.terminal]
        if terminal.current == one.name:
            terminal.current = None

    def _all(self) -> Iterator[tuple[_Terminal, Living]]:
        return ((terminal, one) for terminal in self._terminals.values() for one in terminal.baskets.values())

    def forget(self, one: Living) -> None:
        """Let go of a basket."""
        self.leave(one)
        terminal = self._terminals[one.last.terminal]
        del terminal.baskets[one.name]
        if terminal.newest is one:
            terminal.newest = None


def begins(event: TillEvent) -> bool:
    """Tell whether an event may begin a basket that does not live."""
    return event.kind in OPENING
