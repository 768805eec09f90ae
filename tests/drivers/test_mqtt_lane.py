import ssl
from typing import Any

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._mqtt_lane import Lane, LaneClient, Splitter
from drivers._mqtt_wire import Incoming


def length(size: int) -> bytes:
    out = bytearray()
    while True:
        size, digit = divmod(size, 128)
        out.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(out)


def publish(topic: bytes, payload: bytes, mid: int = 7, flags: int = 0x02) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + (mid.to_bytes(2, "big") if flags & 0x06 else b"") + payload
    return bytes([0x30 | flags]) + length(len(body)) + body


def fed(data: bytes, *, max_payload: int = 1000, pieces: list[int] | None = None) -> tuple[list[Incoming], bytes]:
    splitter, messages, others, at = Splitter(max_payload), list[Incoming](), b"", 0
    for size in [*(pieces or []), len(data)]:
        some, paho_share = splitter.feed(data[at : at + size])
        messages += some
        others += paho_share
        at += size
    return messages, others


SUBACK, PINGRESP, PUBACK = b"\x90\x03\x00\x01\x01", b"\xd0\x00", b"\x40\x02\x00\x09"

packets = st.lists(
    st.sampled_from([SUBACK, PINGRESP, PUBACK, publish(b"t", b"x" * 900, flags=0x04)])
    | st.builds(
        publish,
        st.binary(min_size=1, max_size=20),
        st.binary(max_size=1500),
        st.integers(1, 65535),
        st.sampled_from([0x00, 0x01, 0x02, 0x03, 0x0A, 0x0B]),
    ),
    max_size=8,
)


@given(packets, st.lists(st.integers(1, 400), max_size=40))
def test_any_cut_of_the_stream_gives_the_same(sent: list[bytes], pieces: list[int]) -> None:
    stream = b"".join(sent)
    whole, cut = fed(stream), fed(stream, pieces=pieces)
    assert whole == cut
    quick = [packet for packet in sent if packet[0] & 0xF0 == 0x30 and packet[0] & 0x06 != 0x04]
    assert whole[1] == b"".join(packet for packet in sent if packet not in quick)
    assert len(whole[0]) == len(quick)
    for message, packet in zip(whole[0], quick, strict=True):
        assert packet.endswith(message.payload)
        assert message.size <= 1000 or message.payload == b""


@given(st.binary(max_size=400), st.lists(st.integers(1, 50), max_size=10))
def test_no_bytes_can_raise_and_none_is_kept_for_ever(data: bytes, pieces: list[int]) -> None:
    assert fed(data, pieces=pieces) == fed(data)


def test_fields_of_a_message() -> None:
    [message], others = fed(publish(b"a/\xe8\xb4\xa7", b"{}", 513, 0x0B))
    assert message == Incoming("a/货", b"{}", 513, 1, retain=True, duplicate=True, size=2)
    assert others == b""
    [message], _ = fed(publish(b"\xff", b"", flags=0))
    assert (message.topic, message.payload, message.qos, message.mid) == ("\ufffd", b"", 0, 0)


def test_a_payload_that_is_too_large_is_not_held() -> None:
    splitter, size = Splitter(1000), 50_000_000
    head = publish(b"t", b"")
    head = head[:1] + length(len(head) - 2 + size) + head[2:]
    assert splitter.feed(head) == ([], b"")
    for _ in range(size // 1_000_000):
        assert splitter._rest == b""
        messages, _ = splitter.feed(bytes(1_000_000))
    assert [(message.size, message.payload, message.mid) for message in messages] == [(size, b"", 7)]
    assert messages[0].oversize
    assert splitter.feed(PINGRESP) == ([], PINGRESP)


@pytest.mark.parametrize(
    "odd",
    [
        publish(b"", b"no topic"),
        b"\x32\x01\x00",
        b"\x32\x03\x00\x09a",
        b"\x30\xff\xff\xff\xff\x01" + bytes(50),
        publish(b"t", b"qos 2", flags=0x04),
        publish(b"t", b"qos 3", flags=0x06),
        b"\xf0\x05hello",
    ],
)
def test_what_looks_odd_is_left_to_paho(odd: bytes) -> None:
    assert fed(odd) == ([], odd)


class Wire:
    """A socket that gives and takes what a test says."""

    def __init__(self, *gives: bytes | Exception) -> None:
        self.gives = list(gives)
        self.taken = b""
        self.room = 10**9
        self.broken: OSError | None = None
        self.closed = False

    def recv(self, _size: int) -> bytes:
        if not self.gives:
            raise BlockingIOError
        given = self.gives.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    def send(self, data: bytes) -> int:
        if self.broken:
            raise self.broken
        if not self.room:
            raise ssl.SSLWantWriteError
        took = bytes(data[: self.room])
        self.room -= len(took)
        self.taken += took
        return len(took)

    def close(self) -> None:
        self.closed = True


def lane(wire: Wire, splitter: Splitter | None = None) -> Lane:
    untyped: Any = wire
    return Lane(untyped, splitter)


def test_paho_reads_its_share_in_any_portion() -> None:
    joined = lane(Wire(SUBACK + publish(b"t", b"1") + PINGRESP), Splitter(100))
    assert joined.fill()
    assert [message.payload for message in joined.received] == [b"1"]
    assert joined.recv(1) + joined.recv(100) == SUBACK + PINGRESP
    with pytest.raises(BlockingIOError):
        joined.recv(1)
    assert not joined.fill()


def test_mqtt_5_goes_to_paho_untouched() -> None:
    joined = lane(Wire(publish(b"t", b"1")))
    assert joined.fill()
    assert joined.recv(1000) == publish(b"t", b"1")


def test_the_end_of_the_connection_is_told_after_what_came_before() -> None:
    joined = lane(Wire(PINGRESP, b""), Splitter(100))
    assert joined.fill()
    assert joined.fill()
    assert joined.recv(10) == PINGRESP
    assert joined.recv(10) == b""
    broken = lane(Wire(ConnectionResetError("reset")), Splitter(100))
    assert broken.fill()
    with pytest.raises(ConnectionResetError):
        broken.recv(1)


def test_what_does_not_fit_waits_in_order() -> None:
    wire = Wire()
    wire.room = 3
    joined = lane(wire, Splitter(100))
    joined.ack(1)
    assert joined.send(b"paho's") == 6
    joined.ack(258)
    assert not joined.flush()
    wire.room = 100
    assert joined.flush()
    assert wire.taken == b"\x40\x02\x00\x01paho's\x40\x02\x01\x02"


def test_a_connection_that_breaks_while_writing_shows_at_the_next_read() -> None:
    wire = Wire()
    wire.broken = BrokenPipeError()
    joined = lane(wire, Splitter(100))
    joined.ack(1)
    assert joined.flush()
    with pytest.raises(BrokenPipeError):
        joined.recv(1)


def test_a_last_word_is_written_before_the_close() -> None:
    joined = lane(wire := Wire(), Splitter(100))
    joined.send(b"\xe0\x00")
    joined.close()
    assert (wire.taken, wire.closed) == (b"\xe0\x00", True)


def test_bytes_both_ways_spare_the_ping() -> None:
    joined = lane(Wire(publish(b"t", b"1"), publish(b"t", b"2")), Splitter(100))
    joined.fill()
    assert not joined.exchanged()
    joined.fill()
    joined.ack(1)
    joined.flush()
    assert joined.exchanged()
    assert not joined.exchanged()


def test_paho_still_has_the_method_that_we_override() -> None:
    assert LaneClient._create_socket is not paho.Client._create_socket
