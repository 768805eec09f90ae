"""Tag reports on their way: gathered while a ROSpec runs, made into messages, kept while nobody may have them.

Pure. Not here: what was heard (`_reader_radio.py`), the bytes of an entry (`_reader_entry.py`).
"""

import math
from collections import deque
from collections.abc import Callable

from drivers.simulators._reader_entry import MOST_SEEN, Entry, Layout
from drivers.simulators._reader_radio import Heard
from drivers.simulators._reader_spec import AiSpec, ReportSpec, RoSpec
from drivers.simulators._reader_wire import HEADER

RO_ACCESS_REPORT = 61
MOST_GATHERED = 50_000  # of different tags and antennas, when the client asks for no reports
MOST_EVENTS = 100  # that wait beside the reports
MOST_IN_REPORT = 200  # tag reports in one message
WARN_SHARE = 0.8
Tails = Callable[[Heard], bytes]


class Gathering:
    """What one running ROSpec has heard and not reported. The same tag at the same antenna is counted, not repeated."""

    def __init__(self, rospec: RoSpec, report: ReportSpec, *, utc: bool) -> None:
        self.report = report
        self._ro = rospec.number
        self._layout = Layout(report.content, utc=utc)
        self._index = self._inventory = 0
        self._entries: dict[int, Entry] = {}
        self._apart = -1  # keys of entries that an AccessSpec wrote into: they are never counted together
        self._full = report.n if report.trigger in (1, 2) and report.n else MOST_GATHERED

    @property
    def every_s(self) -> float:
        """Return after how long a report is made (LLRP 1.1's triggers by time), infinity = not by time."""
        n = self.report.n or math.inf
        return {3: n, 4: n, 5: n / 1000, 6: n / 1000}.get(self.report.trigger, math.inf)

    @property
    def at_ai_end(self) -> bool:
        """Tell whether the end of an AISpec makes a report."""
        return self.report.trigger in (1, 3, 5)

    def begin(self, index: int, ai: AiSpec) -> None:
        """Tell which AISpec runs now."""
        self._index, self._inventory = index, ai.inventory_id

    def take(
        self, heard: list[Heard], antenna: int, channel: int, at_us: int, step_us: float, tails: Tails | None
    ) -> list[list[bytes]]:
        """Add reads, the first at `at_us`, each `step_us` later; returns the tag reports of every report now full."""
        told = []
        for number, read in enumerate(heard):
            self._add(read, antenna, channel, at_us + int(number * step_us), tails(read) if tails else b"")
            if self._full and len(self._entries) >= self._full:
                told.append(self.flush())
        return told

    def _add(self, read: Heard, antenna: int, channel: int, at_us: int, tail: bytes) -> None:
        key = read.tag.number << 16 | antenna
        entry = self._entries.get(key)
        if entry is None or tail or entry.tail or entry.face is not read.tag.face:
            if entry is not None:
                key, self._apart = self._apart, self._apart - 1
            entry = self._entries[key] = Entry(read.tag.face, antenna, channel, at_us)
            entry.rssi, entry.tail = read.rssi_cdbm, tail
        else:
            entry.count = min(entry.count + 1, MOST_SEEN)
            entry.rssi = max(entry.rssi, read.rssi_cdbm)
            entry.last_us = at_us
        entry.phase, entry.doppler = read.phase, read.doppler

    def flush(self) -> list[bytes]:
        """Return a TagReportData for each entry, and begin anew."""
        encode, ro, index, inventory = self._layout.encode, self._ro, self._index, self._inventory
        told = [encode(entry, ro, index, inventory) for entry in self._entries.values()]
        self._entries.clear()
        return told


class Outbox:
    """What goes to the client, in order; while it is not `open`, kept up to so many tag reports and no further.

    `warn(percent)` is called when it is nearly full, `overflow()` when reports are lost; each once until it is empty.
    """

    def __init__(
        self, send: Callable[[bytes], None], is_open: Callable[[], bool], limit: int, warn: Callable[[int], None],
        overflow: Callable[[], None],
    ) -> None:  # fmt: skip
        self._send, self._is_open, self._limit = send, is_open, limit
        self._warn, self._overflow = warn, overflow
        self._kept: deque[tuple[bytes, int]] = deque()
        self._warned = self._spilt = False
        self._number = 0
        self.held = 0  # tag reports that wait
        self.version = 1  # of LLRP, in the headers of reports
        self.drop_next = 0  # messages with reports that a mishap swallows
        self.reads = self.reports = self.lost = 0  # tag reports and messages sent; tag reports lost

    def report(self, entries: list[bytes]) -> None:
        """Send tag reports, in messages of at most MOST_IN_REPORT."""
        for at in range(0, len(entries), MOST_IN_REPORT):
            some = entries[at : at + MOST_IN_REPORT]
            body = b"".join(some)
            self._number = self._number + 1 & 0xFFFFFFFF
            if self.drop_next > 0:
                self.drop_next -= 1
                continue
            head = HEADER.pack(self.version << 10 | RO_ACCESS_REPORT, HEADER.size + len(body), self._number)
            self.offer(head + body, len(some))

    def offer(self, data: bytes, entries: int = 0) -> None:
        """Send a message now or later; one that finds no room is lost."""
        if not self._kept and self._is_open():
            self._sent(data, entries)
        elif self.held + entries > self._limit or len(self._kept) >= self._limit + MOST_EVENTS:
            self.lost += entries
            if not self._spilt:
                self._spilt = True
                self._overflow()
        else:
            self._kept.append((data, entries))
            self.held += entries
            if not self._warned and self.held >= WARN_SHARE * self._limit:
                self._warned = True
                self._warn(100 * self.held // self._limit)

    def drain(self) -> None:
        """Send what was kept, as far as the client takes it."""
        while self._kept and self._is_open():
            data, entries = self._kept.popleft()
            self.held -= entries
            self._sent(data, entries)
        if not self._kept:
            self._warned = self._spilt = False

    def clear(self) -> None:
        """Forget what was kept."""
        self._kept.clear()
        self.held = 0

    def _sent(self, data: bytes, entries: int) -> None:
        self._send(data)
        self.reads += entries
        self.reports += entries > 0
