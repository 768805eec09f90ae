"""Reads RO_ACCESS_REPORT, the message that comes by the thousand, with `struct`. Bytes in, values out.

A reader lays out all its tag reports alike. So the first of a kind is walked, parameter by parameter, and gives a
`_Layout`: which bytes must be as they were (types, lengths, vendors) and where the values are. A message of such
reports is held against it in one comparison and unpacked in C. What does not fit is walked; both ways give the same.
Not here: what the values mean to us and the clock (`_llrp_clock.py`), all other messages (`_llrp_control.py`).
Source: LLRP 1.0.1, 13.2.3 (TagReportData) and 15.2; Octane LLRP 8.0 (vendor 25882); Zebra's MotoTagPhase (vendor 161)
as public projects saw it on readers: a signed 16-bit fraction of a turn.
"""

import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, cast

from drivers._llrp_frames import HEADER, TYPE_BITS
from gateway.errors import BadFrame

TAG_REPORT_DATA, EPC_DATA, CUSTOM = 240, 241, 1023
IMPINJ, ZEBRA = 25882, 161
LAYOUTS_MAX = 64  # a reader has two or three
LAYOUT_BYTES_MAX = 512
AT_ONCE = 100  # reports in one comparison

_TLV = struct.Struct(">HH")
_VENDOR = struct.Struct(">II")
_RESULT = struct.Struct(">BH")


class OpResult(NamedTuple):
    """What became of one operation on a tag: parameter type (349 read .. 354 block write), code (0 = success), id."""

    kind: int
    code: int
    op: int


class TagSeen(NamedTuple):
    """One TagReportData as the reader says it. Times in microseconds of the reader's own clocks; None = not told.

    `rssi_dbm` is the standard's, `rssi_cdbm` Impinj's in hundredths; `phase` 4096 and `zebra_phase` 65536 to a turn
    (the latter signed), `doppler` in 1/16 Hz.
    """

    epc: bytes
    antenna: int | None = None
    rssi_dbm: int | None = None
    rssi_cdbm: int | None = None
    seen: int | None = None
    phase: int | None = None
    zebra_phase: int | None = None
    last_utc_us: int | None = None
    first_utc_us: int | None = None
    last_uptime_us: int | None = None
    first_uptime_us: int | None = None
    rospec: int | None = None
    channel: int | None = None
    doppler: int | None = None
    results: tuple[OpResult, ...] | None = None


_SLOT = {name: index for index, name in enumerate(TagSeen._fields)}

# TV parameters by type: bytes after the type byte (19 and 20 are of LLRP 1.1); which value it is and how it is packed.
_TV_BYTES = dict(
    zip(
        (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20),
        (2, 8, 8, 8, 8, 1, 2, 2, 4, 2, 2, 2, 12, 2, 4, 2, 4, 2, 2),
        strict=True,
    )
)
_TV_VALUES = {
    1: (_SLOT["antenna"], "H"),
    2: (_SLOT["first_utc_us"], "Q"),
    3: (_SLOT["first_uptime_us"], "Q"),
    4: (_SLOT["last_utc_us"], "Q"),
    5: (_SLOT["last_uptime_us"], "Q"),
    6: (_SLOT["rssi_dbm"], "b"),
    7: (_SLOT["channel"], "H"),
    8: (_SLOT["seen"], "H"),
    9: (_SLOT["rospec"], "I"),
    13: (_SLOT["epc"], "12s"),
}
_CUSTOM_VALUES = {
    (IMPINJ, 56): (_SLOT["phase"], "H"),
    (IMPINJ, 57): (_SLOT["rssi_cdbm"], "h"),
    (IMPINJ, 68): (_SLOT["doppler"], "h"),
    (ZEBRA, 709): (_SLOT["zebra_phase"], "h"),
}
_RESULTS = range(349, 355)


class _Part(NamedTuple):
    """One parameter of a tag report: where its value is (`slot` None: nothing for us), how many bytes are fixed."""

    at: int
    fixed: int
    slot: int | None = None
    code: str = ""


class _Layout(NamedTuple):
    """How tag reports of one length look: where `mask` is set they have the bytes of `fixed`; how to get the values."""

    mask: bytes
    fixed: bytes
    values: struct.Struct
    pick: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    mask_of_one: int
    fixed_of_one: int

    def fits(self, reports: bytes, count: int) -> bool:
        """Tell whether all of `count` reports, one behind the other, are laid out like this."""
        if count == 1:
            return int.from_bytes(reports, "big") & self.mask_of_one == self.fixed_of_one
        return int.from_bytes(reports, "big") & _repeated(self.mask, count) == _repeated(self.fixed, count)

    def seen(self, reports: bytes) -> list[TagSeen]:
        """Return the values of reports that fit."""
        pick, make, tag = self.pick, _new, TagSeen
        return [make(tag, pick((*row, None))) for row in self.values.iter_unpack(reports)]


_new = cast("Callable[[type[TagSeen], tuple[Any, ...]], TagSeen]", tuple.__new__)


@lru_cache(maxsize=128)
def _repeated(pattern: bytes, count: int) -> int:
    return int.from_bytes(pattern * count, "big")


class Reports:
    """The decoder of one connection: it learns the layouts of one reader."""

    def __init__(self) -> None:
        self._layouts: dict[int, _Layout] = {}

    def decode(self, message: bytes) -> list[TagSeen]:
        """Return the tags of a whole RO_ACCESS_REPORT, in its order. Raises BadFrame; nothing of it is taken then."""
        at, end, seen = HEADER.size, len(message), list[TagSeen]()
        at_once = AT_ONCE
        while at < end:
            kind, length = _tlv(message, at, end)
            if kind != TAG_REPORT_DATA:
                at += length
                continue
            count = min((end - at) // length, at_once)
            reports = message[at : at + count * length]
            layout = self._layouts.get(length)
            if layout is not None and layout.fits(reports, count):
                seen += layout.seen(reports)
                at += count * length
            elif count > 1:
                at_once = 1  # they are not all alike: one by one
            else:
                seen.append(self._walk(reports))
                at += length
        return seen

    def _walk(self, report: bytes) -> TagSeen:
        """Read one report the long way, and learn its layout unless it is a rare one (results of an operation)."""
        parts = list(_parts(report))
        layout = _layout(report, parts)
        results = tuple(_results(report, parts))
        if not results and len(report) <= LAYOUT_BYTES_MAX:
            if len(self._layouts) >= LAYOUTS_MAX:
                self._layouts.clear()
            self._layouts[len(report)] = layout
        return layout.seen(report)[0]._replace(results=results or None)


def _tlv(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return type and length of the TLV parameter at `at`. Raises BadFrame when it is none, or ends beyond `end`."""
    if end - at < _TLV.size:
        raise BadFrame(f"{end - at} bytes where a parameter should be")
    word, length = _TLV.unpack_from(data, at)
    if word > 0x7FFF or not _TLV.size <= length <= end - at:
        raise BadFrame(f"parameter {word:04x} of length {length} where {end - at} bytes are left")
    return word & TYPE_BITS, length


def _parts(report: bytes) -> Iterator[_Part]:
    at, end = _TLV.size, len(report)
    yield _Part(0, _TLV.size)
    while at < end:
        if report[at] & 0x80:
            kind = report[at] & 0x7F
            length = 1 + _TV_BYTES.get(kind, end)
            if at + length > end:
                raise BadFrame(f"parameter of type {kind} where {end - at} bytes are left")
            yield _Part(at, 1, *_TV_VALUES.get(kind, ()))
        else:
            kind, length = _tlv(report, at, end)
            yield _tlv_part(report, at, kind, length)
        at += length


def _tlv_part(report: bytes, at: int, kind: int, length: int) -> _Part:
    if kind == EPC_DATA:
        bits = int.from_bytes(report[at + 4 : at + 6], "big")
        epc_bytes = (bits + 7) // 8
        if length != 6 + epc_bytes:
            raise BadFrame(f"EPCData of {bits} bits in {length} bytes")
        return _Part(at, 6, _SLOT["epc"], f"{epc_bytes}s")
    if kind != CUSTOM:
        return _Part(at, 4)
    if length < 12:
        raise BadFrame(f"custom parameter of {length} bytes")
    slot, code = _CUSTOM_VALUES.get(_VENDOR.unpack_from(report, at + 4), (None, ""))
    if slot is not None and length < 12 + struct.calcsize(code):
        raise BadFrame(f"custom parameter {report[at : at + 12].hex()} without a value")
    return _Part(at, 12, slot, code)


def _layout(report: bytes, parts: list[_Part]) -> _Layout:
    """Make the layout of a report. Of parameters that are there twice, the first counts; of vendors' own the last."""
    mask, code, at = bytearray(len(report)), ">", 0
    where: dict[int, int] = {}
    for count, part in enumerate(taken := [part for part in parts if part.slot is not None]):
        assert part.slot is not None
        value_at = part.at + part.fixed
        code += f"{value_at - at}x{part.code}"
        at = value_at + struct.calcsize(">" + part.code)
        if part.slot not in where or part.fixed == 12:
            where[part.slot] = count
    if _SLOT["epc"] not in where:
        raise BadFrame("a tag report without an EPC")
    for part in parts:
        mask[part.at : part.at + part.fixed] = b"\xff" * part.fixed
    fixed = bytes(byte & masked for byte, masked in zip(report, mask, strict=True))
    picked = [where.get(slot, len(taken)) for slot in range(len(_SLOT))]
    values = struct.Struct(f"{code}{len(report) - at}x")
    ones = int.from_bytes(mask, "big"), int.from_bytes(fixed, "big")
    return _Layout(bytes(mask), fixed, values, itemgetter(*picked), *ones)


def _results(report: bytes, parts: list[_Part]) -> Iterator[OpResult]:
    """Read the results of an AccessSpec (LLRP 1.0.1, 15.2.1.5): code and id stand first in all six kinds."""
    for part in parts:
        if part.fixed == _TLV.size and part.at:
            kind, length = _tlv(report, part.at, len(report))
            if kind in _RESULTS:
                if length < _TLV.size + _RESULT.size:
                    raise BadFrame(f"result of an operation in {length} bytes")
                yield OpResult(kind, *_RESULT.unpack_from(report, part.at + _TLV.size))
