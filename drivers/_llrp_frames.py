"""Cuts a stream of LLRP into messages, whatever pieces it comes in. Bytes in, frames out; no sockets, no meaning.

The length in the header keeps the stream in step, so only a header with an impossible length ends it (`BadFrame`). A
message too large to be true (above 256 KiB: the largest report of a reader is some 100 KiB) is skipped and counted.
Next: `_llrp_reports.py` for tag reports, `_llrp_control.py` for all other messages.
Source: LLRP 1.0.1, section 15.1 (header: 3 reserved bits, version, type, u32 length, u32 message id).
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from gateway.errors import BadFrame

HEADER = struct.Struct(">HII")
MAX_LENGTH = 4 * 1024 * 1024  # more than this is no message: the stream is out of step, or not LLRP
MAX_TAKEN = 256 * 1024
TYPE_BITS = 0x03FF

KEEPALIVE, KEEPALIVE_ACK = 62, 72
RO_ACCESS_REPORT, READER_EVENT_NOTIFICATION = 61, 63
CLOSE_CONNECTION_RESPONSE, ERROR_MESSAGE = 4, 100


class Frame(NamedTuple):
    """One message: its type, its id and all of its bytes, header included."""

    kind: int
    message_id: int
    data: bytes


class Frames:
    """The cutter of one connection. `skipped` counts messages that were too large to be taken."""

    def __init__(self) -> None:
        self.skipped = 0
        self._held = bytearray()
        self._needed = HEADER.size  # of `_held`, before there is anything new to see
        self._skip = 0  # bytes of a skipped message that are still to come

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the messages that `data` completes. Raises BadFrame: no byte after this one can be understood."""
        if self._skip:
            dropped = min(self._skip, len(data))
            self._skip -= dropped
            data = data[dropped:]
        if self._held:
            self._held += data
            if len(self._held) < self._needed:
                return
            data = bytes(self._held)
            self._held.clear()
        yield from self._cut(data)

    def _cut(self, data: bytes) -> Iterator[Frame]:
        at, end = 0, len(data)
        while end - at >= HEADER.size:
            word, length, message_id = HEADER.unpack_from(data, at)
            if not HEADER.size <= length <= MAX_LENGTH:
                raise BadFrame(f"message length {length} in header {data[at : at + HEADER.size].hex()}")
            if length > MAX_TAKEN:
                self.skipped += 1
                self._skip = max(0, at + length - end)
                at = min(at + length, end)
                continue
            if at + length > end:
                break
            yield Frame(word & TYPE_BITS, message_id, data[at : at + length])
            at += length
        self._hold(data[at:])

    def _hold(self, rest: bytes) -> None:
        self._held += rest
        whole = len(rest) >= HEADER.size
        self._needed = HEADER.unpack_from(rest)[1] if whole else HEADER.size


def with_id(message: bytes, message_id: int) -> bytes:
    """Return the message under another id: requests are built without one."""
    return message[:6] + message_id.to_bytes(4, "big") + message[10:]


def bare(kind: int, message_id: int) -> bytes:
    """Return a message without a body (LLRP 1.0.1), such as KEEPALIVE_ACK."""
    return HEADER.pack(1 << 10 | kind, HEADER.size, message_id)
