"""Bytes of LLRP 1.0.1 as a reader sees them: messages out of a stream, parameters out of a message, and back.

Pure. Written from the standard (EPCglobal LLRP 1.0.1, section 16), so that the simulator is an independent peer of any
driver. Not here: what a message means (`_reader_desk.py`), tag reports (`_reader_entry.py`).
"""

import struct
from collections.abc import Generator
from typing import Any, NamedTuple

MAX_MESSAGE = 256 << 10  # nothing that a client has to say is longer
HEADER = struct.Struct(">HII")  # reserved, version, type; length; id
_TLV = struct.Struct(">HH")
_CUSTOM = struct.Struct(">II")
CUSTOM = 1023
IMPINJ = 25882  # private enterprise number
ZEBRA = 10642  # Motorola Solutions, which the readers still say

# LLRPStatus, 14.2.1
SUCCESS = 0
M_PARAMETER_ERROR, M_FIELD_ERROR, M_UNEXPECTED, M_MISSING = 100, 101, 102, 103
M_UNSUPPORTED_MESSAGE, M_UNSUPPORTED_VERSION, M_UNSUPPORTED_PARAMETER = 109, 110, 111
A_INVALID, A_OUT_OF_RANGE = 300, 301
R_DEVICE_ERROR = 401

# how long the value of each TV-encoded parameter is, 16.2.2
TV_BYTES = {1: 2, 2: 8, 3: 8, 4: 8, 5: 8, 6: 1, 7: 2, 8: 2, 9: 4, 10: 2, 11: 2, 12: 2, 13: 12, 14: 2, 15: 3, 16: 4}
TV_BYTES |= {17: 2, 18: 4}


class BadMessage(Exception):
    """A message that is well framed and wrong inside; `code` is the LLRPStatus it earns."""

    def __init__(self, text: str, code: int = M_PARAMETER_ERROR) -> None:
        super().__init__(text)
        self.code = code


class LostStep(Exception):
    """The stream cannot be followed any more: a header with a length that cannot be."""


class Message(NamedTuple):
    """One message. `version`: 1 = LLRP 1.0.1, 2 = 1.1."""

    version: int
    kind: int
    number: int
    body: bytes


class Parameter(NamedTuple):
    """One parameter: its type, what is inside, and the whole of it as it came."""

    kind: int
    body: bytes
    raw: bytes


class Frames:
    """Cuts a stream into messages, however it arrives."""

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def waiting(self) -> int:
        """Return how many bytes came and were not given out yet."""
        return len(self._held)

    def feed(self, data: bytes) -> Generator[Message, None, None]:
        """Yield each message that is complete. Raises LostStep on a length below 10 or above MAX_MESSAGE."""
        self._held += data
        at = 0
        try:
            while len(self._held) - at >= HEADER.size:
                head, length, number = HEADER.unpack_from(self._held, at)
                if not HEADER.size <= length <= MAX_MESSAGE:
                    raise LostStep(f"a message of {length} bytes")
                if len(self._held) - at < length:
                    break
                body = bytes(self._held[at + HEADER.size : at + length])
                at += length
                yield Message(head >> 10 & 7, head & 0x3FF, number, body)
        finally:
            del self._held[:at]


def message(kind: int, number: int, *parts: bytes, version: int = 1) -> bytes:
    """Return a whole message."""
    body = b"".join(parts)
    return HEADER.pack(version << 10 | kind, HEADER.size + len(body), number) + body


def tlv(kind: int, *parts: bytes) -> bytes:
    """Return a parameter with a length."""
    body = b"".join(parts)
    return _TLV.pack(kind, 4 + len(body)) + body


def custom(vendor: int, subtype: int, *parts: bytes) -> bytes:
    """Return a vendor's parameter."""
    return tlv(CUSTOM, _CUSTOM.pack(vendor, subtype), *parts)


def text(value: str) -> bytes:
    """Return a UTF-8 string with its length before it."""
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def status(code: int = SUCCESS, description: str = "") -> bytes:
    """Return an LLRPStatus parameter."""
    return tlv(287, struct.pack(">H", code), text(description[:200]))


def parameters(data: bytes) -> list[Parameter]:
    """Split what follows the fields of a message or a parameter. Raises BadMessage on what cannot be followed."""
    found, at = [], 0
    while at < len(data):
        end = at + _length(data, at)
        if end > len(data):
            raise BadMessage(f"a parameter ends {end - len(data)} bytes after its surroundings")
        if data[at] & 0x80:
            found.append(Parameter(data[at] & 0x7F, data[at + 1 : end], data[at:end]))
        else:
            kind = int.from_bytes(data[at : at + 2], "big") & 0x3FF
            found.append(Parameter(kind, data[at + 4 : end], data[at:end]))
        at = end
    return found


def _length(data: bytes, at: int) -> int:
    if data[at] & 0x80:
        kind = data[at] & 0x7F
        if kind not in TV_BYTES:
            raise BadMessage(f"no TV parameter has the type {kind}", M_UNEXPECTED)
        return 1 + TV_BYTES[kind]
    if len(data) - at < 4:
        raise BadMessage("a parameter is cut off in its header")
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    if length < 4:
        raise BadMessage(f"a parameter is {length} bytes long")
    return length


def fields(layout: str, data: bytes, what: str) -> tuple[Any, ...]:
    """Unpack the fields at the front. Raises BadMessage when they are not all there."""
    size = struct.calcsize(layout)
    if len(data) < size:
        raise BadMessage(f"{what} has {len(data)} bytes, needs {size}", M_FIELD_ERROR)
    return struct.unpack_from(layout, data)


def custom_head(data: bytes) -> tuple[int, int, bytes]:
    """Return vendor, subtype and the rest of a vendor's parameter."""
    vendor, subtype = fields(">II", data, "a vendor's parameter")
    return vendor, subtype, data[8:]


def bits(data: bytes, what: str) -> tuple[int, int, bytes]:
    """Return number of bits, their value and what follows, of a bit vector (u1v)."""
    (count,) = fields(">H", data, what)
    size = (count + 7) // 8
    if len(data) < 2 + size:
        raise BadMessage(f"{what} has fewer than its {count} bits", M_FIELD_ERROR)
    return count, int.from_bytes(data[2 : 2 + size], "big") >> (size * 8 - count), data[2 + size :]


def words(data: bytes, what: str) -> tuple[tuple[int, ...], bytes]:
    """Return a vector of 16-bit values (u16v) and what follows."""
    (count,) = fields(">H", data, what)
    return fields(f">{count}H", data[2:], what), data[2 + 2 * count :]
