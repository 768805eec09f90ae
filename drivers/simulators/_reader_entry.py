"""Tag reports as bytes: one compiled layout for each content selector, so that a read costs one `pack`.

Pure. The order of the parameters is that of the standard (LLRP 1.0.1, 16.2.7.3). Not here: when a report is made
(`_reader_reports.py`).
"""

import binascii
import struct
from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

from drivers.simulators import _reader_spec as spec
from drivers.simulators._reader_wire import CUSTOM, IMPINJ

_HEAD = struct.Struct(">HH")
_REPORT_DATA = 240
MOST_SEEN = 0xFFFF


class Face(NamedTuple):
    """What a tag says of itself: its EPC as the parameter it is reported in, PC word, CRC, TID."""

    epc: bytes
    pc: int
    crc: int
    tid: bytes


class Entry:
    """One tag as one antenna heard it since the last report. `*_us`: by the reader's own clock."""

    __slots__ = ("antenna", "channel", "count", "doppler", "face", "first_us", "last_us", "phase", "rssi", "tail")

    def __init__(self, face: Face, antenna: int, channel: int, at_us: int) -> None:
        self.face = face
        self.antenna = antenna
        self.channel = channel
        self.first_us = self.last_us = at_us
        self.count = 1
        self.rssi = self.phase = self.doppler = 0  # 0.01 dBm; 4096 a turn; 1/16 Hz
        self.tail = b""  # what an AccessSpec did


def face(epc: bytes, tid: bytes) -> Face:
    """Return what a tag with this EPC says. Gen2: the PC word begins with the number of words, CRC-16 is CCITT's."""
    pc = len(epc) // 2 << 11
    crc = binascii.crc_hqx(pc.to_bytes(2, "big") + epc, 0xFFFF) ^ 0xFFFF
    return Face(epc_parameter(epc), pc, crc, tid)


def epc_parameter(epc: bytes) -> bytes:
    """Return an EPC as reports have it: 96 bits in the short form, any other length with its number of bits."""
    if len(epc) == 12:
        return b"\x8d" + epc
    return struct.pack(">HHH", 241, 6 + len(epc), len(epc) * 8) + epc


# what an entry is packed from: the place of each value in the row that `Layout.encode` builds
_ROW = (
    "ro", "index", "inventory", "antenna", "dbm", "channel", "first", "last", "count", "pc", "crc", "tid", "phase",
    "rssi", "doppler",
)  # fmt: skip


class Layout:
    """The layout of one content selector. `utc`: the reader has a clock, else it tells its uptime."""

    def __init__(self, content: spec.Content, *, utc: bool) -> None:
        chosen = content.selected
        first, last = (2, 4) if utc else (3, 5)
        wanted = [
            (chosen & spec.RO_SPEC_ID, 9, "I", "ro"),
            (chosen & spec.SPEC_INDEX, 14, "H", "index"),
            (chosen & spec.INVENTORY_ID, 10, "H", "inventory"),
            (chosen & spec.ANTENNA, 1, "H", "antenna"),
            (chosen & spec.PEAK_RSSI, 6, "b", "dbm"),
            (chosen & spec.CHANNEL, 7, "H", "channel"),
            (chosen & spec.FIRST_SEEN, first, "Q", "first"),
            (chosen & spec.LAST_SEEN, last, "Q", "last"),
            (chosen & spec.SEEN_COUNT, 8, "H", "count"),
            (content.pc, 12, "H", "pc"),
            (content.crc, 11, "H", "crc"),
        ]
        self._constants: list[int] = []
        layout, order = ">", []
        for _, kind, form, name in (one for one in wanted if one[0]):
            layout += "B" + form
            order += [self._place(0x80 | kind), self._place(name)]
        self._first = struct.Struct(layout)
        self._pick_first = _getter(order)
        self._customs(content)

    def _customs(self, content: spec.Content) -> None:
        layout, order = ">", []
        told = (
            (spec.TID, 55, "H12s", 14, (6, "tid")),
            (spec.PHASE, 56, "H", 2, ("phase",)),
            (spec.FINE_RSSI, 57, "h", 2, ("rssi",)),
            (spec.DOPPLER, 68, "h", 2, ("doppler",)),
        )
        for asked, subtype, form, size, values in told:
            if asked in content.extras:
                layout += "HHII" + form
                order += [self._place(value) for value in (CUSTOM, 12 + size, IMPINJ, subtype, *values)]
        self._last = struct.Struct(layout)
        self._pick_last = _getter(order)
        self._fixed = tuple(self._constants)

    def _place(self, value: int | str) -> int:
        """Return where in the row a value stands; one that is the same in every entry is added to its end."""
        if isinstance(value, str):
            return _ROW.index(value)
        if value not in self._constants:
            self._constants.append(value)
        return len(_ROW) + self._constants.index(value)

    def encode(self, entry: Entry, ro: int, index: int, inventory: int) -> bytes:
        """Return one TagReportData."""
        told, dbm = entry.face, max(-128, min(127, round(entry.rssi / 100)))
        row = (
            ro, index, inventory, entry.antenna, dbm, entry.channel, entry.first_us, entry.last_us, entry.count,
            told.pc, told.crc, told.tid, entry.phase, entry.rssi, entry.doppler, *self._fixed,
        )  # fmt: skip
        first, last = self._first.pack(*self._pick_first(row)), self._last.pack(*self._pick_last(row))
        size = 4 + len(told.epc) + len(first) + len(entry.tail) + len(last)
        return _HEAD.pack(_REPORT_DATA, size) + told.epc + first + entry.tail + last


def _getter(order: list[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    return (
        itemgetter(*order) if order else lambda _: ()
    )  # of one place alone it gives no tuple, but types come in pairs
