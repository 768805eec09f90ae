"""What is known of one reader and its antennas, as one state with evidence. Pure: times are the caller's, in seconds.

An antenna that is unplugged says so. One that is covered, or whose cable is broken inside, only reads nothing: when it
has been silent for long while others read, somebody should look. Not here: who hears of it (`_llrp_reader.py`).
"""

from collections.abc import Iterable
from typing import NamedTuple

from gateway.driver import Health
from gateway.messages import TagRead

HOLD_S = 300.0  # how long what happened once keeps the reader degraded


class Verdict(NamedTuple):
    """Arguments of a health report."""

    state: Health
    reason: str
    evidence: str
    next_step: str


class _Trouble(NamedTuple):
    evidence: str
    next_step: str
    until_s: float


# What can happen, worst first, and what to do about it.
STEPS = {
    "reads_lost": "the reader overflowed: see what keeps the gateway busy, or lower the reader's rate",
    "reader_exception": "look at the reader's own page; restart it if it goes on",
    "bad_reports": "note the reader's firmware and send the gateway's log to us",
    "other_client": "find out who else connects to the reader; it should be on a network of its own",
    "foreign_rospec": "another program left orders in the reader: delete them, or restart it",
    "buffer_filling": "see what keeps the gateway or the network busy",
}


class Watch:
    """The reader since it was connected."""

    def __init__(self, now_s: float, silent_s: float) -> None:
        self._began_s, self._silent_s = now_s, silent_s
        self._connected: dict[int, bool] = {}
        self._read_s: dict[int, float] = {}
        self._troubles: dict[str, _Trouble] = {}
        self._reads = 0

    @property
    def antennas(self) -> tuple[int, ...]:
        """Antennas that hear something if there is anything."""
        return tuple(sorted(antenna for antenna, connected in self._connected.items() if connected))

    def uses(self, antennas: Iterable[int]) -> None:
        """Take note of the antennas that are read with."""
        self._connected = dict.fromkeys(antennas, True)

    def antenna(self, antenna: int, *, connected: bool) -> None:
        """Take note that one was plugged or unplugged; those that are not used do not matter."""
        if antenna in self._connected:
            self._connected[antenna] = connected

    def read(self, reads: list[TagRead], now_s: float) -> None:
        """Take note of reads. An antenna that reads is connected, whatever was said of it."""
        self._reads += len(reads)
        for antenna in {read.antenna for read in reads}:
            self._read_s[antenna] = now_s
            self.antenna(antenna, connected=True)

    def trouble(self, reason: str, evidence: str, now_s: float) -> None:
        """Take note of something that happened (`STEPS`)."""
        self._troubles[reason] = _Trouble(evidence, STEPS[reason], now_s + HOLD_S)

    def verdict(self, now_s: float, who: str, *, running: bool) -> Verdict:
        """Return the worst that is so now. `who`: what the reader is, for the evidence."""
        lost = [str(antenna) for antenna, connected in self._connected.items() if not connected]
        if lost:
            evidence = f"{who}: no antenna at port {', '.join(lost)}"
            return Verdict("degraded", "antenna_lost", evidence, "check the antenna's cable and plug")
        for reason in STEPS:
            found = self._troubles.get(reason)
            if found is not None and found.until_s > now_s:
                return Verdict("degraded", reason, found.evidence, found.next_step)
        silent = [antenna for antenna in self.antennas if self._silent(antenna, now_s)]
        if silent:
            return self._silence(silent[0], who, now_s)
        doing = "reading" if running else "waiting for its input"
        evidence = f"{who}: {doing} with antennas {', '.join(map(str, self.antennas))}; {self._reads} reads so far"
        return Verdict("online", "reading" if running else "armed", evidence, "nothing to do")

    def _silent(self, antenna: int, now_s: float) -> bool:
        last_s = self._read_s.get(antenna, self._began_s)
        others_s = max((at_s for other, at_s in self._read_s.items() if other != antenna), default=last_s)
        return now_s - last_s > self._silent_s and others_s > last_s and now_s - others_s < self._silent_s

    def _silence(self, antenna: int, who: str, now_s: float) -> Verdict:
        minutes = (now_s - self._read_s.get(antenna, self._began_s)) / 60
        others = ", ".join(str(other) for other in sorted(self._read_s) if other != antenna)
        evidence = f"{who}: antenna {antenna} has read nothing for {minutes:.0f} min, others did ({others})"
        return Verdict("degraded", "antenna_silent", evidence, "see whether the antenna is covered or its cable broken")
