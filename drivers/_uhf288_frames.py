"""Frames of the UHFReader288 family (also 18 and 86: Chafon, WYUAN, SID UR): bytes to values and back. Pure.

    question: length (of all after it) | address | command          | data | CRC-16 (low byte first)
    answer:   length                   | address | command | status | data | CRC-16

No byte marks a beginning: a frame is found by its CRC, whose residue over the whole frame is 0.
Source: SID UR series manual v1.14 and UHFReader18 manual 2.0 (sections of the first in brackets); omnitag's notes on
WYUAN readers (MIT); answers of real readers in chafon-rfid's tests (MIT).
Not here: the conversation (`_uhf288_talk.py`).
"""

from binascii import crc_hqx
from collections.abc import Iterator
from typing import NamedTuple

from drivers._serial_cutter import Cutter
from gateway.errors import BadFrame

SHORTEST = 5  # value of `length` in the shortest answer: address, command, status, CRC
MAX_FRAME = 256
BROADCAST = 0xFF  # as an address: whoever hears it

INVENTORY = 0x01  # 8.2.1
READ, WRITE, KILL, LOCK = 0x02, 0x03, 0x05, 0x06  # 8.2.2 to 8.2.6
GET_INFO = 0x21  # 8.4.1
SET_REGION, SET_POWER = 0x22, 0x2F  # 8.4.2, 8.4.6
PUSHED = 0xEE  # 8.4.23, real time inventory: the reader says it by itself
UNKNOWN = 0x00  # command of the answer to what the reader does not understand
ANSWERED = frozenset((INVENTORY, READ, WRITE, KILL, LOCK, GET_INFO, SET_REGION, SET_POWER, PUSHED, UNKNOWN))

OK, DONE, TIME_OVER, MORE, FULL = 0x00, 0x01, 0x02, 0x03, 0x04
PASSWORD_WRONG = 0x05
STATISTICS = 0x26
HEARTBEAT = 0x28
ANTENNA_ERROR = 0xF8
NO_TAG = 0xFB
TAG_REFUSED = 0xFC
WITH_TAGS = frozenset((DONE, TIME_OVER, MORE, FULL))
OF_TAG = frozenset((PASSWORD_WRONG, 0x09, 0x0A, TAG_REFUSED))  # the tag itself said no

STATUSES = {  # UHFReader18 manual, 5
    PASSWORD_WRONG: "the tag does not accept the access password",
    0x09: "the tag does not accept the kill password, or the contact was too weak",
    0x0A: "a kill password of zero kills no tag",
    0x0B: "the tag does not know the command",
    0x0C: "an access password of zero is not enough",
    0x13: "the reader could not save the parameter",
    0x14: "the reader's power cannot be adjusted",
    ANTENNA_ERROR: "the antenna is not connected",
    0xF9: "the command failed",
    0xFA: "a tag is there, but the contact is too weak",
    NO_TAG: "no tag answers",
    0xFD: "the command has a wrong length",
    0xFE: "the reader does not know the command",
    0xFF: "a parameter is wrong",
}
GEN2_ERRORS = {0x0: "other error", 0x3: "no such memory", 0x4: "memory is locked", 0xB: "not enough power"}

UHFREADER18 = 0x09  # reader type (8.4.1): one antenna, no power of a tag
TID_BYTES = 12  # behind the EPC, with Impinj's FastID
PHASE_BYTES = 7

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Frame(NamedTuple):
    """One good answer."""

    address: int
    command: int
    status: int
    data: bytes


class Block(NamedTuple):
    """A tag as an answer tells it. `antennas`: as the reader codes them; `power`: raw, None = it tells none."""

    epc: str
    antennas: int
    power: int | None


class Info(NamedTuple):
    """What a reader says of itself (8.4.1). `antennas`: bit mask of those it uses, None where it has but one."""

    version: str
    kind: int
    max_frequency: int
    min_frequency: int
    power_dbm: int
    scan_time: int
    antennas: int | None


def crc16(data: bytes) -> int:
    """Return the CRC-16 (polynomial 8408, preset FFFF), mirrored: only 0 for a whole good frame means anything."""
    return crc_hqx(data.translate(_MIRRORED), 0xFFFF)


def encode(command: int, data: bytes = b"", address: int = BROADCAST) -> bytes:
    """Return the question as bytes."""
    body = bytes((len(data) + 4, address, command)) + data
    return body + crc16(body).to_bytes(2).translate(_MIRRORED)


def look(data: bytearray, at: int) -> tuple[Frame | None, int]:
    """Look for an answer at a position; see `_serial_cutter.Look`."""
    length = data[at]
    if length < SHORTEST or (at + 2 < len(data) and data[at + 2] not in ANSWERED):
        return None, 1
    end = at + 1 + length
    if end > len(data):
        return None, 0
    whole = bytes(data[at:end])
    if crc16(whole) != 0:
        return None, 1
    return Frame(whole[1], whole[2], whole[3], whole[4:-2]), length + 1


def cutter() -> Cutter[Frame]:
    """Return what cuts the reader's bytes into frames."""
    return Cutter(look)


def info_of(data: bytes) -> Info:
    """Read the data of an answer to GET_INFO (8.4.1). Raises BadFrame."""
    if len(data) < 8:
        raise BadFrame(f"no reader information: {data.hex()}")
    version = f"{data[0]}.{data[1]}"
    return Info(version, data[2], data[4], data[5], data[6], data[7], data[8] if len(data) > 8 else None)


def blocks_of(data: bytes, *, plain: bool) -> Iterator[Block]:
    """Read the tags of an inventory's answer (8.2.1). `plain`: UHFReader18 tells neither antenna nor power.

    Raises BadFrame when the data is cut short.
    """
    head = 0 if plain else 1
    if not data:
        return  # the answer when nothing was found, of some readers
    if len(data) <= head:
        raise BadFrame(f"no number of tags: {data.hex()}")
    at = head + 1
    for _ in range(data[head]):
        block, at = _block(data, at, 1 if plain else data[0], powered=not plain)
        yield block


def pushed_of(data: bytes, *, plain: bool) -> Block:
    """Read what a reader in real time mode says of one tag (8.4.23). Raises BadFrame."""
    if not data:
        raise BadFrame("an empty push")
    if plain:  # UHFReader18 manual, 8.4.9: the EPC and nothing else
        return Block(data.hex().upper(), 1, None)
    block, end = _block(data, 1, data[0], powered=True)
    if end != len(data):
        raise BadFrame(f"{len(data) - end} bytes too many: {data.hex()}")
    return block


def _block(data: bytes, at: int, antennas: int, *, powered: bool) -> tuple[Block, int]:
    """Read `length | EPC | power | phase`; bit 7 of the length = a TID follows the EPC, bit 6 = phase and frequency."""
    flags = data[at] if at < len(data) and powered else 0
    length = data[at] & (0x3F if powered else 0xFF) if at < len(data) else 0
    end = at + 1 + length
    after = end + powered + (PHASE_BYTES if flags & 0x40 else 0)
    epc_end = end - TID_BYTES if flags & 0x80 else end
    if at >= len(data) or after > len(data) or epc_end <= at + 1:
        raise BadFrame(f"a tag is cut short: {data.hex()}")
    epc = data[at + 1 : epc_end].hex().upper()
    return Block(epc, antennas, data[end] if powered else None), after


def antennas_of(code: int, ports: int) -> tuple[int, ...]:
    """Return the antennas, from 1, that a code means: a bit each up to 8 ports, an index above."""
    return (code + 1,) if ports > 8 else tuple(bit + 1 for bit in range(8) if code >> bit & 1)


def status_text(frame: Frame) -> str:
    """Say why a command failed; a tag's own reason is in the data."""
    if frame.status == TAG_REFUSED:
        code = frame.data[0] & 0x0F if frame.data else 0
        return f"the tag refuses: {GEN2_ERRORS.get(code, f'code {code:X}')}"
    return STATUSES.get(frame.status, f"status {frame.status:02X}")
