"""The queue of one till's events, as it would stand on its disk. Pure.

An event is written here before anything is sent, and never forgotten: it is the ground truth as well. What has to be
sent follows from what the gateway acknowledged, so a till that was off, offline or killed knows where to resume.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drivers.simulators._till_clock import rfc3339

MAX_EVENTS = 1_000_000  # about a year of one till; a simulation that makes more has run away


class LogFull(RuntimeError):
    """More events than any test makes."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `at` is the till's own time, `true_at` when it really was."""

    event_id: str
    seq: int
    type: str
    at: datetime
    true_at: datetime
    basket_id: str | None
    data: dict[str, Any]

    def wire(self) -> dict[str, Any]:
        """Return it as the interface wants it."""
        basket = {} if self.basket_id is None else {"basket_id": self.basket_id}
        return {
            "event_id": self.event_id,
            "seq": self.seq,
            "type": self.type,
            "at": rfc3339(self.at),
            **basket,
            "data": self.data,
        }


class EventLog:
    """All events of a till in order, and which of them the gateway has. Numbers go on after `last_seq`."""

    def __init__(self, last_seq: int = 0) -> None:
        self.events: list[Event] = []
        self.first_seq = last_seq + 1
        self.ack_seq = last_seq
        self.refused: dict[int, str] = {}
        self.passed_over: list[int] = []
        self.on_append: Callable[[], None] = _nobody
        self._answered: set[int] = set()
        self._posted: set[int] = set()

    @property
    def next_seq(self) -> int:
        """Return the number of the next event."""
        return self.first_seq + len(self.events)

    def append(self, event: Event) -> None:
        """Write one down. Raises LogFull."""
        if len(self.events) >= MAX_EVENTS:
            raise LogFull(f"{MAX_EVENTS} events")
        assert event.seq == self.next_seq, f"event {event.seq} after {self.next_seq - 1}"
        self.events.append(event)
        self.on_append()

    def waiting(self, limit: int) -> list[Event]:
        """Return the oldest events that have no answer yet."""
        found: list[Event] = []
        for at in range(self.ack_seq + 1 - self.first_seq, len(self.events)):
            if self.events[at].seq not in self._answered and self.events[at].seq not in self.refused:
                found.append(self.events[at])
                if len(found) == limit:
                    break
        return found

    def unsent(self) -> int:
        """Return how many events have no answer yet."""
        settled = self._answered | self.refused.keys()
        return self.next_seq - 1 - self.ack_seq - sum(1 for seq in settled if seq > self.ack_seq)

    def post(self, events: Iterable[Event]) -> None:
        """Note that these are on their way now."""
        self._posted.update(event.seq for event in events)

    def answer(self, kept: Iterable[int], refused: Iterable[tuple[int, str]], ack_seq: int) -> None:
        """Note what the gateway said to some events, and up to where it has all of them.

        Less than it had said before: it was put back to an older state, and has to be told again.
        """
        if ack_seq < self.ack_seq and self.ack_seq >= self.first_seq:
            self.resume(ack_seq)
        self._answered.update(kept)
        self.refused.update(refused)
        self._reach(ack_seq)

    def resume(self, ack_seq: int) -> None:
        """Begin again after what the gateway says it has, which may be less than it had said before.

        A till that has no event yet goes on where the one before it ended. What the gateway claims to have and never
        was sent stands in `passed_over`: it is lost, and the gateway's fault.
        """
        if not self.events:
            self.first_seq = ack_seq + 1
        never_sent = range(self.ack_seq + 1, min(ack_seq + 1, self.next_seq))
        self.passed_over += [seq for seq in never_sent if seq not in self._posted]
        self._answered.clear()
        self._reach(ack_seq)

    def _reach(self, ack_seq: int) -> None:
        """Nothing is before the first event or after the last, whatever the gateway says."""
        self.ack_seq = min(max(ack_seq, self.first_seq - 1), self.next_seq - 1)
        self._answered = {seq for seq in self._answered if seq > self.ack_seq}
        self._posted = {seq for seq in self._posted if seq > self.ack_seq}


def _nobody() -> None:
    """Nobody waits for events."""
