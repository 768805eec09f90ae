"""The few MQTT 3.1.1 packets that a load generator and a counter need, made as fast as Python can. Not a client.

Source: OASIS MQTT 3.1.1.
"""

import socket
from collections.abc import Iterator

CONNACK, PUBLISH, PUBACK, SUBACK = 0x20, 0x30, 0x40, 0x90


def length(size: int) -> bytes:
    out = bytearray()
    while True:
        size, digit = divmod(size, 128)
        out.append(digit | 0x80 if size else digit)
        if not size:
            return bytes(out)


def text(value: str) -> bytes:
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def publish(topic: bytes, number: int, payload: bytes) -> bytes:
    """Return a PUBLISH of QoS 1; the packet id is made of `number`."""
    mid = (number % 65_535 + 1).to_bytes(2, "big")
    return b"\x32" + length(len(topic) + 2 + len(payload)) + topic + mid + payload


def connect(port: int, client_id: str, *, clean: bool = True) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = b"\x00\x04MQTT\x04" + (b"\x02" if clean else b"\x00") + b"\x00\x00" + text(client_id)
    sock.sendall(b"\x10" + length(len(body)) + body)
    answer = sock.recv(4)
    if answer[:1] != bytes([CONNACK]) or answer[3] != 0:
        raise ConnectionError(f"the broker answered {answer.hex()}")
    return sock


def subscribe(sock: socket.socket, topic: str) -> None:
    body = b"\x00\x01" + text(topic) + b"\x01"
    sock.sendall(b"\x82" + length(len(body)) + body)


def packets(buffer: bytearray) -> Iterator[tuple[int, memoryview]]:
    """Yield (first byte, body) of every whole packet; remove them from the buffer when the caller is through."""
    view, at, end = memoryview(buffer), 0, len(buffer)
    while at + 2 <= end:
        size, shift, begin = 0, 0, at + 1
        while begin < end:
            digit = buffer[begin]
            size |= (digit & 0x7F) << shift
            begin, shift = begin + 1, shift + 7
            if not digit & 0x80:
                break
        else:
            break
        if begin + size > end:
            break
        yield buffer[at], view[begin : begin + size]
        at = begin + size
    view.release()
    del buffer[:at]
