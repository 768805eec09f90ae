"""Makes of readers: who they say they are and what they say they can do (GET_READER_CAPABILITIES_RESPONSE).

Pure. Power tables, modes and numbers of antennas are made up in the shape that such readers give; nothing here was
recorded from one.
"""

import struct
from typing import Literal, NamedTuple

from drivers.simulators._reader_wire import IMPINJ, ZEBRA, text, tlv

Make = Literal["impinj", "zebra", "plain"]
ALL, GENERAL, LLRP, REGULATORY, AIR = range(5)  # GetReaderCapabilitiesRequestedData
MOST_ROSPECS, MOST_ACCESS_SPECS = 16, 32
GPIS, GPOS = 4, 4
FULL_CDBM = 3000  # what the walk and the zones are reckoned with


class Kind(NamedTuple):
    """One make. `versions`: the highest LLRP it speaks (2 = 1.1); `utc`: it has a clock, else it tells its uptime."""

    vendor: int
    model: int
    firmware: str
    powers_cdbm: tuple[int, ...]
    modes: tuple[int, ...]
    versions: int
    utc: bool
    buffered: int  # tag reports that it keeps while nobody takes them
    temperature_c: int | None = None

    @property
    def is_impinj(self) -> bool:
        """Tell whether it knows Impinj's extensions."""
        return self.vendor == IMPINJ


KINDS: dict[str, Kind] = {
    "impinj": Kind(
        IMPINJ, 2001052, "8.2.0.240", tuple(range(1000, 3001, 25)), (0, 1, 2, 3, 1000, 1002, 1003, 1004), 1, utc=True,
        buffered=20_000, temperature_c=41,
    ),
    "zebra": Kind(
        ZEBRA, 96008, "3.21.23", tuple(range(1000, 3001, 10)), tuple(range(1, 35)), 1, utc=True, buffered=66_000
    ),
    "plain": Kind(12345, 1, "1.0", tuple(range(1000, 3001, 100)), (1,), 2, utc=False, buffered=4_000),
}  # fmt: skip


def capabilities(kind: Kind, antennas: int, asked: int) -> list[bytes]:
    """Return the parameters of the answer; an unknown demand gives none."""
    told = {GENERAL: _general, LLRP: _llrp, REGULATORY: _regulatory, AIR: _air}
    return [make(kind, antennas) for number, make in told.items() if asked in (ALL, number)]


def _general(kind: Kind, antennas: int) -> bytes:
    flags = 0x4000 if kind.utc else 0  # can set antenna properties: no
    head = struct.pack(">HHII", antennas, flags, kind.vendor, kind.model) + text(kind.firmware)
    sensitivity = tlv(139, struct.pack(">Hh", 1, 0))
    protocols = [tlv(140, struct.pack(">HHB", number, 1, 1)) for number in range(1, antennas + 1)]
    return tlv(137, head, sensitivity, tlv(141, struct.pack(">HH", GPIS, GPOS)), *protocols)


def _llrp(kind: Kind, antennas: int) -> bytes:
    del kind, antennas
    flags = 0x48  # tells of a full buffer, holds events and reports; no survey, no state-aware singulation
    return tlv(142, struct.pack(">BBHIIIII", flags, 8, 0, MOST_ROSPECS, 8, 1, MOST_ACCESS_SPECS, 8))


def _regulatory(kind: Kind, antennas: int) -> bytes:
    del antennas
    powers = [tlv(145, struct.pack(">Hh", index, power)) for index, power in enumerate(kind.powers_cdbm, 1)]
    khz = [920_625 + 250 * channel for channel in range(16)]  # China, 920 to 925 MHz
    hopping = tlv(146, b"\x80", tlv(147, struct.pack(">BBH16I", 1, 0, len(khz), *khz)))
    modes = [tlv(329, _mode(number, place)) for place, number in enumerate(kind.modes)]
    return tlv(143, struct.pack(">HH", 156, 0), tlv(144, *powers, hopping, tlv(328, *modes)))


def _mode(number: int, place: int) -> bytes:
    m_value, bits_s = ((0, 640_000), (1, 640_000), (2, 274_000), (3, 170_600))[place % 4]
    return struct.pack(">IBBBBIIIII", number, 0x80, m_value, 0, 2, bits_s, 1500, 6250, 25_000, 1875)


def _air(kind: Kind, antennas: int) -> bytes:
    del kind, antennas
    return tlv(327, struct.pack(">BH", 0x40, 2))  # no block erase, block write, two select filters
