"""What the export keeps, and the tables as the exporter sees them. The tables themselves: `store/apply_epcis.py`."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Item(NamedTuple):
    """One kept item in a step. `at_us`: UTC microseconds; `context`: JSON array of (name, value)."""

    number: int
    step: str
    disposition: str | None
    place: str
    at_us: int
    context: str
    epc: str


class Event(NamedTuple):
    """One event as JSON text, and how many items it names."""

    items: int
    body: str


class Waiting(NamedTuple):
    """One kept event."""

    number: int
    body: str


class Losses(NamedTuple):
    """What did not get through: events set aside now, items dropped since the tables were made."""

    set_aside: int
    dropped: int


class Rows(Protocol):
    """The tables. Each call is one transaction; raises StoreError or sqlite3.Error."""

    async def closed(self, before_us: int, wrong_after_us: int, limit: int) -> list[Item]:
        """Return items from before an instant, oldest first; also those whose time is absurdly ahead."""

    async def keep(self, items: Sequence[Item], events: Sequence[Event]) -> None:
        """Keep events in place of the items that they were made of; drop the oldest ones above the bound."""

    async def waiting(self, limit: int) -> list[Waiting]:
        """Return the oldest events that are not set aside."""

    async def forget(self, events: Sequence[Waiting]) -> None:
        """Delete what was taken."""

    async def set_aside(self, event: Waiting, reason: str) -> None:
        """Keep it, but no longer among those that wait."""

    async def retry(self) -> None:
        """Let all that was set aside wait again."""

    async def losses(self) -> Losses:
        """Return what did not get through."""
