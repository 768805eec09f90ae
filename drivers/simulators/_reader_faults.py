"""Mishaps of simulated readers, callable at any moment as `fleet.faults.<name>(...)`; `reader` 1 = the first.

Seconds are those of the timeline. Where to look next: `_reader_script.py` plays them from a file.
"""

from random import Random
from typing import TYPE_CHECKING

from drivers.simulators._reader_reports import RO_ACCESS_REPORT
from drivers.simulators._reader_settings import BUFFER
from drivers.simulators._reader_wire import message, tlv

if TYPE_CHECKING:
    from drivers.simulators._reader_device import Reader
    from drivers.simulators.reader import ReaderFleet

GARBAGE = (  # well framed, wrong inside: each a report as a bad firmware might send it
    tlv(240, b"\x8d" + bytes(5)),  # an EPC of five bytes
    tlv(240, b"\xff" + bytes(8)),  # a TV parameter that is none
    b"\x00\xf0\x00\x02",  # shorter than its own header
    b"\x00\xf0\xff\xff" + bytes(8),  # longer than the message
    tlv(240, tlv(241, b"\x04\x00\x01\x02")),  # 1024 bits in two bytes
    tlv(240),  # a report of no tag
)


class Faults:
    """What can go wrong with readers. An unknown reader raises IndexError."""

    def __init__(self, fleet: "ReaderFleet") -> None:
        self._fleet = fleet
        self._rng = Random(f"faults {fleet.config.stock.seed}")  # noqa: S311 (repeatable, not secret)

    def _of(self, reader: int) -> "Reader":
        return self._fleet.readers[reader - 1 if reader > 0 else 10**9]

    def stall(self, seconds: float, reader: int = 1) -> None:
        """Hang for a while with the socket open; what was read meanwhile comes in one burst afterwards."""
        self._of(reader).stall_until_s = self._fleet.timeline.now_s + seconds

    def cut(self, reader: int = 1) -> None:
        """Break the connection; what is read until the next client is kept for it."""
        client = self._of(reader).client
        if client is not None:
            self._of(reader).client = None
            client.line.abort()

    def restart(self, reader: int = 1, *, keeps_specs: bool = False) -> None:
        """Restart: the connection breaks, what was kept is lost, and so are the ROSpecs of most makes."""
        self.cut(reader)
        self._of(reader).restart(keeps_specs=keeps_specs)

    def clock_wrong(self, by_s: float, reader: int = 1) -> None:
        """Let the reader's clock jump."""
        self._of(reader).clock.skew_s += by_s

    def clock_drifts(self, ppm: float, reader: int = 1) -> None:
        """Let the reader's clock run faster than time."""
        self._of(reader).clock.drift(ppm)

    def antenna(self, number: int, reader: int = 1, *, plugged: bool = False) -> None:
        """Pull the cable of an antenna, or plug it in again."""
        self._of(reader).set_cable(number, plugged=plugged)

    def gpi(self, port: int, high: bool, reader: int = 1) -> None:  # noqa: FBT001 (reads as a sentence in a script)
        """Drive an input."""
        self._of(reader).set_input(port, high=high)

    def exception(self, text: str = "antenna port 1: reflected power too high", reader: int = 1) -> None:
        """Let the reader tell of an exception."""
        self._of(reader).complain(text)

    def buffer_level(self, percent: int = 90, reader: int = 1) -> None:
        """Let the reader say that its buffer is nearly full."""
        self._of(reader).tell(BUFFER, tlv(250, bytes([min(max(percent, 0), 100)])))

    def slow_start(self, seconds: float, reader: int = 1) -> None:
        """Let every ROSpec take so long to begin from now on."""
        self._of(reader).start_delay_s = seconds

    def garbage(self, count: int = 1, reader: int = 1) -> None:
        """Send reports that are well framed and wrong inside."""
        for _ in range(count):
            self._of(reader).outbox.offer(message(RO_ACCESS_REPORT, 0, self._rng.choice(GARBAGE)))

    def ghosts(self, share: float, reader: int = 1) -> None:
        """Let a share of the reads be of tags that do not exist."""
        self._of(reader).ghost_share = min(max(share, 0.0), 1.0)

    def rate(self, reads_per_s: float, reader: int = 1) -> None:
        """Read faster or slower from now on."""
        self._of(reader).reads_per_s = max(reads_per_s, 0.0)

    def lose_reports(self, count: int, reader: int = 1) -> None:
        """Let the next messages with reports never leave the reader."""
        self._of(reader).outbox.drop_next = count
