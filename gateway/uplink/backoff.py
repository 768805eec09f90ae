"""How long to wait before the next try to reach head office. Pure: time and chance are given.

The ladder: for the first two minutes without a link a try every 0.5 to 0.9 s, so that data flows within a second of the
link's return; then each wait is half as long again, up to 60 s, of which the last half is chance, so that ten thousand
shops do not come back in one second. A broker that answers but turns us away is asked more slowly from the start: it
may be drowning, or a person must act.
"""

from collections.abc import Callable

QUICK_S = (0.5, 0.9)
QUICK_FOR_S = 120.0
GROWTH = 1.5
LONGEST_S = 60.0
TURNED_AWAY_S = 5.0  # the first wait after a broker that answered with a refusal
PERSON_S = 20.0  # the first wait when only a person can help; one may be at it just now


class BackOff:
    """One outage's ladder. `chance` gives a number from 0 to 1."""

    def __init__(self, chance: Callable[[], float], scale: float = 1.0) -> None:
        self._chance = chance
        self._scale = scale  # below 1: a test that cannot wait
        self._since: float | None = None
        self._ceiling = 0.0

    def delay_s(self, now: float, at_least: float = 0.0) -> float:
        """Return the next wait. `now` in seconds on any steady clock; `at_least` starts the ladder higher."""
        if self._since is None:
            self._since = now
        if now - self._since < QUICK_FOR_S * self._scale and not at_least and not self._ceiling:
            low, high = QUICK_S
            return (low + (high - low) * self._chance()) * self._scale
        self._ceiling = min(max(self._ceiling * GROWTH, at_least, 2 * QUICK_S[1]), LONGEST_S)
        return self._ceiling * (0.5 + 0.5 * self._chance()) * self._scale

    def worked(self) -> None:
        """Start over: data has flowed."""
        self._since, self._ceiling = None, 0.0
