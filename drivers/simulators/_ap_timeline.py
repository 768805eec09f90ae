"""Virtual time of the simulated access point: a heap of things due, and the wall clock that it reports.

Pure. Time is seconds since the simulation began. Nothing is polled: hours in which nothing is due cost nothing.
"""

import heapq
from collections.abc import Callable
from itertools import count

Act = Callable[..., None]


class Timer:
    """One thing due; `cancel` before it fires and it never does."""

    __slots__ = ("act", "args", "at_s")

    def __init__(self, at_s: float, act: Act, args: tuple[object, ...]) -> None:
        self.at_s = at_s
        self.act: Act | None = act
        self.args = args

    def cancel(self) -> None:
        """Forget it."""
        self.act = None


class Timeline:
    """Ordered by time, then by who asked first: the same calls give the same order."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, Timer]] = []
        self._turn = count()

    def at(self, at_s: float, act: Act, *args: object) -> Timer:
        """Call `act(*args)` at `at_s`, or as soon as time moves when that has passed."""
        timer = Timer(max(at_s, self.now_s), act, args)
        heapq.heappush(self._due, (timer.at_s, next(self._turn), timer))
        return timer

    def after(self, delay_s: float, act: Act, *args: object) -> Timer:
        """Call `act(*args)` in `delay_s`."""
        return self.at(self.now_s + delay_s, act, *args)

    def next_event_at(self) -> float:
        """Return when something is due next; infinity when nothing is."""
        while self._due and self._due[0][2].act is None:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else float("inf")

    def run_until(self, until_s: float) -> None:
        """Let time pass, acting in order. Time never runs backwards."""
        due = self._due
        while due and due[0][0] <= until_s:
            at_s, _, timer = heapq.heappop(due)
            if timer.act is not None:
                self.now_s = at_s
                timer.act(*timer.args)
        self.now_s = max(self.now_s, until_s)
