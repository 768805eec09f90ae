import ssl
from typing import Any

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._mqtt_lane import Lane, LaneClient, Puback, Splitter
from drivers._mqtt_wire import Incoming, TooLarge, puback_refusal, publish_packet, publish_properties


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


def fed(
    data: bytes, *, max_payload: int = 1000, pieces: list[int] | None = None, version5: bool = False
) -> tuple[list[Any], bytes]:
    splitter, read, others, at = Splitter(max_payload, version5=version5), list[Any](), b"", 0
    for size in [*(pieces or []), len(data)]:
        some, paho_share = splitter.feed(data[at : at + size])
        read += some
        others += paho_share
        at += size
    return read, others


SUBACK, PINGRESP, PUBACK = b"\x90\x03\x00\x01\x01", b"\xd0\x00", b"\x40\x02\x00\x09"
REFUSAL = b"\x40\x0a\x01\x02\x87\x06\x1f\x00\x03why"  # MQTT 5.0, 3.4: reason code and a text for people

packets = st.lists(
    st.sampled_from([SUBACK, PINGRESP, PUBACK, REFUSAL, publish(b"t", b"x" * 900, flags=0x04)])
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
    quick = [packet for packet in sent if packet[0] == 0x40 or packet[0] & 0xF6 in {0x30, 0x32}]
    assert whole[1] == b"".join(packet for packet in sent if packet not in quick)
    assert len(whole[0]) == len(quick)
    for read, packet in zip(whole[0], quick, strict=True):
        if packet[0] == 0x40:
            assert read == {PUBACK: Puback(9, 0), REFUSAL: Puback(0x0102, 0x87)}[packet]
        else:
            assert packet.endswith(read.payload)
            assert read.size <= 1000 or read.payload == b""


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


def lane(wire: Wire, splitter: Splitter) -> Lane:
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


@pytest.mark.parametrize("version5", [True, False])
def test_answers_to_our_messages_are_read_here_in_both_versions(*, version5: bool) -> None:
    assert fed(PUBACK + SUBACK + REFUSAL, version5=version5) == ([Puback(9, 0), Puback(0x0102, 0x87)], SUBACK)


def test_messages_of_mqtt_5_go_to_paho_for_their_properties() -> None:
    assert fed(publish(b"t", b"1") + PUBACK, version5=True) == ([Puback(9, 0)], publish(b"t", b"1"))


@pytest.mark.parametrize(("code", "text"), [(0x87, "Not authorized"), (0x95, "Packet too large"), (0xFF, "code 0xff")])
def test_a_refusal_is_said_in_words_whatever_the_code(code: int, text: str) -> None:
    error = puback_refusal(code)
    assert text in str(error)
    assert isinstance(error, TooLarge) == (code == 0x95)


def test_the_text_of_a_refusal_is_not_held() -> None:
    splitter = Splitter(1000, version5=True)
    assert splitter.feed(b"\x40" + length(100_000) + b"\x00\x09\x97") == ([Puback(9, 0x97)], b"")
    for _ in range(99):
        assert splitter.feed(bytes(1000)) == ([], b"")
    assert splitter.feed(bytes(997) + PUBACK) == ([Puback(9, 0)], b"")


@pytest.mark.parametrize("size", [0, 100, 123, 124, 16_380, 2_097_148])
def test_what_we_publish_can_be_read_back(size: int) -> None:
    payload = b"x" * size
    packet = publish_packet("a/货", payload, 513, b"", qos=1, retain=True)
    assert packet == publish("a/货".encode(), payload, 513, 0x03)
    [read], _ = fed(packet, max_payload=1 << 22)
    assert read == Incoming("a/货", payload, 513, 1, retain=True, duplicate=False, size=size)
    assert publish_packet("t", payload, 0, b"", qos=0, retain=False) == publish(b"t", payload, flags=0x00)


def test_properties_travel_between_packet_id_and_payload() -> None:
    properties = publish_properties(b"\x01\x02", "application/json", None)
    packet = publish_packet("t", b"{}", 7, properties, qos=1, retain=False)
    expected = b"\x03\x00\x10application/json" + b"\x09\x00\x02\x01\x02"
    assert packet == publish(b"t", bytes([len(expected)]) + expected + b"{}", 7)
    assert publish_properties(None, None, None) == b"\x00"


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
    joined.ack([1])
    assert joined.send(b"paho's") == 6
    joined.ack([258])
    assert not joined.flush()
    wire.room = 100
    assert joined.flush()
    assert wire.taken == b"\x40\x02\x00\x01paho's\x40\x02\x01\x02"


def test_a_connection_that_breaks_while_writing_shows_at_the_next_read() -> None:
    wire = Wire()
    wire.broken = BrokenPipeError()
    joined = lane(wire, Splitter(100))
    joined.ack([1])
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
    joined.ack([1])
    joined.flush()
    assert joined.exchanged()
    assert not joined.exchanged()


def test_paho_still_has_the_method_that_we_override() -> None:
    assert LaneClient._create_socket is not paho.Client._create_socket
