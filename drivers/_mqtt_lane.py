"""paho's socket with a quick lane: large reads and writes, and the packets that come by the thousand go past paho.

paho reads a packet with four system calls, one byte at a time where it looks for the length, and makes a dozen objects
for each message. So PUBACK, and PUBLISH of MQTT 3.1.1, are taken out of what arrives; our own PUBLISH and PUBACK are
written behind what paho writes. Everything else, and whatever looks odd, goes to paho as it came.
Not here: what a message means, when to acknowledge (`_mqtt.py`).
Source: OASIS MQTT 3.1.1 and 5.0, 2.1 or 2.2 (fixed header), 3.3 (PUBLISH), 3.4 (PUBACK).
"""

import socket
import ssl
import sys
from collections.abc import Iterable
from typing import NamedTuple

import paho.mqtt.client as paho

from drivers._mqtt_wire import PUBLISH, Incoming

READ_BYTES = 65_536
PUBACK = 0x40
TYPE, DUPLICATE, QOS, RETAIN = 0xF0, 0x08, 0x06, 0x01
QOS_1 = 0x02
PUBACK_OF = b"\x40\x02"
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Puback(NamedTuple):
    """The broker has (or refuses: a `code` from 0x80 on) our message `mid`."""

    mid: int
    code: int


class Splitter:
    """Cuts a stream of packets in two: PUBACK, and PUBLISH of QoS 0 and 1, read here; all other bytes for paho. Pure.

    A payload over `max_payload` is not kept: its bytes are dropped as they come, and the message says its true size.
    With `version5` PUBLISH is paho's, for its properties.
    """

    def __init__(self, max_payload: int, *, version5: bool = False) -> None:
        self._max_payload = max_payload
        self._ours = {PUBACK} if version5 else {PUBLISH, PUBACK}
        self._rest = b""  # the begin of a packet
        self._passing = 0  # bytes of paho's packet, yet to come
        self._dropping = 0  # bytes of a payload that is too large, yet to come
        self._dropped: Incoming | None = None

    def feed(self, data: bytes) -> tuple[list[Incoming | Puback], bytes]:
        """Take bytes as they came; return what was read among them, and what is paho's."""
        messages: list[Incoming | Puback] = []
        data = self._rest + data
        at, end, others = 0, len(data), bytearray()
        while at < end:
            if self._passing or self._dropping:
                at = self._go_on(data, at, messages, others)
                continue
            stop = self._packet(data, at, messages)
            if stop is None:
                break
            at = stop
        self._rest = data[at:]
        return messages, bytes(others)

    def _go_on(self, data: bytes, at: int, messages: list[Incoming | Puback], others: bytearray) -> int:
        stop = min(len(data), at + self._passing + self._dropping)
        if self._passing:
            others += data[at:stop]
            self._passing -= stop - at
        else:
            self._dropping -= stop - at
            if not self._dropping and self._dropped is not None:
                messages.append(self._dropped)
        return stop

    def _packet(self, data: bytes, at: int, messages: list[Incoming | Puback]) -> int | None:
        """Deal with the packet at `at`: return where to go on, or None while too little of it is here."""
        body, size = _body(data, at)
        if size < 0:
            return None
        kind, stop = data[at] & TYPE, body + size
        if body == at or size < 2 or data[at] & QOS > QOS_1 or kind not in self._ours:
            return self._to_paho(at, stop)
        if len(data) < body + min(size, 3):
            return None
        return (self._puback if kind == PUBACK else self._publish)(data, at, body, stop, messages)

    def _puback(self, data: bytes, _at: int, body: int, stop: int, messages: list[Incoming | Puback]) -> int:
        read = min(stop, body + 3)  # MQTT 5.0, 3.4.2: without a reason code it is a success; the rest is for people
        messages.append(Puback(data[body] << 8 | data[body + 1], data[body + 2] if read == body + 3 else 0))
        self._dropping, self._dropped = stop - read, None
        return read

    def _publish(self, data: bytes, at: int, body: int, stop: int, messages: list[Incoming | Puback]) -> int | None:
        topic_end = body + 2 + (data[body] << 8 | data[body + 1])
        begin = topic_end + 2 if data[at] & QOS else topic_end
        if begin > stop or topic_end == body + 2:
            return self._to_paho(at, stop)  # malformed: paho says how
        kept = stop if stop - begin <= self._max_payload else begin
        if len(data) < kept:
            return None
        topic = data[body + 2 : topic_end].decode("utf-8", "replace")
        mid = int.from_bytes(data[topic_end:begin], "big")
        message = _message(data[at], topic, mid, data[begin:kept], stop - begin)
        if kept == stop:
            messages.append(message)
        else:
            self._dropping, self._dropped = stop - kept, message
        return kept

    def _to_paho(self, at: int, stop: int) -> int:
        self._passing = stop - at
        return at


def _body(data: bytes, at: int) -> tuple[int, int]:
    """Return where the packet's body begins and its size; size -1 = the length is not all here."""
    size = 0
    for digits in range(4):
        where = at + 1 + digits
        if where >= len(data):
            return 0, -1
        size |= (data[where] & 0x7F) << (7 * digits)
        if not data[where] & 0x80:
            return where + 1, size
    return at, sys.maxsize - at  # 2.2.3: four digits at most; paho is given the rest of the stream to refuse


def _message(first: int, topic: str, mid: int, payload: bytes, size: int) -> Incoming:
    return Incoming(topic, payload, mid, (first & QOS) >> 1, bool(first & RETAIN), bool(first & DUPLICATE), size)


class Lane:
    """What paho takes for its socket. `received` collects the quick messages; `flush` writes what waits, at once."""

    def __init__(self, sock: socket.socket, splitter: Splitter) -> None:
        self._sock = sock
        self._splitter = splitter
        self._for_paho = b""
        self._out = bytearray()
        self._ended: OSError | None = None
        self._at_end = False
        self._heard = self._said = False
        self.received: list[Incoming | Puback] = []

    def fill(self) -> bool:
        """Read what is here, at most one large piece; return whether paho has something to read (or to learn)."""
        try:
            data = self._sock.recv(READ_BYTES)
        except NOT_NOW:
            return bool(self._for_paho)
        except OSError as error:
            self._ended = error
            return True
        self._at_end = not data
        self._heard = True
        messages, others = self._splitter.feed(data)
        self.received += messages
        self._for_paho += others
        return self._at_end or bool(self._for_paho)

    @property
    def waiting(self) -> bool:
        """Whether paho has not yet read its share."""
        return bool(self._for_paho)

    def more(self) -> bool:
        """Whether TLS holds bytes that no selector knows of."""
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def ack(self, mids: Iterable[int]) -> None:
        """Put PUBACKs behind what waits to be written."""
        self._out += b"".join([PUBACK_OF + mid.to_bytes(2, "big") for mid in mids])

    def publish(self, packet: bytes) -> None:
        """Put a PUBLISH behind what waits to be written."""
        self._out += packet

    def flush(self) -> bool:
        """Write; return whether all is out. A broken connection shows at the next read."""
        while self._out:
            try:
                sent = self._sock.send(self._out)
            except NOT_NOW:
                return False
            except OSError as error:
                self._ended = error
                self._out.clear()
                return True
            del self._out[:sent]
            self._said = True
        return True

    def exchanged(self) -> bool:
        """Whether bytes went both ways since the last call: then nobody needs a ping to know that the other lives."""
        both, self._heard, self._said = self._heard and self._said, False, False
        return both

    # What paho calls.

    def recv(self, size: int) -> bytes:
        """Give paho its share. Raises BlockingIOError when there is none, OSError when the connection broke."""
        if not self._for_paho:
            if self._ended is not None:
                raise self._ended
            if self._at_end:
                return b""
            raise BlockingIOError
        data, self._for_paho = self._for_paho[:size], self._for_paho[size:]
        return data

    def send(self, data: bytes) -> int:
        """Take all; `flush` writes it."""
        self._out += data
        return len(data)

    def fileno(self) -> int:
        """Return the descriptor, for the event loop."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - the signature of a socket
        """As a socket's."""
        self._sock.setblocking(flag)

    def close(self) -> None:
        """Close, after a last try to write (paho closes right behind its DISCONNECT)."""
        self.flush()
        self._sock.close()


class LaneClient(paho.Client):
    """paho's client on a lane. `splitter` is given before it connects."""

    splitter: Splitter

    def _create_socket(self) -> Lane:  # type: ignore[override]  # it need not be a real socket, only behave like one
        """Wrap the connected (and encrypted) socket; the one place of paho that is overridden."""
        return Lane(super()._create_socket(), self.splitter)  # type: ignore[arg-type]
