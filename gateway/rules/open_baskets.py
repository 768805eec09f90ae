"""The baskets that live at each terminal, and which of them an event belongs to.

A basket lives from its first event until half an hour after its last one, so that what comes late still finds it.
Of a terminal the newest 50 live: a till that was offline sends a day of baskets in a minute.
Not here: what an event does to its basket (`basket.py`), facts (`sales.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.messages import TillEvent
from gateway.rules.basket import OPENING, Basket, Stage
from gateway.rules.loss import Watch
from gateway.rules.sale_facts import Where, where

SILENCE = timedelta(minutes=30)  # without an event a basket is over: abandoned, or forgotten if it had ended
LIVING = 50  # baskets of one terminal


@dataclass(slots=True)
class Living:
    """A basket, what its bagging area saw, and its last event."""

    basket: Basket
    watch: Watch
    place: Where
    last_received: datetime
    judged: bool = False  # at its payment
    judged_after: bool = False  # at its end


@dataclass(slots=True)
class _Terminal:
    baskets: dict[str, Living] = field(default_factory=dict)  # the most recently used one last
    current: str | None = None  # what an event without a basket belongs to


class OpenBaskets:
    """All living baskets."""

    def __init__(self) -> None:
        self._terminals: dict[str, _Terminal] = {}

    def belongs(self, event: TillEvent, *, late: bool) -> str | None:
        """Return the basket of an event: its own, else the one that its terminal is at."""
        if event.basket is not None or late:
            return event.basket
        terminal = self._terminals.get(event.terminal)
        return None if terminal is None else terminal.current

    def living(self, terminal: str, basket: str) -> Living | None:
        """Return a basket that lives."""
        one = self._terminals.get(terminal)
        return None if one is None else one.baskets.get(basket)

    def begin(self, event: TillEvent, basket: str, bag_mg: int) -> Living:
        """Let a basket live."""
        one = Living(Basket(), Watch(bag_mg), where(event, basket), event.received_at)
        self._terminals.setdefault(event.terminal, _Terminal()).baskets[basket] = one
        return one

    def touch(self, one: Living, event: TillEvent) -> None:
        """Note that the basket heard an event: it is the one its terminal is at, unless that ended it."""
        terminal, name = self._terminals[event.terminal], one.place.basket
        one.place, one.last_received = where(event, name), event.received_at
        terminal.baskets[name] = terminal.baskets.pop(name)
        terminal.current = name if one.basket.stage is not Stage.CLOSED else None

    def crowded(self, terminal: str) -> Living | None:
        """Return the basket that must go because too many live at the terminal."""
        baskets = self._terminals[terminal].baskets
        return next(iter(baskets.values())) if len(baskets) > LIVING else None

    def silent(self, at: datetime) -> list[Living]:
        """Return the baskets that have heard nothing for too long."""
        return [
            one
            for terminal in self._terminals.values()
            for one in terminal.baskets.values()
            if at - one.last_received >= SILENCE
        ]

    def forget(self, one: Living) -> None:
        """Let go of a basket."""
        terminal = self._terminals[one.place.terminal]
        del terminal.baskets[one.place.basket]
        if terminal.current == one.place.basket:
            terminal.current = None

    def all(self) -> Iterator[Living]:
        """Yield every living basket."""
        for terminal in self._terminals.values():
            yield from terminal.baskets.values()


def begins(event: TillEvent) -> bool:
    """Tell whether an event may begin a basket that does not live."""
    return event.kind in OPENING
