"""The baskets that live at each terminal, and which of them an event belongs to.

A basket lives from its first event until half an hour after its last one, so that what comes late still finds it. One
that did not end lives on while its whole terminal is silent: that is cut off, and will tell how the basket ended.
Of a terminal the newest 50 live: a till that was offline sends a day of baskets in a minute.
Not here: what an event does to its basket (`basket.py`), facts (`sales.py`).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.messages import TillEvent
from gateway.rules.basket import OPENING, Basket, Stage
from gateway.rules.loss import Watch
from gateway.rules.sale_facts import Where, where

SILENCE = timedelta(minutes=30)  # without an event a basket is over: abandoned, or forgotten if it had ended
CUT_OFF = timedelta(days=7)  # a terminal that is silent for so long has no basket any more
OF_NO_BASKET = ("terminal.", "session.")
LIVING = 50  # baskets of one terminal


@dataclass(slots=True)
class Living:
    """A basket, what its bagging area saw, and its last event."""

    basket: Basket
    name: str
    watch: Watch
    last: TillEvent
    judged: bool = False  # at its payment
    judged_after: bool = False  # at its end

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

    def begin(self, event: TillEvent, basket: str, bag_mg: int) -> Living:
        """Let a basket live."""
        one = Living(Basket(), basket, Watch(bag_mg), event)
        self._terminals.setdefault(event.terminal, _Terminal()).baskets[basket] = one
        return one

    def touch(self, one: Living, event: TillEvent) -> None:
        """Note that the basket heard an event: it is the one its terminal is at, unless that ended it."""
        terminal, one.last = self._terminals[event.terminal], event
        if terminal.newest is not one:
            terminal.newest = terminal.baskets[one.name] = terminal.baskets.pop(one.name)
        terminal.current = one.name if one.basket.stage is not Stage.CLOSED else None

    def crowded(self, terminal: str) -> Living | None:
        """Return the basket that must go because too many live at the terminal."""
        baskets = self._terminals[terminal].baskets
        return next(iter(baskets.values())) if len(baskets) > LIVING else None

    def silent(self, at: datetime) -> list[Living]:
        """Return the baskets that have heard nothing for too long, though their terminals spoke."""
        return [
            one
            for terminal in self._terminals.values()
            for one in terminal.baskets.values()
            if at - one.last.received_at >= SILENCE
            and (one.basket.stage is Stage.CLOSED or terminal.spoke_after(one, at))
        ]

    def forget(self, one: Living) -> None:
        """Let go of a basket."""
        terminal = self._terminals[one.last.terminal]
        del terminal.baskets[one.name]
        if terminal.current == one.name:
            terminal.current = None
        if terminal.newest is one:
            terminal.newest = None


def begins(event: TillEvent) -> bool:
    """Tell whether an event may begin a basket that does not live."""
    return event.kind in OPENING
