"""Frames of the M100 family (`BB .. 7E`: M100, QM100, YRM100, R200): bytes to values and back. Pure.

    BB | kind | command | length (2, of the parameters) | parameters | sum | 7E

The sum is the low byte of all from kind to the last parameter. `BB` and `7E` may stand inside: only length and sum
count. Source: MagicRF M100 & QM100 firmware manual (published as M5Stack Unit RFID-UHF protocol), sections in
brackets; frames that users published. Not here: the conversation (`_m100_talk.py`).
"""

import struct
from binascii import crc_hqx
from typing import NamedTuple

from drivers._serial_cutter import Cutter
from gateway.errors import BadFrame

HEADER, END = 0xBB, 0x7E
COMMAND, RESPONSE, NOTICE = 0x00, 0x01, 0x02  # kinds (1.2)
AROUND = 7  # bytes of a frame beside its parameters
MAX_PARAMETERS = 256  # the longest known is a read of 32 words with a 62 byte EPC (2.8): 129

GET_INFO = 0x03  # 2.1
SET_REGION, GET_REGION = 0x07, 0x08  # 2.15, 2.16
SET_SELECT = 0x0C  # 2.5
GET_QUERY, SET_QUERY = 0x0D, 0x0E  # 2.13, 2.14
SET_SELECT_MODE = 0x12  # 2.7
POLL = 0x22  # 2.2, single
POLL_MANY, STOP = 0x27, 0x28  # 2.3, 2.4
READ, WRITE, KILL, LOCK = 0x39, 0x49, 0x65, 0x82  # 2.8 to 2.11
SET_POWER, GET_POWER = 0xB6, 0xB7  # 2.22, 2.21
FAILED = 0xFF  # command of a response that carries an error code
PASSWORD_WRONG = 0x16
NO_TAG = 0x15  # 2.2.3: nobody answered, or it was garbled

ERRORS = {  # 4
    0x09: "no tag with this EPC answers (read)",
    0x10: "no tag with this EPC answers (write)",
    0x12: "no tag with this EPC answers (kill)",
    0x13: "no tag with this EPC answers (lock)",
    NO_TAG: "no tag answers",
    PASSWORD_WRONG: "the tag does not accept the access password",
    0x17: "the module does not know the command, or a parameter is wrong",
    0x20: "no free channel: another transmitter is too strong",
}
OF_TAG = {
    0xA0: "read",
    0xB0: "write",
    0xC0: "lock",
    0xD0: "kill",
}  # upper half: the tag itself refused, EPC Gen2 code below
GEN2_ERRORS = {0x0: "other error", 0x3: "no such memory", 0x4: "memory is locked", 0xB: "not enough power"}


class Frame(NamedTuple):
    """One good frame."""

    kind: int
    command: int
    parameters: bytes


class Tag(NamedTuple):
    """A tag as a notice tells it. `antenna` is 1 but for modules with several ports."""

    epc: str
    pc: int
    rssi_dbm: int
    antenna: int


def encode(command: int, parameters: bytes = b"", kind: int = COMMAND) -> bytes:
    """Return the frame as bytes (1.1)."""
    body = struct.pack(">BBH", kind, command, len(parameters)) + parameters
    return bytes((HEADER,)) + body + bytes((sum(body) & 0xFF, END))


def look(data: bytearray, at: int) -> tuple[Frame | None, int]:
    """Look for a frame at a position; see `_serial_cutter.Look`."""
    begin = data.find(HEADER, at)
    if begin != at:
        return None, (begin if begin > at else len(data)) - at
    if len(data) - at < AROUND - 2:
        return None, 0
    _, kind, command, length = struct.unpack_from(">BBBH", data, at)
    if kind > NOTICE or length > MAX_PARAMETERS:
        return None, 1
    end = at + AROUND + length
    if end > len(data):
        return None, 0
    body = bytes(data[at + 1 : end - 2])
    if data[end - 1] != END or data[end - 2] != sum(body) & 0xFF:
        return None, 1
    return Frame(kind, command, body[4:]), AROUND + length


def cutter() -> Cutter[Frame]:
    """Return what cuts the module's bytes into frames."""
    return Cutter(look)


def tag_of(notice: bytes) -> Tag:
    """Read the parameters of a notice (2.2.2): RSSI, PC, EPC, the tag's own CRC, and the antenna if there are several.

    Raises BadFrame: too short, or the tag's CRC-16 (EPC Gen2, over PC and EPC) is wrong. The frame's sum has only 8
    bits: on a bad line it lets every 256th broken frame through, and such an EPC would be a ghost.
    """
    epc_end = 3 + 2 * (notice[1] >> 3) if len(notice) > 2 else 3
    crc = notice[epc_end : epc_end + 2]
    if epc_end < 5 or len(crc) < 2 or crc_hqx(notice[1:epc_end], 0xFFFF) ^ 0xFFFF != int.from_bytes(crc):
        raise BadFrame(f"no tag: {notice.hex()}")
    rssi_dbm = int.from_bytes(notice[:1], signed=True)
    antenna = notice[epc_end + 2] if len(notice) > epc_end + 2 else 1
    return Tag(notice[3:epc_end].hex().upper(), int.from_bytes(notice[1:3]), rssi_dbm, antenna or 1)


def error_text(code: int) -> str:
    """Say what an error code means (4)."""
    if code not in ERRORS and (what := OF_TAG.get(code & 0xF0)):
        return f"the tag refuses the {what}: {GEN2_ERRORS.get(code & 0x0F, f'code {code & 0x0F:X}')}"
    return ERRORS.get(code, f"error {code:02X}")


def is_of_tag(code: int) -> bool:
    """Return whether the tag itself said no, and not the module that there is none."""
    return code == PASSWORD_WRONG or code & 0xF0 in OF_TAG


def with_query(word: int, session: int | None, q: int | None) -> int:
    """Return the Query word (2.13) with another session and Q; None keeps what it says. Target becomes A."""
    if session is not None:
        word = word & ~0x0380 | session << 8  # 2 bits session, 1 bit target below
    return word if q is None else word & ~0x0078 | q << 3
