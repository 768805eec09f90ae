"""Mishaps of a fleet of tills, callable at any moment as `fleet.faults.<name>(...)`; `terminal` none = every till.

Seconds are those of the simulation: `--speed` shortens them. Where to look next: `_till_script.py` plays them from a
file; what each one does to requests is in `_till_link.py`.
"""

import asyncio
from collections.abc import Mapping

from drivers.simulators._till_life import Till


class Faults:
    """What can go wrong with tills. An unknown terminal raises KeyError."""

    def __init__(self, tills: Mapping[str, Till], speed: float = 1.0) -> None:
        self._tills, self._speed = tills, speed

    def _of(self, terminal: str | None) -> list[Till]:
        return list(self._tills.values()) if terminal is None else [self._tills[terminal]]

    def _in(self, seconds: float) -> float:
        return asyncio.get_running_loop().time() + seconds / self._speed

    # on the way

    def offline(self, seconds: float, terminal: str | None = None) -> None:
        """Pull the cable: nothing goes out or comes in, also what is on its way."""
        for till in self._of(terminal):
            till.mishaps.offline_until_s = self._in(seconds)

    def slow(self, delay_s: float, seconds: float, terminal: str | None = None) -> None:
        """Let every request wait so long before it goes (seconds of the clock) for a while."""
        for till in self._of(terminal):
            till.mishaps.delay_s, till.mishaps.slow_until_s = delay_s, self._in(seconds)

    def lose_answers(self, count: int = 1, terminal: str | None = None) -> None:
        """Let the gateway do what the next requests ask, but lose its answers."""
        for till in self._of(terminal):
            till.mishaps.lose_answers = count

    def cut_feed(self, count: int = 1, terminal: str | None = None) -> None:
        """Cut the next answers of the feed short."""
        for till in self._of(terminal):
            till.mishaps.cut = count

    # the till itself

    def repeat(self, count: int = 1, terminal: str | None = None) -> None:
        """Send the next batches of events twice."""
        for till in self._of(terminal):
            till.mishaps.repeat = count

    def shuffle(self, count: int = 1, terminal: str | None = None) -> None:
        """Tear the next batches of events apart and send the pieces in any order."""
        for till in self._of(terminal):
            till.mishaps.shuffle = count

    def skew(self, by_s: float, terminal: str | None = None) -> None:
        """Let its wall clock be wrong by so much, seen from the true time; 0 = right."""
        for till in self._of(terminal):
            till.clock.skew_s = by_s

    def stale_cache(self, terminal: str | None = None, *, stale: bool = True) -> None:
        """Let it sell from its cache past the lease, or stop that again. Its lines say so in the truth."""
        for till in self._of(terminal):
            till.mishaps.stale_cache = stale

    def die(self, down_s: float = 30.0, terminal: str | None = None) -> None:
        """Cut its power now: the open basket and all that was on the wire are gone, what is on its disk stays."""
        for till in self._of(terminal):
            till.die(down_s)

    def die_at_send(self, down_s: float = 30.0, terminal: str | None = None) -> None:
        """Cut its power after the next events went out, before it hears what became of them."""
        for till in self._of(terminal):
            till.mishaps.die_at_send_s = down_s
