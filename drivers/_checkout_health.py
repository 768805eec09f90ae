"""State of the tills' interface, by evidence: who was heard and when, whose clock is wrong. Pure.

An open port proves nothing; a till that was heard does. A till that queued its events while it was offline sends old
times with a right clock, so without `sent_at` the smallest delay of the last minute is taken for the clock's error.
"""

from dataclasses import dataclass, field
from datetime import datetime

from gateway.driver import Health

SKEW_S = 5.0
WINDOW_S = 60.0
SILENT_S = 900.0
MAX_TERMINALS = 500
NAMED = 6  # terminals named in one sentence


@dataclass(slots=True)
class Heard:
    """What is known of one terminal. `ahead_s`: its clock less ours, as far as can be told."""

    last_s: float
    events: int = 0
    ahead_s: float | None = None
    _window_s: float = 0.0
    _lowest_s: float | None = None
    _said: bool = False

    def clock(self, ahead_s: float, now_s: float, *, said: bool) -> None:
        """Take one comparison of clocks. `said`: the till told its time, so it is no question of queues."""
        if said or self._said:
            self._said = self._said or said
            self.ahead_s = ahead_s if said else self.ahead_s
            return
        if now_s - self._window_s > WINDOW_S:
            self._window_s, self._lowest_s = now_s, None
        if self._lowest_s is None or abs(ahead_s) < abs(self._lowest_s):
            self._lowest_s = ahead_s
        self.ahead_s = self._lowest_s


@dataclass(slots=True)
class Evidence:
    """What the interface knows of itself. `where` it listens; `trouble` what a person must mend."""

    where: str = ""
    terminals: dict[str, Heard] = field(default_factory=dict)
    streams: int = 0
    refused: int = 0
    trouble: str | None = None

    def heard(self, terminal: str, now_s: float) -> Heard:
        """Note that a terminal was heard."""
        found = self.terminals.get(terminal)
        if found is None:
            if len(self.terminals) >= MAX_TERMINALS:
                self.terminals.pop(min(self.terminals, key=lambda name: self.terminals[name].last_s))
            found = self.terminals[terminal] = Heard(now_s)
        found.last_s = now_s
        return found

    def took(
        self, terminal: str, newest: datetime, count: int, sent_at: datetime | None, now: datetime, now_s: float
    ) -> None:
        """Note events of a terminal; `newest` is the latest time in them."""
        found = self.heard(terminal, now_s)
        found.events += count
        found.clock(((sent_at or newest) - now).total_seconds(), now_s, said=sent_at is not None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to report."""

    state: Health
    reason: str
    evidence: str
    next_step: str


def judge(known: Evidence, now_s: float, silent_after_s: float = SILENT_S) -> Verdict:
    """Return the worst thing that the evidence shows, else `online`."""
    if known.trouble is not None:
        return Verdict(
            "degraded", "tokens_unreadable", known.trouble, "mend the file of tokens; it is read again by itself"
        )
    if not known.terminals:
        step = "give the tills this address and their tokens (`aisled terminal`)"
        return Verdict("unknown", "no_till_heard", f"{known.where}: no till was heard yet{_refused(known)}", step)
    wrong = {name: one for name, one in known.terminals.items() if abs(one.ahead_s or 0.0) > SKEW_S}
    if wrong:
        said = _listed([f"{name} {_skew(one.ahead_s or 0.0)}" for name, one in sorted(wrong.items())])
        step = "let these tills keep their clocks by a time server; until then both times are kept"
        return Verdict("degraded", "clock_skew", f"clocks that are wrong: {said}", step)
    return _silence(known, now_s, silent_after_s) or _online(known, now_s)


def _silence(known: Evidence, now_s: float, silent_after_s: float) -> Verdict | None:
    silent = {name: now_s - one.last_s for name, one in known.terminals.items() if now_s - one.last_s > silent_after_s}
    if not silent:
        return None
    said = _listed([f"{name} for {_age(age_s)}" for name, age_s in sorted(silent.items())])
    if len(silent) == len(known.terminals):
        step = "nothing to do while the shop is closed; else check the network between tills and gateway"
        return Verdict("unknown", "silent", f"no till is heard: {said}", step)
    step = "see whether these tills are on; a till that is offline keeps its events and sends them later"
    return Verdict("degraded", "till_silent", f"not heard: {said}", step)


def _online(known: Evidence, now_s: float) -> Verdict:
    each = [f"{name} {_age(now_s - one.last_s)} ago" for name, one in sorted(known.terminals.items())]
    evidence = f"{known.where}: heard {_listed(each)}; {known.streams} streams{_refused(known)}"
    return Verdict("online", "tills_heard", evidence, "nothing to do")


def _refused(known: Evidence) -> str:
    return f"; refused {known.refused} requests, the log says whose" if known.refused else ""


def _skew(ahead_s: float) -> str:
    return f"{abs(ahead_s):.0f} s {'ahead' if ahead_s > 0 else 'behind'}"


def _age(age_s: float) -> str:
    return f"{age_s:.0f} s" if age_s < 120 else f"{age_s / 60:.0f} min" if age_s < 7200 else f"{age_s / 3600:.0f} h"


def _listed(each: list[str]) -> str:
    more = f" and {len(each) - NAMED} more" if len(each) > NAMED else ""
    return ", ".join(each[:NAMED]) + more
